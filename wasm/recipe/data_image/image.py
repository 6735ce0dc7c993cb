"""Makes the data image: links the module, takes the snapshot, compiles and verifies it."""

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import configure
import kit
import libraries
import link
import native
import notices
import tool
import toolchain as tools
import verification
from compile import Flavour, compile_library
from data_image import extensions, pins
from data_image.extensions import Built, Tools
from data_image.pins import Pins
from inputs import Fetcher, Inputs
from report import run, step
from sources import Tree, environment
from store import Store, hash_of, place
from toolchain import Toolchain

NAME = "data"
KIT = "image-kit-data"
IMAGE = f"{NAME}.cwasm"
_OWN_FILES = ("modules", "exceptions", "flags")
_PRINTING = "sysroot/lib/wasm32-wasip1/libc-printscan-long-double.a"
# Twice that of the base: the counters of the training, one for each block of code, take its end.
_STACK_BYTES = 2 * link.STACK_BYTES
_NOT_PACKAGES = (".dist-info", ".data")


@dataclass(frozen=True)
class Parts:
    """What the data image is made of."""

    toolchain: Toolchain
    tree: Tree
    tools: Tools
    built: list[Built]
    pins: Pins


def ensure(
    store: Store, inputs: Inputs, flavour: Flavour, jobs: int, base: Path, wasm: Path
) -> Path:
    """Returns the directory of the finished data image. `base` is that of the base's module."""
    parts = _parts(store, inputs, flavour, jobs, wasm)
    module = _linked(store, parts, flavour, base, wasm)
    snapshot, key = _snapshot(store, parts, module, base, wasm)
    manifest = _manifest(native.manifest(store, wasm), parts.pins)
    key = hash_of(key, "stock" if tool.is_stock() else "patched", manifest, *tool.patches(wasm))

    def build(directory: Path) -> None:
        (directory / native.MANIFEST).write_text(manifest, encoding="utf-8")
        with tool.built(store, wasm, directory) as program, step("Compiling to native code"):
            command = [program, "compile", snapshot, directory / native.MANIFEST, directory / IMAGE]
            run(command, log=store.log("data"))

    directory = store.stage("data-native", key, build)
    products = wasm / "build" / NAME
    if not tool.is_stock():
        counts = verification.ensure_verified(store, wasm, directory / IMAGE, snapshot)
        place(counts, products / verification.COUNTS)
        kit.place(store, wasm, module, directory, snapshot, counts.parent, KIT)
    place(directory / IMAGE, products / IMAGE)
    place(module.with_name("NOTICES.txt"), products / "NOTICES.txt")
    return products


def _parts(store: Store, inputs: Inputs, flavour: Flavour, jobs: int, wasm: Path) -> Parts:
    """Builds the native code of the packages; the steps of the base are in the store."""
    chosen = pins.load(Path(__file__).with_name("data.toml"))
    fetcher = Fetcher(store)
    toolchain, key = tools.prepare(store, inputs, fetcher)
    configured, key = configure.configure(store, inputs, fetcher, toolchain, key, wasm)
    tree, _ = compile_library(store, configured, key, toolchain, flavour, wasm, jobs)
    with step("Unpacking the tools of the data image"):
        own, key = extensions.prepare(store, chosen, fetcher, toolchain)
    built: list[Built] = []
    for sdist in chosen.sdists:
        patches = sorted((wasm / "data/patches" / sdist.name).glob("*.patch"))
        with step(f"Compiling {sdist.name}"):
            args = (store, sdist, tree, toolchain, own, key, patches, list(built), jobs)
            built.append(extensions.build(*args))
    return Parts(toolchain, tree, own, built, chosen)


def _linked(store: Store, parts: Parts, flavour: Flavour, base: Path, wasm: Path) -> Path:
    """Returns the module with the packages' native code."""
    files = [wasm / "data" / f"{name}.c" for name in _OWN_FILES]
    names = [one.root.name for one in parts.built]
    key = hash_of(base.name, flavour, names, parts.tools.root.name, Path(__file__), *files)

    def build(directory: Path) -> None:
        tree, toolchain, log = parts.tree, parts.toolchain, store.log("data-link")
        modules = [entry for one in parts.built for entry in one.modules()]
        lines = [f'MODULE("{name}", {start})\n' for name, start, _ in modules]
        (directory / "extensions.h").write_text("".join(lines), encoding="utf-8")
        with step("Linking the data image"):
            for file in files:
                command = [toolchain.tool("wcc"), "-std=c23", "-O3", "-Wall", "-Wextra", "-Werror"]
                command += [*libraries.WASM_FEATURES, f"-I{tree.source}/Include"]
                command += [f"-I{tree.build}", f"-I{directory}", "-c", file]
                command += ["-o", directory / f"{file.stem}.o"]
                run(command, log=log, env=environment(toolchain))
            objects = directory / "objects"
            link.compile_own(wasm, tree, base / "work/frozen", toolchain, flavour, objects, log)
            more = [*(directory / f"{file.stem}.o" for file in files), *(m[2] for m in modules)]
            # numpy prints and reads the widest type of floating-point numbers.
            more.append(toolchain.root / _PRINTING)
            libraries_ = parts.tools.library / "lib/wasm32-wasi"
            more += [libraries_ / "libc++.a", libraries_ / "libc++abi.a"]
            args = (wasm, tree, objects, toolchain, flavour, directory / "python.wasm", log)
            link.link(*args, more, _STACK_BYTES)
            link.check_boundary(directory / "python.wasm")
            shutil.rmtree(objects)
        _write_notices(store, parts, base / "NOTICES.txt", directory / "NOTICES.txt")

    return store.stage("data-module", key, build) / "python.wasm"


def _write_notices(store: Store, parts: Parts, base: Path, target: Path) -> None:
    """Adds the licences of the packages to those of the base."""
    fetcher, chosen = Fetcher(store), parts.pins
    sections = {
        f"{sdist.name} {sdist.version}": one.licences.read_text(encoding="utf-8")
        for sdist, one in zip(chosen.sdists, parts.built, strict=True)
    }
    for wheel in chosen.wheels:
        sections[f"{wheel.name} {wheel.version}"] = notices.wheel_licence(fetcher.wheel(wheel))
    for package in chosen.packages:
        file = parts.tools.root / "cxx/usr/share/doc" / package.name / "copyright"
        sections[f"{package.notice} {package.version}"] = file.read_text(encoding="utf-8")
    text = base.read_text(encoding="utf-8") + "\n" + notices.joined(sections)
    target.write_text(text, encoding="utf-8")


def _snapshot(store: Store, parts: Parts, module: Path, base: Path, wasm: Path) -> tuple[Path, str]:
    """Returns the module with the started interpreter and imported packages, and its key."""
    of_base, base_key = native.ensure_snapshot(store, wasm, base / "python.wasm")
    own = wasm / "data/packages"
    files = sorted(own.rglob("*.py"))
    places = [path.relative_to(own).as_posix() for path in files]
    key = hash_of(module.parent.name, base_key, parts.pins.wheels, Path(__file__), places, *files)

    def build(directory: Path) -> None:
        packages = directory / "packages"
        shutil.copytree(of_base.parent / "packages", packages)
        for one in parts.built:
            shutil.copytree(one.packages, packages, dirs_exist_ok=True)
        for wheel in parts.pins.wheels:
            with zipfile.ZipFile(Fetcher(store).wheel(wheel)) as archive:
                archive.extractall(packages, [n for n in archive.namelist() if _is_used(n)])
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(own, packages, ignore=unwanted, dirs_exist_ok=True)
        inputs = [module, wasm / "guest/_serpentarium", packages, wasm / "train"]
        advice = "if the log has a traceback, fix the package that it names"
        with (
            tool.built(store, wasm, directory) as program,
            step("Taking the snapshot of the data image"),
        ):
            command = [program, "snapshot", *inputs, directory / native.SNAPSHOT]
            run(command, log=store.log("data"), advice=advice)

    return store.stage("data-snapshot", key, build) / native.SNAPSHOT, key


def _is_used(path: str) -> bool:
    """Whether a file of a wheel joins the image: no tests, and none of the wheel's own."""
    parts = path.split("/")
    return not parts[0].endswith(_NOT_PACKAGES) and "tests" not in parts


def _manifest(base: str, chosen: Pins) -> str:
    """What the image says of itself: the manifest of the base, with more packages."""
    manifest = json.loads(base)
    manifest["name"] = NAME
    pinned = [(one.name, one.version, one.sha256) for one in chosen.sdists]
    pinned += [(one.name, one.version, one.sha256) for one in chosen.wheels]
    manifest["packages"] += [
        {"name": name, "version": version, "sha256": sha256} for name, version, sha256 in pinned
    ]
    return json.dumps(manifest)

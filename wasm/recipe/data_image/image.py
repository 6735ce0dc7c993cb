"""Makes the data image: takes the snapshot of the module, compiles and verifies it."""

import json
import shutil
from pathlib import Path

import configure
import kit
import native
import notices
import tool
import toolchain as tools
import verification
from compile import Flavour, compile_library
from data_image import extensions, linking, pins, plain, pure
from data_image.extensions import Built
from data_image.linking import Parts
from data_image.pure import Unpacked
from inputs import Fetcher, Inputs
from report import run, step
from store import Store, hash_of, place

NAME = "data"
KIT = "image-kit-data"
IMAGE = f"{NAME}.cwasm"
_NOTICES = "NOTICES.txt"


def ensure(
    store: Store, inputs: Inputs, flavour: Flavour, jobs: int, base: Path, wasm: Path
) -> Path:
    """Returns the directory of the finished data image. `base` is that of the base's module."""
    parts = _parts(store, inputs, flavour, jobs, wasm)
    module = linking.linked(store, parts, flavour, base, wasm)
    with step("Unpacking the packages of the data image"):
        packages = pure.unpack(store, parts.pins.wheels, parts.natives)
    snapshot, key = _snapshot(store, packages, module, base, wasm)
    manifest = _manifest(native.manifest(store, wasm), parts, packages)
    key = hash_of(key, "stock" if tool.is_stock() else "patched", manifest, *tool.patches(wasm))

    def build(directory: Path) -> None:
        (directory / native.MANIFEST).write_text(manifest, encoding="utf-8")
        with tool.built(store, wasm, directory) as program, step("Compiling to native code"):
            command = [program, "compile", snapshot, directory / native.MANIFEST, directory / IMAGE]
            run(command, log=store.log("data"))
        _write_notices(parts, packages, base / _NOTICES, directory / _NOTICES)

    directory = store.stage("data-native", key, build)
    products = wasm / "build" / NAME
    if not tool.is_stock():
        counts = verification.ensure_verified(store, wasm, directory / IMAGE, snapshot)
        place(counts, products / verification.COUNTS)
        kit.place(store, wasm, module, directory, snapshot, counts.parent, KIT)
    for name in (IMAGE, _NOTICES):
        place(directory / name, products / name)
    return products


def _parts(store: Store, inputs: Inputs, flavour: Flavour, jobs: int, wasm: Path) -> Parts:
    """Builds the native code of the packages; the steps of the base are in the store."""
    listed = Path(__file__).with_name("data.toml")
    chosen = pins.load(listed)
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
    natives = list(zip(chosen.sdists, built, strict=True))
    for one in plain.load(listed):
        with step(f"Compiling {one.sdist.name}"):
            natives.append((one.sdist, plain.build(store, one, tree, own, key)))
    return Parts(toolchain, tree, own, natives, chosen)


def _write_notices(parts: Parts, packages: Unpacked, base: Path, target: Path) -> None:
    """Adds the licences of the packages to those of the base."""
    sections = {
        f"{sdist.name} {sdist.version}": one.licences.read_text(encoding="utf-8")
        for sdist, one in parts.natives
    }
    for wheel in (*parts.pins.wheels, *pure.sources()):
        sections[f"{wheel.name} {wheel.version}"] = packages.licences(wheel.name, wheel.version)
    for package in parts.pins.packages:
        file = parts.tools.root / "cxx/usr/share/doc" / package.name / "copyright"
        sections[f"{package.notice} {package.version}"] = file.read_text(encoding="utf-8")
    text = base.read_text(encoding="utf-8") + "\n" + notices.joined(sections)
    target.write_text(text, encoding="utf-8")


def _snapshot(
    store: Store, unpacked: Unpacked, module: Path, base: Path, wasm: Path
) -> tuple[Path, str]:
    """Returns the module with the started interpreter and imported packages, and its key."""
    of_base, base_key = native.ensure_snapshot(store, wasm, base / "python.wasm")
    own = wasm / "data/packages"
    files = sorted(own.rglob("*.py"))
    places = [path.relative_to(own).as_posix() for path in files]
    parts = (module.parent.name, base_key, unpacked.root.parent.name, places)
    key = hash_of(*parts, Path(__file__), *files)

    def build(directory: Path) -> None:
        packages = directory / "packages"
        shutil.copytree(of_base.parent / "packages", packages)
        shutil.copytree(unpacked.root, packages, dirs_exist_ok=True)
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


def _manifest(base: str, parts: Parts, packages: Unpacked) -> str:
    """What the image says of itself: the manifest of the base, with more packages."""
    manifest = json.loads(base)
    manifest["name"] = NAME
    pinned = [(one.name, one.version, one.sha256) for one, _ in parts.natives]
    wheels = (*parts.pins.wheels, *pure.sources())
    pinned += [(one.name, one.version, one.sha256) for one in wheels]
    manifest["packages"] += [
        {
            "name": name,
            "version": version,
            "sha256": sha256,
            "license": packages.licence(name, version),
        }
        for name, version, sha256 in pinned
    ]
    return json.dumps(manifest)

"""Builds the native code of a Python package into objects, one for each extension module.

The package's own build (meson) runs with `driver.py` as its compiler. It finds CPython by a
description (`python.json`), because the CPython that it builds for cannot run here.
"""

import json
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import libraries
from data_image import driver, pins
from data_image.pins import Pins, Sdist
from inputs import Fetcher
from report import run
from sources import Tree, apply, environment
from store import Store, hash_of
from toolchain import Toolchain

_PLACE = "{py_platlib}/"


@dataclass(frozen=True)
class Tools:
    """The tools of the data image beside the toolchain."""

    root: Path

    @property
    def library(self) -> Path:
        """The C++ library."""
        return self.root / "cxx/usr"

    def tool(self, name: str) -> Path:
        """The path of a tool."""
        return self.root / "bin" / name


@dataclass(frozen=True)
class Built:
    """A package with its extension modules: directories of the store."""

    root: Path

    @property
    def packages(self) -> Path:
        """The directory of the package's Python modules."""
        return self.root / "packages"

    @property
    def headers(self) -> Path:
        """A directory where the builds of other packages find this one."""
        return self.root / "headers"

    @property
    def licences(self) -> Path:
        """The text of all licences."""
        return self.root / "LICENCES.txt"

    def modules(self) -> list[tuple[str, str, Path]]:
        """The extension modules: name, function that starts it, object."""
        listed = json.loads((self.root / "modules.json").read_text(encoding="utf-8"))
        return [(name, start, self.root / file) for name, start, file in listed]


def prepare(
    store: Store, chosen: Pins, fetcher: Fetcher, toolchain: Toolchain
) -> tuple[Tools, str]:
    """Returns the tools, and their key."""
    key = hash_of(
        toolchain.root.name, chosen.packages, chosen.tools, chosen.helpers, Path(__file__)
    )
    key = hash_of(key, Path(driver.__file__))

    def build(directory: Path) -> None:
        log = store.log("data-tools")
        for archive in fetcher.packages(chosen.packages):
            run(["dpkg", "-x", archive, directory / "cxx"], log=log)
        for archive in fetcher.helpers(chosen.helpers, directory / "archives"):
            run(["dpkg", "-x", archive, directory / "debian"], log=log)
        for wheel in chosen.tools:
            with zipfile.ZipFile(fetcher.wheel(wheel)) as files:
                files.extractall(directory / "python")
        shutil.copy(driver.__file__, directory)
        tools = Tools(directory)
        call = f"exec {sys.executable} {directory}/driver.py {toolchain.root} {tools.library}"
        _write_script(tools.tool("cc"), f'{call} c "$@"\n')
        _write_script(tools.tool("c++"), f'{call} c++ "$@"\n')
        _write_script(tools.tool("ninja"), f'exec {directory}/debian/usr/bin/ninja "$@"\n')

    return Tools(store.stage("data-tools", key, build)), key


def build(
    store: Store,
    sdist: Sdist,
    tree: Tree,
    toolchain: Toolchain,
    tools: Tools,
    key: str,
    patches: list[Path],
    earlier: list[Built],
    jobs: int,
) -> Built:
    """Returns a package's modules. `earlier` are the packages that its build needs."""
    shaping = [Path(__file__), Path(driver.__file__), Path(pins.__file__)]
    used = [one.root.name for one in earlier]
    key = hash_of(
        key, sdist, tree.root.parent.name, libraries.WASM_FEATURES, *shaping, *patches, used
    )

    def make(directory: Path) -> None:
        log = store.log(sdist.name)
        source, built = directory / "source", Built(directory)
        with tarfile.open(pins.fetch(store, sdist)) as archive:
            archive.extractall(directory / "unpacked", filter="data")
        (directory / "unpacked" / f"{sdist.name}-{sdist.version}").rename(source)
        for patch in patches:
            apply(patch, source, toolchain, log, f"update {patch.name} for the pinned {sdist.name}")
        own = source / "vendored-meson/meson/meson.py"
        meson = [own] if own.exists() else ["-m", "mesonbuild.mesonmain"]
        _describe(directory, tree, toolchain, tools, sdist, earlier)
        env = environment(toolchain) | {"NINJA": str(tools.tool("ninja"))}
        # meson looks for Cython there alone.
        env["PATH"] = f"{directory / 'bin'}:{env['PATH']}"
        env["PYTHONPATH"] = str(tools.root / "python")
        options = [f"-D{option}" for option in (*_OPTIONS, *sdist.options)]
        command = [sys.executable, *meson, "setup", directory / "build", source]
        command += ["--cross-file", directory / "cross.ini", "--buildtype=release", *options]
        run(command, log=log, env=env, progress=lambda: f"configuring {sdist.name}")
        ninja = [tools.tool("ninja"), "-C", directory / "build", f"-j{jobs}"]

        def progress() -> str:
            return f"{sum(1 for _ in (directory / 'build').rglob('*.o'))} files compiled"

        run(ninja, log=log, env=env, progress=progress)
        _collect(built, sdist)
        shutil.rmtree(directory / "build")

    return Built(store.stage(f"data-{sdist.name}", key, make))


_OPTIONS = ("b_ndebug=true", "b_pie=false", "b_staticpic=true", "wrap_mode=nodownload")


def _describe(
    directory: Path,
    tree: Tree,
    toolchain: Toolchain,
    tools: Tools,
    sdist: Sdist,
    earlier: list[Built],
) -> None:
    """Writes what meson asks about the machine, its compiler and its CPython."""
    own = directory / "modules"
    own.mkdir()
    # pandas takes its version from this module, or else from a repository.
    (own / "versioneer.py").write_text(f"def get_version():\n    return {sdist.version!r}\n")
    path = ":".join(map(str, [*(one.headers for one in earlier), own, tools.root / "python"]))
    python = directory / "bin/python"
    call = f"PYTHONPATH={path} exec {sys.executable} -B"
    _write_script(directory / "bin/cython", f'{call} -m cython "$@"\n')
    answer = f'case "$*" in *python_info.py*) exec cat {directory}/python.json;; esac\n'
    _write_script(python, f'{answer}{call} "$@"\n')
    (directory / "python.json").write_text(json.dumps(_python(tree)), encoding="utf-8")
    flags = [f"-I{tree.build}", "-Wno-everything", f"-ffile-prefix-map={directory}=/{sdist.name}"]
    flags.append(f"-ffile-prefix-map={tree.root}=/python")
    binaries = {
        "c": tools.tool("cc"),
        "cpp": tools.tool("c++"),
        "ar": toolchain.tool("llvm-ar"),
        "ranlib": toolchain.tool("llvm-ranlib"),
        "python": python,
        "python3": python,
        "pkg-config": "/bin/false",
    }
    sections = {
        "binaries": {name: f"'{value}'" for name, value in binaries.items()},
        "properties": {"skip_sanity_check": "true", "longdouble_format": "'IEEE_QUAD_LE'"},
        "host_machine": {
            "system": "'wasi'",
            "cpu_family": "'wasm32'",
            "cpu": "'wasm32'",
            "endian": "'little'",
        },
        "built-in options": {"c_args": repr(flags), "cpp_args": repr(flags)},
    }
    lines = [
        line
        for name, entries in sections.items()
        for line in (f"[{name}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (directory / "cross.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _python(tree: Tree) -> dict[str, object]:
    """What meson's script `python_info.py` would say in the built CPython."""
    headers = str(tree.source / "Include")
    paths = dict.fromkeys(("stdlib", "platstdlib"), "/usr/lib/python3.13")
    paths |= {"include": headers, "platinclude": headers, "scripts": "/usr/bin", "data": "/usr"}
    paths |= dict.fromkeys(("purelib", "platlib"), "/usr/lib/python3.13/site-packages")
    return {
        "variables": {"EXT_SUFFIX": ".so", "base_prefix": "/usr", "LIBPYTHON": ""},
        "paths": paths,
        "sysconfig_paths": paths,
        "install_paths": paths,
        "version": "3.13",
        "platform": "wasi-wasm32",
        "is_pypy": False,
        "is_venv": False,
        "link_libpython": False,
        "suffix": ".so",
        "limited_api_suffix": ".abi3.so",
        "is_freethreaded": False,
    }


def _collect(built: Built, sdist: Sdist) -> None:
    """Takes from the build what its plan would install."""
    build, source = built.root / "build", built.root / "source"
    plan = json.loads((build / "meson-info/intro-install_plan.json").read_text(encoding="utf-8"))
    places = {Path(f): e["destination"] for some in plan.values() for f, e in some.items()}
    modules = []
    for path, place in sorted(places.items(), key=lambda one: one[1]):
        if not place.startswith(_PLACE):
            continue
        parts = Path(place.removeprefix(_PLACE)).parts
        if any(part in sdist.omits for part in parts):
            continue
        if path.is_dir():
            _copy_python(path, built.packages.joinpath(*parts), sdist)
        elif path.suffix == ".so" and "_tests" not in path.name:
            file = Path("objects", f"{driver.start_of(str(path.relative_to(build)))}.o")
            (built.root / "objects").mkdir(exist_ok=True)
            shutil.copy(path, built.root / file)
            modules.append((".".join(parts).removesuffix(".so"), file.stem, str(file)))
        elif path.suffix == ".py":
            target = built.packages.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (built.root / "modules.json").write_text(json.dumps(sorted(modules)), encoding="utf-8")
    texts = [
        file for some in sdist.licences for file in sorted(source.glob(some)) if file.is_file()
    ]
    joined = "\n\n".join(file.read_text(encoding="utf-8", errors="replace") for file in texts)
    built.licences.write_text(joined, encoding="utf-8")
    if sdist.name == "numpy":
        _collect_headers(source, build, built.headers)


def _copy_python(source: Path, target: Path, sdist: Sdist) -> None:
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).parts
        if not any(part in sdist.omits for part in parts):
            (target.joinpath(*parts)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target.joinpath(*parts))


def _collect_headers(source: Path, build: Path, target: Path) -> None:
    """Makes a package `numpy` that says where numpy's headers are, for builds."""
    package = target / "numpy"
    shutil.copytree(source / "numpy/_core/include", target / "include")
    for name in ("__multiarray_api.h", "__ufunc_api.h", "_numpyconfig.h"):
        shutil.copy(build / "numpy/_core" / name, target / "include/numpy")
    for file in (source / "numpy").glob("**/*.pxd"):
        place = package / file.relative_to(source / "numpy")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    text = f"def get_include():\n    return {str(target / 'include')!r}\n"
    (package / "__init__.py").write_text(text, encoding="utf-8")


def _write_script(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + body, encoding="utf-8")
    path.chmod(0o755)

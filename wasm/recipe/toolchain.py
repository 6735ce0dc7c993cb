"""Unpacks the build's tools from Debian packages into one directory.

The other steps call the wrapper scripts in its `bin/`:

    wcc                     the C compiler, for wasm32 with WASI
    llvm-ar, llvm-ranlib, llvm-readelf, llvm-profdata, llvm-extract, llvm-link, llvm-nm, llc
    clang                   the same compiler for this machine (for training, and for programs
                            that make sources)
    python                  CPython of the version that is built, for this machine (cross builds
                            need it)
    make, patch, tclsh
"""

import platform
import subprocess
from pathlib import Path

from inputs import Fetcher, Inputs, Package
from report import run
from store import Store, hash_of

TARGET = "wasm32-wasip1"
LLVM = Path("usr/lib/llvm-19")
HELPERS = ("tools", "python")
LLVM_TOOLS = (
    "llvm-ar",
    "llvm-ranlib",
    "llvm-readelf",
    "llvm-profdata",
    "llvm-extract",
    "llvm-link",
    "llvm-nm",
    "llc",
)


class Toolchain:
    """An unpacked toolchain."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tool(self, name: str) -> Path:
        """The path of a tool."""
        return self.root / "bin" / name

    def licence(self, package: str) -> Path:
        """The licence file of a Debian package."""
        return self.root / "debian" / "usr/share/doc" / package / "copyright"


def prepare(store: Store, inputs: Inputs, fetcher: Fetcher) -> tuple[Toolchain, str]:
    """Returns the toolchain and its key."""
    key = hash_of(
        Path(__file__), inputs.packages, *map(inputs.group, HELPERS), inputs.python_version
    )

    def build(directory: Path) -> None:
        _unpack(directory, inputs.packages, fetcher, store.log("toolchain"))
        _unpack_helpers(directory, inputs, fetcher, store.log("toolchain"))
        _lay_out_sysroot(directory)
        _write_wrappers(directory)

    return Toolchain(store.stage("toolchain", key, build)), key


def _unpack(directory: Path, packages: tuple[Package, ...], fetcher: Fetcher, log: Path) -> None:
    for archive in fetcher.packages(packages):
        run(["dpkg", "-x", archive, directory / "debian"], log=log)


def _unpack_helpers(directory: Path, inputs: Inputs, fetcher: Fetcher, log: Path) -> None:
    for helpers in map(inputs.group, HELPERS):
        archives = directory / "archives" / helpers.group
        for archive in fetcher.helpers(helpers, archives):
            run(["dpkg", "-x", archive, directory / helpers.group], log=log)
            archive.unlink()


def _lay_out_sysroot(directory: Path) -> None:
    """Links the C library and the compiler's runtime into the compiler's search paths."""
    debian = directory / "debian"
    for kind in ("lib", "include"):
        (directory / "sysroot" / kind).mkdir(parents=True)
        (directory / "sysroot" / kind / TARGET).symlink_to(debian / "usr" / kind / TARGET)
    runtime = debian / LLVM / "lib/clang/19/lib"
    (runtime / "wasm32-unknown-wasip1").mkdir(parents=True)
    builtins = runtime / "wasm32-unknown-wasip1" / "libclang_rt.builtins.a"
    builtins.symlink_to(runtime / "wasi" / "libclang_rt.builtins-wasm32.a")
    # Debian's clang calls its linker by this name.
    (debian / LLVM / "bin" / "wasm-ld-19").symlink_to("wasm-ld")


def _multiarch() -> str:
    return f"{platform.machine()}-linux-gnu"


def _write_wrappers(directory: Path) -> None:
    debian, tools, multiarch = directory / "debian", directory / "tools", _multiarch()
    llvm = debian / LLVM
    libraries = [
        debian / "usr/lib" / multiarch,
        llvm / "lib",
        tools / "usr/lib" / multiarch,
        tools / "lib" / multiarch,
    ]
    path = f"export LD_LIBRARY_PATH={':'.join(map(str, libraries))}\n"

    # clang searches its linker in the directory of -B.
    wcc = (
        f"exec {llvm}/bin/clang --target={TARGET} --sysroot={directory}/sysroot -B{llvm}/bin "
        f'-ffile-prefix-map={directory}=/toolchain "$@"\n'
    )
    _write_script(directory / "bin/wcc", path + wcc)
    _write_script(directory / "bin/clang", path + f'exec {llvm}/bin/clang "$@"\n')
    for tool in LLVM_TOOLS:
        _write_script(directory / "bin" / tool, path + f'exec {llvm}/bin/{tool} "$@"\n')
    for tool in ("make", "patch"):
        _write_script(directory / "bin" / tool, f'exec {tools}/usr/bin/{tool} "$@"\n')
    library = f"export TCL_LIBRARY={tools}/usr/share/tcltk/tcl8.6\n"
    _write_script(directory / "bin/tclsh", f'{path}{library}exec {tools}/usr/bin/tclsh8.6 "$@"\n')
    _write_script(directory / "bin/python", _python_wrapper(directory))


def _python_wrapper(directory: Path) -> str:
    """Returns the script that runs the helper python with a C library of its own.

    The helper comes from a newer suite, whose C library this machine may lack.
    """
    root = directory / "python"
    loader = next(iter(sorted((root / "usr").glob("lib*/ld-linux-*.so.*"))))
    libraries = root / "usr/lib" / _multiarch()
    return (
        f"export PYTHONHOME={root}/usr\n"
        f"exec {loader} --argv0 {directory}/bin/python --library-path {libraries} "
        f'{root}/usr/bin/python3.13 "$@"\n'
    )


def _write_script(path: Path, body: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)


def python_version(toolchain: Toolchain) -> str:
    """The version of the helper python; empty if it does not run on this machine."""
    command = [
        str(toolchain.tool("python")),
        "-c",
        "import sys; print('.'.join(map(str, sys.version_info[:3])))",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

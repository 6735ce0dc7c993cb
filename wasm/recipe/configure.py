"""Unpacks CPython, zlib and bzip2, configures CPython for WASI and compiles the two libraries.

The layout is fixed: sources in `python/py`, build in `python/wasi`. The profile identifies a static
function by its relative source path (`../py/Objects/…`), so another layout would lose the profile.
"""

import os
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path

from inputs import Fetcher, Inputs
from report import BuildError, run
from store import Store, hash_of
from toolchain import Toolchain

# Seconds since the epoch, near CPython 3.13.5's release. `__DATE__` (in sys.version) takes it
# instead of the build's date. See https://reproducible-builds.org/specs/source-date-epoch/
SOURCE_DATE_EPOCH = "1749600000"

WASM_FEATURES = (
    "-mbulk-memory",
    "-mnontrapping-fptoint",
    "-msign-ext",
    "-mmutable-globals",
    "-mmultivalue",
    "-msimd128",
)
WASI_DEFINES = (
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
)

CONFIGURE_OPTIONS = (
    "--host=wasm32-unknown-wasip1",
    "--with-pymalloc",  # off by default on WASI; malloc is slower for small objects
    "--disable-test-modules",
    "--without-ensurepip",
    "--disable-ipv6",
    "--prefix=/usr",
)
LIBRARY_FILES = {
    "zlib": (
        "adler32 crc32 deflate inffast inflate inftrees trees zutil compress uncompr infback"
    ).split(),
    "bzip2": "blocksort huffman crctable randtable compress decompress bzlib".split(),
}


@dataclass(frozen=True)
class Tree:
    """A directory with CPython's sources, CPython's build, and the libraries."""

    root: Path

    @property
    def source(self) -> Path:
        """CPython's sources."""
        return self.root / "py"

    @property
    def build(self) -> Path:
        """CPython's build directory."""
        return self.root / "wasi"

    def library(self, name: str) -> Path:
        """The directory of zlib or bzip2."""
        return self.root / name


def unpack(archive: Path, into: Path) -> None:
    """Unpacks a source archive without its top directory and without CPython's tests.

    The tests are half of all files.
    """
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if "/Lib/test/" not in member.name]
        top = {member.name.split("/")[0] for member in members}
        if len(top) != 1:
            raise BuildError(f"  {archive.name} has {len(top)} top directories, not one")
        tar.extractall(into.parent / f".{into.name}", members)
    (into.parent / f".{into.name}" / top.pop()).rename(into)
    (into.parent / f".{into.name}").rmdir()


def environment(toolchain: Toolchain) -> dict[str, str]:
    """The environment of configure and make, without variables that could change the build."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return keep | {
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
        "AR": str(toolchain.tool("llvm-ar")),
        "RANLIB": str(toolchain.tool("llvm-ranlib")),
        "READELF": str(toolchain.tool("llvm-readelf")),
        "PKG_CONFIG": "/bin/false",
    }


def configure(
    store: Store, inputs: Inputs, fetcher: Fetcher, toolchain: Toolchain, toolchain_key: str
) -> tuple[Tree, str]:
    """Returns the tree with configured CPython and compiled zlib and bzip2, and its key."""
    key = hash_of(toolchain_key, Path(__file__), inputs.sources)

    def build(directory: Path) -> None:
        tree = Tree(directory / "python")
        tree.build.mkdir(parents=True)
        unpack(fetcher.source(inputs.source("python")), tree.source)
        for name, files in LIBRARY_FILES.items():
            unpack(fetcher.source(inputs.source(name)), tree.library(name))
            _compile_library(tree.library(name), name, files, toolchain, store.log(name))
        _run_configure(tree, toolchain, store.log("configure"))

    return Tree(store.stage("configured", key, build) / "python"), key


def _compile_library(
    directory: Path, name: str, files: list[str], toolchain: Toolchain, log: Path
) -> None:
    short = {"zlib": "libz.a", "bzip2": "libbz2.a"}[name]
    for file in files:
        command = [
            toolchain.tool("wcc"),
            "-O3",
            *WASM_FEATURES,
            f"-ffile-prefix-map={directory}=/{name}",
        ]
        run([*command, "-c", f"{file}.c", "-o", f"{file}.o"], log=log, cwd=directory)
    run(
        [toolchain.tool("llvm-ar"), "rcsD", short, *(f"{file}.o" for file in files)],
        log=log,
        cwd=directory,
    )


def _run_configure(tree: Tree, toolchain: Toolchain, log: Path) -> None:
    compiler = f"{toolchain.tool('wcc')} -ffile-prefix-map={tree.root}=/python"
    env = environment(toolchain) | {
        "CONFIG_SITE": str(tree.source / "Tools/wasm/config.site-wasm32-wasi"),
        "CC": compiler,
        "CPP": f"{compiler} -E",
        "CFLAGS": " ".join(("-O3", "-g0", *WASM_FEATURES)),
        "LDFLAGS": "-s",
        "ZLIB_CFLAGS": f"-I{tree.library('zlib')}",
        "ZLIB_LIBS": f"-L{tree.library('zlib')} -lz",
        "BZIP2_CFLAGS": f"-I{tree.library('bzip2')}",
        "BZIP2_LIBS": f"-L{tree.library('bzip2')} -lbz2",
    }
    machine = f"--build={platform.machine()}-pc-linux-gnu"
    helper = f"--with-build-python={toolchain.tool('python')}"
    command = ["../py/configure", "-q", machine, helper, *CONFIGURE_OPTIONS]
    advice = f"see also {tree.build}/config.log"
    run(command, log=log, cwd=tree.build, env=env, advice=advice, progress=lambda: "configuring")

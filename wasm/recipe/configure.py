"""Unpacks CPython and its libraries, compiles the libraries and configures CPython for WASI."""

import platform
from pathlib import Path

import libraries
import sources
from inputs import Fetcher, Inputs
from libraries import LIBRARIES, WASM_FEATURES
from report import run
from sources import Tree, environment, unpack, without_tests
from store import Store, hash_of
from toolchain import Toolchain

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
# The prefix of the variables by which CPython's configure finds a library.
_VARIABLES = {
    "zlib": "ZLIB",
    "bzip2": "BZIP2",
    "xz-utils": "LIBLZMA",
    "sqlite3": "LIBSQLITE3",
}


def configure(
    store: Store,
    inputs: Inputs,
    fetcher: Fetcher,
    toolchain: Toolchain,
    toolchain_key: str,
    wasm: Path,
) -> tuple[Tree, str]:
    """Returns the tree with configured CPython and compiled libraries, and its key."""
    own = {one.source: sorted((wasm / "patches" / one.source).glob("*.patch")) for one in LIBRARIES}
    shaping = [Path(module.__file__ or "") for module in (libraries, sources)]
    patches = [patch for some in own.values() for patch in some]
    key = hash_of(toolchain_key, Path(__file__), *shaping, inputs.sources, *patches)

    def build(directory: Path) -> None:
        tree = Tree(directory / "python")
        tree.build.mkdir(parents=True)
        python, log = inputs.source("python"), store.log("configure")
        unpack(python, tree.source, without_tests, fetcher, toolchain, log)
        for library in LIBRARIES:
            log, some = store.log(library.source), own[library.source]
            libraries.build(library, tree, inputs, fetcher, toolchain, some, log)
        _run_configure(tree, toolchain, store.log("configure"))

    return Tree(store.stage("configured", key, build) / "python"), key


def _run_configure(tree: Tree, toolchain: Toolchain, log: Path) -> None:
    compiler = f"{toolchain.tool('wcc')} -ffile-prefix-map={tree.root}=/python"
    env = environment(toolchain) | {
        "CONFIG_SITE": str(tree.source / "Tools/wasm/config.site-wasm32-wasi"),
        "CC": compiler,
        "CPP": f"{compiler} -E",
        "CFLAGS": " ".join(("-O3", "-g0", *WASM_FEATURES)),
        "LDFLAGS": "-s",
    }
    for library in LIBRARIES:
        directory, variable = tree.library(library.source), _VARIABLES[library.source]
        env[f"{variable}_CFLAGS"] = f"-I{directory / library.headers}"
        env[f"{variable}_LIBS"] = f"-L{directory} -l{library.name}"
    machine = f"--build={platform.machine()}-pc-linux-gnu"
    helper = f"--with-build-python={toolchain.tool('python')}"
    command = ["../py/configure", "-q", machine, helper, *CONFIGURE_OPTIONS]
    advice = f"see also {tree.build}/config.log"
    run(command, log=log, cwd=tree.build, env=env, advice=advice, progress=lambda: "configuring")

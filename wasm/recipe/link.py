"""Compiles the image's own C files and links all objects and libraries into one module."""

import re
from collections.abc import Sequence
from pathlib import Path

import table
from bitcode import Code
from compile import ARCHIVES, Flavour
from configure import WASI_DEFINES
from libraries import LIBRARIES, WASM_FEATURES
from module import Module, read
from report import BuildError, run
from sources import Tree, environment
from toolchain import Toolchain

# The C stack in linear memory. Deep recursion must reach CPython's recursion limit before its end.
STACK_BYTES = 8 * 1024 * 1024
OWN_FILES = (
    "appear",
    "buffer",
    "decode",
    "decode_dict",
    "decode_number",
    "decode_text",
    "descriptors",
    "directories",
    "encode",
    "entry",
    "files",
    "frozen",
    "heap",
    "host_module",
    "modes",
    "pieces",
    "program",
    "scrypt",
    "snapshot",
    "streams",
    "wasi",
    "zone",
)
# `frozen` holds megabytes of data and little code: nothing to optimise at link time.
WITHOUT_LTO = ("frozen",)

STRIP = "-Wl,-s"
# CPython's evaluation loop, the largest function after link-time optimisation.
LOOP = "_PyEval_EvalFrameDefault"
# Turns off LLVM's pass for irreducible control flow (WebAssemblyFixIrreducibleControlFlow.cpp). Its
# time and memory grow with the square of the function: 13 minutes and 10 GB for the evaluation
# loop, 2 s for the rest. wasm/patches/0005 leaves that function no irreducible loop. If one
# returns, the code generated without the pass is invalid, and the image tool refuses it.
WITHOUT_LOOP_PASS = "-wasm-disable-fix-irreducible-control-flow-pass"

# The complete surface between module and host (wasm/ABI.md). A further import is attack surface.
IMPORTS = {
    "host.call",
    "host.start",
    "host.take",
    "host.notify",
    "host.wait",
    "wasi_snapshot_preview1.clock_time_get",
    "wasi_snapshot_preview1.fd_read",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.poll_oneoff",
    "wasi_snapshot_preview1.proc_exit",
    "wasi_snapshot_preview1.random_get",
}
EXPORTS = {"memory", "_initialize", "wizer-initialize", "run_task"}


def compile_own(
    wasm: Path,
    tree: Tree,
    frozen: Path,
    toolchain: Toolchain,
    flavour: Flavour,
    into: Path,
    log: Path,
) -> None:
    """Compiles the C files in `wasm/`."""
    into.mkdir(parents=True, exist_ok=True)
    flags = [
        "-std=c23",
        "-O3",
        "-DNDEBUG",
        "-Wall",
        "-Wextra",
        "-Werror",
        *WASM_FEATURES,
        *WASI_DEFINES,
    ]
    flags += [f"-ffile-prefix-map={wasm}=/image", f"-ffile-prefix-map={tree.root}=/python"]
    flags += [f"-I{tree.source}/Include", f"-I{tree.build}", f"-I{frozen}"]
    # `-isystem` silences warnings: CPython's internal headers do not compile under -Wextra -Werror.
    flags += ["-isystem", f"{tree.source}/Include/internal", "-Wno-deprecated-declarations"]
    flags += [f"--embed-dir={frozen}"]
    for name in OWN_FILES:
        lto = ["-flto=full"] if flavour.lto and name not in WITHOUT_LTO else []
        command = [
            toolchain.tool("wcc"),
            *flags,
            *lto,
            "-c",
            wasm / f"{name}.c",
            "-o",
            into / f"{name}.o",
        ]
        run(command, log=log, env=environment(toolchain))


def answered_here(wasm: Path) -> list[str]:
    """Returns the names of the system calls that the image defines."""
    pattern = r"(?m)^(?:WRAP|WRITTEN|NO_SUCH_DESCRIPTOR)\((\w+)"
    files = (wasm / f"{name}.c" for name in ("wasi", "descriptors", "directories"))
    return [name for file in files for name in re.findall(pattern, file.read_text("utf-8"))]


def replaced_here(wasm: Path) -> list[str]:
    """Returns the names of the C library's functions that the image replaces."""
    return re.findall(r"(?m)^REPLACES\((\w+)\)", (wasm / "modes.c").read_text("utf-8"))


class Linker:
    """Links objects with the libraries into a module."""

    def __init__(
        self, wasm: Path, tree: Tree, toolchain: Toolchain, log: Path, stack: int = STACK_BYTES
    ) -> None:
        self._toolchain, self._log = toolchain, log
        wrapped = [f"-Wl,--wrap=__wasi_{name}" for name in answered_here(wasm)]
        # wasi-libc's offset of local time from UTC, which zone.c replaces.
        wrapped.append("-Wl,--wrap=__secs_to_zone")
        wrapped += [f"-Wl,--wrap={name}" for name in replaced_here(wasm)]
        libraries = [f"-L{tree.library(one.source)}" for one in LIBRARIES]
        libraries += [*(f"-l{one.name}" for one in LIBRARIES), "-lm"]
        libraries += ["-lwasi-emulated-signal", "-lwasi-emulated-getpid", "-ldl", "-lpthread"]
        memory = [f"-Wl,-z,stack-size={stack}", "-Wl,--stack-first"]
        self._last = [*libraries, *memory, *wrapped]

    def run(self, inputs: list[Path], options: list[str], output: Path) -> None:
        """Links `inputs`."""
        command = [self._toolchain.tool("wcc"), "-mexec-model=reactor", "-O3", *WASM_FEATURES]
        command += [*options, *inputs, *self._last, "-o", output]
        run(
            command,
            log=self._log,
            env=environment(self._toolchain),
            progress=lambda: "optimising and linking",
        )


def link(
    wasm: Path,
    tree: Tree,
    objects: Path,
    toolchain: Toolchain,
    flavour: Flavour,
    target: Path,
    log: Path,
    more: Sequence[Path] = (),
    stack: int = STACK_BYTES,
) -> None:
    """Links the module into `target`, with `more` objects and archives of machine code."""
    own = [objects / f"{name}.o" for name in OWN_FILES]
    archives = [tree.build / archive for archive in ARCHIVES]
    linker = Linker(wasm, tree, toolchain, log, stack)
    if not flavour.lto:
        linker.run([*own, *archives, *more], [STRIP], target)
        return
    # The first link only optimises: its bitcode (--save-temps) is used, its code (-O0) is not.
    whole = objects / "whole.wasm"
    kept = ["-Wl,--save-temps", f"-Wl,-mllvm,{WITHOUT_LOOP_PASS}", "-Wl,--lto-CGO0", STRIP]
    linker.run([*own, *archives, *more], ["-flto=full", "-Wl,--lto-O3", *kept], whole)
    bitcode = whole.with_name(f"{whole.name}.0.5.precodegen.bc")
    generate(bitcode, wasm / table.LIST, Code(toolchain, objects, log))
    linker.run([*generated(objects), *more], [STRIP], target)
    for left in objects.glob(f"{whole.name}*"):
        left.unlink()


def generated(objects: Path) -> list[Path]:
    """Returns the objects of the last link. The function table follows their order."""
    return [objects / f"{name}.o" for name in ("table", "loop", "rest", *WITHOUT_LTO)]


def generate(bitcode: Path, names: Path, code: Code) -> None:
    """Generates objects from optimised bitcode: the evaluation loop, the rest, and the start of the
    function table.
    """
    for name, choice, options in (("loop", [], [WITHOUT_LOOP_PASS]), ("rest", ["--delete"], [])):
        part = code.into / f"{name}.bc"
        code.run("llvm-extract", [*choice, f"--func={LOOP}", bitcode, "-o", part])
        code.compile(part, ["-function-sections", *options])
    table.generate(code.into / "rest.bc", names, code)


def check_boundary(target: Path) -> Module:
    """Fails unless the linked module has exactly the listed imports and exports."""
    module = read(target)
    extra, missing = set(module.imports) - IMPORTS, IMPORTS - set(module.imports)
    if extra or missing or set(module.exports) != EXPORTS:
        raise BuildError(
            f"  the module's imports or exports changed\n"
            f"    imports that are not listed: {sorted(extra) or 'none'}\n"
            f"    imports that are missing: {sorted(missing) or 'none'}\n"
            f"    exports: {sorted(module.exports)}\n"
            "  to do: define the call in wasm/wasi.c, or change the lists in wasm/recipe/link.py"
        )
    return module

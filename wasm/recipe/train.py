"""Regenerates LLVM's profile of the interpreter, `wasm/pgo.profdata`, from `wasm/train/`.

A native build of the same sources collects it, at full speed. Three things must equal the build for
WASI, or LLVM drops the profile: the compiler, the relative source paths (part of the names of
static functions), and bytecode dispatch without computed gotos, which WebAssembly lacks.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

import toolchain as tools
from compile import OPTIMISE, patched
from inputs import Fetcher, Inputs, load
from report import BuildError, fail_line, run, say, step
from sources import environment, unpack, without_tests
from store import Store, hash_of, place
from toolchain import LLVM, Toolchain

WASM = Path(__file__).resolve().parent.parent
PROFILE = WASM / "pgo.profdata"
# Value profiling counts the targets of indirect calls.
INSTRUMENT = ("-fprofile-instr-generate", "-mllvm", "-enable-value-profiling=true")
CONFIGURE_OPTIONS = (
    "--without-computed-gotos",
    "--disable-test-modules",
    "--without-ensurepip",
    "--with-pymalloc",
)


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train-python",
        description="Regenerate the profile that optimises the Python image (wasm/pgo.profdata).",
        epilog="Builds CPython for this machine with counters and runs the programs in wasm/train. "
        "Needs the C library's headers (package libc6-dev) and about five minutes.",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="compile N files at a time",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="seconds of training for each program (default: 10)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=PROFILE,
        help="the file to write (default: %(default)s)",
    )
    return parser.parse_args(argv)


def instrumented(
    store: Store, inputs: Inputs, fetcher: Fetcher, toolchain: Toolchain, key: str, jobs: int
) -> Path:
    """Builds CPython for this machine with counters, and returns its path."""
    patches = sorted((WASM / "patches").glob("*.patch"))
    key = hash_of(key, Path(__file__), inputs.sources, inputs.group("train"), *patches)

    def build(directory: Path) -> None:
        _lay_out_resources(directory, inputs, fetcher, toolchain, store.log("train"))
        root = directory / "python"
        (root / "native").mkdir(parents=True)
        log = store.log("patch")
        unpack(inputs.source("python"), root / "py", without_tests, fetcher, toolchain, log)
        patched(root / "py", patches, toolchain, log)
        _configure_and_make(root / "native", directory / "resource", toolchain, store, jobs)

    return store.stage("instrumented", key, build) / "python" / "native" / "python"


def _lay_out_resources(
    directory: Path, inputs: Inputs, fetcher: Fetcher, toolchain: Toolchain, log: Path
) -> None:
    """Lays out clang's resource directory: its headers, and the profiling runtime."""
    for archive in fetcher.helpers(inputs.group("train"), directory / "archives"):
        run(["dpkg", "-x", archive, directory / "debian"], log=log)
    own = LLVM / "lib/clang/19"
    (directory / "resource").mkdir()
    (directory / "resource/include").symlink_to(toolchain.root / "debian" / own / "include")
    (directory / "resource/lib").symlink_to(directory / "debian" / own / "lib")


def _configure_and_make(
    native: Path, resource: Path, toolchain: Toolchain, store: Store, jobs: int
) -> None:
    env = environment(toolchain) | {
        "CC": " ".join((str(toolchain.tool("clang")), f"-resource-dir={resource}", *INSTRUMENT)),
        # The build runs instrumented programs too; their counts must not enter the profile.
        "LLVM_PROFILE_FILE": os.devnull,
        # Static modules, as in the image.
        "MODULE_BUILDTYPE": "static",
    }
    machine = f"--build={platform.machine()}-pc-linux-gnu"
    advice = "install gcc and libc6-dev: the compiler or the C library's headers may be missing"
    command: list[object] = ["../py/configure", "-q", machine, *CONFIGURE_OPTIONS]
    run(
        command,
        log=store.log("train"),
        cwd=native,
        env=env,
        advice=advice,
        progress=lambda: "configuring",
    )

    def progress() -> str:
        return f"{sum(1 for _ in native.rglob('*.o'))} files compiled"

    command = [toolchain.tool("make"), "-s", f"-j{jobs}", f"OPT={' '.join(OPTIMISE)}", "python"]
    run(command, log=store.log("train"), cwd=native, env=env, advice=advice, progress=progress)


def train(python: Path, toolchain: Toolchain, seconds: float, store: Store) -> Path:
    """Runs the programs and merges their counts into a profile."""
    counts, profile = python.parent / "counts.profraw", python.parent / "pgo.profdata"
    env = {"LLVM_PROFILE_FILE": str(counts), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    command = [python, "-B", WASM / "train" / "run.py", seconds]
    run(command, log=store.log("train"), env=env, progress=lambda: "training")
    run([toolchain.tool("llvm-profdata"), "merge", "-o", profile, counts], log=store.log("train"))
    return profile


def main(argv: list[str]) -> int:
    """Trains and writes the profile; returns the exit status, 0 or 1."""
    options = arguments(argv)
    store = Store.for_user()
    try:
        with store.locked("train"):
            store.clear_logs()
            fetcher = Fetcher(store)
            inputs = fetcher.settle(load(WASM / "recipe" / "inputs.toml"), locked=False)
            with step("Unpacking the toolchain"):
                toolchain, key = tools.prepare(store, inputs, fetcher)
            with step("Building CPython with counters"):
                python = instrumented(store, inputs, fetcher, toolchain, key, max(1, options.jobs))
            with step("Training"):
                profile = train(python, toolchain, options.seconds, store)
    except BuildError as error:
        fail_line(str(error))
        return 1
    except KeyboardInterrupt:
        fail_line("interrupted; finished steps stay in the cache")
        return 1
    place(profile, options.output)
    say(f"{options.output}: build with scripts/build-python and compare before you commit it")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

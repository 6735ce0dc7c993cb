"""Builds the Python image.

`python.wasm` is CPython with its standard library, linked into one WebAssembly module.
`python.cwasm` is the native code of that module, with the started interpreter and the guest package
in its memory.

Each step keeps its product in the user's cache, under the hash of its inputs. A build repeats only
the steps whose inputs changed.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

import configure
import link
import native
import notices
import stdlib
import table
import targets
import tool
import toolchain as tools
from compile import Flavour, compile_library
from data_image import image as data
from inputs import Fetcher, Inputs, architecture, load
from report import BuildError, fail_line, say, step
from store import Store, hash_of, place

WASM = Path(__file__).resolve().parent.parent
PLACE = WASM / "build"
PRODUCTS = ("python.wasm", "NOTICES.txt")
# Files of the recipe that do not shape the module; a change in them must not cost a new link.
NOT_INPUTS = (
    "kit.py",
    "native.py",
    "report.py",
    "store.py",
    "targets.py",
    "tool.py",
    "train.py",
    "train_table.py",
)
MEGABYTE = 1_000_000


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="build-python",
        description="Build the Python image (wasm/build/python.cwasm) and its licence notices.",
        epilog="Products are cached in $XDG_CACHE_HOME/serpentarium/python (default: ~/.cache). "
        "A first build takes about ten minutes, with --fast a few; an unchanged one a second. "
        "SERPENTARIUM_CODEGEN=stock omits the patches of the code generator and writes to "
        "wasm/build/stock: tasks consume the same fuel and run slower.",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="omit link-time optimisation (tasks run slower)",
    )
    parser.add_argument(
        "--target",
        choices=targets.triples(),
        default=targets.host(),
        help="compile for this kind of machine, from the same snapshot (default: this machine's; "
        "others are written to wasm/build/TARGET)",
    )
    parser.add_argument(
        "--data",
        action="store_true",
        help="build the image with numpy and pandas too (wasm/build/data/data.cwasm)",
    )
    parser.add_argument(
        "--locked",
        action="store_true",
        help="fail if the mirror no longer has a pinned revision of Debian's corrections "
        "(default: go on with the newest one, and say so)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="compile N files at a time (default: one per core)",
    )
    parser.add_argument(
        "--test-tool",
        action="store_true",
        help="run the tests of wasm/compiler and build nothing else",
    )
    parser.add_argument(
        "--print-path", action="store_true", help="print the module's path in the cache"
    )
    return parser.parse_args(argv)


def image_key(flavour: Flavour, inputs: Inputs) -> str:
    """The hash of all inputs of the module. The guest package is none: the snapshot adds it."""
    files = [WASM / "pgo.profdata", WASM / table.LIST]
    for pattern in (
        "*.c",
        "*.h",
        "patches/**/*.patch",
        "recipe/*.py",
        "recipe/*.toml",
        "stdlib/**/*.py",
    ):
        files += sorted(path for path in WASM.glob(pattern) if path.name not in NOT_INPUTS)
    return hash_of(flavour, architecture(), inputs.sources, *files)


def build(store: Store, inputs: Inputs, flavour: Flavour, jobs: int, target: Path) -> None:
    """Builds the module into `target`, and the image tool at the same time."""
    store.clear_logs()
    with tool.built_beside(store, WASM):
        _follow_recipe(store, inputs, flavour, jobs, target)


def _follow_recipe(store: Store, inputs: Inputs, flavour: Flavour, jobs: int, target: Path) -> None:
    fetcher = Fetcher(store)
    with step("Unpacking the toolchain"):
        toolchain, key = tools.prepare(store, inputs, fetcher)
        _check_helper(toolchain, inputs)
    with step("Configuring CPython for WASI"):
        configured, key = configure.configure(store, inputs, fetcher, toolchain, key, WASM)
    with step(f"Compiling CPython ({flavour.name})"):
        tree, _ = compile_library(store, configured, key, toolchain, flavour, WASM, jobs)
    work = target / "work"
    with step("Freezing the standard library"):
        stdlib.freeze(
            tree.source,
            WASM / "stdlib",
            inputs,
            fetcher,
            toolchain,
            work / "frozen",
            store.log("freeze"),
        )
    with step("Linking"):
        log = store.log("link")
        link.compile_own(WASM, tree, work / "frozen", toolchain, flavour, work / "objects", log)
        link.link(WASM, tree, work / "objects", toolchain, flavour, work / "python.wasm", log)
        module = link.check_boundary(work / "python.wasm")
    wheels = {wheel.name: fetcher.wheel(wheel) for wheel in inputs.wheels}
    notices.write(inputs, tree, toolchain, wheels, target / "NOTICES.txt")
    place(work / "python.wasm", target / "python.wasm")
    say(f"    imports: {', '.join(sorted(module.imports))}")
    say(f"    memory at the start: {module.memory_bytes / MEGABYTE:.1f} MB")


def _check_helper(toolchain: tools.Toolchain, inputs: Inputs) -> None:
    version = tools.python_version(toolchain)
    if version != inputs.python_version:
        raise BuildError(
            f"  the helper python is {version or 'unable to run'}, "
            f"the image needs {inputs.python_version}\n"
            "  to do: set [python] version, the source and the helpers in wasm/recipe/inputs.toml "
            "to one version"
        )


def ensure_built(store: Store, flavour: Flavour, jobs: int, locked: bool) -> Path:
    """Returns the cache directory of the module, and builds the module unless it is there."""
    inputs = load(WASM / "recipe" / "inputs.toml")
    directory = store.root / image_key(flavour, inputs)
    if all((directory / name).exists() for name in PRODUCTS):
        return directory
    inputs = Fetcher(store).settle(inputs, locked)
    directory = store.root / image_key(flavour, inputs)
    with store.locked(directory.name[:20]):
        if not all((directory / name).exists() for name in PRODUCTS):
            directory.mkdir(exist_ok=True)
            build(store, inputs, flavour, jobs, directory)
            if directory != store.root / image_key(flavour, inputs):
                shutil.rmtree(directory)
                raise BuildError(
                    "  an input of the recipe changed during the build\n  to do: start again"
                )
    return directory


def _build_data(store: Store, options: argparse.Namespace, base: Path) -> None:
    inputs = Fetcher(store).settle(load(WASM / "recipe" / "inputs.toml"), options.locked)
    jobs = max(1, options.jobs)
    products = data.ensure(store, inputs, Flavour(lto=not options.fast), jobs, base, WASM)
    size = (products / data.IMAGE).stat().st_size / MEGABYTE
    say(f"{products / data.IMAGE}: {size:.1f} MB")


def main(argv: list[str]) -> int:
    """Builds the image and copies it to wasm/build; returns the exit status, 0 or 1."""
    options = arguments(argv)
    begin = time.monotonic()
    store = Store.for_user()
    try:
        if options.test_tool:
            tool.test(store, WASM)
            return 0
        directory = ensure_built(
            store, Flavour(lto=not options.fast), max(1, options.jobs), options.locked
        )
        image = native.ensure_native(store, WASM, directory / "python.wasm", options.target)
        if options.data:
            _build_data(store, options, directory)
    except BuildError as error:
        fail_line(str(error))
        return 1
    except KeyboardInterrupt:
        fail_line("interrupted; finished steps stay in the cache")
        return 1
    products = targets.place(PLACE, options.target, tool.is_stock())
    for source in (*(directory / name for name in PRODUCTS), image / native.IMAGE):
        place(source, products / source.name)
    size = (products / native.IMAGE).stat().st_size / MEGABYTE
    say(f"{products / native.IMAGE}: {size:.1f} MB, in {time.monotonic() - begin:.1f} s")
    if options.print_path:
        print(directory / "python.wasm")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

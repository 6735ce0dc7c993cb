"""Links the native code of the packages with CPython into the module of the data image."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import libraries
import link
from compile import Flavour
from data_image.extensions import Built, Tools
from data_image.pins import Pins, Sdist
from report import run, step
from sources import Tree, environment
from store import Store, hash_of
from toolchain import Toolchain

_OWN_FILES = ("modules", "exceptions", "flags")
_PRINTING = "sysroot/lib/wasm32-wasip1/libc-printscan-long-double.a"
# Twice that of the base: the counters of the training, one for each block of code, take its end.
_STACK_BYTES = 2 * link.STACK_BYTES


@dataclass(frozen=True)
class Parts:
    """What the data image is made of."""

    toolchain: Toolchain
    tree: Tree
    tools: Tools
    natives: list[tuple[Sdist, Built]]
    pins: Pins


def linked(store: Store, parts: Parts, flavour: Flavour, base: Path, wasm: Path) -> Path:
    """Returns the module with the packages' native code."""
    files = [wasm / "data" / f"{name}.c" for name in _OWN_FILES]
    names = [one.root.name for _, one in parts.natives]
    key = hash_of(base.name, flavour, names, parts.tools.root.name, Path(__file__), *files)

    def build(directory: Path) -> None:
        tree, toolchain, log = parts.tree, parts.toolchain, store.log("data-link")
        modules = [entry for _, one in parts.natives for entry in one.modules()]
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

    return store.stage("data-module", key, build) / "python.wasm"

"""Puts the functions that tasks call through pointers first into the function table.

The table of an instance starts empty, and the first call of an entry fills it in
(https://docs.wasmtime.dev/api/wasmtime/struct.Config.html#method.table_lazy_init). A page of it
costs each task two page faults and holds 512 entries. The linker numbers entries in the order of
their first reference, which scatters the 40 entries of a trivial task over 7 of 11 pages.
`table.txt` names the functions, which `scripts/train-table` finds. An object that refers to all of
them, linked first, puts them on the first page.
"""

import subprocess
from pathlib import Path

from bitcode import Code
from report import BuildError, say

LIST = "table.txt"
_ARRAY = "function_table_start"
# A list that lost more functions is of another CPython.
_LEAST_FOUND = 0.9


def generate(rest: Path, names: Path, code: Code) -> None:
    """Generates `table.o`, which refers to the listed functions that `rest` defines."""
    wanted = names.read_text("utf-8").split()
    functions = defined(rest, code)
    found = [symbol for name in wanted for symbol in functions.get(name, ())]
    say(f"    the function table starts with {len(found)} functions")
    if len(found) < _LEAST_FOUND * len(wanted):
        raise BuildError(
            f"  only {len(found)} of the {len(wanted)} functions in {names.name} exist\n"
            "  to do: make the list again with scripts/train-table"
        )
    array, typed, start = (code.into / f"{name}.bc" for name in ("array", "typed", "table"))
    source, kept = code.into / "array.ll", code.into / "kept.ll"
    source.write_text(_array(found), "utf-8")
    kept.write_text(_KEPT, "utf-8")
    # References must have the types of the definitions, or the linker replaces them by traps. So
    # they join the definitions first; the array is then extracted with typed declarations.
    code.run("llvm-link", ["--suppress-warnings", source, rest, "-o", array])
    code.run("llvm-extract", [f"--glob={_ARRAY}", array, "-o", typed])
    code.run("llvm-link", ["--suppress-warnings", typed, kept, "-o", start])
    code.compile(start, [])
    for left in (array, typed, start, source, kept):
        left.unlink()


def base_name(symbol: str) -> str:
    """Returns a symbol without the number that link-time optimisation gives to equal names."""
    base, _, number = symbol.rpartition(".")
    return base if number.isdigit() else symbol


def defined(bitcode: Path, code: Code) -> dict[str, list[str]]:
    """Returns the defined functions by base name."""
    command = [str(code.toolchain.tool("llvm-nm")), "--defined-only", str(bitcode)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    functions: dict[str, list[str]] = {}
    for _, kind, symbol in (line.split(maxsplit=2) for line in lines):
        if kind.upper() in "TW":
            functions.setdefault(base_name(symbol), []).append(symbol)
    return functions


def _array(functions: list[str]) -> str:
    """Returns LLVM assembly for an array of the functions' addresses."""
    entries = ", ".join(f'ptr @"{name}"' for name in functions)
    declared = "".join(f'declare void @"{name}"()\n' for name in functions)
    count = len(functions)
    return f"@{_ARRAY} = hidden constant [{count} x ptr] [{entries}]\n{declared}"


# Keeps the array, to which nothing refers.
_KEPT = f"""@{_ARRAY} = external hidden constant ptr
@llvm.used = appending global [1 x ptr] [ptr @{_ARRAY}], section "llvm.metadata"
"""

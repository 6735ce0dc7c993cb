"""Freezes the standard library into one blob of bytecode, and the table that frozen.c includes."""

import json
import zipfile
from pathlib import Path

from inputs import Fetcher, Inputs
from report import run
from toolchain import Toolchain

_NO_PROCESSES = "the sandbox starts no processes"
_NO_TERMINAL = "the sandbox has no terminal"
_NO_LIBRARY = "its C library is not in the image"

# Top-level modules that the image omits, and why. The import error names the module
# (wasm/patches/0001).
LEFT_OUT = {
    "__hello__": "a test of frozen modules",
    "__phello__": "a test of frozen modules",
    "_aix_support": "another platform",
    "_android_support": "another platform",
    "_apple_support": "another platform",
    "_ios_support": "another platform",
    "_osx_support": "another platform",
    "antigravity": "the sandbox has no browser",
    "ctypes": _NO_LIBRARY,
    "curses": _NO_TERMINAL,
    "ensurepip": "nothing can be installed",
    "idlelib": "the sandbox has no display",
    "multiprocessing": _NO_PROCESSES,
    "pty": _NO_TERMINAL,
    "site-packages": "nothing can be installed",
    "ssl": _NO_LIBRARY,
    "test": "CPython's own tests",
    "tkinter": "the sandbox has no display",
    "tty": _NO_TERMINAL,
    "turtle": "the sandbox has no display",
    "turtledemo": "the sandbox has no display",
    "venv": "nothing can be installed",
}
# Packages of CPython that those of wasm/stdlib replace.
_REPLACED = ("pydoc_data",)
_TEST_FOLDERS = {"__pycache__", "test", "tests"}


def modules(library: Path) -> list[tuple[str, Path, bool]]:
    """Lists the modules of a library that the image has: name, file, whether it is a package."""
    found: list[tuple[str, Path, bool]] = []

    def walk(directory: Path, prefix: str) -> None:
        for path in sorted(directory.iterdir()):
            if prefix == "" and path.name.removesuffix(".py") in LEFT_OUT:
                continue
            if (path / "__init__.py").exists() and path.name not in _TEST_FOLDERS:
                found.append((prefix + path.name, path / "__init__.py", True))
                walk(path, f"{prefix}{path.name}.")
            elif path.suffix == ".py" and path.name != "__init__.py":
                found.append((prefix + path.stem, path, False))

    walk(library, "")
    return found


def time_zones(wheel: Path) -> str:
    """Returns the source of the module `_tzdata`.

    The compiler merges equal constants, so zones that are links share their bytes.
    """
    prefix = "tzdata/zoneinfo/"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.read("tzdata/zones").decode().split()
        files = sorted(name for name in archive.namelist() if name.startswith(prefix))
        contents = {name.removeprefix(prefix): archive.read(name) for name in files}
    zones = {key: data for key, data in contents.items() if data.startswith(b"TZif")}
    lines = "".join(f"    {key!r}: {data!r},\n" for key, data in zones.items())
    return (
        f'"""The time zone database."""\n\nNAMES = frozenset({tuple(names)!r})\n'
        f"ZONES = {{\n{lines}}}\n"
    )


def freeze(
    source: Path,
    own: Path,
    inputs: Inputs,
    fetcher: Fetcher,
    toolchain: Toolchain,
    into: Path,
    log: Path,
) -> None:
    """Writes `stdlib.bin` and `stdlib_table.h` from CPython's library, `own` and time zones."""
    into.mkdir(parents=True, exist_ok=True)
    zones = into / "_tzdata.py"
    zones.write_text(time_zones(fetcher.wheel(inputs.wheel("tzdata"))), encoding="utf-8")
    theirs = [
        module for module in modules(source / "Lib") if module[0].partition(".")[0] not in _REPLACED
    ]
    everything = [*theirs, *modules(own), ("_tzdata", zones, False)]
    plan = into / "modules.json"
    plan.write_text(json.dumps([(name, str(path), package) for name, path, package in everything]))
    freezer = Path(__file__).with_name("freeze.py")
    run(
        [
            toolchain.tool("python"),
            "-B",
            freezer,
            plan,
            source / "Lib" / "pydoc_data" / "topics.py",
            into / "stdlib.bin",
            into / "stdlib_table.h",
        ],
        log=log,
    )

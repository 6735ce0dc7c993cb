"""Imports what releases share with wasm/recipe: the report of steps, and Debian's mirror."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "wasm" / "recipe"))

from debian import PrivateApt, find_mirror  # noqa: E402
from inputs import Inputs, load  # noqa: E402
from report import BuildError, fail_line, run, say, step  # noqa: E402
from store import Store  # noqa: E402

__all__ = [
    "ROOT",
    "BuildError",
    "Inputs",
    "PrivateApt",
    "Store",
    "fail_line",
    "find_mirror",
    "load",
    "run",
    "say",
    "step",
]

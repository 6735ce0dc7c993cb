"""Hints for undefined names."""

from typing import Any

from _serpentarium.core.hints.clue import EXEC, LIBRARY, Clue, text_of
from _serpentarium.core.hints.imports import INSTALLERS, no_packages
from _serpentarium.core.hints.members import NAMES
from _serpentarium.core.hints.modules import PYODIDE
from _serpentarium.core.hints.table import row

# n8n's names, which a plain program does not have; set by the package `n8n`.
N8N_NAMES: set[str] = {"_item", "_items", "_query"}

_name = NameError.__dict__["name"]


@row(NameError)
def _undefined(error: Any, clue: Clue) -> str | None:
    name = _name.__get__(error)
    if type(name) is not str or not text_of(error).startswith("name "):
        return None
    if clue.site == LIBRARY:
        if name in N8N_NAMES:
            return "A plain program has no names of n8n: its value is the name input."
    elif name in ("_items", "items") and clue.is_each_item:
        return f"The code runs once for each item, which is _item.{_other_mode(clue)}"
    elif name in ("_item", "item") and not clue.is_each_item:
        return f"The code runs once for all items, which are the list _items.{_other_mode(clue)}"
    elif name in ("items", "item"):
        return f"n8n's name is _{name}."
    if name in INSTALLERS or name in PYODIDE:
        return no_packages(clue)
    new = NAMES.get(name)
    return f"In Python: {new}." if new else None


def _other_mode(clue: Clue) -> str:
    """Returns how to select the other mode."""
    if clue.site == EXEC:
        return (
            " Omit --each to run it once." if clue.is_each_item else " --each runs it for each one."
        )
    mode = "All Items" if clue.is_each_item else "Each Item"
    return f" The node's mode Run Once for {mode} changes this."

"""Hints for values that are used as another type."""

import ast
import re
from typing import Any

from _serpentarium.core.current import task
from _serpentarium.core.hints.clue import LIBRARY, Clue, text_of
from _serpentarium.core.hints.table import row
from _serpentarium.core.hints.values import names_of

_of_function = re.compile(
    r"'(?:builtin_function_or_method|function|method)' object is not (?:subscriptable|iterable)"
    r"|object of type '(?:builtin_function_or_method|function|method)' has no len"
).match
_of_coroutine = re.compile(
    r"'coroutine' object (?:is not|does not)|unsupported operand type.*'coroutine'"
).match
_of_two_zones = re.compile("can't (?:compare|subtract) offset-naive and offset-aware").match
_not_json = re.compile(r"Object of type (\w+) is not JSON serializable").match


@row(TypeError)
def _wrong_type(error: Any, clue: Clue) -> str | None:
    text = text_of(error)
    if text.startswith("list indices must be integers"):
        what = _owner(clue)
        return (
            f"{what} is a list: take one element first, {what}[0], or use a loop." if what else None
        )
    if _of_function(text):
        what = _owner(clue)
        if what == "input":
            return _no_input(clue)
        return f"{what} is a function: call it, {what}()." if what else None
    if _of_coroutine(text):
        return "A coroutine has no result yet: write await before the call."
    if text.startswith(("unhashable type: 'set'", "unhashable type: 'dict'")) and "{{" in clue.line:
        return EXPRESSION
    if _not_json(text) and "default=" not in clue.line:
        return "json.dumps(value, default=str) writes such values as text."
    if text in ("'dict' object is not callable", "'list' object is not callable"):
        return _called(clue)
    if _of_two_zones(text):
        return (
            "One datetime has a time zone, the other has none. Make the other with "
            "datetime.now(timezone.utc), or give it one with .replace(tzinfo=…)."
        )
    return None


# For `{{ … }}` in code.
EXPRESSION = (
    "{{ … }} is an expression of n8n, which Python code cannot contain. Write Python's own value "
    "instead."
)


def _owner(clue: Clue) -> str:
    match clue.expression():
        case ast.Subscript(value=owner):
            return names_of(owner)
        case ast.Call(args=[only]):
            return names_of(only)
        case ast.expr() as node:
            return names_of(node)
    return ""


def _no_input(clue: Clue) -> str:
    if clue.site == LIBRARY:
        return "The program was given no input, so input is Python's function."
    return f"The input is {'_item' if clue.is_each_item else '_items'}; input is Python's function."


def _called(clue: Clue) -> str | None:
    match clue.expression():
        case ast.Call(func=ast.Name(id="input")) if (
            clue.site == LIBRARY and "input" in task.settings
        ):
            return "input is the value that the program was given, not Python's function."
        case ast.Call(func=function):
            what = names_of(function)
            return (
                f"{what} is a value, not a function: write {what}[…] for an element."
                if what
                else None
            )
    return None

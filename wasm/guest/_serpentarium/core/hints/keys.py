"""Hints for missing keys and indices: the keys that are there."""

import ast
from itertools import islice
from typing import Any

from _serpentarium.core.hints.clue import EXEC, NODE, Clue, shown
from _serpentarium.core.hints.nearest import nearest
from _serpentarium.core.hints.table import row
from _serpentarium.core.hints.values import Unsure, evaluate, names_of

# Keys, and characters of all of them, that a hint shows.
_MAX_KEYS = 12
_MAX_TEXT = 300
# Keys and elements that are searched: the report of an error must stay short.
_MAX_SEARCHED = 1_000

_args = BaseException.__dict__["args"]


@row(KeyError)
def _missing_key(error: Any, clue: Clue) -> str | None:
    node, frame = clue.expression(), clue.frame
    arguments = _args.__get__(error)
    if frame is None or len(arguments) != 1:
        return None
    key = arguments[0]
    owner = _owner(node)
    if owner is None:
        return None
    name = names_of(owner)
    if name in ("os.environ", "environ"):
        return _environment(clue)
    if type(key) not in (str, int, float, bool, bytes):
        return None
    try:
        container = evaluate(owner, frame)
    except Unsure:
        container, name = _element(owner, key, clue)
    if type(container) is not dict or key in container:
        return None
    return _keys(container, key, name)


def _element(owner: ast.expr, key: Any, clue: Clue) -> tuple[Any, str]:
    """Returns the first element without the key, in a comprehension, and its name.

    A comprehension has lost its variable by now.
    """
    frame = clue.frame
    match clue.comprehension():
        case ast.comprehension(target=ast.Name(id=variable), iter=values) if frame is not None:
            for value in islice(evaluate(values, frame), _MAX_SEARCHED):
                container = evaluate(owner, frame, {variable: value})
                if type(container) is dict and key not in container:
                    return container, f"The first {names_of(owner)} without it"
    raise Unsure


def _owner(node: ast.AST | None) -> ast.expr | None:
    """Returns the container of a subscript, or of a call of `pop`."""
    match node:
        case ast.Subscript(value=owner):
            return owner
        case ast.Call(func=ast.Attribute(value=owner, attr="pop")):
            return owner
    return None


def _keys(container: dict[Any, Any], key: object, name: str) -> str:
    what = name or "The dict"
    if not container:
        return f"{what} is empty."
    texts: list[str] = []
    length = 0
    for each in container:
        text = shown(each)
        length += len(text)
        if len(texts) == _MAX_KEYS or length > _MAX_TEXT:
            break
        texts.append(text)
    rest = len(container) - len(texts)
    more = f" and {rest} more" if rest else ""
    meant = ""
    if type(key) is str:
        found = nearest(key, [k for k in islice(container, _MAX_SEARCHED) if type(k) is str])
        meant = f" Did you mean {shown(found)}?" if found is not None else ""
    noun = "key" if len(container) == 1 else "keys"
    return f"{what} has the {noun} {', '.join(texts)}{more}.{meant}"


def _environment(clue: Clue) -> str | None:
    if clue.site == NODE:
        return (
            "Code sees no environment variables of the runner, unless the runner has "
            "N8N_BLOCK_RUNNER_ENV_ACCESS=false. Secrets of the runner are never visible."
        )
    if clue.site == EXEC:
        return (
            "Code that runs under `exec` sees no environment variables. Pass values with --items."
        )
    return None


@row(IndexError)
def _missing_index(_error: Any, clue: Clue) -> str | None:
    match clue.expression():
        case ast.Subscript(value=owner, slice=index) if clue.frame is not None:
            container, place = evaluate(owner, clue.frame), evaluate(index, clue.frame)
        case _:
            return None
    if type(container) not in (list, tuple, str) or type(place) is not int:
        return None
    size = len(container)
    if -size <= place < size:
        return None
    what = names_of(owner) or "It"
    if not size:
        return f"{what} is empty."
    noun = "element" if size == 1 else "elements"
    return f"{what} has {size} {noun}: the last index is {size - 1}."

"""Encodes the value that user code returned as the JSON text of the reply.

A value without a JSON form becomes `str(value)`. NaN and the infinities become null. Keys follow
Python's `json`; other keys become `str(key)`.
"""

from math import isfinite
from sys import setrecursionlimit as _set_recursion_limit
from typing import Any

from _serpentarium.abi import EFFECTS, MESSAGE, RESULT
from _serpentarium.core.wire import Reply, encode, encode_plain

# Python frames for a deep value. The encoder in C has a lower limit of its own.
_DEPTH = 3_000


class TaskError(Exception):
    """A failure whose report shows a message of this package instead of a traceback."""

    def details(self, line: int | None) -> dict[str, object]:
        """Returns the members of the reply's `error`. `line` is that of the code, if it has run."""
        return {MESSAGE: str(self)}


class Circular(TaskError):
    """A value that contains itself."""

    def __init__(self) -> None:
        super().__init__("Result contains a circular reference")


def encode_result(value: object, effects: dict[str, object] | None = None) -> Reply:
    """Encodes the reply for a returned value, with the task's effects."""
    reply = {RESULT: value}
    if effects:
        reply[EFFECTS] = effects
    plainly = encode_plain(reply)
    if plainly is not None:
        return plainly
    try:
        return "".join(encode(reply, 0))
    except (ValueError, TypeError, RecursionError, MemoryError):
        pass
    return _encode_unusual(reply)


def _encode_unusual(reply: dict[str, object]) -> str:
    """Encodes NaN, unusual keys, and values that are circular or deep."""
    _set_recursion_limit(_DEPTH)
    try:
        return "".join(encode(plain(reply), 0))
    except RecursionError:
        raise TaskError("Result is nested too deeply") from None


def plain(value: Any, inside: frozenset[int] | set[int] = frozenset()) -> Any:
    """Copies lists and dicts, without NaN and with keys that the encoder accepts.

    `inside` holds the ids of the containers around `value`. Raises `Circular`.
    """
    kind = type(value)
    if issubclass(kind, float):
        return value if isfinite(value) else None
    if not issubclass(kind, (dict, list, tuple)):
        return value
    inside = inside if type(inside) is set else set()
    if id(value) in inside:
        raise Circular
    inside.add(id(value))
    copy: object
    if issubclass(kind, dict):
        copy = {_plain_key(key): plain(member, inside) for key, member in value.items()}
    else:
        copy = [plain(member, inside) for member in value]
    inside.discard(id(value))
    return copy


def _plain_key(key: Any) -> Any:
    kind = type(key)
    if issubclass(kind, float):
        return key if isfinite(key) else _name_of(key)
    return key if key is None or issubclass(kind, (str, int)) else str(key)


def _name_of(number: float) -> str:
    """Returns the key that `json` writes for a number that is not finite."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"

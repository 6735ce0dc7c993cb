"""From the value that user code returned to the JSON text of the reply.

What JSON has no form for becomes `str(value)`; NaN and the infinities become null; keys follow Python's own `json`, and
other keys become `str(key)`.
"""

from math import isfinite
from sys import setrecursionlimit as _set_recursion_limit

from _serpentarium.core.wire import Reply, encode, encode_plain

# Python frames that the walk over a deep value may use. The encoder in C has a limit of its own, far below this one.
_DEPTH = 3_000


class TaskError(Exception):
    """A failure with a text of ours: there is no traceback worth showing."""


class Circular(TaskError):
    """A value that contains itself."""

    def __init__(self) -> None:
        super().__init__("Result contains a circular reference")


def encode_result(value: object, effects: dict[str, object] | None = None) -> Reply:
    """Encodes the reply for a returned value, with what the task changed beside it."""
    reply = {"result": value}
    if effects:
        reply["effects"] = effects
    plainly = encode_plain(reply)
    if plainly is not None:
        return plainly
    try:
        return "".join(encode(reply, 0))
    except (ValueError, TypeError, RecursionError, MemoryError):
        pass
    return _encode_unusual(reply)


def _encode_unusual(reply: dict[str, object]) -> str:
    """The slow way: for NaN, odd keys, and values that are circular or perhaps only deep."""
    _set_recursion_limit(_DEPTH)
    try:
        return "".join(encode(plain(reply), 0))
    except RecursionError:
        raise TaskError("Result is nested too deeply") from None


def plain(value: object, inside: frozenset[int] | set[int] = frozenset()) -> object:
    """A copy of lists and dicts that the encoder takes: no NaN, no odd keys. Raises `Circular`.

    `inside` holds the ids of the containers around `value`.
    """
    kind = type(value)
    if issubclass(kind, float):
        return value if isfinite(value) else None  # type: ignore[arg-type]
    if not issubclass(kind, (dict, list, tuple)):
        return value
    inside = inside if type(inside) is set else set()
    if id(value) in inside:
        raise Circular
    inside.add(id(value))
    copy: object
    if issubclass(kind, dict):
        copy = {_plain_key(key): plain(member, inside) for key, member in value.items()}  # type: ignore[attr-defined]
    else:
        copy = [plain(member, inside) for member in value]  # type: ignore[attr-defined]
    inside.discard(id(value))
    return copy


def _plain_key(key: object) -> object:
    kind = type(key)
    if issubclass(kind, float):
        return key if isfinite(key) else _name_of(key)  # type: ignore[arg-type]
    return key if key is None or issubclass(kind, (str, int)) else str(key)


def _name_of(number: object) -> str:
    """What `json` writes for a key that is not finite."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"  # type: ignore[operator]

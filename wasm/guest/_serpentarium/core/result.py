"""Encodes the value that user code returned as the JSON text of the reply.

Three encoders, the fastest first: in C for plain values; in C with `forms.quick` for common others;
and `forms.plain`, which copies any value, for the rest.
"""

from math import isfinite
from typing import Any

from _serpentarium.abi import EFFECTS, RESULT
from _serpentarium.core.forms import name_of, quick, settle
from _serpentarium.core.forms import plain as _plain
from _serpentarium.core.task_error import Circular, TaskError
from _serpentarium.core.wire import Reply, encode, encode_plain, encoder_with

__all__ = ["Circular", "TaskError", "encode_result", "encode_value", "plain"]

_encode_common = encoder_with(",", ":", allow_nan=False, default=quick)


def encode_result(value: object, effects: dict[str, object] | None = None) -> Reply:
    """Encodes the reply for a returned value, with the task's effects."""
    reply = {RESULT: value}
    if effects:
        reply[EFFECTS] = effects
    plainly = encode_plain(reply)
    if plainly is not None:
        return plainly
    try:
        return "".join(_encode_common(reply, 0))
    except (ValueError, TypeError, RecursionError, MemoryError):
        pass
    reply[RESULT] = _plain(settle(value))
    return encode_plain(reply) or "".join(encode(reply, 0))


def encode_value(value: Any, what: str) -> str:
    """Encodes a value by the rules for results. Errors call it `what`."""
    try:
        return "".join(_encode_common(value, 0))
    except (ValueError, TypeError, RecursionError):
        return "".join(encode(_plain(value, what), 0))


def plain(value: Any, inside: frozenset[int] | set[int] = frozenset()) -> Any:
    """Copies lists and dicts for a print: without NaN, and with keys that the encoder accepts.

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
        return key if isfinite(key) else name_of(key)
    return key if key is None or issubclass(kind, (str, int)) else str(key)

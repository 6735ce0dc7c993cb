"""JSON, and the functions of the host.

All functions are bound at import: user code that replaces `json.dumps` does not break its reply.
"""

import json
from collections.abc import Callable
from json import encoder
from re import compile as _pattern
from typing import Any, TypeAlias, cast

import _host

Encoder: TypeAlias = Callable[[object, int], tuple[str, ...]]

# JSON, as text or already as UTF-8.
Reply: TypeAlias = str | bytes


def encoder_with(
    item_separator: str,
    key_separator: str,
    *,
    allow_nan: bool,
    default: Callable[[Any], str] = str,
) -> Encoder:
    """Makes an encoder in C. It writes `default(value)` of values without a JSON form.

    It does not track containers to find cycles, which would take a third of the time. A cycle ends
    in a `RecursionError`. The encoder has no state, so tasks do not write to its memory.
    """
    make = cast(Any, encoder).c_make_encoder
    escape = cast(Any, encoder).encode_basestring
    made = make(None, default, escape, None, key_separator, item_separator, False, False, allow_nan)
    return cast(Encoder, made)


encode = encoder_with(",", ":", allow_nan=False)

_decode_plain: Callable[[bytes | str], Any] = _host.decode_plain
_loads = json.loads
_lone_surrogate = _pattern("[\ud800-\udfff]")

read_input: Callable[[], bytes] = _host.read_input
write_output: Callable[[Reply], None] = _host.write_output
# Encodes a value of plain dicts, lists, strs and numbers; None for any other.
encode_plain: Callable[[object], bytes | None] = _host.encode_plain
notify_host: Callable[[str, str], None] = _host.notify

# Host calls by name, with parameters and answer as JSON. `call_host` waits for the answer.
# `start_call` returns the number of a pending call. `wait_for_answer` returns the first answer to a
# pending call, or None after a number of seconds (negative: no limit).
call_host: Callable[[str, str], str] = _host.call
start_call: Callable[[str, str], int] = _host.start
wait_for_answer: Callable[[float], tuple[int, bool, str] | None] = _host.wait
CallFailed: type[Exception] = _host.CallError
# The host's answer to a call that it does not know (`METHOD_NOT_ALLOWED` in src/sandbox/host.rs).
REFUSED = "Method not allowed"

# Bytes to n8n's form, `{"type":"Buffer","data":[…]}`, and back, from an offset to the end offset.
buffer_to_json: Callable[[bytes | bytearray | memoryview], str] = _host.buffer_to_json
buffer_from_json: Callable[[str, int], tuple[bytes, int]] = _host.buffer_from_json


def decode(text: bytes | str) -> Any:
    """Decodes JSON. Raises ValueError for invalid JSON."""
    try:
        return _decode_plain(text)
    except ValueError:
        # Python accepts NaN and the infinities as constants. int() raises ValueError for them.
        return _loads(text, parse_constant=int)


def notify(name: str, value: object) -> None:
    """Sends a notification. Its text is for people: a lone surrogate becomes `\\udXXX`."""
    text = "".join(encode(value, 0))
    try:
        notify_host(name, text)
    except UnicodeEncodeError:
        notify_host(name, escape_surrogates(text, "\\\\"))


def send(reply: Reply) -> None:
    """Writes the reply of the task."""
    try:
        write_output(reply)
    except UnicodeEncodeError:
        # Lone surrogates. Bytes have none.
        write_output(escape_surrogates(str(reply)))


def escape_surrogates(text: str, backslash: str = "\\") -> str:
    """Escapes lone surrogates, which UTF-8 cannot encode. They occur in JSON strings only."""
    return _lone_surrogate.sub(lambda found: f"{backslash}u{ord(found[0]):04x}", text)

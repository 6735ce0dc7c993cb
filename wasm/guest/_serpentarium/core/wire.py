"""JSON text, and the ways it takes to the host.

Everything is bound here at import, so that code which replaces `json.dumps` and the like does not break its own reply.
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


def encoder_with(item_separator: str, key_separator: str, *, allow_nan: bool) -> Encoder:
    """An encoder in C: text as it is, `str()` of what JSON has no form for.

    It does not look for circles: those end in a `RecursionError`, which is rare, and the bookkeeping would cost every
    list and dict a third of its time. It keeps no state and so stays untouched in the snapshot.
    """
    make = cast(Any, encoder).c_make_encoder
    escape = cast(Any, encoder).encode_basestring
    return cast(Encoder, make(None, str, escape, None, key_separator, item_separator, False, False, allow_nan))


encode = encoder_with(",", ":", allow_nan=False)

_decode_plain: Callable[[bytes | str], Any] = _host.decode_plain
_loads = json.loads
_lone_surrogate = _pattern("[\ud800-\udfff]")

read_input: Callable[[], bytes] = _host.read_input
write_output: Callable[[Reply], None] = _host.write_output
# JSON of a value that is made of plain dicts, lists, texts and numbers; None for any other.
encode_plain: Callable[[object], bytes | None] = _host.encode_plain
notify_host: Callable[[str, str], None] = _host.notify

# Calls of the host, by a name and the parameters' JSON. `call_host` waits for the answer's JSON; `start_call` returns the
# call's number at once, and `wait_for_answer` gives the first answer to any call, or None after so many seconds
# (negative: no limit).
call_host: Callable[[str, str], str] = _host.call
start_call: Callable[[str, str], int] = _host.start
wait_for_answer: Callable[[float], tuple[int, bool, str] | None] = _host.wait
CallFailed: type[Exception] = _host.CallError

# Bytes as n8n writes them, `{"type":"Buffer","data":[…]}`, and back: from where such a text begins, to where it ends.
buffer_to_json: Callable[[bytes | bytearray | memoryview], str] = _host.buffer_to_json
buffer_from_json: Callable[[str, int], tuple[bytes, int]] = _host.buffer_from_json


def decode(text: bytes | str) -> Any:
    """The value of a JSON text. ValueError where it is none: the host has not looked into large ones."""
    try:
        return _decode_plain(text)
    except ValueError:
        # NaN and the infinities, which Python takes for JSON, are no int: another ValueError.
        return _loads(text, parse_constant=int)


def notify(name: str, value: object) -> None:
    """Lets the host know something. This is text to read: a lone surrogate is shown as `\\udXXX`."""
    text = "".join(encode(value, 0))
    try:
        notify_host(name, text)
    except UnicodeEncodeError:
        notify_host(name, escape_surrogates(text, "\\\\"))


def send(reply: Reply) -> None:
    """Writes the task's one reply."""
    try:
        write_output(reply)
    except UnicodeEncodeError:
        # Only text can hold them.
        write_output(escape_surrogates(str(reply)))


def escape_surrogates(text: str, backslash: str = "\\") -> str:
    """JSON text without lone surrogates, which UTF-8 cannot carry: they stand only inside of strings, as `\\udXXX`."""
    return _lone_surrogate.sub(lambda found: f"{backslash}u{ord(found[0]):04x}", text)

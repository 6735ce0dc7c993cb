"""JSON text, and the three ways it takes to the host.

Everything is bound here at import, so that code which replaces `json.dumps` and the like does not break its own reply.
"""

import json
from collections.abc import Callable
from json import encoder
from re import compile as _pattern
from typing import Any, TypeAlias, cast

import _host

Encoder: TypeAlias = Callable[[object, int], tuple[str, ...]]


def encoder_with(item_separator: str, key_separator: str, *, allow_nan: bool) -> Encoder:
    """An encoder in C: text as it is, `str()` of what JSON has no form for.

    It does not look for circles: those end in a `RecursionError`, which is rare, and the bookkeeping would cost every
    list and dict a third of its time. It keeps no state and so stays untouched in the snapshot.
    """
    make = cast(Any, encoder).c_make_encoder
    escape = cast(Any, encoder).encode_basestring
    return cast(Encoder, make(None, str, escape, None, key_separator, item_separator, False, False, allow_nan))


encode = encoder_with(",", ":", allow_nan=False)

_scan: Callable[[str, int], tuple[Any, int]] = cast(Any, json.JSONDecoder()).scan_once
_loads = json.loads
_lone_surrogate = _pattern("[\ud800-\udfff]")

read_input: Callable[[], str] = _host.read_input
write_output: Callable[[str], None] = _host.write_output
tell_host: Callable[[str, str], None] = _host.tell


def decode(text: str) -> Any:
    """The value of a JSON text that the host has already checked."""
    try:
        return _scan(text, 0)[0]
    except StopIteration:
        return _loads(text)


def tell(name: str, value: object) -> None:
    """Lets the host know something. This is text to read: a lone surrogate is shown as `\\udXXX`."""
    text = "".join(encode(value, 0))
    try:
        tell_host(name, text)
    except UnicodeEncodeError:
        tell_host(name, escape_surrogates(text, "\\\\"))


def send(reply: str) -> None:
    """Writes the task's one reply."""
    try:
        write_output(reply)
    except UnicodeEncodeError:
        write_output(escape_surrogates(reply))


def escape_surrogates(text: str, backslash: str = "\\") -> str:
    """JSON text without lone surrogates, which UTF-8 cannot carry: they stand only inside of strings, as `\\udXXX`."""
    return _lone_surrogate.sub(lambda found: f"{backslash}u{ord(found[0]):04x}", text)

"""The built-in `print`: sends one statement to the log."""

import builtins
import io
import sys
from typing import Any

from _serpentarium.core.log import log
from _serpentarium.core.result import Circular, plain
from _serpentarium.core.wire import encoder_with

_print = builtins.print
_encode = encoder_with(", ", ": ", allow_nan=True)

# The `sys.stdout` of the log, set by `streams`.
stream: object = None


def print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """Prints the values to the log, or to `file`."""
    target = sys.stdout if file is None else file
    if target is not stream:
        _print(*values, sep=sep, end=end, file=target, flush=flush)
    elif log.as_text:
        text = io.StringIO()
        _print(*values, sep=sep, end=end, file=text)
        log.text(text.getvalue())
        if flush:
            log.end_line()
    else:
        _print_statement(values)


def _print_statement(values: tuple[object, ...]) -> None:
    if log.partial:
        log.end_line()
    if log.is_full():
        log.statements += 1
    else:
        log.statement([_format(value) for value in values])


def _format(value: object) -> str:
    kind = type(value)
    if issubclass(kind, str):
        return f"'{value}'"
    if value is None or issubclass(kind, (int, float)):
        return str(value)
    return _as_json(value)


def _as_json(value: object) -> str:
    try:
        return "".join(_encode(value, 0))
    except (TypeError, RecursionError, MemoryError):
        pass
    try:
        return "".join(_encode(plain(value), 0))
    except Circular:
        return f"[Circular {type(value).__name__}]"

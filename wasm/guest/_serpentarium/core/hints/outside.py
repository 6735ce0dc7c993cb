"""Hints for what a sandbox has no access to: a person, processes, the network."""

from typing import Any
from urllib.error import URLError

from _serpentarium.core import lacking
from _serpentarium.core.hints.clue import EXEC, NODE, Clue, text_of
from _serpentarium.core.hints.imports import network
from _serpentarium.core.hints.table import row

_args = BaseException.__dict__["args"]


@row(EOFError)
def _no_person(error: EOFError, clue: Clue) -> str | None:
    if text_of(error) != "EOF when reading a line":
        return None
    where = {
        NODE: "Take the value from an item, for example from a form or a webhook before this node.",
        EXEC: "Pass the value with --items.",
    }
    return f"Nobody can answer here: standard input is empty. {where.get(clue.site, _VALUE)}"


_VALUE = "Pass the value as the program's input."


@row(OSError)
def _no_network_or_process(error: Any, clue: Clue) -> str | None:
    arguments = _args.__get__(error)
    if issubclass(type(error), URLError):
        reason = arguments[0] if arguments else None
        arguments = _args.__get__(reason) if issubclass(type(reason), OSError) else ()
    text = arguments[1] if len(arguments) > 1 else None
    if text in (lacking.NETWORK, lacking.NO_SOCKETS, lacking.ONLY_HTTP):
        return network(clue)
    if text == lacking.PROCESSES:
        return _processes(clue)
    return None


@row(NotImplementedError)
def _no_subprocess(_error: NotImplementedError, clue: Clue) -> str | None:
    if "create_subprocess" not in clue.line:
        return None
    return f"This sandbox starts no processes. {_processes(clue)}"


def _processes(clue: Clue) -> str:
    where = {
        NODE: " n8n's node Execute Command runs programs, where the operator allows it.",
        EXEC: " Run the program before, and pass its output with --items.",
    }
    return f"Python's own modules must do the work here.{where.get(clue.site, '')}"

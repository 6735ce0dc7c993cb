"""Hints for event loops that run already."""

import ast

from _serpentarium.core.hints.clue import Clue, text_of
from _serpentarium.core.hints.table import row
from _serpentarium.core.hints.values import names_of

_RUNNING = (
    "asyncio.run() cannot be called from a running event loop",
    "This event loop is already running",
    "Cannot run the event loop while another loop is running",
    "Runner.run() cannot be called from a running event loop",
)


@row(RuntimeError)
def _loop_runs(error: RuntimeError, clue: Clue) -> str | None:
    if not text_of(error).startswith(_RUNNING):
        return None
    what = ""
    match clue.expression():
        case ast.Call(args=[awaited, *_]):
            what = names_of(awaited)
    call = f"await {what}" if what else "await and the coroutine"
    if clue.frame is not None and clue.frame.f_code.co_name == "<module>":
        return (
            "The code awaits at its top level, so an event loop runs already. "
            f"Write {call} instead."
        )
    return f"An event loop runs already. Write {call} instead, in an async function."

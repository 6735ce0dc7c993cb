"""Hints for threads, which a task cannot start."""

from _serpentarium.core.hints.clue import Clue, text_of
from _serpentarium.core.hints.table import row


@row(RuntimeError)
def _no_threads(error: RuntimeError, clue: Clue) -> str | None:
    if text_of(error) != "can't start new thread":
        return None
    waits = " For calls that wait, use asyncio.gather." if clue.allows("asyncio") else ""
    return (
        "A task has one thread. Call the function directly, or map(function, values) instead of "
        f"pool.map.{waits}"
    )

"""Hints for threads, which run one after another."""

from _serpentarium.core.hints.clue import Clue, text_of
from _serpentarium.core.hints.table import row


@row(RuntimeError)
def _no_other_thread(error: RuntimeError, _clue: Clue) -> str | None:
    if not text_of(error).startswith("deadlock: ") or "thread" not in text_of(error):
        return None
    return (
        "Threads run one after another here, and a thread cannot wait in its middle for the one "
        "that started it. Put all items and the end mark into a queue, set events and release "
        "locks before join() or another wait."
    )

"""Code that ends itself as a process would."""

from _serpentarium.core.hints.clue import Clue
from _serpentarium.core.hints.table import row


@row(SystemExit)
def _no_process(error: SystemExit, clue: Clue) -> str | None:
    return (
        "Use `return` to end the code early, with a result. "
        'To fail it with a text of your own, raise an exception: `raise ValueError("…")`.'
    )

"""What a sandbox has no access to: a person, processes, the network."""

from _serpentarium.core.hints.clue import Clue, text_of
from _serpentarium.core.hints.table import row


@row(EOFError)
def _no_person(error: EOFError, clue: Clue) -> str | None:
    if text_of(error) != "EOF when reading a line":
        return None
    return "Nobody can answer here, so standard input is empty. Take the value from the input."

"""Hints: what to do about an error, after Python's own text.

A report appends one hint to message and traceback, as a last line `Hint: …`. It never changes the
text above. A hint costs nothing until an error is reported.

A row is a function that receives the error and a `Clue` to its place, and returns a hint or None:

    @row(EOFError)
    def _no_input(error: EOFError, clue: Clue) -> str | None:
        return "Nobody can answer here: …" if "reading a line" in text_of(error) else None

Rules for rows: one to three short sentences, without the word "Hint". Say only what is true where
the task runs: `clue.site` tells `exec`, a node and the library apart, and `clue.allows(module)`
asks the policy. Values of user code are hostile: read them with `text_of`, `shown` and exact types.
A row that raises gives no hint.

- `table`: the rows by type of error, and `hint`
- `clue`: the place of an error: where the task runs, the frame, the expression
- `values`: evaluates an expression again, without code of the user
- `modules`, `packages`, `members`: tables of names, and `nearest` among them

Each other module holds the rows of one subject. Other packages register rows for their own errors.
"""

from _serpentarium.core.hints import (
    attributes,
    exits,
    files,
    imports,
    keys,
    kinds,
    names,
    outside,
    running,
    syntax,
    threads,
)
from _serpentarium.core.hints.table import hint

__all__ = ["hint"]

# Their import registers the rows. The first row with a hint wins.
_SUBJECTS = (
    imports, attributes, keys, kinds, names, syntax, outside, running, files, threads,
    exits,
)  # fmt: skip

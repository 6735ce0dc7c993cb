"""Hints for files: a task has only those that it makes."""

import errno
from typing import Any

from _serpentarium.core.hints.clue import EXEC, NODE, Clue
from _serpentarium.core.hints.table import row

_args = BaseException.__dict__["args"]


@row(FileNotFoundError)
def _no_file(error: Any, clue: Clue) -> str | None:
    arguments = _args.__get__(error)
    if len(arguments) < 2 or arguments[0] != errno.ENOENT:
        return None
    where = {
        NODE: (
            " The files of an item are its binary data: /data/<index>/<file name>, or "
            "_helpers.get_binary_data(index, property) for the bytes."
        ),
        EXEC: " Give it with --file.",
    }
    more = where.get(clue.site, "")
    return f"A task sees the files that it has written, not those of the machine.{more}"

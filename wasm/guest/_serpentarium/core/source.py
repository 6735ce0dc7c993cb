"""The lines of the program for `linecache`, which tracebacks, warnings and `inspect` use.

The cache entry is part of the snapshot and reads the current task's code when somebody asks for
lines. A task that needs no lines therefore pays nothing.
"""

import linecache
from typing import Any

from _serpentarium.core.code import FILENAME, lines
from _serpentarium.core.current import task

_cache = linecache.cache


class _Entry(tuple[Any, ...]):
    """A cache entry (size, modification time, lines, full name) with lazy lines."""

    def __getitem__(self, index: Any) -> Any:
        return program_lines() if index == 2 else super().__getitem__(index)


_ENTRY = _Entry((0, None, [], FILENAME))


def install() -> None:
    """Adds the entry to the cache. User code can clear the cache, so this can run again."""
    _cache[FILENAME] = _ENTRY


def program_lines() -> list[str]:
    """Returns the lines of the current task's code, each with its end."""
    return [line + "\n" for line in lines(task.code)]

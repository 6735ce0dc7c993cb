"""Functions of `os` that end or signal a process. A task has no process of its own.

They would stop the interpreter without a reply, or do not exist in WASI. Here they raise an error
that says what to do instead, with the line of the code.
"""

import os
from collections.abc import Callable
from typing import NoReturn

_END = "Use `return` to end the task, or raise an exception to fail it."
_INSTEAD = {
    "_exit": _END,
    "abort": _END,
    "kill": "There are no other processes to signal.",
    "killpg": "There are no other processes to signal.",
}


def _refusal(name: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(*_arguments: object) -> NoReturn:
        raise OSError(f"os.{name}() is not available: a task has no process of its own. {instead}")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__module__ = "os"
    return refuse


def install() -> None:
    """Replaces the functions. Runs before the snapshot."""
    vars(os).update({name: _refusal(name, instead) for name, instead in _INSTEAD.items()})

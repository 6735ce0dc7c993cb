"""Progress for people, on standard error."""

import os
import sys
from typing import TextIO


def painted(text: str, code: str, stream: TextIO = sys.stderr) -> str:
    """Text in a colour, on a terminal."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def step(title: str) -> None:
    """Announces what comes."""
    print(f"{painted('==>', '1;34')} {title}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """One line about it."""
    print(f"    {text}", file=sys.stderr, flush=True)

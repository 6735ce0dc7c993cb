"""Progress messages on standard error."""

import os
import sys
from typing import TextIO


def painted(text: str, code: str, stream: TextIO = sys.stderr) -> str:
    """Text in a colour (an SGR code), if `stream` is a terminal."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def step(title: str) -> None:
    """Prints the title of the next step."""
    print(f"{painted('==>', '1;34')} {title}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Prints a line about the current step."""
    print(f"    {text}", file=sys.stderr, flush=True)

"""The standard streams: empty input, output to the log, errors to file descriptor 2."""

import builtins
import codecs
import io
import sys
from typing import Any

from _serpentarium.core import printing
from _serpentarium.core.log import log


class LogStream(io.TextIOBase):
    """`sys.stdout`: a text stream without a file descriptor."""

    encoding = "utf-8"
    errors = "strict"
    newlines = None
    name = "<stdout>"
    mode = "w"
    line_buffering = True

    def __init__(self) -> None:
        self.buffer = LogBuffer(self)

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        log.text(text)
        return len(text)

    def flush(self) -> None:
        log.end_line()

    def close(self) -> None:
        self.flush()

    def reconfigure(self, **_options: object) -> None:
        """Does nothing: the log is always UTF-8."""


class LogBuffer(io.BufferedIOBase):
    """`sys.stdout.buffer`: decodes bytes as UTF-8."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        data = memoryview(data).cast("B")
        self._stream.write(self._decoder.decode(data))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self.flush()


class _NoBytes(io.BytesIO):
    name = "<stdin>"


def _empty_input() -> io.TextIOWrapper:
    return io.TextIOWrapper(_NoBytes(), encoding="utf-8")


def _error_output() -> io.TextIOWrapper:
    """Unbuffered, because an instance ends without a flush."""
    raw = io.FileIO(2, "w", closefd=False)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", "\n", True, True)


def install() -> None:
    """Replaces the interpreter's streams and `print`."""
    printing.stream = LogStream()
    members = vars(sys)
    members["stdin"] = members["__stdin__"] = _empty_input()
    members["stdout"] = members["__stdout__"] = printing.stream
    members["stderr"] = members["__stderr__"] = _error_output()
    builtins.print = printing.print

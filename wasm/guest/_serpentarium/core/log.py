"""What user code prints, on its way to the host.

There are two forms. As n8n has it, every statement is one `logNodeOutput` with one text for each value, and only the
first hundred are sent. As plain text, everything goes as it is written, without an end; a task that writes very often
has its later text gathered into larger pieces, because the host limits the number of calls.
"""

from _serpentarium.core.wire import notify

_CAP = 100

# Pieces of plain text that are sent one by one, and the size in characters of a gathered piece after those.
_PIECES = 20_000
_GATHERED = 8 * 1024


class Log:
    """The log of one task."""

    __slots__ = ("as_text", "gathered", "partial", "statements")

    def __init__(self) -> None:
        self.as_text = False
        self.gathered = 0
        self.statements = 0
        self.partial: list[str] = []

    def is_full(self) -> bool:
        """Whether further statements are only counted."""
        return self.statements >= _CAP

    def statement(self, values: list[str]) -> None:
        """Sends one statement, with one text for each of its values."""
        self.statements += 1
        if self.statements <= _CAP:
            notify("logNodeOutput", values)

    def text(self, text: str) -> None:
        """Sends text: at once in plain form, line by line otherwise."""
        if not text:
            return
        if self.as_text:
            self._plain_text(text)
            return
        *lines, rest = text.split("\n")
        for line in lines:
            if self.partial:
                line = self._take_partial() + line
            self.statement([line])
        if rest:
            self.partial.append(rest)

    def end_line(self) -> None:
        """Sends the line that is still being written, if there is one."""
        if self.as_text:
            self._send_gathered()
        elif self.partial:
            self.statement([self._take_partial()])

    def finish(self) -> None:
        """Sends what is left when the task has ended."""
        self.end_line()
        if self.statements > _CAP and not self.as_text:
            notify("logNodeOutput", [f"[Output truncated - {self.statements - _CAP} more print statements]"])

    def _plain_text(self, text: str) -> None:
        self.statements += 1
        if self.statements <= _PIECES:
            notify("stdout", text)
            return
        self.partial.append(text)
        self.gathered += len(text)
        if self.gathered >= _GATHERED:
            self._send_gathered()

    def _send_gathered(self) -> None:
        if self.partial:
            self.gathered = 0
            notify("stdout", self._take_partial())

    def _take_partial(self) -> str:
        line = "".join(self.partial)
        self.partial = []
        return line


log = Log()

"""Sends printed output to the host, in one of two forms.

n8n's form: each statement is one notification with one text for each value, up to a hundred.
Plain text: everything is sent as it is written. After many pieces, text is gathered into larger
ones, because the host limits the number of notifications.
"""

from _serpentarium.abi import GATHERED_TEXT, MAX_PIECES, MAX_STATEMENTS, STATEMENT, STDOUT
from _serpentarium.core.wire import notify


class Log:
    """The log of the task."""

    __slots__ = ("as_text", "gathered", "partial", "statements")

    partial: list[str]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the printed text."""
        self.as_text = False
        self.gathered = 0
        self.statements = 0
        self.partial = []

    def is_full(self) -> bool:
        """Returns whether further statements are only counted."""
        return self.statements >= MAX_STATEMENTS

    def statement(self, values: list[str]) -> None:
        """Sends one statement, with one text for each of its values."""
        self.statements += 1
        if self.statements <= MAX_STATEMENTS:
            notify(STATEMENT, values)

    def text(self, text: str) -> None:
        """Sends text: at once as plain text, line by line in n8n's form."""
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
        """Sends an unfinished line, if there is one."""
        if self.as_text:
            self._send_gathered()
        elif self.partial:
            self.statement([self._take_partial()])

    def finish(self) -> None:
        """Sends the rest at the end of the task."""
        self.end_line()
        if self.statements > MAX_STATEMENTS and not self.as_text:
            more = self.statements - MAX_STATEMENTS
            notify(STATEMENT, [f"[Output truncated - {more} more print statements]"])

    def _plain_text(self, text: str) -> None:
        self.statements += 1
        if self.statements <= MAX_PIECES:
            notify(STDOUT, text)
            return
        self.partial.append(text)
        self.gathered += len(text)
        if self.gathered >= GATHERED_TEXT:
            self._send_gathered()

    def _send_gathered(self) -> None:
        if self.partial:
            self.gathered = 0
            notify(STDOUT, self._take_partial())

    def _take_partial(self) -> str:
        line = "".join(self.partial)
        self.partial = []
        return line


log = Log()

"""Regular expressions: finding, replacing, splitting in log lines."""

import re

LINE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)T(\d\d):\d\d:\d\d (?P<level>INFO|WARN|ERROR) \[(?P<user>[^]]*)] (.*)"
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


def run() -> None:
    """One round."""
    levels = ("INFO", "WARN", "ERROR")
    lines = [
        f"2026-03-{n % 28 + 1:02}T12:00:00 {levels[n % 3]} [u{n}@example.com] "
        f"paid {n} to  bob.{n}@shop.example"
        for n in range(6000)
    ]
    found = [match for match in map(LINE.match, lines) if match]
    assert len(found) == len(lines) and sum(match["level"] == "WARN" for match in found) == 2000
    text = "\n".join(lines)
    assert len(MAIL.findall(text)) == 2 * len(lines)
    hidden, count = MAIL.subn(lambda match: "*" * len(match[0]), text)
    assert count == 2 * len(lines) and "@" not in hidden
    assert len(re.split(r"\s+", text)) == 7 * len(lines)

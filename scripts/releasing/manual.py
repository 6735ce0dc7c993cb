"""Makes the manual page of the executable from its own `--help` (man(7))."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from releasing.project import Project

# Prints what the executable prints with these words.
Ask = Callable[..., str]


def page(project: Project, ask: Ask) -> str:
    """The page serpentarium(1): the help of the executable and of each command."""
    overview = ask("--help")
    day = datetime.fromtimestamp(project.time, UTC).date()
    lines = [
        f'.TH {project.name.upper()} 1 "{day}" "{project.name} {project.version}" "User Commands"',
        ".SH NAME",
        f"{project.name} \\- runs untrusted Python under limits",
        ".SH DESCRIPTION",
        *_plain(overview),
    ]
    for command in commands(overview):
        lines += [f'.SH "{project.name} {command}"', *_plain(ask(command, "--help"))]
    return "\n".join(lines) + "\n"


def commands(overview: str) -> list[str]:
    """The names of all commands in the overview, but `help`."""
    section = overview.partition("Commands:\n")[2].partition("\n\n")[0]
    names = re.findall(r"(?m)^  (\w+)", section)
    return [name for name in names if name != "help"]


def _plain(text: str) -> Iterator[str]:
    """The text as it is: no filling of lines, and no character that roff reads."""
    yield ".nf"
    for line in text.rstrip().splitlines():
        escaped = line.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
        yield f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped
    yield ".fi"

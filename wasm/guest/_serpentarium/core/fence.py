"""Takes off the fence that Markdown puts around code."""

import re

_FENCED = re.compile(
    r"\A(?P<before>\s*?)(?P<mark>```+|~~~+)[ \t]*[\w+.-]*[ \t]*\n"
    r"(?P<code>.*\n)?[ \t]*(?P=mark)[ \t]*\s*\Z",
    re.DOTALL,
).match


def without_fence(text: str) -> str | None:
    """Returns the code inside a fence around the whole text; None if there is no such fence.

    The lines keep their numbers.
    """
    found = _FENCED(text.replace("\r\n", "\n"))
    if found is None:
        return None
    code = found["code"] or ""
    return None if found["mark"] in code else f"{found['before']}\n{code}"

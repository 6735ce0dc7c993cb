"""Whether what came is what was expected: JSON values are equal, and `…` stands for anything.

In a text, each `…` stands for any characters, none included. A value that is `"…"` alone stands for any value.
"""

ANYTHING = "…"


def fits(pattern, value):
    """Whether a value is as a pattern says."""
    if pattern == ANYTHING:
        return True
    if isinstance(pattern, str):
        return isinstance(value, str) and text_fits(pattern, value)
    if isinstance(pattern, dict):
        return (
            isinstance(value, dict)
            and pattern.keys() == value.keys()
            and all(fits(pattern[k], value[k]) for k in pattern)
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(pattern) == len(value)
            and all(map(fits, pattern, value))
        )
    # Python takes True for 1; JSON does not. The integer 1 and the decimal 1.0 are one number in both.
    return isinstance(pattern, bool) == isinstance(value, bool) and pattern == value


def text_fits(pattern, text):
    """Whether a text is as a pattern says."""
    first, *others = pattern.split(ANYTHING)
    if not others:
        return pattern == text
    last = others.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    rest = text[len(first) : len(text) - len(last)]
    for part in others:
        at = rest.find(part)
        if at < 0:
            return False
        rest = rest[at + len(part) :]
    return True

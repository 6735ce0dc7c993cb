"""Compares JSON values with patterns.

In a string, each `…` matches any characters, including none. A pattern that is `"…"` alone matches
any value. Everything else must be equal.
"""

ANYTHING = "…"


def fits(pattern: object, value: object) -> bool:
    """Whether a value matches a pattern."""
    if pattern == ANYTHING:
        return True
    if isinstance(pattern, str):
        return isinstance(value, str) and text_fits(pattern, value)
    if isinstance(pattern, dict):
        return (
            isinstance(value, dict)
            and pattern.keys() == value.keys()
            and all(fits(pattern[key], value[key]) for key in pattern)
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(pattern) == len(value)
            and all(map(fits, pattern, value))
        )
    # Python has True == 1, JSON does not. 1 and 1.0 are the same number in both.
    return isinstance(pattern, bool) == isinstance(value, bool) and pattern == value


def text_fits(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern."""
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

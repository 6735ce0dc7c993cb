"""Files that n8n stores: their `data` is a word, such as `filesystem-v2`, and no base64.

`base64.b64decode` drops characters that are not of its alphabet, so it makes bytes of such a word.
Code written for files in memory would go on with them, mostly without an error.
"""

import base64
from functools import wraps
from typing import Any

from _serpentarium.n8n.running import as_dict

# The name by which code uses the function that is guarded.
DECODER = "b64decode"

_members = vars(base64)
_decode = base64.b64decode


def find(items: list[Any]) -> dict[str, tuple[int, str]]:
    """Returns the first stored file for each word: item and property."""
    found: dict[str, tuple[int, str]] = {}
    for index, item in enumerate(items):
        for name, file in as_dict(as_dict(item).get("binary")).items():
            word = as_dict(file).get("data")
            if type(word) is str and as_dict(file).get("id"):
                found.setdefault(word, (index, name))
    return found


def explain(word: str, index: int, name: str) -> str:
    """Returns what the word is, and how to get the bytes."""
    return (
        f"{word!r} is not base64: n8n stores the file {name!r} of item {index}, and its data is "
        f"only this word. _helpers.get_binary_data({index}, {name!r}) returns the bytes"
    )


def guard(items: list[Any]) -> None:
    """Replaces `base64.b64decode` if there are stored files."""
    files = find(items)
    if not files:
        return

    @wraps(_decode)
    def b64decode(s: Any, altchars: Any = None, validate: bool = False) -> bytes:
        word = s.decode("latin-1") if isinstance(s, (bytes, bytearray)) else s
        if isinstance(word, str) and word in files:
            raise ValueError(explain(word, *files[word]))
        return _decode(s, altchars, validate)

    _members[DECODER] = b64decode


def reset() -> None:
    """Restores the function after a rehearsal or a test."""
    _members[DECODER] = _decode

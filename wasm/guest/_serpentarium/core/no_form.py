"""The error of a value that has no JSON form, with the path to it."""

from typing import Any

from _serpentarium.core.task_error import TaskError

# Keys that the path of an error shows, and characters of a key.
_PATH_KEYS = 20
_KEY_TEXT = 50


class NoForm(TaskError):
    """A value that has no JSON form. The report shows its keys from the number `skip` on."""

    def __init__(self, what: str, keys: list[Any], description: str) -> None:
        super().__init__(what, keys, description)
        self.skip = 0

    def __str__(self) -> str:
        what, keys, description = self.args
        path = path_text(keys[self.skip :])
        return f"{what} {path}: {description}" if path else f"{what}: {description}"


def path_text(keys: list[Any]) -> str:
    """Formats the keys to a value: `[0].json.total`. Shows the end of a long path."""
    text = "".join([_key_text(key) for key in keys[-_PATH_KEYS:]])
    return f"…{text}" if len(keys) > _PATH_KEYS else text.removeprefix(".")


def _key_text(key: Any) -> str:
    kind = type(key)
    if kind is str and key.isidentifier() and len(key) <= _KEY_TEXT:
        return f".{key}"
    if kind is str:
        return f"[{key[:_KEY_TEXT]!r}{'…' if len(key) > _KEY_TEXT else ''}]"
    if kind in (int, float, bool) or key is None:
        return f"[{str(key)[:_KEY_TEXT]}]"
    return f"[<{kind.__name__[:_KEY_TEXT]}>]"

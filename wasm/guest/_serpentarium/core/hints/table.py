"""The rows by type of error, and the hint for one error."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from _serpentarium.core.hints.clue import Clue

# Characters of a hint: some lines in n8n's panel.
MAX_HINT = 600

Row: TypeAlias = Callable[[Any, Clue], str | None]
_AnyRow = TypeVar("_AnyRow", bound=Row)

# By the id of the type: a metaclass of user code can define `__hash__`.
_rows: dict[int, list[Row]] = {}
_mro = type.__dict__["__mro__"]


def row(*kinds: type[BaseException]) -> Callable[[_AnyRow], _AnyRow]:
    """Registers a row for these types of error and their subclasses. The first hint wins."""

    def add(make: _AnyRow) -> _AnyRow:
        for kind in kinds:
            _rows.setdefault(id(kind), []).append(make)
        return make

    return add


def hint(error: BaseException) -> str | None:
    """Returns the hint for an error that is being reported; None if there is none."""
    clue = Clue(error)
    for kind in _mro.__get__(type(error)):
        for make in _rows.get(id(kind), ()):
            try:
                text = make(error, clue)
            except BaseException:
                continue
            if text:
                return text if len(text) <= MAX_HINT else text[: MAX_HINT - 1] + "…"
    return None

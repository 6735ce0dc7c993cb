"""Gives JSON forms to values that JSON does not know. docs/python.md has the table.

The encoders in C handle plain values, so only results with other values come here. User objects are
hostile: their methods raise and lie. Forms therefore depend on the type alone, and an exception of
a user's method fails the task with its own traceback.
"""

import asyncio
from array import array
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MappingView, Set
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from math import isfinite
from sys import getrecursionlimit as _recursion_limit
from sys import setrecursionlimit as _set_recursion_limit
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from _serpentarium.core import exits, kinds
from _serpentarium.core.no_form import NoForm
from _serpentarium.core.task_error import Circular, TaskError

# Levels of lists and dicts, the host's limit (src/sandbox/answer.rs).
_MOST_LEVELS = 1_000
# Python frames: two for each level, and as many for the user's generators.
_FRAMES = 4_000
# Values of one iterator. Endless ones then fail with a message instead of exhausting the memory.
_MOST_VALUES = 1_000_000
_ENDLESS = f"more than {_MOST_VALUES:,} values, perhaps without end; return a list"
# Integers from here on can exceed the limit of digits, which `sys.set_int_max_str_digits` changes.
_HUGE = 10**600

# Types whose values are copied as they are, if they are members.
_SCALARS = frozenset((str, bool, type(None)))
# Types of most results. A look-up of an attribute that a type lacks costs more.
_SETTLED = _SCALARS | {int, float, list, tuple, dict}

# The methods of classes that define none.
_NO_TEXT: Any = object.__str__
_NO_REPR: Any = object.__repr__

# Types whose `str` is data, which no user code makes.
_TEXTS: dict[type, Callable[[Any], str]] = dict.fromkeys(
    (datetime, date, time, timedelta, timezone, Decimal, Fraction, UUID, complex, ZoneInfo), str
)
_text_of = _TEXTS.get


def _sorted(values: Any) -> list[Any]:
    """Sorts a set; keeps its order if its values have none."""
    taken = [*values]
    try:
        return sorted(taken)
    except Exception:
        return taken


def _short_range(values: range) -> list[int]:
    if values and (abs(values[-1] - values[0]) // abs(values.step)) >= _MOST_VALUES:
        raise TypeError
    return [*values]


# Types whose values are a list, which no user code makes.
_LISTS: dict[type, Callable[[Any], list[Any]]] = {
    **dict.fromkeys((deque, array, type({}.keys()), type({}.values()), type({}.items())), list),
    set: _sorted,
    frozenset: _sorted,
    range: _short_range,
}
_list_of = _LISTS.get


def quick(value: object) -> Any:
    """The form of common values, for the encoder in C; TypeError for others, which need `plain`.

    Nothing is consumed, since `plain` can follow.
    """
    kind = type(value)
    form = _text_of(kind) or _list_of(kind)
    if form is not None:
        return form(value)
    if issubclass(kind, Enum):
        return cast(Any, value)._value_
    fields = getattr(kind, "__dataclass_fields__", None)
    if type(fields) is dict:
        try:
            return {name: getattr(value, name) for name in fields}
        except Exception:
            pass
    raise TypeError


def plain(value: Any, what: str = "Result") -> Any:
    """Copies a value into dicts, lists and values that the encoder accepts.

    Errors call the value `what`. Raises `NoForm`, `Circular`, `TaskError`, and what user code
    raises.
    """
    return _Copy(what).of(value)


def keys_of(error: BaseException) -> list[Any]:
    """Returns the keys to the value whose conversion raised an error; empty if none did."""
    return failed.keys if failed.error is error else []


class _Failed:
    """The last failed conversion."""

    __slots__ = ("error", "keys")

    error: BaseException | None
    keys: list[Any]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.error, self.keys = None, []


failed = _Failed()


class _Copy:
    """One conversion."""

    __slots__ = ("_inside", "_keys", "_taken", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        # Keys to the current value, and the ids of the containers around it.
        self._keys: list[Any] = []
        self._inside: set[int] = set()
        # Values of iterators, by id: an iterator that occurs twice has the same values twice.
        self._taken: dict[int, tuple[Any, list[Any]]] = {}

    def of(self, value: Any) -> Any:
        """Copies a value and remembers where that failed."""
        limit = _recursion_limit()
        _set_recursion_limit(max(limit, _FRAMES))
        try:
            return self._copy(value)
        except RecursionError:
            raise TaskError(f"{self._what} is nested too deeply") from None
        except BaseException as error:
            failed.error, failed.keys = error, self._keys
            raise
        finally:
            _set_recursion_limit(limit)

    def _copy(self, value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            return value if -_HUGE < value < _HUGE else self._huge(value)
        if kind is float:
            return value if isfinite(value) else None
        if kind is dict:
            return self._members(value, value.items())
        if kind is list or kind is tuple:
            return self._values(value, value)
        form = _text_of(kind)
        return self._other(value, kind) if form is None else form(value)

    def _members(self, value: Any, members: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        keys = self._enter(value)
        copy: dict[Any, Any] = {}
        # A list: the conversion of a member can change its dict.
        for key, member in [*members]:
            if type(key) is str and type(member) in _SCALARS:
                copy[key] = member
                continue
            keys.append(key)
            copy[self._key(key)] = self._copy(member)
            keys.pop()
        self._inside.discard(id(value))
        return copy

    def _values(self, value: Any, values: Iterable[Any]) -> list[Any]:
        keys = self._enter(value)
        copy: list[Any] = []
        for index, member in enumerate(values):
            if type(member) in _SCALARS:
                copy.append(member)
                continue
            keys.append(index)
            copy.append(self._copy(member))
            keys.pop()
        self._inside.discard(id(value))
        return copy

    def _enter(self, value: Any) -> list[Any]:
        if id(value) in self._inside:
            raise Circular(self._what)
        if len(self._keys) > _MOST_LEVELS:
            raise TaskError(f"{self._what} is nested too deeply")
        self._inside.add(id(value))
        return self._keys

    def _other(self, value: Any, kind: type) -> Any:
        """Copies a value of any other type."""
        if issubclass(kind, Enum):
            return self._copy(value._value_)
        if issubclass(kind, str):
            return str.__str__(value)
        if issubclass(kind, int):
            return self._copy(int.__pos__(value))
        if issubclass(kind, float):
            return self._copy(float.__pos__(value))
        if issubclass(kind, Mapping):
            return self._members(value, value.items())
        if issubclass(kind, (list, tuple)):
            return self._values(value, value)
        if issubclass(kind, (bytes, bytearray, memoryview)) and self._is_binary_data():
            return b64encode(value).decode()
        description = kinds.without_form(value, kind)
        if description is not None:
            raise self._no_form(description)
        return self._object(value, kind)

    def _object(self, value: Any, kind: type) -> Any:
        """Copies an object by its fields, its text, its values or its attributes."""
        fields = getattr(kind, "__dataclass_fields__", None)
        if type(fields) is dict:
            members = [(name, getattr(value, name)) for name in fields if hasattr(value, name)]
            return self._members(value, members)
        if issubclass(kind, SimpleNamespace):
            return self._members(value, vars(value).items())
        if issubclass(kind, BaseException):
            text = str(value)
            return text if text.strip() else kind.__name__
        values = self._iterated(value, kind)
        if values is not None:
            return self._values(value, values)
        if kind.__str__ is not _NO_TEXT:
            return str.__str__(str(value))
        return self._described(value, kind)

    def _iterated(self, value: Any, kind: type) -> Iterable[Any] | None:
        """Returns the values of an iterable object; None for others, and for one with a text."""
        if issubclass(kind, Set) and not issubclass(kind, MappingView):
            return _sorted(value)
        form = _list_of(kind)
        if form is not None and kind is not range:
            return form(value)
        if issubclass(kind, memoryview):
            return cast(list[Any], value.tolist())
        if issubclass(kind, MappingView):
            return [*value]
        has_text = kind.__str__ is not _NO_TEXT
        if hasattr(kind, "__next__") or (hasattr(kind, "__iter__") and not has_text):
            if id(value) not in self._taken:
                self._taken[id(value)] = value, self._take(value)
            return self._taken[id(value)][1]
        return None

    def _take(self, values: Iterable[Any]) -> list[Any]:
        taken = list(islice(values, _MOST_VALUES + 1))
        if len(taken) > _MOST_VALUES:
            raise self._no_form(_ENDLESS)
        return taken

    def _described(self, value: Any, kind: type) -> Any:
        """Copies an object without a text of its own: by its public attributes, or its `repr`."""
        attributes = kinds.attributes(value, kind)
        if attributes:
            return self._members(value, attributes)
        # C types without `__str__`, for example slices, can have a `repr` that is data.
        text = "<" if kind.__repr__ is _NO_REPR else str(value)
        if text.startswith("<"):
            raise self._no_form(kinds.an_object(value, kind))
        return text

    def _key(self, key: Any) -> Any:
        """Returns the key to write: those of JSON, the names of others."""
        kind = type(key)
        if kind is str or kind is int or kind is bool or key is None:
            return key
        if issubclass(kind, Enum):
            return self._key(key._value_)
        if issubclass(kind, str):
            return str.__str__(key)
        if issubclass(kind, int):
            return int.__pos__(key)
        if issubclass(kind, float):
            return key if isfinite(key) else name_of(key)
        if issubclass(kind, tuple):
            return str(tuple([self._key(part) for part in key]))
        form = _text_of(kind)
        if form is not None:
            return form(key)
        if kind.__str__ is _NO_TEXT or kinds.without_form(key, kind) is not None:
            raise self._no_form("a key that is no text; use str, int or a date as the key")
        return str.__str__(str(key))

    def _huge(self, number: int) -> int:
        try:
            str(number)
        except ValueError:
            raise self._no_form("an integer with too many digits; return it as text") from None
        return number

    def _is_binary_data(self) -> bool:
        """Whether the current value is the `data` of an item's binary data."""
        keys = self._keys[:]
        if len(keys) == 4 and type(keys[0]) is int:
            del keys[0]
        return len(keys) == 3 and keys[0] == "binary" and keys[2] == "data"

    def _no_form(self, description: str) -> NoForm:
        return NoForm(self._what, self._keys, description)


def name_of(number: float) -> str:
    """Returns the key that `json` writes for a number that is not finite."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


_run_loop = asyncio.run


def settle(value: Any) -> Any:
    """Awaits a returned coroutine, task or future, and collects an asynchronous generator."""
    kind = type(value)
    if kind in _SETTLED:
        return value
    if hasattr(kind, "__await__") or hasattr(kind, "__anext__"):
        try:
            return _run_loop(finish(value))
        except SystemExit as error:
            exits.check(error)
            return None
    return value


async def finish(value: Any) -> Any:
    """Returns the value that an awaitable finally gives."""
    while hasattr(type(value), "__await__"):
        value = await value
    if hasattr(type(value), "__anext__"):
        return [member async for member in _bounded(value)]
    return value


async def _bounded(values: Any) -> AsyncIterator[Any]:
    count = 0
    async for value in values:
        count += 1
        if count > _MOST_VALUES:
            raise NoForm("Result", [], _ENDLESS)
        yield value

"""Base class of the objects that user code is given.

The image strips docstrings (`optimize=2`). A text that `help` shows is therefore passed to
`documented`, or assigned to a class's `__doc__`.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def documented(text: str) -> Callable[[_Function], _Function]:
    """Sets the docstring of a function, which `help` shows."""

    def attach(function: _Function) -> _Function:
        function.__doc__ = text
        return function

    return attach


def camel_case(name: str) -> str:
    """Converts a name to the spelling of n8n's JavaScript: `_run_index` becomes `_runIndex`."""
    bare = name.lstrip("_")
    first, *others = bare.split("_")
    return name[: len(name) - len(bare)] + first + "".join([word.capitalize() for word in others])


class ApiObject:
    """An object of n8n's API. Each public member is also available in JavaScript's spelling.

    Members are also items: `_execution["id"]` is `_execution.id`.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        for name, member in [*vars(cls).items()]:
            if name[0] != "_" and "_" in name:
                setattr(cls, camel_case(name), member)

    def __dir__(self) -> list[str]:
        """Lists the public members in Python's spelling only."""
        names = {name for kind in type(self).__mro__[:-1] for name in vars(kind) if name[0] != "_"}
        return sorted(names - {camel_case(name) for name in names if "_" in name})

    def _label(self) -> str:
        """The object as user code names it."""
        return (type(self).__doc__ or "").partition(":")[0]

    def __getattr__(self, name: str) -> Any:
        # Called only for names that do not exist. Protocols such as `copy` look for `__…__`.
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        if not name.startswith("__"):
            text = f"{self._label()} has no {name!r}{self._advice(name)}. It has {members(self)}"
        raise AttributeError(text, name=name, obj=self)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and _has(self, key):
            return getattr(self, key)
        if not isinstance(key, str):
            # `for … in` comes here too, with 0 (the old sequence protocol).
            raise TypeError(f"{self._label()} is no list. It has {members(self)}")
        raise KeyError(f"{self._label()} has no {key!r}. It has {members(self)}")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and _has(self, key)

    def _advice(self, name: str) -> str:
        """What to write instead of a member that does not exist: a clause, or nothing."""
        return ""


def _has(thing: ApiObject, name: str) -> bool:
    return name[:1] != "_" and hasattr(type(thing), name)


def members(thing: object) -> str:
    """Lists the members of an object for people; functions have parentheses."""
    kind = type(thing)
    return ", ".join(
        [
            f"{name}()" if callable(member) and not isinstance(member, type) else name
            for name in dir(thing)
            for member in [inspect.getattr_static(kind, name, None)]
        ]
    )

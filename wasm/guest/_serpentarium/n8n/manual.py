"""What the objects that user code is given have in common: their names, and what `help` says of them.

The image keeps no docstrings, so a text that users are to see is given to `documented`, or is a class's `__doc__`.
"""

import builtins
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

_MODULES_OF_TYPES = re.compile(r"\b(?:collections\.abc|typing)\.")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def documented(text: str) -> Callable[[_Function], _Function]:
    """Gives a function the text that `help` shows of it."""

    def attach(function: _Function) -> _Function:
        function.__doc__ = text
        return function

    return attach


def camel_case(name: str) -> str:
    """The spelling of n8n's JavaScript: `_run_index` is `_runIndex`."""
    bare = name.lstrip("_")
    first, *others = bare.split("_")
    return name[: len(name) - len(bare)] + first + "".join([word.capitalize() for word in others])


class ApiObject:
    """An object that user code is given. Every public member of a subclass also has the name that JavaScript knows."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        for name, member in [*vars(cls).items()]:
            if name[0] != "_" and "_" in name:
                setattr(cls, camel_case(name), member)

    def __dir__(self) -> list[str]:
        """The public members, each once."""
        names = {name for kind in type(self).__mro__[:-1] for name in vars(kind) if name[0] != "_"}
        return sorted(names - {camel_case(name) for name in names if "_" in name})


class Help:
    """The built-in `help`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "help(object) says what an object is for, for example help(_helpers)"

    def __call__(self, *things: object) -> None:
        # Large, and rarely needed.
        import pydoc

        if not things:
            sys.stdout.write(f"{self!r}\n")
        for thing in things:
            if isinstance(thing, ApiObject):
                text = _describe(thing)
            else:
                # A text would be taken for the name of a module to import.
                text = pydoc.plain(pydoc.render_doc(str if isinstance(thing, str) else thing))
            sys.stdout.write(text.rstrip("\n") + "\n")


def _describe(thing: ApiObject) -> str:
    """An object and its members, with their texts."""
    kind = type(thing)
    parts = [inspect.cleandoc(kind.__doc__ or "")]
    if callable(thing):
        parts.append(_entry("", kind.__call__))
    parts += [_entry(name, inspect.getattr_static(kind, name)) for name in dir(thing)]
    return "\n\n".join(parts)


def _entry(name: str, member: Any) -> str:
    """A member as it is written, and what it is for."""
    heading = f".{name}" if name else ""
    if callable(member) and not isinstance(member, type):
        _self, *parameters = inspect.signature(member).parameters.values()
        heading += _MODULES_OF_TYPES.sub("", str(inspect.Signature(parameters)))
    lines = inspect.cleandoc(member.__doc__ or "").splitlines()
    return "\n".join([heading, *[f"    {line}".rstrip() for line in lines]])


def install() -> None:
    """Gives the interpreter this `help`."""
    builtins.help = Help()  # type: ignore[assignment]

"""Base class of the objects that user code is given, and the built-in `help` for them.

The image strips docstrings (`optimize=2`). A text that `help` shows is therefore passed to
`documented`, or assigned to a class's `__doc__`.
"""

import builtins
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

_TYPE_MODULES = re.compile(r"\b(?:collections\.abc|typing)\.")

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
    """An object of n8n's API. Each public member is also available in JavaScript's spelling."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        for name, member in [*vars(cls).items()]:
            if name[0] != "_" and "_" in name:
                setattr(cls, camel_case(name), member)

    def __dir__(self) -> list[str]:
        """Lists the public members in Python's spelling only."""
        names = {name for kind in type(self).__mro__[:-1] for name in vars(kind) if name[0] != "_"}
        return sorted(names - {camel_case(name) for name in names if "_" in name})


class Help:
    """The built-in `help`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "help(object) describes an object, for example help(_helpers)"

    def __call__(self, *things: object) -> None:
        # Imported late: pydoc is large, and few tasks call `help`.
        import pydoc

        if not things:
            sys.stdout.write(f"{self!r}\n")
        for thing in things:
            if isinstance(thing, ApiObject):
                text = _describe(thing)
            else:
                # pydoc would import the module that a str names.
                text = pydoc.plain(pydoc.render_doc(str if isinstance(thing, str) else thing))
            sys.stdout.write(text.rstrip("\n") + "\n")


def _describe(thing: ApiObject) -> str:
    """Formats the texts of an object and its members."""
    kind = type(thing)
    parts = [inspect.cleandoc(kind.__doc__ or "")]
    if callable(thing):
        parts.append(_entry("", kind.__call__))
    parts += [_entry(name, inspect.getattr_static(kind, name)) for name in dir(thing)]
    return "\n\n".join(parts)


def _entry(name: str, member: Any) -> str:
    """Formats the signature and the text of one member."""
    heading = f".{name}" if name else ""
    if callable(member) and not isinstance(member, type):
        _self, *parameters = inspect.signature(member).parameters.values()
        heading += _TYPE_MODULES.sub("", str(inspect.Signature(parameters)))
    lines = inspect.cleandoc(member.__doc__ or "").splitlines()
    return "\n".join([heading, *[f"    {line}".rstrip() for line in lines]])


def install() -> None:
    """Replaces the built-in `help`."""
    vars(builtins)["help"] = Help()

"""Kinds of values that are no data, and the words for them in errors."""

import functools
import sys
import types
from collections.abc import Iterable
from io import IOBase
from typing import Any

_FUNCTIONS = (
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    functools.partial,
    type(functools.lru_cache(abs)),
)
# Flags of code objects (`inspect.CO_*`): coroutines.
_COROUTINE = 0x80
_NAME = type.__dict__["__name__"]
_MODULE = type.__dict__["__module__"]
# Characters of a name in an error.
_MOST = 60


def without_form(value: Any, kind: type) -> str | None:
    """Describes a value that is no data, and says what to do; None for other values."""
    if kind is types.FunctionType:
        return _function(value)
    if issubclass(kind, _FUNCTIONS):
        return f"a {_name(kind)}; call it"
    if issubclass(kind, type):
        return f"the class {_name(value)}; make an instance: {_name(value)}()"
    if issubclass(kind, types.ModuleType):
        return "a module; return a value of it"
    if hasattr(kind, "__await__"):
        return f"a {_name(kind)}; await it"
    if hasattr(kind, "__anext__"):
        return "an asynchronous generator; collect it: [value async for value in …]"
    if issubclass(kind, (bytes, bytearray)):
        return f"{_name(kind)}; make it text: .decode(), .hex() or base64.b64encode(…).decode()"
    if issubclass(kind, IOBase):
        return f"a file object ({_name(kind)}); return its content: .getvalue() or .read()"
    if value is ...:
        return "an ellipsis (...); put a value in its place"
    return None


def _function(value: Any) -> str:
    name = value.__name__[:_MOST]
    if value.__code__.co_flags & _COROUTINE:
        return f"a coroutine function; call it and await the result: await {name}()"
    if name == "<lambda>":
        return "a lambda; call it"
    return f"a function; call it: {name}()"


def an_object(value: Any, kind: type) -> str:
    """Describes an object by its class."""
    if callable(value):
        return f"a {_name(kind)}; call it"
    return f"an object of the class {_name(kind)}; return its values"


def _name(kind: type) -> str:
    return str(_NAME.__get__(kind))[:_MOST]


def is_user_type(kind: type) -> bool:
    """Whether a class is neither built in nor in the standard library."""
    module = _MODULE.__get__(kind)
    if type(module) is not str:
        return True
    top = module.partition(".")[0]
    return top != "builtins" and top not in sys.stdlib_module_names


def attributes(value: Any, kind: type) -> list[tuple[str, Any]]:
    """Lists the public attributes of an object of a user's class; empty for other objects."""
    if not is_user_type(kind):
        return []
    names: Iterable[str] = getattr(value, "__dict__", ())
    slots = [vars(base).get("__slots__", ()) for base in reversed(kind.__mro__)]
    names = [*(name for some in slots for name in ([some] if type(some) is str else some)), *names]
    public = [name for name in names if type(name) is str and name[:1] != "_"]
    return [(name, getattr(value, name)) for name in dict.fromkeys(public) if hasattr(value, name)]

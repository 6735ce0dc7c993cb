"""Evaluates an expression of the user's text again, if that runs no code of the user."""

import ast
from collections.abc import Mapping
from types import FrameType, MappingProxyType
from typing import Any

# Methods and properties of the objects that the other packages give to code, by type: reading them
# has no effect.
PURE: dict[type, frozenset[str]] = {}

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_CONTAINERS = (dict, list, tuple)
_KEYS = (str, int)


class Unsure(Exception):
    """The value cannot be known without running the user's code."""


def evaluate(node: ast.AST, frame: FrameType, more: Mapping[str, Any] = _NOTHING) -> Any:
    """Evaluates names, subscripts of plain containers, and `PURE` members. Raises `Unsure`.

    `more`: names beside those of the frame.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            for names in (more, frame.f_locals, frame.f_globals):
                if name in names:
                    return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
        case ast.Subscript(value=inner, slice=index):
            owner, key = evaluate(inner, frame, more), evaluate(index, frame, more)
            if type(owner) in _CONTAINERS and type(key) in _KEYS:
                return owner[key]
            if "__getitem__" in PURE.get(type(owner), ()):
                return owner[key]
        case ast.Attribute(value=inner, attr=name):
            owner = evaluate(inner, frame, more)
            if name in PURE.get(type(owner), ()):
                return getattr(owner, name)
        case ast.Call(func=ast.Attribute() as function, args=[], keywords=[]):
            return evaluate(function, frame, more)()
    raise Unsure


def names_of(node: ast.AST, most: int = 50) -> str:
    """Returns the source of an expression, to name it in a hint; empty if it is long."""
    text = ast.unparse(node)
    return text if len(text) <= most and "\n" not in text else ""

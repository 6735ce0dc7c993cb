"""Finds which of n8n's names a program mentions, and which data they need."""

import ast
import dis
import re
from types import CodeType
from typing import TypeGuard

from _serpentarium.core import code

# Functions that access names which the code does not contain as identifiers.
DYNAMIC = frozenset({"__main__", "eval", "exec", "globals", "locals", "vars"})

_NODES = frozenset({"_node", "_"})
# Their members have the same names but belong to no node.
_NOT_NODES = frozenset({"_input"})
# Members that follow `pairedItem` backwards: they need the data of all nodes in between.
_PAIRED = frozenset({"item", "item_matching", "itemMatching", "paired_item", "pairedItem"})

# Instructions that read a global name, or a name that can be global (in a class body).
_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})

_words = re.compile(r"\w+").findall


def quick(body: CodeType, names: frozenset[str]) -> frozenset[str]:
    """Returns the names that compiled code contains, as a name or as an attribute."""
    found = names.intersection(body.co_names)
    for constant in body.co_consts:
        if type(constant) is CodeType:
            found |= quick(constant, names)
    return found


def reads(body: CodeType) -> set[str]:
    """Returns the global names that compiled code reads: no attributes, no local variables."""
    found = {step.argval for step in dis.get_instructions(body) if step.opname in _READS}
    for constant in body.co_consts:
        if type(constant) is CodeType:
            found |= reads(constant)
    return found


def words(text: str) -> list[str]:
    """Returns all words of a text, each of which can be a name."""
    return _words(text)


class Mentions:
    """The candidates that a program reads as names, and the nodes whose data it needs."""

    __slots__ = ("every_node", "names", "nodes")

    def __init__(self, text: str, candidates: frozenset[str]) -> None:
        self.names: set[str] = set()
        self.nodes: set[str] = set()
        # Whether some node names are unknown, or `pairedItem` has to be followed.
        self.every_node = False
        self._look(code.parse(text), candidates, _NODES & candidates)
        if candidates & DYNAMIC:
            self.names |= candidates.intersection(words(text))
            self.every_node |= bool(self.names & _NODES)

    def _look(self, tree: ast.AST, candidates: frozenset[str], nodes: frozenset[str]) -> None:
        named: set[int] = set()
        followed: set[int] = set()
        kept, follows = False, False
        # Breadth-first: an outer expression precedes its parts.
        for node in ast.walk(tree):
            found = _named(node, nodes)
            if found is not None:
                base, name = found
                self.nodes.add(name)
                named.add(id(base))
                kept |= id(node) not in followed
            elif isinstance(node, (ast.Attribute, ast.Subscript)):
                is_paired = _member(node) in _PAIRED
                if _named(node.value, nodes) is not None:
                    followed.add(id(node.value))
                    self.every_node |= is_paired
                elif is_paired and not _is_input(node.value):
                    follows = True
            elif _is_read(node, candidates):
                self.names.add(node.id)
                self.every_node |= node.id in nodes and id(node) not in named
        # A node in a variable: its members cannot be seen here.
        self.every_node |= kept and follows


def _is_read(node: ast.AST, names: frozenset[str]) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names


def _member(node: ast.Attribute | ast.Subscript) -> object:
    """Returns the name in `x.name` or `x["name"]`, or another constant key; None otherwise."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.slice.value if isinstance(node.slice, ast.Constant) else None


def _named(node: ast.AST, nodes: frozenset[str]) -> tuple[ast.Name, str] | None:
    """Splits `_node["name"]` and `_node("name")`; None for any other expression."""
    if isinstance(node, ast.Subscript):
        base, key = node.value, node.slice
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        base, key = node.func, node.args[0]
    else:
        return None
    if not (isinstance(base, ast.Name) and base.id in nodes and isinstance(key, ast.Constant)):
        return None
    return (base, key.value) if type(key.value) is str else None


def _is_input(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _NOT_NODES

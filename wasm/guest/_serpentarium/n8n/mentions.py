"""Which of the names that n8n offers a piece of code mentions, and what data it needs for them."""

import ast
import dis
import re
from types import CodeType

from _serpentarium.core import code

# Names by which code may come to others that are not written in it as names.
DYNAMIC = frozenset({"eval", "exec", "globals", "vars"})

_NODES = frozenset({"_node", "_"})
# Their members of the same names are something else.
_NO_NODES = frozenset({"_input"})
# What follows the connections back from item to item, and so needs the nodes in between.
_PAIRED = frozenset({"item", "item_matching", "itemMatching", "paired_item", "pairedItem"})

# What reads a global name, or in the body of a class one that may be.
_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})

_words = re.compile(r"\w+").findall


def quick(body: CodeType, names: frozenset[str]) -> frozenset[str]:
    """Those of the names that compiled code mentions, perhaps as an attribute only."""
    found = names.intersection(body.co_names)
    for constant in body.co_consts:
        if type(constant) is CodeType:
            found |= quick(constant, names)
    return found


def reads(body: CodeType) -> set[str]:
    """The names that compiled code reads as global ones: no attributes, parameters or variables of a function."""
    found = {step.argval for step in dis.get_instructions(body) if step.opname in _READS}
    for constant in body.co_consts:
        if type(constant) is CodeType:
            found |= reads(constant)
    return found


def words(text: str) -> list[str]:
    """Everything in a text that may be a name."""
    return _words(text)


class Mentions:
    """A thorough look at a text: which of the candidates it reads as names, and the nodes whose data it needs."""

    __slots__ = ("every_node", "names", "nodes")

    def __init__(self, text: str, candidates: frozenset[str]) -> None:
        self.names: set[str] = set()
        self.nodes: set[str] = set()
        # Whether not all nodes are known by name, or the way between nodes matters.
        self.every_node = False
        self._look(code.parse(text), candidates, _NODES & candidates)
        if candidates & DYNAMIC:
            self.names |= candidates.intersection(words(text))
            self.every_node |= bool(self.names & _NODES)

    def _look(self, tree: ast.AST, candidates: frozenset[str], nodes: frozenset[str]) -> None:
        named: set[int] = set()
        followed: set[int] = set()
        kept, follows = False, False
        # What is outside comes before what is in it.
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                is_paired = node.attr in _PAIRED
                if _named(node.value, nodes) is not None:
                    followed.add(id(node.value))
                    self.every_node |= is_paired
                elif is_paired and not (isinstance(node.value, ast.Name) and node.value.id in _NO_NODES):
                    follows = True
            elif isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load) and node.id in candidates:
                    self.names.add(node.id)
                    self.every_node |= node.id in nodes and id(node) not in named
            else:
                found = _named(node, nodes)
                if found is not None:
                    base, name = found
                    self.nodes.add(name)
                    named.add(id(base))
                    kept |= id(node) not in followed
        # A node that is kept under a name of its own may be asked for anything later.
        self.every_node |= kept and follows


def _named(node: ast.AST, nodes: frozenset[str]) -> tuple[ast.Name, str] | None:
    """The two parts of `_node["name"]` and `_node("name")`; None for anything else."""
    if isinstance(node, ast.Subscript):
        base, key = node.value, node.slice
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        base, key = node.func, node.args[0]
    else:
        return None
    if isinstance(base, ast.Name) and base.id in nodes and isinstance(key, ast.Constant) and type(key.value) is str:
        return base, key.value
    return None

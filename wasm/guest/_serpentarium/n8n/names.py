"""n8n's names, which user code finds among its globals if it mentions them.

A program that mentions none of them pays for one search of its names.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from _serpentarium.core.current import Task
from _serpentarium.core.hints.names import N8N_NAMES
from _serpentarium.core.hints.values import PURE
from _serpentarium.n8n import hints as hints
from _serpentarium.n8n import stored, workflow
from _serpentarium.n8n.helpers import Helpers
from _serpentarium.n8n.manual import camel_case
from _serpentarium.n8n.mentions import DYNAMIC, quick, reads, words
from _serpentarium.n8n.nodes import Input, Node, Nodes, PrevNode
from _serpentarium.n8n.running import running

_objects: dict[str, object] = {
    "_helpers": Helpers(),
    "_input": Input(),
    "_node": Nodes(),
    "_prev_node": PrevNode(),
    "_workflow": workflow.Workflow(),
    "_execution": workflow.Execution(),
    "_vars": workflow.Variables(),
    "_env": workflow.Environment(),
    "_get_workflow_static_data": workflow.StaticData(),
    "_jmespath": workflow.JmesPath(),
}
_objects |= {camel_case(name): value for name, value in _objects.items()}
_objects |= {"_": _objects["_node"], "_jmesPath": _objects["_jmespath"]}

# Values that change with each item. `_requested` ones cost a call, so the code must read the name.
_plain: dict[str, Callable[[], object]] = {
    "_json": workflow.json,
    "_item_index": workflow.item_index,
}
_requested: dict[str, Callable[[], object]] = {
    "_now": workflow.now,
    "_today": workflow.today,
    "_run_index": workflow.run_index,
}
_plain |= {camel_case(name): value for name, value in _plain.items()}
_requested |= {camel_case(name): value for name, value in _requested.items()}

_NAMES = frozenset({*_objects, *_plain, *_requested})
_SEARCHED = _NAMES | DYNAMIC | {stored.DECODER}
_has_none = _SEARCHED.isdisjoint

# For hints: these names, and members that the code has read already. Reading them again asks n8n
# for nothing.
N8N_NAMES.update(_NAMES)
_READ = frozenset({"__getitem__", "all", "binary", "first", "item", "json", "last", "params"})
PURE.update({Input: _READ, Node: _READ, Nodes: _READ})


def named(name: str) -> object:
    """Returns the object that code finds under a name; None if there is none."""
    return _objects.get(name)


class Given:
    """The names that one task's code received."""

    __slots__ = ("_objects", "_values")

    def __init__(self, names: frozenset[str], body: CodeType) -> None:
        self._objects = {name: _objects[name] for name in names if name in _objects}
        self._values = {name: _plain[name] for name in names if name in _plain}
        if not names.isdisjoint(_requested):
            read = names if running.candidates & DYNAMIC else names & reads(body)
            self._values |= {name: _requested[name] for name in read if name in _requested}

    def renew(self, namespace: dict[str, Any]) -> None:
        """Sets the names for an item, among them those whose values change with each item."""
        namespace |= self._objects
        for name, value in self._values.items():
            namespace[name] = value()

    def effects(self) -> dict[str, Any]:
        """Returns the changes that n8n applies, beside the result."""
        return running.effects()


def _has_some(code: CodeType) -> bool:
    """Returns whether a function, or one inside of it, mentions one of the names."""
    if not _has_none(code.co_names):
        return True
    for constant in code.co_consts:
        if type(constant) is CodeType and _has_some(constant):
            return True
    return False


def give(task: Task, body: CodeType) -> Given | None:
    """Returns the names that the code mentions; None if there are none."""
    if _has_none(body.co_names):
        # Fast path: most programs mention none.
        for constant in body.co_consts:
            if type(constant) is CodeType and _has_some(constant):
                break
        else:
            return None
    found = quick(body, _SEARCHED)
    if not found.isdisjoint(DYNAMIC):
        found |= _NAMES.intersection(words(task.code))
    if stored.DECODER in found:
        stored.guard(running.items)
    names = found & _NAMES
    if not names:
        return None
    running.candidates = found
    return Given(names, body)

"""The names of n8n that user code may mention, and what it is given for those that it does.

Code that mentions none of them costs one look at the names in it.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from _serpentarium.n8n import workflow
from _serpentarium.n8n.helpers import Helpers
from _serpentarium.n8n.manual import camel_case
from _serpentarium.n8n.mentions import DYNAMIC, quick, reads, words
from _serpentarium.n8n.nodes import Input, Nodes, PrevNode
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

# Values are another for each item. Those of the second kind have to be asked for, so the code must truly read them.
_plain: dict[str, Callable[[], object]] = {"_json": workflow.json, "_item_index": workflow.item_index}
_asked: dict[str, Callable[[], object]] = {
    "_now": workflow.now,
    "_today": workflow.today,
    "_run_index": workflow.run_index,
}
_plain |= {camel_case(name): value for name, value in _plain.items()}
_asked |= {camel_case(name): value for name, value in _asked.items()}

_NAMES = frozenset({*_objects, *_plain, *_asked})
_LOOKED_FOR = _NAMES | DYNAMIC
_has_none = _LOOKED_FOR.isdisjoint


class Given:
    """What one task's code was given."""

    __slots__ = ("_namespace", "_values")

    def __init__(self, namespace: dict[str, Any], names: frozenset[str], body: CodeType) -> None:
        self._namespace = namespace
        namespace |= {name: _objects[name] for name in names if name in _objects}
        self._values = {name: _plain[name] for name in names if name in _plain}
        if not names.isdisjoint(_asked):
            read = names if running.candidates & DYNAMIC else names & reads(body)
            self._values |= {name: _asked[name] for name in read if name in _asked}

    def renew(self) -> None:
        """Sets what is another for each item."""
        for name, value in self._values.items():
            self._namespace[name] = value()

    def effects(self) -> dict[str, Any]:
        """What goes back to n8n beside the result."""
        return running.effects()


def _has_some(code: CodeType) -> bool:
    """Whether a function or what is in it mentions a name."""
    if not _has_none(code.co_names):
        return True
    for constant in code.co_consts:
        if type(constant) is CodeType and _has_some(constant):
            return True
    return False


def give(task: Any, body: CodeType) -> Given | None:
    """Puts into the task's namespace what its code mentions; None where that is nothing."""
    if _has_none(body.co_names):
        # Nearly all tasks end here: no name, and no function that has one.
        for constant in body.co_consts:
            if type(constant) is CodeType and _has_some(constant):
                break
        else:
            return None
    found = quick(body, _LOOKED_FOR)
    if not found.isdisjoint(DYNAMIC):
        found |= _NAMES.intersection(words(task.code))
    names = found & _NAMES
    if not names:
        return None
    running.task = task
    running.candidates = found
    return Given(task.namespace, names, body)

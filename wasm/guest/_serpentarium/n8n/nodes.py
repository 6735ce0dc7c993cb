"""`_input`, `_node` and `_prev_node`: the items of this node and of others."""

from typing import Any

from _serpentarium.n8n import pairing
from _serpentarium.n8n.manual import ApiObject, documented
from _serpentarium.n8n.pairing import NodeDataError
from _serpentarium.n8n.running import as_dict, running


class Input(ApiObject):
    __doc__ = """_input: the items that came into this node."""
    __slots__ = ()

    def __repr__(self) -> str:
        return f"<_input: {len(running.items)} items>"

    @documented("""All input items, a list of dicts: the same as _items.""")
    def all(self) -> list[Any]:
        return running.items

    @documented("""The first input item, or None if there is none.""")
    def first(self) -> Any:
        return _at(running.items, 0)

    @documented("""The last input item, or None if there is none.""")
    def last(self) -> Any:
        return _at(running.items, -1)

    @property
    @documented("""The current input item; the first one where the code runs once for all items.""")
    def item(self) -> Any:
        return _at(running.items, running.item_index)

    @property
    @documented("""The parameters of the node that the items come from, as they are written there: a dict.""")
    def params(self) -> dict[str, Any]:
        return _parameters(_source()["previousNode"])

    @property
    @documented("""What the node that the items come from keeps for those after it: a dict, as of Loop Over Items.""")
    def context(self) -> dict[str, Any]:
        return _context(_source()["previousNode"])


class PrevNode(ApiObject):
    __doc__ = """_prev_node: where this node's items come from. Each member is None where they come from no node."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_prev_node: where the items come from>"

    @property
    @documented("""The name of the node.""")
    def name(self) -> str | None:
        return as_dict(pairing.source(0)).get("previousNode")

    @property
    @documented("""The number of its output, from 0.""")
    def output_index(self) -> int | None:
        return self._number("previousNodeOutput")

    @property
    @documented("""Which of its runs it was, from 0.""")
    def run_index(self) -> int | None:
        return self._number("previousNodeRun")

    def _number(self, key: str) -> int | None:
        source = pairing.source(0)
        return None if source is None else source.get(key) or 0


class Node(ApiObject):
    __doc__ = """A node of the workflow, and the items that it put out: _node["name"]."""
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<node {self._name!r}>"

    @property
    @documented("""The node's name.""")
    def name(self) -> str:
        return self._name

    @documented(
        """The items that the node put out, a list of dicts.

        Without an index: those of its last run, at the output that leads here (the first one if none does)."""
    )
    def all(self, branch_index: int | None = None, run_index: int | None = None) -> list[Any]:
        return pairing.output(self._name, branch_index, run_index)

    @documented("""The first item that the node put out, or None if there is none.""")
    def first(self, branch_index: int | None = None, run_index: int | None = None) -> Any:
        return _at(self.all(branch_index, run_index), 0)

    @documented("""The last item that the node put out, or None if there is none.""")
    def last(self, branch_index: int | None = None, run_index: int | None = None) -> Any:
        return _at(self.all(branch_index, run_index), -1)

    @property
    @documented("""The node's item that the current input item was made from, all the way back.""")
    def item(self) -> Any:
        return pairing.paired_item(self._name, running.item_index)

    @documented("""The node's item that the input item with this index was made from, all the way back.""")
    def item_matching(self, item_index: int) -> Any:
        return pairing.paired_item(self._name, item_index)

    paired_item = item_matching

    @property
    @documented("""The "json" of the node's item that has the same index as the current input item.""")
    def json(self) -> Any:
        return self._same_index().get("json")

    @property
    @documented("""The "binary" of the node's item that has the same index as the current input item: a dict.""")
    def binary(self) -> dict[str, Any]:
        return as_dict(self._same_index().get("binary"))

    def _same_index(self) -> dict[str, Any]:
        items, index = self.all(), running.item_index
        if index >= len(items):
            raise NodeDataError(f"Node '{self._name}' has {len(items)} item(s), but item {index} was asked for")
        return as_dict(items[index])

    @property
    @documented("""The node's parameters as they are written there, expressions and all: a dict.""")
    def params(self) -> dict[str, Any]:
        return _parameters(self._name)

    @property
    @documented("""What the node keeps for those after it: a dict.""")
    def context(self) -> dict[str, Any]:
        return _context(self._name)

    @property
    @documented("""Whether the node has run in this execution.""")
    def is_executed(self) -> bool:
        return bool(pairing.runs(self._name))


class Nodes(ApiObject):
    __doc__ = """_node: the other nodes of the workflow, by name. _node["name"] and _node("name") are the same Node."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_node: the nodes of the workflow>"

    def __getitem__(self, name: str) -> Node:
        if not isinstance(name, str):
            raise TypeError(f"a node's name is text, not {type(name).__name__}")
        return Node(name)

    # Without this, a loop would ask for node 0, node 1 and so on.
    __iter__ = None

    @documented("""The node of that name.""")
    def __call__(self, name: str) -> Node:
        return self[name]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if -len(items) <= index < len(items) else None


def _source() -> dict[str, Any]:
    source = pairing.source(0)
    if source is None:
        raise NodeDataError("The items of this node come from no other node")
    return source


def _parameters(name: str) -> dict[str, Any]:
    return as_dict(pairing.node(name).get("parameters"))


def _context(name: str) -> dict[str, Any]:
    execution = as_dict(as_dict(running.data.get("runExecutionData")).get("executionData"))
    return as_dict(as_dict(execution.get("contextData")).get(f"node:{name}"))

"""`_input`, `_node` and `_prev_node`: the items of this node and of others."""

from collections.abc import Iterator
from typing import Any

from _serpentarium.n8n import pairing
from _serpentarium.n8n.manual import ApiObject, documented
from _serpentarium.n8n.pairing import NodeDataError
from _serpentarium.n8n.running import as_dict, running


class _Items(ApiObject):
    """A list of items whose members are also those of the object: `[0]`, `len()`, `for`."""

    __slots__ = ()

    def all(self) -> list[Any]:
        raise NotImplementedError

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return super().__getitem__(key)
        if not isinstance(key, (int, slice)):
            raise TypeError(f"an item's index must be an int, not {type(key).__name__}")
        items = self.all()
        try:
            return items[key]
        except IndexError:
            raise IndexError(
                f"{self._label()} has {_count(items)}, but item {key} was asked for"
            ) from None

    def __len__(self) -> int:
        return len(self.all())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) if isinstance(key, str) else key in self.all()


class Input(_Items):
    __doc__ = """_input: the input items of this node. _input[0], len(_input) and for work too."""
    __slots__ = ()

    def __repr__(self) -> str:
        return f"<_input: {_count(running.items)}>"

    @documented("""Returns all input items, a list of dicts: the same list as _items.""")
    def all(self) -> list[Any]:
        return running.items

    @documented("""Returns the first input item, or None if there are no items.""")
    def first(self) -> Any:
        return _at(running.items, 0)

    @documented("""Returns the last input item, or None if there are no items.""")
    def last(self) -> Any:
        return _at(running.items, -1)

    @property
    @documented("""The current input item. If the code runs once for all items: the first one.""")
    def item(self) -> Any:
        return _at(running.items, running.item_index)

    @property
    @documented("""The "json" of the current input item, or None without items: _json.""")
    def json(self) -> Any:
        return as_dict(self.item).get("json")

    @property
    @documented("""The "binary" of the current input item: a dict.""")
    def binary(self) -> dict[str, Any]:
        return as_dict(as_dict(self.item).get("binary"))

    @property
    @documented("""The sending node's parameters, with unevaluated expressions: a dict.""")
    def params(self) -> dict[str, Any]:
        return _parameters(_source()["previousNode"])

    @property
    @documented("""The sending node's context, such as that of Loop Over Items: a dict.""")
    def context(self) -> dict[str, Any]:
        return _context(_source()["previousNode"])


class PrevNode(ApiObject):
    __doc__ = """_prev_node: the node that sent the items. Its members are None if there is none."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_prev_node: the node that sent the items>"

    @property
    @documented("""The name of the node.""")
    def name(self) -> str | None:
        return as_dict(pairing.source(0)).get("previousNode")

    @property
    @documented("""The index of its output, from 0.""")
    def output_index(self) -> int | None:
        return self._number("previousNodeOutput")

    @property
    @documented("""The index of its run, from 0.""")
    def run_index(self) -> int | None:
        return self._number("previousNodeRun")

    def _number(self, key: str) -> int | None:
        source = pairing.source(0)
        return None if source is None else source.get(key) or 0


class Node(_Items):
    __doc__ = """A node of the workflow, and its output items: _node["name"].

    _node["name"][0], len(_node["name"]) and for work too, and _node["name"]["json"]."""
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<node {self._name!r}>"

    def _label(self) -> str:
        return f"_node[{self._name!r}]"

    def __bool__(self) -> bool:
        # Its items would cost a call, and fail if the node has not run.
        return True

    @property
    @documented("""The name of the node.""")
    def name(self) -> str:
        return self._name

    @documented(
        """Returns the items that the node put out, a list of dicts.

        Default branch: the output that leads here, else the first. Default run: the last."""
    )
    def all(self, branch_index: int | None = None, run_index: int | None = None) -> list[Any]:
        return pairing.output(self._name, branch_index, run_index)

    @documented("""Returns the first item that the node put out, or None if there is none.""")
    def first(self, branch_index: int | None = None, run_index: int | None = None) -> Any:
        return _at(self.all(branch_index, run_index), 0)

    @documented("""Returns the last item that the node put out, or None if there is none.""")
    def last(self, branch_index: int | None = None, run_index: int | None = None) -> Any:
        return _at(self.all(branch_index, run_index), -1)

    @property
    @documented("""The node's item that the current input item originates from.""")
    def item(self) -> Any:
        return pairing.paired_item(self._name, running.item_index)

    @documented("""Returns the node's item that the input item with this index originates from.""")
    def item_matching(self, item_index: int) -> Any:
        return pairing.paired_item(self._name, item_index)

    paired_item = item_matching

    @property
    @documented("""The "json" of the node's item with the index of the current input item.""")
    def json(self) -> Any:
        return self._same_index().get("json")

    @property
    @documented("""The "binary" of the node's item with the index of the current input item.""")
    def binary(self) -> dict[str, Any]:
        return as_dict(self._same_index().get("binary"))

    def _same_index(self) -> dict[str, Any]:
        items, index = self.all(), running.item_index
        if index >= len(items):
            raise NodeDataError(
                f"Node '{self._name}' has {len(items)} item(s), but item {index} was asked for"
            )
        return as_dict(items[index])

    @property
    @documented("""The node's parameters, with unevaluated expressions: a dict.""")
    def params(self) -> dict[str, Any]:
        return _parameters(self._name)

    @property
    @documented("""The context that the node keeps for later nodes: a dict.""")
    def context(self) -> dict[str, Any]:
        return _context(self._name)

    @property
    @documented("""Whether the node has run in this execution.""")
    def is_executed(self) -> bool:
        return bool(pairing.runs(self._name))


class Nodes(ApiObject):
    __doc__ = """_node: the nodes of the workflow. _node["name"] and _node("name") are equal.

    list(_node) has the names of all nodes."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_node: the nodes of the workflow>"

    def __getitem__(self, name: str) -> Node:
        if not isinstance(name, str):
            raise TypeError(f"a node's name must be a str, not {type(name).__name__}")
        return Node(name)

    def __iter__(self) -> Iterator[str]:
        return iter(pairing.names())

    def __len__(self) -> int:
        return len(pairing.names())

    def __contains__(self, name: object) -> bool:
        return name in pairing.names()

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattr__(name)
        raise AttributeError(
            f"_node has no {name!r}: write _node[{name!r}] for the node of that name",
            name=name,
            obj=self,
        )

    @documented("""Returns the node of that name.""")
    def __call__(self, name: str) -> Node:
        return self[name]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if -len(items) <= index < len(items) else None


def _count(items: list[Any]) -> str:
    return f"{len(items)} item{'s' * (len(items) != 1)}"


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

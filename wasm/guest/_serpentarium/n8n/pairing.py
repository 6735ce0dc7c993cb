"""The outputs of other nodes, and the links between items (n8n's `pairedItem`)."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from _serpentarium.n8n.running import as_dict, running

# Origin of items as n8n describes it: `previousNode`, `previousNodeOutput`, `previousNodeRun`.
Source: TypeAlias = dict[str, Any]

# Position of an item: node name, run, output, index.
ItemPosition: TypeAlias = tuple[str, int, int, int]


class NodeDataError(LookupError):
    __doc__ = """The workflow has no such data of a node."""
    # Tracebacks show the class as one of the user's module.
    __module__ = "__main__"


def node(name: str) -> dict[str, Any]:
    """Returns the workflow's description of a node."""
    for node in _list(running.workflow.get("nodes")):
        if node.get("name") == name:
            return as_dict(node)
    raise NodeDataError(f"Referenced node doesn't exist: '{name}'")


def names() -> list[str]:
    """Returns the names of the workflow's nodes."""
    return [str(as_dict(node).get("name")) for node in _list(running.workflow.get("nodes"))]


def source(index: int) -> Source | None:
    """Returns the origin of the items of one input of this node, or None if it is not a node."""
    sources = _list(as_dict(running.data.get("connectionInputSource")).get("main"))
    return sources[index] if index < len(sources) and sources[index] else None


def runs(name: str) -> list[Any]:
    """Returns the runs of a node in this execution.

    In a manual execution, pinned data of a node without runs counts as one run.
    """
    node(name)
    result = as_dict(as_dict(running.data.get("runExecutionData")).get("resultData"))
    runs = _list(as_dict(result.get("runData")).get(name))
    if not runs and running.data.get("mode") == "manual":
        pinned = as_dict(running.workflow.get("pinData")).get(name)
        return [{"data": {"main": [pinned]}}] if pinned else []
    return runs


def output(name: str, branch: int | None, run: int | None) -> list[Any]:
    """Returns the items that a node put out."""
    all_runs = runs(name)
    if not all_runs:
        raise NodeDataError(f"Node '{name}' hasn't been executed")
    run = len(all_runs) - 1 if run is None or run == -1 else run
    if not 0 <= run < len(all_runs):
        raise NodeDataError(f"Run {run} of node '{name}' not found")
    branches = _branches(all_runs[run])
    branch = _branch_to_here(name) if branch is None else branch
    if not 0 <= branch < len(branches):
        raise NodeDataError(f"Node '{name}' has no branch with index {branch}")
    return _list(branches[branch])


def _branches(run: dict[str, Any]) -> list[Any]:
    return _list(as_dict(run.get("data")).get("main"))


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _branch_to_here(name: str) -> int:
    """Returns the output of a node on the shortest path to this node, or 0 without a path.

    Breadth-first search, backwards from this node.
    """
    before = _connections()
    todo, seen = [running.node_name], {running.node_name}
    for current in todo:
        for _, earlier, branch in before.get(current, ()):
            if earlier == name:
                return branch
            if earlier not in seen:
                seen.add(earlier)
                todo.append(earlier)
    return 0


def _connections() -> dict[str, list[tuple[int, str, int]]]:
    """Returns the incoming connections of each node: own input, other node, its output."""
    if running.connections is None:
        before: dict[str, list[tuple[int, str, int]]] = {}
        for name, outputs in as_dict(running.workflow.get("connections")).items():
            for branch, connections in enumerate(_list(as_dict(outputs).get("main"))):
                for connection in _list(connections):
                    incoming = (connection.get("index", 0), name, branch)
                    before.setdefault(connection["node"], []).append(incoming)
        running.connections = {name: sorted(incoming) for name, incoming in before.items()}
    return running.connections


def paired_item(name: str, item_index: int) -> Any:
    """Returns the item of a node that an input item originates from.

    Follows `pairedItem` backwards, node by node, until it reaches the node.
    """
    items = running.items
    if not 0 <= item_index < len(items):
        raise NodeDataError(
            f"This node has {len(items)} input item(s), but item {item_index} was asked for"
        )
    found: dict[int, Any] = {}
    todo = [(_origin(pair), pair) for pair in _pairs(items[item_index])]
    seen = set()
    for origin, pair in todo:
        position = _position(origin, pair)
        if position is None or position in seen:
            continue
        seen.add(position)
        run, item = _look_up(*position)
        if item is not None and position[0] == name:
            found[id(item)] = item
        elif item is not None:
            todo += [(_origin(pair, _list(run.get("source"))), pair) for pair in _pairs(item)]
    if len(found) != 1:
        raise _no_pair(name, item_index, len(found))
    return found.popitem()[1]


def _origin(pair: dict[str, Any], sources: list[Any] | None = None) -> Source | None:
    """Returns the origin that a pair refers to: one of `sources`, or else an input of this node."""
    index = pair.get("input") or 0
    if pair.get("sourceOverwrite"):
        return as_dict(pair["sourceOverwrite"])
    return source(index) or source(0) if sources is None else _at(sources, index)


def _no_pair(name: str, item_index: int, found: int) -> NodeDataError:
    node(name)
    if found:
        return NodeDataError(f"Item {item_index} was made from {found} items of node '{name}'")
    if name not in _before_here():
        return NodeDataError(f"No path leads from node '{name}' to this one")
    return NodeDataError(f"No pairedItem links item {item_index} to an item of node '{name}'")


def _before_here() -> set[str]:
    """Returns the names of all nodes with a path to this node."""
    todo = [running.node_name]
    seen: set[str] = set()
    for current in todo:
        new = {name for _, name, _ in _connections().get(current, ())} - seen
        seen |= new
        todo += new
    return seen


def _pairs(item: Any) -> Iterator[dict[str, Any]]:
    """Normalises `pairedItem`, which is a number, a dict or a list of both."""
    paired = as_dict(item).get("pairedItem")
    for pair in paired if type(paired) is list else [paired]:
        if type(pair) is dict:
            yield pair
        elif type(pair) is int:
            yield {"item": pair}


def _position(origin: Source | None, pair: dict[str, Any]) -> ItemPosition | None:
    """Returns the position of the item that a pair refers to."""
    if not origin:
        return None
    keys = ("previousNode", "previousNodeRun", "previousNodeOutput")
    name, run, branch = (origin.get(key) or 0 for key in keys)
    return str(name), run, branch, pair.get("item") or 0


def _look_up(name: str, run: int, branch: int, index: int) -> tuple[dict[str, Any], Any]:
    """Returns a run of a node and one of its output items, or None if there is no such item."""
    of_node = as_dict(_at(runs(name), run))
    return of_node, _at(_list(_at(_branches(of_node), branch)), index)


def _at(values: list[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None

"""From node to node: what each put out, and which item was made from which."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from _serpentarium.n8n.running import as_dict, running

# Where items came from: `previousNode`, with `previousNodeOutput` and `previousNodeRun`.
Source: TypeAlias = dict[str, Any]

# Where an item lies: the node's name, the run, the output, the position.
Place: TypeAlias = tuple[str, int, int, int]


class NodeDataError(LookupError):
    __doc__ = """There is no such data of a node."""
    # Tracebacks name it as a class of the user's own.
    __module__ = "__main__"


def node(name: str) -> dict[str, Any]:
    """A node as the workflow describes it."""
    for node in _list(running.workflow.get("nodes")):
        if node.get("name") == name:
            return as_dict(node)
    raise NodeDataError(f"Referenced node doesn't exist: '{name}'")


def source(index: int) -> Source | None:
    """Where the items of this node's input come from; None where that is no node."""
    sources = _list(as_dict(running.data.get("connectionInputSource")).get("main"))
    return sources[index] if index < len(sources) and sources[index] else None


def runs(name: str) -> list[Any]:
    """What came of each run of a node in this execution; in a test, what is pinned to it stands for a run."""
    node(name)
    result = as_dict(as_dict(running.data.get("runExecutionData")).get("resultData"))
    runs = _list(as_dict(result.get("runData")).get(name))
    if not runs and running.data.get("mode") == "manual":
        pinned = as_dict(running.workflow.get("pinData")).get(name)
        return [{"data": {"main": [pinned]}}] if pinned else []
    return runs


def output(name: str, branch: int | None, run: int | None) -> list[Any]:
    """The items that a node put out."""
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
    """The output of a node from which the connections lead to this one by the shortest way; else the first."""
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
    """For each node, what leads into it: the number of its input, the node before, and that one's output."""
    if running.connections is None:
        before: dict[str, list[tuple[int, str, int]]] = {}
        for name, outputs in as_dict(running.workflow.get("connections")).items():
            for branch, connections in enumerate(_list(as_dict(outputs).get("main"))):
                for connection in _list(connections):
                    before.setdefault(connection["node"], []).append((connection.get("index", 0), name, branch))
        running.connections = {name: sorted(connections) for name, connections in before.items()}
    return running.connections


def paired_item(name: str, item_index: int) -> Any:
    """The item of a node that an input item was made from: the way goes back along `pairedItem`, node by node."""
    items = running.items
    if not 0 <= item_index < len(items):
        raise NodeDataError(f"This node has {len(items)} input item(s), but item {item_index} was asked for")
    found: dict[int, Any] = {}
    todo = [(_origin(pair), pair) for pair in _pairs(items[item_index])]
    seen = set()
    for origin, pair in todo:
        place = _place(origin, pair)
        if place is None or place in seen:
            continue
        seen.add(place)
        run, item = _look_up(*place)
        if item is not None and place[0] == name:
            found[id(item)] = item
        elif item is not None:
            todo += [(_origin(pair, _list(run.get("source"))), pair) for pair in _pairs(item)]
    if len(found) != 1:
        raise _no_pair(name, item_index, len(found))
    return found.popitem()[1]


def _origin(pair: dict[str, Any], sources: list[Any] | None = None) -> Source | None:
    """Where an item's pair comes from: one of the sources of its node's run, or else of this node's input."""
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
    return NodeDataError(f"Nothing says which item of node '{name}' item {item_index} was made from")


def _before_here() -> set[str]:
    """All nodes from which connections lead here."""
    todo = [running.node_name]
    seen: set[str] = set()
    for current in todo:
        new = {name for _, name, _ in _connections().get(current, ())} - seen
        seen |= new
        todo += new
    return seen


def _pairs(item: Any) -> Iterator[dict[str, Any]]:
    """What an item says it was made from, in one form."""
    paired = as_dict(item).get("pairedItem")
    for pair in paired if type(paired) is list else [paired]:
        if type(pair) is dict:
            yield pair
        elif type(pair) is int:
            yield {"item": pair}


def _place(origin: Source | None, pair: dict[str, Any]) -> Place | None:
    """Where an item lies that another was made from."""
    if not origin:
        return None
    name, run, branch = (origin.get(key) or 0 for key in ("previousNode", "previousNodeRun", "previousNodeOutput"))
    return str(name), run, branch, pair.get("item") or 0


def _look_up(name: str, run: int, branch: int, position: int) -> tuple[dict[str, Any], Any]:
    """A run of a node, and one of the items that it put out; None where there is no such item."""
    of_node = as_dict(_at(runs(name), run))
    return of_node, _at(_list(_at(_branches(of_node), branch)), position)


def _at(values: list[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None

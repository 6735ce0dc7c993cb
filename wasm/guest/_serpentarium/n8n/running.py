"""The task that runs, as the objects see it that user code is given; and the one request for n8n's data."""

from typing import Any

from _serpentarium.n8n.calls import CallError, Request, call
from _serpentarium.n8n.mentions import Mentions
from _serpentarium.core.result import Circular, TaskError, plain
from _serpentarium.core.wire import decode, encode

_DEFAULT_ZONE = "America/New_York"
# What n8n has for the zone of a workflow that takes the installation's.
_NO_ZONE = "DEFAULT"


class Running:
    """What the running task has, and what it leaves behind beside its result."""

    __slots__ = ("_came_with", "_data", "_failure", "_saved", "_static", "candidates", "connections", "custom", "task")

    def __init__(self) -> None:
        self.task: Any = None
        # Names that the code mentions, perhaps as attributes only.
        self.candidates: frozenset[str] = frozenset()
        # What leads into each node of the workflow, once it was asked for.
        self.connections: dict[str, list[tuple[int, str, int]]] | None = None
        # Custom data of the execution that the task has set.
        self.custom: dict[str, str] = {}
        self._data: dict[str, Any] | None = None
        # Why n8n did not say it.
        self._failure: CallError | None = None
        self._static: dict[str, Any] = {}
        # The static data as text when it came, to see whether it changed.
        self._saved: str | None = None
        self._came_with: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that n8n sent with the task."""
        return self.task.settings  # type: ignore[no-any-return]

    @property
    def items(self) -> list[Any]:
        """The input items."""
        return self.task.settings["items"]  # type: ignore[no-any-return]

    @property
    def item_index(self) -> int:
        """The current item's index; 0 where the code runs once for all items."""
        return self.task.item_index or 0

    def mentions(self) -> Mentions:
        """What the code mentions, looked at thoroughly."""
        return Mentions(self.task.code, self.candidates)

    @property
    def data(self) -> dict[str, Any]:
        """What n8n knows of the workflow and its execution, asked for once: only the parts that the code mentions."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._data is None:
            mentions = self.mentions()
            wanted = {
                "dataOfNodes": "all" if mentions.every_node else sorted(mentions.nodes),
                "prevNode": False,
                "env": "_env" in mentions.names,
                "input": {"include": False},
            }
            try:
                self._data = call(Request("taskData", [wanted], as_dict))
            except CallError as failure:
                self._failure = failure
                raise
        return self._data

    @property
    def workflow(self) -> dict[str, Any]:
        """The workflow, with all its nodes and connections."""
        return as_dict(self.data.get("workflow"))

    @property
    def node_name(self) -> str:
        """The name of the node whose code runs."""
        return str(self.data.get("activeNodeName") or self.settings.get("nodeName", ""))

    @property
    def time_zone(self) -> str:
        """The name of the workflow's time zone; where it has none, that of the installation."""
        zone = as_dict(self.workflow.get("settings")).get("timezone")
        if not zone or zone == _NO_ZONE:
            zone = as_dict(self.settings.get("serpentarium")).get("timezone")
        return str(zone or _DEFAULT_ZONE)

    def static_data(self, kind: str) -> dict[str, Any]:
        """The static data of the workflow or of the node, to be changed in place."""
        if kind not in ("global", "node"):
            raise ValueError(f"static data is 'global' or 'node', not {kind!r}")
        if self._saved is None:
            self._static = as_dict(self.workflow.get("staticData"))
            self._saved = _text(self._static)
            self._came_with = frozenset(self._static)
        key = kind if kind == "global" else f"node:{self.node_name}"
        if type(self._static.get(key)) is not dict:
            self._static[key] = {}
        return self._static[key]  # type: ignore[no-any-return]

    def effects(self) -> dict[str, Any]:
        """What goes back to n8n beside the result: what was changed."""
        effects: dict[str, Any] = {}
        if self.custom:
            effects["customData"] = self.custom
        if self._saved is not None:
            # An empty part that is new says nothing.
            static = {key: part for key, part in self._static.items() if part or key in self._came_with}
            try:
                text = _text(plain(static))
            except Circular:
                raise TaskError("Static data contains a circular reference") from None
            except RecursionError:
                raise TaskError("Static data is nested too deeply") from None
            if text != self._saved:
                # Lone surrogates have no place in UTF-8.
                effects["staticData"] = decode(text.encode("utf-8", "replace"))
        return effects


def as_dict(value: Any) -> dict[str, Any]:
    """A part of n8n's data that may be missing."""
    return value if type(value) is dict else {}


def _text(value: object) -> str:
    return "".join(encode(value, 0))


running = Running()

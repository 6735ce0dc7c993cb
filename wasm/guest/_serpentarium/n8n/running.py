"""n8n's data for the running task, fetched with one request, and what the task changed."""

from typing import Any

from _serpentarium.core.result import Circular, TaskError, plain
from _serpentarium.core.wire import decode, encode
from _serpentarium.n8n.calls import CallError, Request, call
from _serpentarium.n8n.mentions import Mentions

_DEFAULT_ZONE = "America/New_York"
# n8n's name for the time zone of the installation.
_NO_ZONE = "DEFAULT"


class Running:
    """The task's data from n8n, and its effects beside the result."""

    __slots__ = (
        "_came_with",
        "_data",
        "_failure",
        "_saved",
        "_static",
        "candidates",
        "connections",
        "custom",
        "task",
    )

    def __init__(self) -> None:
        self.task: Any = None
        # Names that the code contains, as a name or as an attribute.
        self.candidates: frozenset[str] = frozenset()
        # Incoming connections of each node, computed at first use.
        self.connections: dict[str, list[tuple[int, str, int]]] | None = None
        # Custom data that the task has set.
        self.custom: dict[str, str] = {}
        self._data: dict[str, Any] | None = None
        # The failure of the request, raised again at each use.
        self._failure: CallError | None = None
        self._static: dict[str, Any] = {}
        # The static data as JSON when it arrived, to detect changes.
        self._saved: str | None = None
        self._came_with: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the task."""
        return self.task.settings  # type: ignore[no-any-return]

    @property
    def items(self) -> list[Any]:
        """The input items."""
        return self.task.settings["items"]  # type: ignore[no-any-return]

    @property
    def item_index(self) -> int:
        """The index of the current item; 0 if the code runs once for all items."""
        return self.task.item_index or 0

    def mentions(self) -> Mentions:
        """Parses the code for the names and nodes that it mentions."""
        return Mentions(self.task.code, self.candidates)

    @property
    def data(self) -> dict[str, Any]:
        """n8n's data of the workflow and its execution.

        One request fetches the parts that the code mentions.
        """
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
        """The workflow, with its nodes and connections."""
        return as_dict(self.data.get("workflow"))

    @property
    def node_name(self) -> str:
        """The name of this node."""
        return str(self.data.get("activeNodeName") or self.settings.get("nodeName", ""))

    @property
    def time_zone(self) -> str:
        """The name of the workflow's time zone, or else of the installation's."""
        zone = as_dict(self.workflow.get("settings")).get("timezone")
        if not zone or zone == _NO_ZONE:
            zone = as_dict(self.settings.get("serpentarium")).get("timezone")
        return str(zone or _DEFAULT_ZONE)

    def static_data(self, kind: str) -> dict[str, Any]:
        """Returns the static data of the workflow or of the node, which the caller can change."""
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
            # A part that is new and empty is no change.
            parts = self._static.items()
            static = {key: part for key, part in parts if part or key in self._came_with}
            try:
                text = _text(plain(static))
            except Circular:
                raise TaskError("Static data contains a circular reference") from None
            except RecursionError:
                raise TaskError("Static data is nested too deeply") from None
            if text != self._saved:
                # UTF-8 cannot encode lone surrogates.
                effects["staticData"] = decode(text.encode("utf-8", "replace"))
        return effects


def as_dict(value: Any) -> dict[str, Any]:
    """Returns a part of n8n's data, or an empty dict if it is missing."""
    return value if type(value) is dict else {}


def _text(value: object) -> str:
    return "".join(encode(value, 0))


running = Running()

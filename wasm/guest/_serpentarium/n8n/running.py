"""n8n's data for the running task, fetched with one request, and the changes of the task."""

from typing import Any

from _serpentarium.abi import CUSTOM_DATA, HOST, ITEMS, NODE_NAME, STATIC_DATA, TASK_DATA, TIMEZONE
from _serpentarium.core.current import task
from _serpentarium.core.forms import plain
from _serpentarium.core.wire import decode, encode
from _serpentarium.n8n import alone
from _serpentarium.n8n.calls import Request, call
from _serpentarium.n8n.failures import CallError
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
    )

    # Names that the code contains, as a name or as an attribute.
    candidates: frozenset[str]
    # Incoming connections of each node, computed at first use.
    connections: dict[str, list[tuple[int, str, int]]] | None
    # Custom data that the task has set.
    custom: dict[str, str]
    _data: dict[str, Any] | None
    # The failure of the request, raised again at each use.
    _failure: CallError | None
    _static: dict[str, Any]
    # The static data as JSON when it arrived, to detect changes.
    _saved: str | None
    _came_with: frozenset[str]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets the data of a task."""
        self.candidates = self._came_with = frozenset()
        self.connections = self._data = self._failure = self._saved = None
        self.custom = {}
        self._static = {}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the task."""
        return task.settings

    @property
    def items(self) -> list[Any]:
        """The input items."""
        items: list[Any] = task.settings[ITEMS]
        return items

    @property
    def item_index(self) -> int:
        """The index of the current item; 0 if the code runs once for all items."""
        return task.item_index or 0

    def mentions(self) -> Mentions:
        """Parses the code for the names and nodes that it mentions."""
        return Mentions(task.code, self.candidates)

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
                self._data = call(Request(TASK_DATA, [wanted], as_dict))
            except CallError as failure:
                self._failure = failure
                raise
        return self._data

    @property
    def workflow(self) -> dict[str, Any]:
        """The workflow, with its nodes and connections."""
        return as_dict(self.data.get("workflow"))

    @property
    def has_workflow(self) -> bool:
        """Whether n8n answers: `serpentarium exec` and an embedding host can run code alone."""
        try:
            return self.data is not None
        except CallError as failure:
            if str(failure) != alone.explain(TASK_DATA):
                raise
        return False

    @property
    def node_name(self) -> str:
        """The name of this node."""
        return str(self.data.get("activeNodeName") or self.settings.get(NODE_NAME, ""))

    @property
    def time_zone(self) -> str | None:
        """The name of the workflow's time zone, or else of the installation's.

        None without n8n and without a setting of the host: the local time zone.
        """
        has_workflow = self.has_workflow
        zone = as_dict(self.workflow.get("settings")).get("timezone") if has_workflow else None
        if not zone or zone == _NO_ZONE:
            zone = as_dict(self.settings.get(HOST)).get(TIMEZONE)
        if not zone and not has_workflow:
            return None
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
        data: dict[str, Any] = self._static[key]
        return data

    def effects(self) -> dict[str, Any]:
        """Returns the changes that n8n applies, beside the result."""
        effects: dict[str, Any] = {}
        if self.custom:
            effects[CUSTOM_DATA] = self.custom
        if self._saved is not None:
            # A part that is new and empty is no change.
            parts = self._static.items()
            static = {key: part for key, part in parts if part or key in self._came_with}
            text = _text(plain(static, "Static data"))
            if text != self._saved:
                # UTF-8 cannot encode lone surrogates.
                effects[STATIC_DATA] = decode(text.encode("utf-8", "replace"))
        return effects


def as_dict(value: Any) -> dict[str, Any]:
    """Returns a part of n8n's data, or an empty dict if it is missing."""
    return value if type(value) is dict else {}


def _text(value: object) -> str:
    return "".join(encode(value, 0))


running = Running()

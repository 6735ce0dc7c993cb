"""`_workflow`, `_execution`, `_vars`, `_env`, static data, the workflow's clock, and JMESPath."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from unicodedata import category
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from _serpentarium.n8n.manual import ApiObject, documented
from _serpentarium.n8n.running import as_dict, running

# What n8n's own nodes keep to: the number of values that an execution holds, and the characters of a key and a value.
_CUSTOM, _KEY, _VALUE = 10, 50, 512

# The id of an execution that is not saved.
_UNKNOWN = "__UNKNOWN__"


class Workflow(ApiObject):
    __doc__ = """_workflow: the workflow that runs."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_workflow: the workflow that runs>"

    @property
    @documented("""The workflow's id.""")
    def id(self) -> str:
        return str(_setting("workflowId", "id"))

    @property
    @documented("""The workflow's name.""")
    def name(self) -> str:
        return str(_setting("workflowName", "name"))

    @property
    @documented("""Whether the workflow is active.""")
    def active(self) -> bool:
        return bool(running.workflow.get("active"))


def _setting(name: str, key: str) -> Any:
    """What came with the task itself, or else is asked for."""
    value = running.settings.get(name)
    return running.workflow.get(key) if value is None else value


class CustomData(ApiObject):
    __doc__ = """_execution.custom_data: texts that are kept with the execution, to find it by."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_execution.custom_data: texts that are kept with the execution>"

    @documented(
        """Sets a value. The key is made of letters, digits and `_`, the value is text or a number.

        An execution holds ten values, keys of 50 and values of 512 characters; what is over that is left out."""
    )
    def set(self, key: str, value: str | float) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of custom data is text, not {type(key).__name__}")
        if not key or not all(letter == "_" or category(letter)[0] in "LMN" for letter in key):
            raise ValueError(f"Custom data key can only contain letters, numbers, and underscores (key {key!r})")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise TypeError(f"a value of custom data is text or a number, not {type(value).__name__} (key {key!r})")
        custom, key = running.custom, _clean(key[:_KEY])
        if key in custom or len(custom) < _CUSTOM:
            custom[key] = _clean(str(value)[:_VALUE])

    @documented("""Sets several values: a dict.""")
    def set_all(self, values: Mapping[str, str | float]) -> None:
        for key, value in values.items():
            self.set(key, value)

    @documented("""Returns a value, or None if there is none.""")
    def get(self, key: str) -> str | None:
        key = key[:_KEY]
        return running.custom[key] if key in running.custom else self.get_all().get(key)

    @documented("""Returns all values, those of earlier nodes as well: a dict.""")
    def get_all(self) -> dict[str, str]:
        result = as_dict(as_dict(running.data.get("runExecutionData")).get("resultData"))
        return as_dict(result.get("metadata")) | running.custom


def _clean(text: str) -> str:
    """The text without lone surrogates, which have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode()


class Execution(ApiObject):
    __doc__ = """_execution: this execution of the workflow."""
    __slots__ = ()

    custom_data = CustomData()

    def __repr__(self) -> str:
        return "<_execution: this execution of the workflow>"

    @property
    @documented("""The execution's id.""")
    def id(self) -> str:
        return str(_additional("executionId") or _UNKNOWN)

    @property
    @documented(""""test" where a person started it in the editor, else "production".""")
    def mode(self) -> str:
        mode = running.settings.get("workflowMode") or running.data.get("mode")
        return "test" if mode == "manual" else "production"

    @property
    @documented("""The address that lets a Wait node go on.""")
    def resume_url(self) -> str:
        return self._resume("webhookWaitingBaseUrl")

    @property
    @documented("""The address of the form that lets a Wait node go on.""")
    def resume_form_url(self) -> str:
        return self._resume("formWaitingBaseUrl")

    def _resume(self, base: str) -> str:
        url = urlsplit(f"{_additional(base)}/{self.id}")
        token = as_dict(running.data.get("runExecutionData")).get("resumeToken")
        signed = [*parse_qsl(url.query), ("signature", token)] if token else parse_qsl(url.query)
        return url._replace(query=urlencode(signed)).geturl()


def _additional(name: str) -> Any:
    return as_dict(running.data.get("additionalData")).get(name)


class _Values(ApiObject, Mapping[str, Any]):
    """Values by name, to be had as members and as attributes."""

    __slots__ = ()

    def _values(self) -> dict[str, Any]:
        raise NotImplementedError

    def __getitem__(self, name: str) -> Any:
        return self._values()[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            values = self._values()
            if name in values:
                return values[name]
        raise AttributeError(f"{self!r} has no {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())


class Variables(_Values):
    __doc__ = """_vars: the variables of this n8n, read only: _vars["name"], _vars.name, _vars.get("name")."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_vars: the variables of this n8n>"

    def _values(self) -> dict[str, Any]:
        return as_dict(_additional("variables"))


class Environment(_Values):
    __doc__ = """_env: the environment of this n8n, read only, where n8n allows it: _env["NAME"], _env.get("NAME")."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_env: the environment of this n8n>"

    def _values(self) -> dict[str, Any]:
        state = as_dict(running.data.get("envProviderState"))
        if state.get("isEnvAccessBlocked", True):
            raise PermissionError(
                "access to env vars denied: n8n allows it where N8N_BLOCK_ENV_ACCESS_IN_NODE is set to false"
            )
        return as_dict(state.get("env"))


class StaticData(ApiObject):
    __doc__ = """_get_workflow_static_data: what stays from one execution of an active workflow to the next."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_get_workflow_static_data: what stays from execution to execution>"

    @documented(
        """Returns a dict to read and to change: that of the whole workflow ("global"), or of this node ("node").

        n8n keeps what was changed when the execution ends, unless it was a test."""
    )
    def __call__(self, kind: str) -> dict[str, Any]:
        return running.static_data(kind)


class JmesPath(ApiObject):
    __doc__ = """_jmespath: finds and reshapes data by an expression of JMESPath (https://jmespath.org)."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_jmespath: finds data by an expression>"

    @documented("""Returns what the expression finds in the value: _jmespath(_json, "people[?age > `20`].name").""")
    def __call__(self, value: Any, expression: str) -> Any:
        import jmespath  # type: ignore[import-untyped]

        return jmespath.search(expression, value)


def now() -> datetime:
    """This moment in the workflow's time zone."""
    name = running.time_zone
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"Unknown time zone {name!r}: set the workflow's time zone, or GENERIC_TIMEZONE") from None
    return datetime.now(zone)


def today() -> datetime:
    """The beginning of this day in the workflow's time zone."""
    return now().replace(hour=0, minute=0, second=0, microsecond=0)


def json() -> Any:
    """The `json` of the current item, or of the first one; None where there is no item."""
    items, index = running.items, running.item_index
    return as_dict(items[index]).get("json") if index < len(items) else None


def run_index() -> int:
    """Which run of this node it is, from 0."""
    return int(running.data.get("runIndex") or 0)


def item_index() -> int:
    """The current item's index; 0 where the code runs once for all items."""
    return running.item_index

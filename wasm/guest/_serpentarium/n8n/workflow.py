"""`_workflow`, `_execution`, `_vars`, `_env`, static data, the workflow's clock, and JMESPath."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from unicodedata import category
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from _serpentarium.abi import (
    AS_TEXT,
    MAX_CUSTOM_ENTRIES,
    MAX_CUSTOM_KEY,
    MAX_CUSTOM_VALUE,
    PRINT_MODE,
    WORKFLOW_ID,
    WORKFLOW_MODE,
    WORKFLOW_NAME,
)
from _serpentarium.n8n.manual import ApiObject, documented
from _serpentarium.n8n.running import as_dict, running

# Names of variables that an error lists.
_MOST_NAMES = 20
# The host's default for settings that n8n did not send. `exec` has no others.
_UNNAMED = "Unknown"
# n8n's id of an execution that it does not save.
_UNKNOWN = "__UNKNOWN__"


class Workflow(ApiObject):
    __doc__ = """_workflow: the running workflow."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_workflow: the running workflow>"

    @property
    @documented("""The id of the workflow.""")
    def id(self) -> str | None:
        return _setting(WORKFLOW_ID, "id")

    @property
    @documented("""The name of the workflow.""")
    def name(self) -> str | None:
        return _setting(WORKFLOW_NAME, "name")

    @property
    @documented("""Whether the workflow is active.""")
    def active(self) -> bool:
        return bool(running.workflow.get("active"))


def _setting(name: str, key: str) -> str | None:
    """Returns a setting of the task, or else requests the workflow's data."""
    value = running.settings.get(name)
    if value is None or (value == _UNNAMED and running.settings.get(PRINT_MODE) == AS_TEXT):
        value = running.workflow.get(key)
    return None if value is None else str(value)


class CustomData(ApiObject):
    __doc__ = """_execution.custom_data: values that n8n saves with the execution.

    custom_data["key"] = value and custom_data["key"] work too."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_execution.custom_data: values saved with the execution>"

    @documented(
        """Sets a value. The key consists of letters, digits and `_`. The value is text or a number.

        n8n keeps ten entries. Keys are cut at 50 characters, values at 512."""
    )
    def set(self, key: str, value: str | float) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a custom data key must be a str, not {type(key).__name__}")
        if not key or not all(letter == "_" or category(letter)[0] in "LMN" for letter in key):
            raise ValueError(
                f"Custom data key can only contain letters, numbers, and underscores (key {key!r})"
            )
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise TypeError(
                f"a custom data value must be a str, int or float, not {type(value).__name__}"
                f" (key {key!r})"
            )
        custom, key = running.custom, _clean(key[:MAX_CUSTOM_KEY])
        if key in custom or len(custom) < MAX_CUSTOM_ENTRIES:
            custom[key] = _clean(str(value)[:MAX_CUSTOM_VALUE])

    @documented("""Sets the values of a dict.""")
    def set_all(self, values: Mapping[str, str | float]) -> None:
        for key, value in values.items():
            self.set(key, value)

    @documented("""Returns a value, or None if there is none.""")
    def get(self, key: str) -> str | None:
        key = key[:MAX_CUSTOM_KEY]
        return running.custom[key] if key in running.custom else self.get_all().get(key)

    @documented("""Returns all values as a dict, including those of earlier nodes.""")
    def get_all(self) -> dict[str, str]:
        result = as_dict(as_dict(running.data.get("runExecutionData")).get("resultData"))
        return as_dict(result.get("metadata")) | running.custom

    def __setitem__(self, key: str, value: str | float) -> None:
        self.set(key, value)

    def __getitem__(self, key: str) -> str:
        key = key[:MAX_CUSTOM_KEY]
        return running.custom[key] if key in running.custom else self.get_all()[key]

    def __contains__(self, key: object) -> bool:
        return key in running.custom or key in self.get_all()

    def __iter__(self) -> Iterator[str]:
        return iter(self.get_all())


def _clean(text: str) -> str:
    """Replaces lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


class Execution(ApiObject):
    __doc__ = """_execution: this execution of the workflow."""
    __slots__ = ()

    custom_data = CustomData()

    def __repr__(self) -> str:
        return "<_execution: this execution of the workflow>"

    @property
    @documented("""The id of the execution.""")
    def id(self) -> str:
        return str(_additional("executionId") or _UNKNOWN)

    @property
    @documented(""""test" if a user started the execution in the editor, else "production".""")
    def mode(self) -> str:
        mode = running.settings.get(WORKFLOW_MODE) or running.data.get("mode")
        return "test" if mode == "manual" else "production"

    @property
    @documented("""The URL that resumes a Wait node.""")
    def resume_url(self) -> str:
        return self._resume("webhookWaitingBaseUrl")

    @property
    @documented("""The URL of the form that resumes a Wait node.""")
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
    """A read-only mapping whose values are also attributes."""

    __slots__ = ()

    def _values(self) -> dict[str, Any]:
        raise NotImplementedError

    def __getitem__(self, name: str) -> Any:
        values = self._values()
        if name in values:
            return values[name]
        raise KeyError(self._missing(name, values))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self._label()} has no {name!r}", name=name, obj=self)
        values = self._values()
        if name in values:
            return values[name]
        raise AttributeError(self._missing(name, values), name=name, obj=self)

    def _missing(self, name: str, values: dict[str, Any]) -> str:
        known = ", ".join(sorted(values)[:_MOST_NAMES])
        return f"{self._label()} has no {name!r}. It has {known or 'no values'}"

    def __contains__(self, name: object) -> bool:
        return name in self._values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())


class Variables(_Values):
    __doc__ = """_vars: n8n's variables, read-only: _vars["name"], _vars.name, _vars.get("name")."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_vars: the variables of n8n>"

    def _values(self) -> dict[str, Any]:
        return as_dict(_additional("variables"))


class Environment(_Values):
    __doc__ = """_env: n8n's environment variables, read-only: _env["NAME"], _env.get("NAME").

    N8N_BLOCK_ENV_ACCESS_IN_NODE decides whether n8n allows access."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_env: the environment variables of n8n>"

    def _values(self) -> dict[str, Any]:
        state = as_dict(running.data.get("envProviderState"))
        if state.get("isEnvAccessBlocked", True):
            raise PermissionError(
                "access to env vars denied: n8n needs N8N_BLOCK_ENV_ACCESS_IN_NODE=false"
            )
        return as_dict(state.get("env"))


class StaticData(ApiObject):
    __doc__ = """_get_workflow_static_data: data that a workflow keeps between executions."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_get_workflow_static_data: data kept between executions>"

    @documented(
        """Returns the dict of the workflow ("global") or of this node ("node"). It can be changed.

        n8n saves changes at the end of the execution, except in manual executions."""
    )
    def __call__(self, kind: str) -> dict[str, Any]:
        return running.static_data(kind)


class JmesPath(ApiObject):
    __doc__ = """_jmespath: queries data with a JMESPath expression (https://jmespath.org)."""
    __slots__ = ()

    def __repr__(self) -> str:
        return "<_jmespath: queries data with an expression>"

    @documented("""Evaluates the expression: _jmespath(_json, "people[?age > `20`].name").""")
    def __call__(self, value: Any, expression: str) -> Any:
        import jmespath

        if not isinstance(expression, str):
            text = f"the expression must be a str, not {type(expression).__name__}"
            if isinstance(value, str):
                text = f"the arguments are swapped: write _jmespath(data, {value!r})"
            raise TypeError(text)
        return jmespath.search(expression, value)


def now() -> datetime:
    """Returns the current time in the workflow's time zone. Without n8n: the local time."""
    name = running.time_zone
    if name is None:
        return datetime.now().astimezone()
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"Unknown time zone {name!r}: set the workflow's time zone, or GENERIC_TIMEZONE"
        ) from None
    return datetime.now(zone)


def today() -> datetime:
    """Returns midnight of the current day in the workflow's time zone."""
    return now().replace(hour=0, minute=0, second=0, microsecond=0)


def json() -> Any:
    """Returns `json` of the current item, or of the first one; None without items."""
    items, index = running.items, running.item_index
    return as_dict(items[index]).get("json") if index < len(items) else None


def run_index() -> int:
    """Returns the index of this run of the node, from 0."""
    return int(running.data.get("runIndex") or 0) if running.has_workflow else 0


def item_index() -> int:
    """Returns the index of the current item; 0 if the code runs once for all items."""
    return running.item_index

"""The format of a case, and its reader. README.md documents the format."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"

MODES = {"all": "runOnceForAllItems", "each": "runOnceForEachItem"}
SETTINGS: dict[str, Any] = {
    "code": "",
    "nodeMode": MODES["all"],
    "items": [{"json": {"a": 1}}],
    "nodeName": "Code",
    "workflowName": "Conformance",
}

# The keys of a case.
KEYS = set(
    "name code mode items further without environment files steps prints result error ends waits"
    " better".split()
)
# The verbs of steps, each with the other keys that its step may have.
VERBS: dict[str, set[str]] = {
    "place": set(),
    "accept": {"offer"},
    "settings": {"code", "mode", "items", "without", "further"},
    "send": set(),
    "raw": set(),
    "binary": set(),
    "pieces": set(),
    "answer": set(),
    "data": set(),
    "close": set(),
    "register": set(),
    "wait": set(),
    "signal": set(),
    "expect": set(),
    "prints": {"of"},
    "done": {"result"},
    "failed": {"error"},
    "offers": {"after", "valid"},
    "silent": set(),
    "closed": set(),
    "exit": set(),
    "get": {"status", "text"},
    "logs": set(),
}
# Verbs that end the runner or its connection: the next case needs another runner.
FINAL = {"close", "register", "signal", "closed", "exit"}
# Keys of a step whose values are JSON in the file.
JSON_KEYS = {"send", "binary", "pieces", "answer", "data", "expect", "result"}

Step = dict[str, Any]
Environment = dict[str, str | bool]


class BadCase(Exception):
    """A file violates the format."""


@dataclass(frozen=True)
class Case:
    """One case. README.md describes the fields."""

    theme: str
    name: str
    settings: dict[str, Any]
    steps: list[Step]
    environment: Environment = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    ends: dict[str, Any] | None = None
    waits: float = 0.0
    better: str | None = None

    @property
    def alone(self) -> bool:
        """Whether the case needs its own runner, or would make other cases wait for a second."""
        final = any(FINAL & step.keys() for step in self.steps)
        return self.total_wait() >= 1 or bool(self.files) or final

    def total_wait(self) -> float:
        """Seconds that the case itself waits, including its steps."""
        return self.waits + sum(step_wait(step) for step in self.steps)


def step_wait(step: Step) -> float:
    """Seconds that a step waits."""
    return float(step.get("wait", 0) + step.get("silent", 0) + step.get("after", 0))


def settings_of(table: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Task settings: `base` with the changes of a case or step."""
    settings = dict(base)
    if "code" in table:
        settings["code"] = table["code"]
    if "mode" in table:
        settings["nodeMode"] = MODES.get(table["mode"], table["mode"])
    if "items" in table:
        settings["items"] = json.loads(table["items"])
    settings |= table.get("further", {})
    for name in table.get("without", ()):
        settings.pop(name)
    return settings


def load(path: Path) -> tuple[str, list[Case]]:
    """The theme and the cases of a file."""
    try:
        document = tomllib.loads(path.read_text())
        theme = document["theme"]
        return theme, [read(theme, table) for table in document["case"]]
    except (tomllib.TOMLDecodeError, KeyError, ValueError, BadCase) as error:
        raise BadCase(f"{path.name}: {error}") from error


def load_all() -> dict[str, list[Case]]:
    """All cases by theme, in the order of the file names."""
    themes = dict(load(path) for path in sorted(CASES.glob("*.toml")))
    names = [case.name for cases in themes.values() for case in cases]
    duplicates = {name for name in names if names.count(name) > 1}
    if duplicates:
        raise BadCase(f"two cases are named '{duplicates.pop()}': a name must be unique")
    return themes


def read(theme: str, table: dict[str, Any]) -> Case:
    """One case from its table."""
    name = table.get("name", "a case without a name")
    unknown = table.keys() - KEYS
    if unknown:
        raise BadCase(f"'{name}' has the unknown key '{unknown.pop()}'")
    if "steps" in table:
        steps = [check(name, step) for step in table["steps"]]
    else:
        steps = usual_steps(table)
    return Case(
        theme=theme,
        name=table["name"],
        settings=settings_of(table, SETTINGS),
        steps=steps,
        environment=table.get("environment", {}),
        files=table.get("files", {}),
        ends=table.get("ends"),
        waits=table.get("waits", 0.0),
        better=table.get("better"),
    )


def usual_steps(table: dict[str, Any]) -> list[Step]:
    """The steps of a case that states only its result: accept, settings, prints, answer."""
    if "ends" in table:
        return []
    if ("result" in table) == ("error" in table):
        raise BadCase(f"'{table['name']}' needs exactly one of steps, result and error")
    prints = [{"prints": "t1", "of": values} for values in table.get("prints", ())]
    if "result" in table:
        answer = {"done": "t1", "result": json.loads(table["result"])}
    else:
        answer = {"failed": "t1", "error": table["error"]}
    return [{"place": "t1"}, {"settings": "t1"}, *prints, answer]


def check(name: str, step: Step) -> Step:
    """A step of the case `name` with its JSON parsed."""
    verb = next(iter(step))
    if verb not in VERBS:
        raise BadCase(f"'{name}' has a step with the unknown verb '{verb}'")
    unknown = step.keys() - {verb} - VERBS[verb]
    if unknown:
        raise BadCase(f"'{name}' has a step '{verb}' with the unknown key '{unknown.pop()}'")
    return {key: json.loads(value) if key in JSON_KEYS else value for key, value in step.items()}

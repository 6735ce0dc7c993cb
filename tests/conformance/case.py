"""What a case is, and how it is read from a file. README.md explains the format to people."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).parent / "cases"

MODES = {"all": "runOnceForAllItems", "each": "runOnceForEachItem"}
SETTINGS = {
    "code": "",
    "nodeMode": MODES["all"],
    "items": [{"json": {"a": 1}}],
    "nodeName": "Code",
    "workflowName": "Conformance",
}

# The keys of a case, and those that a step may have beside its verb.
KEYS = {
    "name", "code", "mode", "items", "further", "without", "environment", "files", "steps", "prints", "result", "error",
    "ends", "waits", "better",
}  # fmt: skip
VERBS = {
    "place": set(),
    "accept": {"offer"},
    "settings": {"code", "mode", "items", "without", "further"},
    "send": set(),
    "raw": set(),
    "binary": set(),
    "pieces": set(),
    "answer": set(),
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
# A runner that was made to do one of these is of no use to the next case.
FINAL = {"close", "register", "signal", "closed", "exit"}


class BadCase(Exception):
    """A file does not hold what it should."""


@dataclass(frozen=True)
class Case:
    """One case."""

    theme: str
    name: str
    settings: dict
    steps: list
    environment: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    ends: dict | None = None
    waits: float = 0.0
    better: str | None = None

    @property
    def alone(self):
        """Whether it needs a runner of its own, also because others would have to wait for it."""
        return (
            self.total_wait() >= 1
            or bool(self.files)
            or any(FINAL & step.keys() for step in self.steps)
        )

    def total_wait(self):
        """The seconds that the case itself waits for, its steps included."""
        return self.waits + sum(step_wait(step) for step in self.steps)


def step_wait(step):
    """The seconds that a step waits for."""
    return step.get("wait", 0) + step.get("silent", 0) + step.get("after", 0)


def settings_of(table, base):
    """The settings of a task, as a case or one of its steps writes them over others."""
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


def load(path):
    """The theme and the cases of a file."""
    try:
        document = tomllib.loads(path.read_text())
        theme = document["theme"]
        return theme, [read(theme, table) for table in document["case"]]
    except (tomllib.TOMLDecodeError, KeyError, ValueError, BadCase) as error:
        raise BadCase(f"{path.name}: {error}") from error


def load_all():
    """All themes in the order of their files' names, each with its cases."""
    themes = dict(load(path) for path in sorted(CASES.glob("*.toml")))
    names = [case.name for cases in themes.values() for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadCase(f"two cases are named '{twice.pop()}'")
    return themes


def read(theme, table):
    name = table.get("name", "a case without a name")
    unknown = table.keys() - KEYS
    if unknown:
        raise BadCase(f"'{name}' has the unknown key '{unknown.pop()}'")
    return Case(
        theme=theme,
        name=table["name"],
        settings=settings_of(table, SETTINGS),
        steps=[check(name, step) for step in table["steps"]]
        if "steps" in table
        else usual_steps(table),
        environment=table.get("environment", {}),
        files=table.get("files", {}),
        ends=table.get("ends"),
        waits=table.get("waits", 0.0),
        better=table.get("better"),
    )


def usual_steps(table):
    """What happens to a task in a case that says only what comes of it."""
    if "ends" in table:
        return []
    if ("result" in table) == ("error" in table):
        raise BadCase(f"'{table['name']}' needs steps, or a result, or an error")
    prints = [{"prints": "t1", "of": values} for values in table.get("prints", ())]
    if "result" in table:
        answer = {"done": "t1", "result": json.loads(table["result"])}
    else:
        answer = {"failed": "t1", "error": table["error"]}
    return [{"place": "t1"}, {"settings": "t1"}, *prints, answer]


def check(name, step):
    """A step as it is written, with its JSON read."""
    verb = next(iter(step))
    if verb not in VERBS:
        raise BadCase(f"'{name}' has a step with the unknown verb '{verb}'")
    unknown = step.keys() - {verb} - VERBS[verb]
    if unknown:
        raise BadCase(f"'{name}' has a step '{verb}' with the unknown key '{unknown.pop()}'")
    as_json = {"send", "binary", "pieces", "answer", "expect", "result"}
    return {key: json.loads(value) if key in as_json else value for key, value in step.items()}

"""One case: code in a workflow, and what must come of it."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import workflow as build
from api import Answer
from processes import Timeout, wait_for
from stage import Stage


class Failure(Exception):
    """What happened is not what must happen; the text says how."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Code for a Python node, its surroundings, and expectations.

    In expected values a regular expression stands for a text in which it is found, a type for any value of it, and a
    dict for one that has at least these keys. `{peer}` in the code is the address of the local HTTP server.
    """

    name: str
    code: str
    #: Run once for each item, instead of once for all.
    each: bool = False
    #: The JSON of the input items; None: the node gets the webhook's own item.
    items: Sequence[Any] | None = ({},)
    #: Nodes between the input and the code.
    before: Sequence[build.Node] = ()
    #: The request's body, if it is a file.
    upload: bytes | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    #: What n8n does when the node fails: "continueRegularOutput" and the like.
    on_error: str = "stopWorkflow"
    #: The code is an AI tool, called with this.
    query: Any = None
    #: The JSON schema of the tool's input.
    schema: str | None = None

    #: The webhook's answer, for each of the calls in a row.
    answers: Sequence[Any] = ()
    #: The file that the webhook answers with.
    file: bytes | None = None
    #: What the execution says of the node's error.
    error: dict[str, Any] | None = None
    #: The items that the node put out.
    output: Any = None
    #: Custom data of the execution.
    custom_data: dict[str, str] | None = None
    #: Lines in n8n's log for what the code printed.
    printed: Sequence[str] = ()
    #: Lines that must not be there.
    not_printed: Sequence[str] = ()

    @property
    def node(self) -> str:
        """The name of the node with the code."""
        return "Python" if self.query is None else "Tool"

    def run(self, stage: Stage) -> None:
        """Builds the workflow, calls it, and compares. Raises Failure, with what differs."""
        path = uuid.uuid4().hex
        mark = stage.n8n.written()
        identifier = stage.api.activate(self.workflow(path, stage))
        try:
            for expected in self.answers or (None,):
                self.check_answer(
                    stage.api.call(path, self.body(), self.content_type()),
                    expected,
                    stage,
                    identifier,
                )
            if self.error is not None or self.output is not None or self.custom_data is not None:
                self.check_execution(stage.api.last_execution(identifier))
            self.check_log(stage, mark)
        finally:
            stage.api.rest("POST", f"/workflows/{identifier}/deactivate", {})

    def workflow(self, path: str, stage: Stage) -> dict[str, Any]:
        """The workflow of this case."""
        code = self.code.replace("{peer}", stage.peer.url)
        if self.query is not None:
            return build.tool(self.name, path, code, self.schema)
        start = [build.webhook(path, binary=self.file is not None)]
        if self.items is not None:
            start.append(build.items())
        last = build.python("Python", code, self.each) | {"onError": self.on_error}
        return build.chain(self.name, [*start, *self.before, last], self.settings)

    def body(self) -> Any:
        """The request's body."""
        if self.query is not None:
            return {"query": self.query}
        return self.upload if self.upload is not None else {"items": self.items}

    def content_type(self) -> str:
        """The request's content type."""
        return "application/octet-stream" if self.upload is not None else "application/json"

    def check_answer(self, answer: Answer, expected: Any, stage: Stage, identifier: str) -> None:
        """Compares the answer to one call."""
        if self.error is not None and self.query is None:
            compare("status", answer.status, 500)
            return
        if answer.status != 200:
            raise Failure(
                f"status {answer.status}: {what_failed(stage.api.last_execution(identifier))}"
            )
        if self.file is not None:
            if answer.body != self.file:
                raise Failure(
                    f"a file of {len(answer.body)} bytes came back, not the one of {len(self.file)} bytes"
                )
        elif expected is not None:
            compare("answer", answer.json(), expected)

    def check_execution(self, execution: dict[str, Any]) -> None:
        """Compares what the execution's data say."""
        run = execution["data"]["resultData"]["runData"].get(self.node, [{}])[-1]
        if self.error is not None:
            if "error" not in run:
                raise Failure(f"the node did not fail; it gave {shortened(run.get('data'))}")
            compare("error", run["error"], self.error)
        if self.output is not None:
            compare("output", run["data"]["main"][0], self.output)
        if self.custom_data is not None:
            compare("custom data", execution["customData"], self.custom_data)

    def check_log(self, stage: Stage, mark: int) -> None:
        """Looks for what the code printed."""
        lines = [f'[Node "{self.node}"] {text}\n' for text in self.printed]

        def look() -> bool:
            return all(line in stage.n8n.output(mark) for line in lines)

        try:
            wait_for("prints", 5, look)
        except Timeout:
            missing = [line for line in lines if line not in stage.n8n.output(mark)]
            raise Failure(
                f"not printed: {missing}; in the log: {stage.n8n.output(mark)[-500:]}"
            ) from None
        for text in self.not_printed:
            if text in stage.n8n.output(mark):
                raise Failure(f"printed, but should not be: {text!r}")


def what_failed(execution: dict[str, Any]) -> str:
    """The error of an execution in a line."""
    error = execution["data"]["resultData"].get("error") or {}
    return f"{error.get('message')} (node {error.get('node', {}).get('name')}, line {error.get('lineNumber')})"


def compare(what: str, found: Any, expected: Any) -> None:
    """Raises Failure where a value is not as expected."""
    if isinstance(expected, re.Pattern):
        good = isinstance(found, str) and expected.search(found) is not None
    elif isinstance(expected, type):
        good = isinstance(found, expected)
    elif isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                raise Failure(f"{what} has no {key!r}: {shortened(found)}")
            compare(f"{what}.{key}", found[key], value)
        return
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        for index, pair in enumerate(zip(found, expected)):
            compare(f"{what}[{index}]", *pair)
        return
    else:
        good = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    if not good:
        raise Failure(f"{what} is {shortened(found)}, expected {shortened(expected)}")


def shortened(value: Any) -> str:
    """A value in at most a line or two."""
    text = value.pattern if isinstance(value, re.Pattern) else repr(value)
    return text if len(text) < 400 else f"{text[:250]} … {text[-100:]}"

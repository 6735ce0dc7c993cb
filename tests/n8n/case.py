"""A case: code in a workflow, and the expected results."""

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
    """A result differs from the expectation. The text names both."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Code of a Python node, its workflow, and expectations.

    In expected values a regular expression matches a string that contains a match. A type matches
    its instances. A dict matches a dict with at least these keys. `{peer}` in the code is the
    address of the local HTTP server.
    """

    name: str
    code: str
    #: Run once for each item instead of once for all items.
    each: bool = False
    #: The JSON of the input items. None: the input is the webhook's item.
    items: Sequence[Any] | None = ({},)
    #: Nodes between the input and the code.
    before: Sequence[build.Node] = ()
    #: A file as the request's body.
    upload: bytes | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    #: n8n's reaction to an error of the node, such as "continueRegularOutput".
    on_error: str = "stopWorkflow"
    #: Run the code as an AI tool with this query.
    query: Any = None
    #: The JSON schema of the tool's input.
    schema: str | None = None

    #: The webhook's response to each of successive calls.
    answers: Sequence[Any] = ()
    #: The file in the webhook's response.
    file: bytes | None = None
    #: The node's error in the data of the execution.
    error: dict[str, Any] | None = None
    #: The node's output items.
    output: Any = None
    #: Custom data of the execution.
    custom_data: dict[str, str] | None = None
    #: Prints of the code in n8n's log.
    printed: Sequence[str] = ()
    #: Lines that must not be in the log.
    not_printed: Sequence[str] = ()

    @property
    def node(self) -> str:
        """The name of the node with the code."""
        return "Python" if self.query is None else "Tool"

    def run(self, stage: Stage) -> None:
        """Builds and calls the workflow, and compares the results. Raises Failure."""
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
        """Compares the response to one call."""
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
                    f"the response is another file of {len(answer.body)} bytes, "
                    f"expected {len(self.file)} bytes"
                )
        elif expected is not None:
            compare("answer", answer.json(), expected)

    def check_execution(self, execution: dict[str, Any]) -> None:
        """Compares the data of the execution."""
        run = execution["data"]["resultData"]["runData"].get(self.node, [{}])[-1]
        if self.error is not None:
            if "error" not in run:
                raise Failure(f"the node did not fail; its output is {shortened(run.get('data'))}")
            compare("error", run["error"], self.error)
        if self.output is not None:
            compare("output", run["data"]["main"][0], self.output)
        if self.custom_data is not None:
            compare("custom data", execution["customData"], self.custom_data)

    def check_log(self, stage: Stage, mark: int) -> None:
        """Looks for the prints in n8n's log."""
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
                raise Failure(f"must not be printed: {text!r}")


def what_failed(execution: dict[str, Any]) -> str:
    """The error of an execution as one line."""
    error = execution["data"]["resultData"].get("error") or {}
    node = error.get("node", {}).get("name")
    return f"{error.get('message')} (node {node}, line {error.get('lineNumber')})"


def compare(what: str, found: Any, expected: Any) -> None:
    """Raises Failure if a value does not match the expectation."""
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
        for index, pair in enumerate(zip(found, expected, strict=True)):
            compare(f"{what}[{index}]", *pair)
        return
    else:
        good = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    if not good:
        raise Failure(f"{what} is {shortened(found)}, expected {shortened(expected)}")


def shortened(value: Any) -> str:
    """A value in at most 400 characters."""
    text = value.pattern if isinstance(value, re.Pattern) else repr(value)
    return text if len(text) < 400 else f"{text[:250]} … {text[-100:]}"

"""The way of one task: read the settings, run the code, write the reply."""

import builtins
import os
from ast import Module
from collections.abc import Callable
from typing import Any

from _serpentarium.core import code, loop, source, wire
from _serpentarium.measure import measure
from _serpentarium.n8n import names
from _serpentarium.policy import guards
from _serpentarium.core.errors import report
from _serpentarium.core.log import log
from _serpentarium.n8n.names import Given
from _serpentarium.policy.policy import Policy
from _serpentarium.core.result import TaskError, encode_result
from _serpentarium.core.wire import Reply

_LAST_WORDS = '{"error":{"message":"MemoryError"}}'


class Task:
    """What one task has at hand."""

    __slots__ = ("code", "given", "item_index", "itself", "namespace", "result", "settings")

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.code = ""
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.item_index: int | None = None
        self.given: Given | None = None
        self.result: object = None

    def forget(self) -> None:
        """Lets go of the task's data, to have memory for a reply."""
        self.settings = {}
        self.namespace.clear()
        self.result = None


def run() -> None:
    """Runs the instance's one task. Whatever happens in it, there is one reply."""
    task = Task()
    try:
        reply = perform(task)
    except BaseException as error:
        reply = report(error, task.item_index)
    try:
        wire.send(reply)
    except MemoryError:
        task.forget()
        wire.send(_LAST_WORDS)
    # In a circle nothing is freed: the instance is thrown away whole, and cheaper so.
    task.itself = task  # type: ignore[attr-defined]


def perform(task: Task) -> Reply:
    """Runs the task; the reply is its result or its failure."""
    try:
        reply = _execute(task)
    except BaseException as error:
        if issubclass(type(error), MemoryError):
            task.forget()
        reply = report(error, task.item_index)
    if log.statements or log.partial:
        try:
            log.finish()
        except BaseException:
            # The reply matters more than the end of the log.
            pass
    return reply


def _execute(task: Task) -> Reply:
    try:
        settings = task.settings = wire.decode(wire.read_input())
    except ValueError as error:
        raise TaskError(f"Invalid task settings: not JSON: {error}") from None
    run_body = _check(settings)
    task.code = settings["code"]
    if "printMode" in settings and settings["printMode"] == "text":
        log.as_text = True
    check = None
    if "serpentarium" in settings:
        if "measure" in settings["serpentarium"]:
            return measure.run(task, run_body)
        check = _obey(task)
    return run_body(task, code.compile_body(task.code, check))


def _obey(task: Task) -> Callable[[Module], None] | None:
    """Does what the host adds to the settings: what the code finds in its environment, and what it may do.

    Returns what has to look at the code before it runs.
    """
    host = task.settings["serpentarium"]
    if "env" in host:
        os.environ.update(host["env"])
    if "callsInFlight" in host:
        loop.allow(host["callsInFlight"])
    if host.get("policy") is None:
        return None
    policy = Policy(host["policy"])
    task.namespace["__builtins__"] = guards.install(policy)
    return policy.check


def _check(settings: Any) -> Callable[[Task, Any], Reply]:
    """Checks the required fields of the settings. Returns the function that runs the code in their mode.

    Settings with neither `nodeMode` nor `items` are a plain program, not a task of n8n.
    """
    if type(settings) is not dict:
        raise TaskError("Invalid task settings: not an object")
    get = settings.get
    if type(get("code")) is str:
        if type(get("items")) is list:
            mode = get("nodeMode")
            if mode == "runOnceForAllItems":
                return _run_for_all_items
            if mode == "runOnceForEachItem":
                return _run_for_each_item
        elif "nodeMode" not in settings and "items" not in settings:
            return _run_program
    raise _bad_settings(settings)


def _bad_settings(settings: dict[str, Any]) -> TaskError:
    for field in ("code", "nodeMode", "items"):
        if settings.get(field) is None:
            return TaskError(f"Missing field in task settings message: '{field}'")
    if type(settings["code"]) is not str:
        return TaskError("Invalid task settings: 'code' must be a string")
    if type(settings["items"]) is not list:
        return TaskError("Invalid task settings: 'items' must be a list")
    return TaskError(f"Unknown nodeMode: {settings['nodeMode']}")


def _run_program(task: Task, body: Any) -> Reply:
    """Runs a plain program: it has the name `input`, prints plain text, and has no names of n8n."""
    log.as_text = True
    settings = task.settings
    if "input" in settings:
        task.namespace["input"] = settings["input"]
    if body is not None:
        task.result = code.bind(body, task.namespace)()
    return encode_result(task.result)


def _run_for_all_items(task: Task, body: Any) -> Reply:
    namespace = task.namespace
    namespace["_items"] = task.settings["items"]
    namespace["_query"] = task.settings.get("query")
    if body is not None:
        given = task.given = names.give(task, body)
        if given is not None:
            given.renew()
        task.result = code.bind(body, namespace)()
    return encode_result(task.result, task.given.effects() if task.given else None)


def _run_for_each_item(task: Task, body: Any) -> Reply:
    namespace = task.namespace
    outputs: list[dict[str, Any]] = []
    task.result = outputs
    if body is not None:
        given = task.given = names.give(task, body)
        function = code.bind(body, namespace)
        for index, item in enumerate(task.settings["items"]):
            task.item_index = index
            namespace["_item"] = item
            if given is not None:
                given.renew()
            value = function()
            if value is not None:
                outputs.append(_output_item(value, index))
        task.item_index = None
    try:
        return encode_result(outputs, task.given.effects() if task.given else None)
    except BaseException:
        _find_culprit(task, outputs)
        raise


def _output_item(value: Any, index: int) -> dict[str, Any]:
    """What n8n makes of the value that the code returned for one item."""
    binary = None
    if issubclass(type(value), dict):
        binary = value.get("binary")
        if "json" in value:
            value = value["json"]
        elif "binary" in value:
            value = {key: member for key, member in value.items() if key != "binary"}
    item = {"json": value, "pairedItem": {"item": index}}
    if binary is not None:
        item["binary"] = binary
    return item


def _find_culprit(task: Task, outputs: list[dict[str, Any]]) -> None:
    """Notes which item's output cannot be encoded."""
    for output in outputs:
        try:
            encode_result(output)
        except BaseException:
            task.item_index = output["pairedItem"]["item"]
            return


source.register(perform.__code__)

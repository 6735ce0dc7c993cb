"""n8n's two modes: the code runs once for all items, or once for each item."""

from types import CodeType
from typing import Any

from _serpentarium.abi import ALL_ITEMS, CODE, EACH_ITEM, ITEMS, NODE_MODE, QUERY
from _serpentarium.core import exits
from _serpentarium.core.current import Task
from _serpentarium.core.extensions import Bind, Mode
from _serpentarium.core.forms import keys_of, settle
from _serpentarium.core.no_form import NoForm
from _serpentarium.core.result import TaskError, encode_result
from _serpentarium.core.wire import Reply
from _serpentarium.n8n import names


def select(settings: dict[str, Any]) -> Mode:
    """Validates n8n's settings and returns the mode that they name."""
    get = settings.get
    if type(get(CODE)) is str and type(get(ITEMS)) is list:
        mode = get(NODE_MODE)
        if mode == ALL_ITEMS:
            return _run_for_all_items
        if mode == EACH_ITEM:
            return _run_for_each_item
    raise _bad_settings(settings)


def _bad_settings(settings: dict[str, Any]) -> TaskError:
    for field in (CODE, NODE_MODE, ITEMS):
        if settings.get(field) is None:
            return TaskError(f"Missing field in task settings message: '{field}'")
    if type(settings[CODE]) is not str:
        return TaskError("Invalid task settings: 'code' must be a string")
    if type(settings[ITEMS]) is not list:
        return TaskError("Invalid task settings: 'items' must be a list")
    return TaskError(f"Unknown nodeMode: {settings[NODE_MODE]}")


def _run_for_all_items(task: Task, body: CodeType, bind: Bind) -> Reply:
    namespace = task.namespace
    namespace["_items"] = task.settings[ITEMS]
    namespace["_query"] = task.settings.get(QUERY)
    given = names.give(task, body)
    if given is not None:
        given.renew(namespace)
    try:
        task.result = bind(body, namespace)()
    except SystemExit as error:
        exits.check(error)
    return encode_result(task.result, given.effects() if given else None)


def _run_for_each_item(task: Task, body: CodeType, bind: Bind) -> Reply:
    namespace = task.namespace
    outputs: list[dict[str, Any]] = []
    task.result = outputs
    given = names.give(task, body)
    start: dict[str, Any] = {}
    function = bind(body, namespace)
    for index, item in enumerate(task.settings[ITEMS]):
        task.item_index = index
        namespace["_item"] = item
        if given is not None:
            given.renew(namespace)
        if not index:
            start = dict(namespace)
        elif len(namespace) != len(start):
            # The code has set variables of its module. Those of one item are not of the next. A
            # comparison of all names would cost more than a small item.
            namespace = task.new_module()
            namespace |= start
            namespace["_item"] = item
            if given is not None:
                given.renew(namespace)
            function = bind(body, namespace)
        try:
            value = function()
        except SystemExit as error:
            exits.check(error)
            continue
        if value is not None:
            _add_output(outputs, value, index)
    task.item_index = None
    try:
        return encode_result(outputs, given.effects() if given else None)
    except BaseException as error:
        _find_culprit(task, outputs, error)
        raise


def _add_output(outputs: list[dict[str, Any]], value: Any, index: int) -> None:
    """Makes an output item of the value that the code returned for one item, as n8n does."""
    binary = None
    if issubclass(type(value), dict):
        binary = value.get("binary")
        if "json" in value:
            value = value["json"]
        elif "binary" in value:
            value = {key: member for key, member in value.items() if key != "binary"}
    elif (settled := settle(value)) is not value:
        if settled is not None:
            _add_output(outputs, settled, index)
        return
    item = {"json": value, "pairedItem": {"item": index}}
    if binary is not None:
        item["binary"] = binary
    outputs.append(item)


def _find_culprit(task: Task, outputs: list[dict[str, Any]], error: BaseException) -> None:
    """Sets the task's item index to the item whose output cannot be encoded."""
    keys = keys_of(error)
    if keys:
        task.item_index = outputs[keys[0]]["pairedItem"]["item"]
    if isinstance(error, NoForm):
        # The user's value has no index: it is one item.
        error.skip = 1

"""Runs the instance's one task: reads the settings, runs the code, writes the reply."""

import atexit
import os
from collections.abc import Mapping
from types import CodeType
from typing import Any

import _host

from _serpentarium.abi import (
    AS_TEXT,
    CALLS_IN_FLIGHT,
    CODE,
    ENV,
    FILE_BYTES,
    FILES,
    HOST,
    INPUT,
    ITEMS,
    LAST,
    LOCAL_TIMEZONE,
    MEASURE,
    NODE_MODE,
    POLICY,
    PRINT_MODE,
)
from _serpentarium.core import code, current, exchange, exits, loop, wire, zone
from _serpentarium.core.current import Task
from _serpentarium.core.errors import OUT_OF_MEMORY, report
from _serpentarium.core.extensions import Bind, Check, Mode, extensions
from _serpentarium.core.last import returning_last
from _serpentarium.core.log import log
from _serpentarium.core.result import TaskError, encode_result
from _serpentarium.core.wire import Reply

# User code can replace members of modules, so the object is bound here.
_task = current.task
_limit_files = _host.limit_files
_count_exit_functions = atexit._ncallbacks
_run_exit_functions = atexit._run_exitfuncs


def run() -> None:
    """Runs the current task. It always writes exactly one reply."""
    task = _task
    try:
        reply = perform(task)
    except BaseException as error:
        reply = report(error, task.item_index)
    try:
        wire.send(reply)
    except MemoryError:
        task.free()
        wire.send(OUT_OF_MEMORY)


def perform(task: Task) -> Reply:
    """Runs the task and returns its reply: the result or the error."""
    try:
        reply = _execute(task)
    except BaseException as error:
        if issubclass(type(error), MemoryError):
            task.free()
        reply = report(error, task.item_index)
    if _count_exit_functions():
        _run_exit_functions()
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
    mode = _select_mode(settings)
    task.code = settings[CODE]
    if PRINT_MODE in settings and settings[PRINT_MODE] == AS_TEXT:
        log.as_text = True
    check = None
    if HOST in settings:
        host = settings[HOST]
        if FILES in host:
            mode = exchange.with_files(mode, host[FILES])
        if FILE_BYTES in host:
            _limit_files(host[FILE_BYTES])
        if MEASURE in host:
            return extensions.measure(task, mode)
        check = _apply(task, host)
    return mode(task, code.compile_program(task.code, check), code.bind)


def _select_mode(settings: Any) -> Mode:
    """Validates the settings. Returns the mode of a program, or one that n8n's settings name."""
    if type(settings) is not dict:
        raise TaskError("Invalid task settings: not an object")
    if NODE_MODE in settings or ITEMS in settings or type(settings.get(CODE)) is not str:
        return extensions.select_mode(settings)
    return _run_program


def _run_program(task: Task, body: CodeType, bind: Bind) -> Reply:
    """Runs a program without names of n8n."""
    log.as_text = True
    settings = task.settings
    if INPUT in settings:
        task.namespace[INPUT] = settings[INPUT]
    try:
        task.result = bind(body, task.namespace)()
    except SystemExit as error:
        exits.check(error)
    return encode_result(task.result)


def _apply(task: Task, host: Mapping[str, Any]) -> Check | None:
    """Applies the settings that the host added. Returns the check of the code, if there is one."""
    if ENV in host:
        os.environ.update(host[ENV])
        if "TZ" in host[ENV]:
            zone.use()
    elif LOCAL_TIMEZONE in host:
        zone.use()
    if CALLS_IN_FLIGHT in host:
        loop.allow(host[CALLS_IN_FLIGHT])
    check = None
    if host.get(POLICY) is not None:
        check = extensions.apply_policy(task, host[POLICY])
    return returning_last(check) if host.get(LAST) is True else check

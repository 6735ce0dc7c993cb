"""The kinds of measurement that the settings can ask for."""

import gc
from typing import Any

from _serpentarium.abi import BENCH, CALIBRATE, HOST, MEASURE, PLAN, PROFILE
from _serpentarium.core import code
from _serpentarium.core.current import Task
from _serpentarium.core.extensions import Mode
from _serpentarium.core.result import encode_result
from _serpentarium.core.wire import Reply
from _serpentarium.measure import benchmarks, profile
from _serpentarium.measure.spans import spanned


def run(task: Task, mode: Mode) -> Reply:
    """Measures the task."""
    wish: dict[str, Any] = task.settings[HOST][MEASURE]
    kind = wish["kind"]
    if kind == PLAN:
        return encode_result(benchmarks.plan(task))
    if kind == BENCH:
        return benchmarks.run(task, wish)
    if kind == CALIBRATE:
        profile.calibrate()
        return encode_result(None)
    return _run_program(task, mode, kind == PROFILE)


def _run_program(task: Task, mode: Mode, by_line: bool) -> Reply:
    """Runs a whole program, with a span around each run of its code."""
    body = profile.compile_watched(task.code) if by_line else code.compile_program(task.code)
    # With and without a profile, the collector then runs at the same moments.
    gc.collect()
    return mode(task, body, lambda body, namespace: spanned(code.bind(body, namespace)))

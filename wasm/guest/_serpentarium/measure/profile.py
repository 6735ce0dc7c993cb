"""Notifies the host of the program's lines, by marks, and of its calls, by `sys.monitoring`.

An event is a name with one number. The host keeps the call stack. It attributes the fuel between
two events to the current line, less the fuel of an event itself, which `calibrate` measures.
"""

import gc
import sys
from ast import FunctionDef, parse
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from _serpentarium.abi import (
    ASIDE,
    CODE_OBJECT,
    END,
    PLAIN,
    RESUME,
    RETURN,
    START,
    UNWIND,
    WATCHED,
    YIELD,
)
from _serpentarium.core import code as programs
from _serpentarium.core import wire
from _serpentarium.core.code import FILENAME
from _serpentarium.core.result import TaskError
from _serpentarium.core.wire import encode
from _serpentarium.measure import marks

# A tool id without a reserved use (PEP 669). cProfile has another, so profiled programs can use it.
_TOOL = 4

# The profiled code objects. Kept alive, so that their addresses identify them.
_watched: list[CodeType] = []
# Number of the code object at address `_low + 16 * index`, or an empty str. A list, because a
# look-up in a dict consumes a varying amount of fuel.
_places: list[str] = []
_low = 0
# Bytes between `_low` and the first code object: all indexes are above CPython's cached small ints,
# whose look-up consumes less fuel.
_MARGIN = 1 << 16
# Longest list: 64 MiB of addresses.
_MAX_PLACES = 4 << 20

_notify: Callable[[str, str], None] = wire.notify_host

# Absent before Python 3.12, which can run the tests of this package.
_monitoring: Any = getattr(sys, "monitoring", None)


def _on_start(code: CodeType, offset: int) -> None:
    _notify(START, _places[(id(code) - _low) >> 4])


def _on_resume(code: CodeType, offset: int) -> None:
    _notify(RESUME, _places[(id(code) - _low) >> 4])


def _on_return(code: CodeType, offset: int, value: object) -> None:
    _notify(RETURN, "0")


def _on_yield(code: CodeType, offset: int, value: object) -> None:
    _notify(YIELD, "0")


def _on_unwind(code: CodeType, offset: int, error: BaseException) -> None:
    _notify(UNWIND if _number(code) else ASIDE, "0")


def _on_throw(code: CodeType, offset: int, error: BaseException) -> None:
    number = _number(code)
    if number:
        _notify(RESUME, number)
    else:
        _notify(ASIDE, "0")


def _number(code: CodeType) -> str:
    """Returns the number of a profiled code object; empty for any other."""
    place = (id(code) - _low) >> 4
    return _places[place] if 0 <= place < len(_places) else ""


def compile_watched(text: str) -> CodeType:
    """Compiles a program as `compile_program` does, and profiles it."""
    body = marks.quiet(lambda: programs.compile_program(text, marks.mark))
    body = marks.connect(body, _notify)
    watch([body])
    return body


def watch(bodies: list[CodeType]) -> None:
    """Profiles code objects, and all code inside of them."""
    events = _monitoring.events
    _monitoring.use_tool_id(_TOOL, "serpentarium")
    for event, callback in (
        (events.PY_START, _on_start),
        (events.PY_RESUME, _on_resume),
        (events.PY_RETURN, _on_return),
        (events.PY_YIELD, _on_yield),
        (events.PY_UNWIND, _on_unwind),
        (events.PY_THROW, _on_throw),
    ):
        _monitoring.register_callback(_TOOL, event, callback)
    # PEP 669 has these two as global events only.
    _monitoring.set_events(_TOOL, events.PY_UNWIND | events.PY_THROW)
    for code in bodies:
        bodies += [constant for constant in code.co_consts if type(constant) is CodeType]
    _place(bodies)
    for code in bodies:
        _describe(code)
        _monitoring.set_local_events(
            _TOOL, code, events.PY_START | events.PY_RESUME | events.PY_RETURN | events.PY_YIELD
        )
    _rehearse(bodies[0])


def _place(codes: list[CodeType]) -> None:
    """Numbers the code objects."""
    global _low
    addresses = [id(code) for code in codes]
    _low = min(addresses) - _MARGIN
    places = ((max(addresses) - _low) >> 4) + 1
    if places > _MAX_PLACES:
        raise TaskError("the code is too large to be profiled")
    _watched[:] = codes
    _places[:] = [""] * places
    for number, address in enumerate(addresses):
        _places[(address - _low) >> 4] = marks.number(number)


def _describe(code: CodeType) -> None:
    """Describes a code object to the host, which numbers them in this order."""
    about = {
        "name": code.co_qualname,
        "line": code.co_firstlineno,
        "single": not marks.has_marks(code, _notify),
    }
    _notify(CODE_OBJECT, "".join(encode(about, 0)))


def _rehearse(code: CodeType) -> None:
    """Runs the callbacks until CPython has specialised them. The host ignores these calls."""
    nothing = RuntimeError()
    # One in 64 executions counts, by lot (patch 0006).
    for _ in range(1000):
        _on_start(code, 0)
        _on_resume(code, 0)
        _on_return(code, 0, None)
        _on_yield(code, 0, None)
        _on_unwind(code, 0, nothing)
        _on_throw(code, 0, nothing)


# Programs that consist of known events. Each runs with and without a profile, for `_ROUNDS` and for
# twice as many. The difference of the differences is the fuel of the events of `_ROUNDS` rounds.
_ROUNDS = 300
_CALIBRATION = {
    "lines": "def program(rounds):\n    for _ in rounds:\n" + "        _\n" * 9,
    "calls": """\
def f():
    pass
def program(rounds):
    call = f
    for _ in rounds:
        call()
""",
    "yields": """\
def g(rounds):
    for _ in rounds:
        yield
def program(rounds):
    list(g(rounds))
""",
    "raises": """\
def f(e):
    raise e
def program(rounds):
    call = f
    e = ValueError()
    for _ in rounds:
        try:
            call(e)
        except ValueError:
            _
""",
}
# A function raises that is not profiled.
_CALIBRATION["asides"] = (
    _CALIBRATION["raises"].replace("f(e)", "other(e)").replace("= f", "= other")
)


def calibrate() -> None:
    """Runs programs that consist of known events, without and with a profile."""
    for name in _CALIBRATION:
        _span(PLAIN, name, _load(name, False))
    namespaces = {name: _load(name, True) for name in _CALIBRATION}
    parts = [
        part
        for namespace in namespaces.values()
        for name, part in namespace.items()
        if name != "other"
    ]
    watch([part.__code__ for part in parts if type(part) is FunctionType])
    for name, namespace in namespaces.items():
        _span(WATCHED, name, namespace)


def _load(name: str, is_watched: bool) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    tree = parse(_CALIBRATION[name], FILENAME)
    if is_watched:
        for function in tree.body:
            if isinstance(function, FunctionDef) and function.name != "other":
                marks.mark(function)
    code = marks.quiet(lambda: compile(tree, FILENAME, "exec"))
    exec(marks.connect(code, _notify), namespace)
    return namespace


def _span(kind: str, name: str, namespace: dict[str, Any]) -> None:
    """Runs a program in a span, after CPython has specialised it."""
    program = namespace["program"]
    program(range(20))
    for rounds in (_ROUNDS, 2 * _ROUNDS):
        gc.collect()
        _notify(kind, f'"{name}"')
        program(range(rounds))
        _notify(END, "0")

"""Tells the host what user code does, line by line: `sys.monitoring`, for the code of the user's own text only.

An event is one word to the host with one number. The host keeps the call stack, and the counts: whatever happened between
two events belongs to the line that was running, less what an event costs by itself, which `calibrate` lets it find out.
"""

import gc
import sys
from collections.abc import Callable
from opcode import opmap
from types import CodeType, FunctionType
from typing import Any

from _serpentarium import wire
from _serpentarium.code import FILENAME
from _serpentarium.result import TaskError
from _serpentarium.wire import encode

# The number by which `sys.monitoring` knows profilers.
_TOOL = 2
_PREFIX = "<module>.<locals>."

# Instructions that run unspecialised where a line begins with them, and so cost more than they would.
_FOR_ITER = opmap["FOR_ITER"]
_LOAD_GLOBAL = opmap["LOAD_GLOBAL"]

# What is watched: kept, so that an address stays a name for it.
_watched: list[CodeType] = []
# Numbers of code objects by their addresses from `_low` on, sixteen bytes a place: a look-up that always costs the same,
# which a dict's does not.
_places: list[str] = []
_low = 0
# So far below the first code object that every place has a number that CPython does not keep ready.
_MARGIN = 1 << 16
_MOST_PLACES = 4 << 20
# Numbers of lines, as text.
_numbers: list[str] = ["0"]

_tell: Callable[[str, str], None] = wire.tell_host

# The Python that runs this package's own tests need not have it.
_monitoring: Any = getattr(sys, "monitoring", None)
_LOCAL = 0
if _monitoring is not None:
    _EVENTS = _monitoring.events
    _LOCAL = _EVENTS.PY_START | _EVENTS.PY_RESUME | _EVENTS.PY_RETURN | _EVENTS.PY_YIELD | _EVENTS.LINE


def _on_line(code: CodeType, line: int) -> None:
    _tell("line", _numbers[line])


def _on_start(code: CodeType, offset: int) -> None:
    _tell("start", _places[(id(code) - _low) >> 4])


def _on_resume(code: CodeType, offset: int) -> None:
    _tell("resume", _places[(id(code) - _low) >> 4])


def _on_return(code: CodeType, offset: int, value: object) -> None:
    _tell("return", "0")


def _on_yield(code: CodeType, offset: int, value: object) -> None:
    _tell("yield", "0")


def _on_unwind(code: CodeType, offset: int, error: BaseException) -> None:
    if code.co_filename == FILENAME:
        _tell("unwind", "0")


def _on_throw(code: CodeType, offset: int, error: BaseException) -> None:
    if code.co_filename == FILENAME:
        _on_resume(code, offset)


def watch(bodies: list[CodeType]) -> None:
    """Has the host told what these do, and all code inside of them."""
    events = _monitoring.events
    _monitoring.use_tool_id(_TOOL, "serpentarium")
    for event, callback in (
        (events.LINE, _on_line),
        (events.PY_START, _on_start),
        (events.PY_RESUME, _on_resume),
        (events.PY_RETURN, _on_return),
        (events.PY_YIELD, _on_yield),
        (events.PY_UNWIND, _on_unwind),
        (events.PY_THROW, _on_throw),
    ):
        _monitoring.register_callback(_TOOL, event, callback)
    # These two can only be had for all code.
    _monitoring.set_events(_TOOL, events.PY_UNWIND | events.PY_THROW)
    for code in bodies:
        bodies += [constant for constant in code.co_consts if type(constant) is CodeType]
    _place(bodies)
    for code in bodies:
        _describe(code)
        _monitoring.set_local_events(_TOOL, code, _LOCAL)
    _rehearse(bodies[0])


def _place(codes: list[CodeType]) -> None:
    """Numbers the code objects."""
    global _low
    addresses = [id(code) for code in codes]
    _low = min(addresses) - _MARGIN
    places = ((max(addresses) - _low) >> 4) + 1
    if places > _MOST_PLACES:
        raise TaskError("the code is too large to be profiled")
    _watched[:] = codes
    _places[:] = ["0"] * places
    for number, address in enumerate(addresses):
        _places[(address - _low) >> 4] = str(number)


def _describe(code: CodeType) -> None:
    """Tells the host a code object's name and first line, and its lines that cost more to watch. It counts them."""
    slowed: dict[str, str] = {}
    # Base instructions, two bytes each. (`dis` would say it more plainly, and leave so much free memory behind that the
    # program allocates in other steps than it otherwise does.)
    instructions = code.co_code
    for start, end, line in code.co_lines():
        if line is None:
            continue
        while len(_numbers) <= line:
            _numbers.append(str(len(_numbers)))
        if _FOR_ITER in instructions[start:end:2]:
            slowed[str(line)] = "for"
        elif instructions[start] == _LOAD_GLOBAL:
            slowed[str(line)] = "global"
    name = code.co_qualname.removeprefix(_PREFIX)
    about = {"name": name, "line": code.co_firstlineno, "slowed": slowed}
    _tell("code", "".join(encode(about, 0)))


def _rehearse(code: CodeType) -> None:
    """Lets the callbacks become as fast as they get. The host counts from the first mark on."""
    nothing = RuntimeError()
    for _ in range(100):
        _on_line(code, 1)
        _on_start(code, 0)
        _on_resume(code, 0)
        _on_return(code, 0, None)
        _on_yield(code, 0, None)
        _on_unwind(code, 0, nothing)
        _on_throw(code, 0, nothing)


# Programs that consist of known events. Each runs with and without being watched, for so many rounds and twice as many: the
# difference of the differences is what the events of so many rounds cost.
_ROUNDS = 300
_CALIBRATION = {
    "one": "def program(rounds):\n    for _ in rounds:\n        _\n",
    "lines": "def program(rounds):\n    for _ in rounds:\n" + "        _\n" * 9,
    "globals": "def program(rounds):\n    for _ in rounds:\n        _\n" + "        len\n" * 8,
    "calls": "def f():\n    pass\ndef program(rounds):\n    call = f\n    for _ in rounds:\n        call()\n",
    "yields": "def g(rounds):\n    for _ in rounds:\n        yield\ndef program(rounds):\n    list(g(rounds))\n",
    "raises": "def f(e):\n    raise e\ndef program(rounds):\n    call = f\n    e = ValueError()\n    for _ in rounds:\n"
    "        try:\n            call(e)\n        except ValueError:\n            _\n",
}


def calibrate() -> None:
    """Runs programs that consist of known events, without and with being watched."""
    for name in _CALIBRATION:
        _span("plain", name, _load(name))
    namespaces = {name: _load(name) for name in _CALIBRATION}
    parts = [part for namespace in namespaces.values() for part in namespace.values()]
    # From here on every exception costs more, watched or not.
    watch([part.__code__ for part in parts if type(part) is FunctionType])
    for name, namespace in namespaces.items():
        _span("watched", name, namespace)


def _load(name: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(_CALIBRATION[name], FILENAME, "exec"), namespace)
    return namespace


def _span(kind: str, name: str, namespace: dict[str, Any]) -> None:
    """Runs a program between marks, when it has become as fast as it gets."""
    program = namespace["program"]
    program(range(20))
    for rounds in (_ROUNDS, 2 * _ROUNDS):
        gc.collect()
        _tell(kind, f'"{name}"')
        program(range(rounds))
        _tell("end", "0")

"""Tells the host what user code does, line by line: marks in the user's own text, and `sys.monitoring` for its calls.

An event is one word to the host with one number. The host keeps the call stack, and the counts: whatever happened between
two events belongs to the line that was running, less what an event costs by itself, which `calibrate` lets it find out.
"""

import gc
import sys
from ast import PyCF_ONLY_AST
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from _serpentarium.core import code as programs
from _serpentarium.core import wire
from _serpentarium.measure import marks
from _serpentarium.core.code import FILENAME
from _serpentarium.core.result import TaskError
from _serpentarium.core.wire import encode

# One of the numbers that `sys.monitoring` gives to nobody: programs under watch may use `cProfile`, which has another.
_TOOL = 4
_PREFIX = "<module>.<locals>."

# What is watched: kept, so that an address stays a name for it.
_watched: list[CodeType] = []
# Numbers of code objects by their addresses from `_low` on, sixteen bytes a place, empty for all other places: a look-up
# that always costs the same, which a dict's does not.
_places: list[str] = []
_low = 0
# So far below the first code object that every place has a number that CPython does not keep ready.
_MARGIN = 1 << 16
_MOST_PLACES = 4 << 20

_notify: Callable[[str, str], None] = wire.notify_host

# The Python that runs this package's own tests need not have it.
_monitoring: Any = getattr(sys, "monitoring", None)


def _on_start(code: CodeType, offset: int) -> None:
    _notify("start", _places[(id(code) - _low) >> 4])


def _on_resume(code: CodeType, offset: int) -> None:
    _notify("resume", _places[(id(code) - _low) >> 4])


def _on_return(code: CodeType, offset: int, value: object) -> None:
    _notify("return", "0")


def _on_yield(code: CodeType, offset: int, value: object) -> None:
    _notify("yield", "0")


def _on_unwind(code: CodeType, offset: int, error: BaseException) -> None:
    _notify("unwind" if _number(code) else "aside", "0")


def _on_throw(code: CodeType, offset: int, error: BaseException) -> None:
    number = _number(code)
    if number:
        _notify("resume", number)
    else:
        _notify("aside", "0")


def _number(code: CodeType) -> str:
    """A watched code object's number; nothing for other code, whatever its file name is."""
    place = (id(code) - _low) >> 4
    return _places[place] if 0 <= place < len(_places) else ""


def compile_watched(text: str) -> CodeType | None:
    """The code of a program, as `compile_body` makes it, and watched."""
    body: CodeType | None = marks.quiet(lambda: programs.compile_body(text, marks.mark))
    if body is None:
        return None
    body = marks.connect(body, _notify)
    watch([body])
    return body


def watch(bodies: list[CodeType]) -> None:
    """Has the host told what these do, and all code inside of them."""
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
    # These two can only be had for all code.
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
    if places > _MOST_PLACES:
        raise TaskError("the code is too large to be profiled")
    _watched[:] = codes
    _places[:] = [""] * places
    for number, address in enumerate(addresses):
        _places[(address - _low) >> 4] = marks.number(number)


def _describe(code: CodeType) -> None:
    """Tells the host a code object's name and first line, and whether it will tell of others. It counts them."""
    name = code.co_qualname.removeprefix(_PREFIX)
    about = {"name": name, "line": code.co_firstlineno, "single": not marks.has_marks(code, _notify)}
    _notify("code", "".join(encode(about, 0)))


def _rehearse(code: CodeType) -> None:
    """Lets the callbacks become as fast as they get. The host counts from the first mark on."""
    nothing = RuntimeError()
    for _ in range(100):
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
    "lines": "def program(rounds):\n    for _ in rounds:\n" + "        _\n" * 9,
    "calls": "def f():\n    pass\ndef program(rounds):\n    call = f\n    for _ in rounds:\n        call()\n",
    "yields": "def g(rounds):\n    for _ in rounds:\n        yield\ndef program(rounds):\n    list(g(rounds))\n",
    "raises": "def f(e):\n    raise e\ndef program(rounds):\n    call = f\n    e = ValueError()\n    for _ in rounds:\n"
    "        try:\n            call(e)\n        except ValueError:\n            _\n",
}
# Here another's function raises, which is not watched.
_CALIBRATION["asides"] = _CALIBRATION["raises"].replace("f(e)", "other(e)").replace("= f", "= other")


def calibrate() -> None:
    """Runs programs that consist of known events, without and with being watched."""
    for name in _CALIBRATION:
        _span("plain", name, _load(name, False))
    namespaces = {name: _load(name, True) for name in _CALIBRATION}
    parts = [part for namespace in namespaces.values() for name, part in namespace.items() if name != "other"]
    watch([part.__code__ for part in parts if type(part) is FunctionType])
    for name, namespace in namespaces.items():
        _span("watched", name, namespace)


def _load(name: str, is_watched: bool) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    tree = compile(_CALIBRATION[name], FILENAME, "exec", PyCF_ONLY_AST)
    if is_watched:
        for function in tree.body:
            if function.name != "other":
                marks.mark(function)
    code = marks.quiet(lambda: compile(tree, FILENAME, "exec"))
    exec(marks.connect(code, _notify), namespace)
    return namespace


def _span(kind: str, name: str, namespace: dict[str, Any]) -> None:
    """Runs a program between marks, when it has become as fast as it gets."""
    program = namespace["program"]
    program(range(20))
    for rounds in (_ROUNDS, 2 * _ROUNDS):
        gc.collect()
        _notify(kind, f'"{name}"')
        program(range(rounds))
        _notify("end", "0")

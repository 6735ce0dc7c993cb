"""What the host's ruler asks of a task: named benchmarks, spans, and what happens line by line.

The host reads its fuel counter whenever the guest tells it something, so all there is to do here is to say at the right
moment what is about to happen. Loaded before the snapshot, and used only where the settings ask for it.
"""

import gc
from ast import AsyncFunctionDef, FunctionDef, Module, PyCF_ONLY_AST
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeAlias

from _serpentarium.core import code, wire
from _serpentarium.measure import profile
from _serpentarium.core.code import FILENAME
from _serpentarium.core.result import TaskError, encode_result
from _serpentarium.core.wire import Reply

# Runs the body of a program, as the mode of the task has it.
Program: TypeAlias = Callable[[Any, Any], Reply]

_BENCH = "bench_"
_SETUP = "setup_"
# Characters of a parameter that are shown, and the largest number that growth is measured along.
_LABEL = 60
_MOST = 1e100
_SUSPENDABLE = 0x20 | 0x80 | 0x200
_VARARGS = 0x4

_compile = compile
_exec = exec


def run(task: Any, program: Program) -> Reply:
    """Does what the settings ask to be measured."""
    wish: dict[str, Any] = task.settings["serpentarium"]["measure"]
    kind = wish["kind"]
    if kind == "plan":
        return encode_result(_plan(task))
    if kind == "bench":
        return _bench(task, wish)
    if kind == "calibrate":
        return encode_result(profile.calibrate())
    return _program(task, program, kind == "profile")


def _program(task: Any, program: Program, by_line: bool) -> Reply:
    """Runs a whole program, with a mark before and after each run of its code."""
    body = profile.compile_watched(task.code) if by_line else code.compile_body(task.code)
    # Watched or not, garbage is then collected at the same moments.
    gc.collect()
    bind = code.bind
    code.bind = lambda body, namespace: _marked(bind(body, namespace))  # type: ignore[assignment]
    try:
        return program(task, body)
    finally:
        code.bind = bind


def _marked(function: Callable[[], object]) -> Callable[[], object]:
    def call() -> object:
        begin()
        try:
            return function()
        finally:
            end()

    return call


def begin() -> None:
    """What is measured begins."""
    wire.notify_host("begin", "0")


def end() -> None:
    """What is measured has ended."""
    wire.notify_host("end", "0")


def _plan(task: Any) -> list[dict[str, Any]] | None:
    """The benchmarks of a file with their parameters; None where it has no functions `bench_…` at its top level."""
    names = _names(_compile(task.code.removeprefix("\ufeff"), FILENAME, "exec", PyCF_ONLY_AST, True))
    if not names:
        return None
    _load(task)
    namespace = task.namespace
    # A file may remove what it defined.
    left = [name for name in names if name in namespace]
    return [{"name": name, "params": _params(namespace[name], name, _setup(namespace, name))} for name in left] or None


def _names(tree: Module) -> list[str]:
    names: dict[str, None] = {}
    for node in tree.body:
        if isinstance(node, (FunctionDef, AsyncFunctionDef)) and node.name.startswith(_BENCH):
            names[node.name] = None
    return [*names]


def _load(task: Any) -> None:
    """Runs the file as the module that it is."""
    namespace = task.namespace
    namespace["_items"] = task.settings["items"]
    try:
        module = _compile(task.code.removeprefix("\ufeff"), FILENAME, "exec", 0, True)
    except SyntaxError as error:
        if "outside" not in error.msg:
            raise
        raise TaskError(
            f"{error.msg} (line {error.lineno}): a file with functions {_BENCH}… is a module, not a program; "
            "take those functions out, or this line"
        ) from None
    _exec(module, namespace)


def _params(function: Any, name: str, setup: Any) -> list[dict[str, Any]] | None:
    """The parameters to run a benchmark with: how they read, and their number where they are one."""
    _check(function, name)
    given = getattr(function, "params", None)
    if given is None:
        for called, what in (setup, _SETUP + name[len(_BENCH) :]), (function if setup is None else None, name):
            if called is not None and _required(called):
                raise TaskError(f"{what} takes an argument, and there is none: give {name}.params a list")
        return None
    values = _listed(given, name)
    return [{"label": _label(value), "number": _number(value)} for value in values]


def _label(value: object) -> str:
    """How a parameter reads, in a line."""
    text = "".join([character if character.isprintable() else "?" for character in repr(value)])
    return text if len(text) <= _LABEL else text[:_LABEL] + "…"


def _number(value: object) -> int | float | None:
    """A parameter that growth can be measured along; None for any other."""
    return value if type(value) in (int, float) and -_MOST <= value <= _MOST else None  # type: ignore[operator,return-value]


def _setup(namespace: dict[str, Any], name: str) -> Any:
    """The function that makes what a benchmark is called with; None where there is none."""
    name = _SETUP + name[len(_BENCH) :]
    setup = namespace.get(name)
    if setup is not None:
        _check(setup, name)
    return setup


def _required(function: Any) -> bool:
    """Whether a function cannot be called without an argument."""
    return function.__code__.co_argcount > len(function.__defaults__ or ())


def _taken(function: Any, given: tuple[object, ...]) -> tuple[object, ...]:
    """Of what is given, what the function takes: a wrapper takes all."""
    return given if function.__code__.co_flags & _VARARGS else given[: function.__code__.co_argcount]


def _listed(given: Any, name: str) -> Sequence[Any]:
    if not isinstance(given, (list, tuple, range)) or not given:
        raise TaskError(f"{name}.params must be a list of parameters, with one or more of them")
    return given


def _check(function: Any, name: str) -> None:
    if not isinstance(function, FunctionType):
        raise TaskError(f"{name} must be a plain function, not a {type(function).__name__}")
    if function.__code__.co_flags & _SUSPENDABLE:
        raise TaskError(f"{name} must be a plain function: call asyncio.run or consume the generator inside of it")
    if function.__code__.co_argcount > 1:
        raise TaskError(f"{name} takes {function.__code__.co_argcount} arguments: a benchmark takes one, or none")


def _bench(task: Any, wish: dict[str, Any]) -> Reply:
    """Runs one benchmark with one parameter, or in its place nothing: what that burns is the ruler's own."""
    _load(task)
    name: str = wish["name"]
    function = task.namespace[name]
    setup = _setup(task.namespace, name)
    given: tuple[object, ...] = ()
    if wish["param"] is not None:
        given = (_listed(function.params, name)[wish["param"]],)
    if setup is not None:
        given = (setup(*_taken(setup, given)),)
    given = _taken(function, given)
    target = _empty(len(given)) if wish["empty"] else function
    # Garbage of the preparations is not the benchmark's.
    gc.collect()
    begin()
    # Kept: to free what it returns is not a part of it.
    task.result = target(*given)
    end()
    return encode_result(None)


def _empty(count: int) -> Callable[..., object]:
    """A function that does nothing, as new as the benchmark: not one of the snapshot, whose objects are not counted."""
    namespace: dict[str, Any] = {}
    _exec(f"def nothing({'_' * count}): pass", namespace)
    empty: Callable[..., object] = namespace["nothing"]
    return empty

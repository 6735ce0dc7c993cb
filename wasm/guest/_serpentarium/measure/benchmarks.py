"""Benchmarks of a file: functions `bench_…`, with optional parameters and `setup_…`."""

import gc
from ast import AsyncFunctionDef, FunctionDef, Module, parse
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from _serpentarium.abi import ITEMS
from _serpentarium.core.code import FILENAME
from _serpentarium.core.current import Task
from _serpentarium.core.result import TaskError, encode_result
from _serpentarium.core.wire import Reply
from _serpentarium.measure.spans import begin, end

_BENCH = "bench_"
_SETUP = "setup_"
# Characters of a parameter's label.
_MAX_LABEL = 60
# Largest magnitude of a parameter along which the host computes growth.
_MAX_NUMBER = 1e100
# Flags of code objects (`inspect.CO_*`): generators and coroutines, `*args`.
_SUSPENDABLE = 0x20 | 0x80 | 0x200
_VARARGS = 0x4

_compile = compile
_exec = exec


def plan(task: Task) -> list[dict[str, Any]] | None:
    """Returns the benchmarks of a file with their parameters; None if it defines none."""
    names = _names(parse(task.code.removeprefix("\ufeff"), FILENAME))
    if not names:
        return None
    _load(task)
    namespace = task.namespace
    # A file can delete its functions.
    left = [name for name in names if name in namespace]
    return [_described(namespace, name) for name in left] or None


def _described(namespace: dict[str, Any], name: str) -> dict[str, Any]:
    return {"name": name, "params": _params(namespace[name], name, _setup(namespace, name))}


def _names(tree: Module) -> list[str]:
    """Returns the names of the benchmarks at the top level, each once."""
    names: dict[str, None] = {}
    for node in tree.body:
        if isinstance(node, (FunctionDef, AsyncFunctionDef)) and node.name.startswith(_BENCH):
            names[node.name] = None
    return [*names]


def _load(task: Task) -> None:
    """Runs the file as a module."""
    namespace = task.namespace
    namespace["_items"] = task.settings[ITEMS]
    try:
        module = _compile(task.code.removeprefix("\ufeff"), FILENAME, "exec", 0, True)
    except SyntaxError as error:
        if "outside" not in error.msg:
            raise
        raise TaskError(
            f"{error.msg} (line {error.lineno}): a file with functions {_BENCH}… is a module, "
            "not a program; take those functions out, or this line"
        ) from None
    _exec(module, namespace)


def _params(function: Any, name: str, setup: Any) -> list[dict[str, Any]] | None:
    """Returns the parameters of a benchmark: label, and the number if it is one."""
    _check(function, name)
    given = getattr(function, "params", None)
    if given is None:
        _check_argument(setup, _SETUP + name[len(_BENCH) :], name)
        if setup is None:
            _check_argument(function, name, name)
        return None
    return [{"label": _label(value), "number": _number(value)} for value in _listed(given, name)]


def _check_argument(called: Any, what: str, name: str) -> None:
    """Raises an exception if a function requires an argument, and the benchmark has none."""
    if called is not None and _required(called):
        raise TaskError(f"{what} takes an argument, and there is none: give {name}.params a list")


def _label(value: object) -> str:
    """Formats a parameter for one line of a report."""
    text = "".join([letter if letter.isprintable() else "?" for letter in repr(value)])
    return text if len(text) <= _MAX_LABEL else text[:_MAX_LABEL] + "…"


def _number(value: Any) -> int | float | None:
    """Returns a parameter along which growth can be computed; None for any other."""
    if type(value) not in (int, float) or not -_MAX_NUMBER <= value <= _MAX_NUMBER:
        return None
    number: int | float = value
    return number


def _setup(namespace: dict[str, Any], name: str) -> Any:
    """Returns the function that makes a benchmark's argument; None if there is none."""
    name = _SETUP + name[len(_BENCH) :]
    setup = namespace.get(name)
    if setup is not None:
        _check(setup, name)
    return setup


def _required(function: FunctionType) -> bool:
    """Returns whether a function cannot be called without an argument."""
    return function.__code__.co_argcount > len(function.__defaults__ or ())


def _taken(function: FunctionType, given: tuple[object, ...]) -> tuple[object, ...]:
    """Returns the arguments that a function accepts. A wrapper with `*args` accepts all."""
    code = function.__code__
    return given if code.co_flags & _VARARGS else given[: code.co_argcount]


def _listed(given: Any, name: str) -> Sequence[Any]:
    if not isinstance(given, (list, tuple, range)) or not given:
        raise TaskError(f"{name}.params must be a list of parameters, with one or more of them")
    return given


def _check(function: Any, name: str) -> None:
    if not isinstance(function, FunctionType):
        raise TaskError(f"{name} must be a plain function, not a {type(function).__name__}")
    if function.__code__.co_flags & _SUSPENDABLE:
        raise TaskError(
            f"{name} must be a plain function: call asyncio.run or consume the generator inside it"
        )
    count = function.__code__.co_argcount
    if count > 1:
        raise TaskError(f"{name} takes {count} arguments: a benchmark takes one, or none")


def run(task: Task, wish: dict[str, Any]) -> Reply:
    """Runs one benchmark with one parameter, or an empty function instead.

    The host subtracts the fuel of the empty function from that of the benchmark.
    """
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
    # The benchmark does not pay for garbage of its setup.
    gc.collect()
    begin()
    # Kept: the benchmark does not pay for freeing its result.
    task.result = target(*given)
    end()
    return encode_result(None)


def _empty(count: int) -> Callable[..., object]:
    """Makes a function that does nothing.

    It is made now because objects of the snapshot are immortal, which costs less fuel.
    """
    namespace: dict[str, Any] = {}
    _exec(f"def nothing({'_' * count}): pass", namespace)
    empty: Callable[..., object] = namespace["nothing"]
    return empty

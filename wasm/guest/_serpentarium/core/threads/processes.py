"""`multiprocessing`: its processes are threads, which share the memory of the program."""

import array
import queue
import sys
import threading
import types
from collections.abc import Callable, Iterable
from itertools import count
from types import ModuleType
from typing import Any

from _serpentarium.core.threads import process_pools

_modules = sys.modules
_threading = vars(threading)
_number = count(1)


class ProcessError(Exception):
    """The base class of the errors of `multiprocessing`."""


class Process(threading.Thread):
    """A thread with an exit code."""

    _code: int | None = None

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Any = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        name = name or f"Process-{next(_number)}"
        super().__init__(group, target, name, args, kwargs or {}, daemon=daemon)

    def start(self) -> None:
        run = self.run

        def run_with_code() -> None:
            self._code = 1
            try:
                run()
            except SystemExit as error:
                code = error.code
                self._code = 0 if code is None else code if type(code) is int else 1
                raise
            self._code = 0

        vars(self)["run"] = run_with_code
        super().start()

    @property
    def pid(self) -> int | None:
        return self.ident

    @property
    def exitcode(self) -> int | None:
        return self._code if not self.is_alive() else None

    def terminate(self) -> None:
        """Does nothing: the process cannot run at the same time as its caller."""

    kill = close = terminate


class _Main:
    """The process of the program."""

    name, pid, ident, daemon, exitcode = "MainProcess", 0, 0, False, None

    def is_alive(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "<_MainProcess name='MainProcess' parent=None started>"


_main = _Main()


class Queue(queue.Queue[Any]):
    """A queue between processes."""

    def close(self) -> None:
        """Does nothing: nothing is open."""

    join_thread = cancel_join_thread = close


class Connection:
    """One end of a pipe."""

    def __init__(self, source: queue.Queue[Any], target: queue.Queue[Any]) -> None:
        self._source, self._target = source, target

    def send(self, value: Any) -> None:
        self._target.put(value)

    def recv(self) -> Any:
        return self._source.get()

    send_bytes, recv_bytes = send, recv

    def poll(self, timeout: float | None = 0.0) -> bool:
        if timeout == 0 or not self._source.empty():
            return not self._source.empty()
        with self._source.not_empty:
            return self._source.not_empty.wait_for(self._source._qsize, timeout) > 0

    def close(self) -> None:
        """Does nothing: nothing is open."""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Value:
    """A value that processes share."""

    def __init__(self, typecode: object, value: Any = 0, *, lock: Any = True) -> None:
        self.value = value
        self._lock = lock if lock not in (True, False) else _threading["RLock"]()

    def get_lock(self) -> Any:
        return self._lock

    def get_obj(self) -> "Value":
        return self

    def __repr__(self) -> str:
        return f"<Value({self.value!r})>"


class Manager:
    """Objects that processes share."""

    dict, list, Namespace = dict, list, types.SimpleNamespace

    def __enter__(self) -> "Manager":
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()

    def start(self) -> None:
        """Does nothing: no process serves the objects."""

    shutdown = start


def _array(typecode: str, size_or_values: Any, *, lock: Any = True) -> Any:
    values = [0] * size_or_values if isinstance(size_or_values, int) else list(size_or_values)
    return array.array(typecode, values) if isinstance(typecode, str) else values


def _pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    one, other = Queue(), Queue()
    return Connection(one, other), Connection(other, one)


def _current_process() -> Any:
    thread = _threading["current_thread"]()
    return thread if isinstance(thread, Process) else _main


def _active_children() -> list[Process]:
    return [thread for thread in _threading["enumerate"]() if isinstance(thread, Process)]


def _cpu_count() -> int:
    return 1


def _no_parent() -> None:
    """The program has no parent process."""


def _set_start_method(method: str | None = None, force: bool = False) -> None:
    """Does nothing: all methods start a thread."""


def _get_start_method(allow_none: bool = False) -> str:
    return "fork"


def _freeze_support() -> None:
    """Does nothing: the program is no frozen executable."""


def _shared() -> dict[str, Any]:
    """The members that `multiprocessing`, its dummy and its managers have in common."""
    names = "Barrier BoundedSemaphore Condition Event Lock RLock Semaphore".split()
    return {name: _threading[name] for name in names} | {
        "Array": _array,
        "JoinableQueue": Queue,
        "Queue": Queue,
        "Value": Value,
    }


def install() -> None:
    """Adds the modules."""
    shared = _shared()
    for name, member in shared.items():
        setattr(Manager, name, staticmethod(member))
    main, dummy, pool = (ModuleType(f"multiprocessing{name}") for name in ("", ".dummy", ".pool"))
    members = shared | {
        "Manager": Manager,
        "Pipe": _pipe,
        "Process": Process,
        "active_children": _active_children,
        "current_process": _current_process,
        "freeze_support": _freeze_support,
    }
    vars(main).update(
        members,
        __path__=[],
        AuthenticationError=type("AuthenticationError", (ProcessError,), {}),
        Pool=process_pools.Pool,
        ProcessError=ProcessError,
        RawArray=_array,
        RawValue=Value,
        SimpleQueue=Queue,
        TimeoutError=process_pools.TimeoutError,
        cpu_count=_cpu_count,
        dummy=dummy,
        get_all_start_methods=lambda: ["fork"],
        get_context=lambda method=None: main,
        get_start_method=_get_start_method,
        parent_process=_no_parent,
        pool=pool,
        set_start_method=_set_start_method,
    )
    vars(dummy).update(
        members,
        Pool=process_pools.ThreadPool,
        dict=dict,
        list=list,
        Namespace=types.SimpleNamespace,
    )
    for name in ("AsyncResult", "Pool", "ThreadPool", "TimeoutError"):
        vars(pool)[name] = vars(process_pools)[name]
    vars(pool)["ApplyResult"] = vars(pool)["MapResult"] = process_pools.AsyncResult
    for module in (main, dummy, pool):
        _modules[module.__name__] = module

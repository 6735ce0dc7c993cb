"""The members of `threading`, `_thread`, `queue` and `time` that are replaced."""

import _thread
import importlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from _serpentarium.core.threads import schedule
from _serpentarium.core.threads.locks import Lock, RLock
from _serpentarium.core.threads.schedule import Strand

_now = time.monotonic
_Thread, _Timer = threading.Thread, threading.Timer
_real_put = queue.Queue.put


class Handle:
    """`_thread._ThreadHandle`: the state of a thread, for its object."""

    strand: Strand | None = None
    _done = False

    @property
    def ident(self) -> int:
        return self.strand.ident if self.strand is not None else 0

    def is_done(self) -> bool:
        return self._done or (self.strand is not None and self.strand.done)

    def _set_done(self) -> None:
        self._done = True

    def join(self, timeout: float | None = None) -> None:
        schedule.wait(self.is_done, None if timeout is None or timeout < 0 else timeout)


def start_joinable(
    function: Callable[[], object], handle: Handle | None = None, daemon: bool = True
) -> Handle:
    """`_thread.start_joinable_thread`."""
    handle = handle if handle is not None else Handle()
    strand = handle.strand = schedule.start(function, daemon)
    owner: Any = getattr(function, "__self__", None)
    if isinstance(owner, _Thread):
        # In CPython, the new thread does this, and the first one waits for it.
        members = vars(owner)
        members["_ident"] = members["_native_id"] = strand.ident
        members["_started"].set()
        strand.name = lambda: str(owner.name)
        if isinstance(owner, _Timer) and type(owner).run is _Timer.run:
            strand.due = _due(owner.interval)
    return handle


def _due(interval: Any) -> float | None:
    """Returns when a timer begins. None: at once, and its wait refuses the interval."""
    try:
        return _now() + interval if interval > 0 else None
    except TypeError:
        return None


def start_new(function: Callable[..., object], args: tuple[Any, ...], kwargs: Any = None, /) -> int:
    """`_thread.start_new_thread`."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    return schedule.start(lambda: schedule.call(function, args, kwargs or {}), True).ident


def _run(self: Any) -> None:
    """`threading.Thread.run`."""
    try:
        if self._target is not None:
            schedule.call(self._target, self._args, self._kwargs)
    finally:
        del self._target, self._args, self._kwargs


def _run_timer(self: Any) -> None:
    """`threading.Timer.run`, which begins when the time is over."""
    strand = self._handle.strand
    self.finished.wait(self.interval if strand.due is None else max(strand.due - _now(), 0))
    if not self.finished.is_set():
        schedule.call(self.function, self.args, self.kwargs)
    self.finished.set()


def _cancel(self: Any) -> None:
    """`threading.Timer.cancel`. The thread then ends as soon as another one waits."""
    self.finished.set()
    if self._handle.strand is not None:
        self._handle.strand.due = None


def _put(self: Any, item: Any, block: bool = True, timeout: float | None = None) -> None:
    """`queue.Queue.put`. A full queue takes one more while other threads can empty it.

    A producer that waits in its middle could not let its consumer go on from there.
    """
    if not block or not 0 < self.maxsize <= self._qsize() or not schedule.has_others():
        _real_put(self, item, block, timeout)
        return
    limit, self.maxsize = self.maxsize, 0
    try:
        _real_put(self, item)
    finally:
        self.maxsize = limit


def install() -> None:
    """Replaces the members. Locks of modules that are loaded stay: nothing waits for them."""
    members = vars(threading)
    members |= {
        "Lock": Lock,
        "_CRLock": RLock,
        "_LockType": Lock,
        "_ThreadHandle": Handle,
        "_allocate_lock": Lock,
        "_start_joinable_thread": start_joinable,
        "get_ident": schedule.get_ident,
    }
    # It needs the functions above at its import.
    members["local"] = importlib.import_module("_threading_local").local
    for kind, name, function in (
        (_Thread, "run", _run),
        (_Timer, "run", _run_timer),
        (_Timer, "cancel", _cancel),
        (queue.Queue, "put", _put),
    ):
        function.__name__, function.__qualname__ = name, f"{kind.__name__}.{name}"
        function.__module__ = kind.__module__
        setattr(kind, name, function)
    # The locks of `_thread` stay: imports make some, and no program waits for one.
    vars(_thread).update(
        start_joinable_thread=start_joinable,
        start_new=start_new,
        start_new_thread=start_new,
    )
    vars(queue)["SimpleQueue"] = vars(queue)["_PySimpleQueue"]
    vars(time)["sleep"] = schedule.sleep
    schedule.sleep.__module__ = "time"

"""`concurrent.futures`: a worker is a thread that runs one call whenever another thread waits."""

import queue
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import _base, thread
from types import ModuleType
from typing import Any

from _serpentarium.core.threads import schedule

_modules = sys.modules
_Executor: Any = thread.ThreadPoolExecutor
_threading = vars(threading)
_active, _limbo = _threading["_active"], _threading["_limbo"]
_Empty = queue.Empty


class Worker(threading.Thread):
    """A thread of a pool. Between two calls it is idle, and keeps its name and its variables."""

    def __init__(self, pool: Any, name: str) -> None:
        super().__init__(name=name)
        self._pool = pool
        self._has_begun = False

    @property
    def strand(self) -> Any:
        handle: Any = vars(self)["_handle"]
        return handle.strand

    def start(self) -> None:
        super().start()
        self.strand.worker = True

    def _bootstrap(self) -> object:
        """Runs one call."""
        if not self._has_begun and not self._begin():
            return self._end()
        pool = self._pool
        try:
            pool._work_queue.get_nowait().run()
        except _Empty:
            pass
        if not pool._work_queue.empty():
            schedule.resume(self.strand)
        elif pool._shutdown:
            return self._end()
        return schedule.IDLE

    def _begin(self) -> bool:
        """Initializes the thread. Returns whether that succeeded."""
        self._has_begun = True
        _limbo.pop(self, None)
        _active[self.ident] = self
        pool = self._pool
        if pool._initializer is None:
            return True
        try:
            schedule.call(pool._initializer, pool._initargs, {})
        except BaseException:
            _base.LOGGER.critical("Exception in initializer:", exc_info=True)
            pool._initializer_failed()
            return False
        return True

    def _end(self) -> object:
        _active.pop(self.ident, None)
        _limbo.pop(self, None)
        return None

    def retire(self) -> None:
        """Ends the idle thread."""
        schedule.end(self.strand)
        self._end()


Worker.__name__ = Worker.__qualname__ = "Thread"
Worker.__module__ = "threading"


def _adjust_thread_count(self: Any) -> None:
    """Gives a new call to an idle worker, or to a new one."""
    for worker in self._threads:
        if worker.strand.idle:
            schedule.resume(worker.strand)
            return
    number = len(self._threads)
    if number < self._max_workers:
        worker = Worker(self, f"{self._thread_name_prefix or self}_{number}")
        worker.start()
        # In the order of their start, so that every run is the same.
        self._threads = {**dict.fromkeys(self._threads), worker: None}


def _shutdown(self: Any, wait: bool = True, *, cancel_futures: bool = False) -> None:
    self._shutdown = True
    while cancel_futures:
        try:
            self._work_queue.get_nowait().future.cancel()
        except _Empty:
            break

    def has_ended() -> bool:
        return all(worker.strand.idle or worker.strand.done for worker in self._threads)

    if wait:
        schedule.wait(has_ended)
    for worker in self._threads:
        if worker.strand.idle:
            worker.retire()


def _run_item(self: Any) -> None:
    if not self.future.set_running_or_notify_cancel():
        return
    try:
        result = schedule.call(self.fn, self.args, self.kwargs)
    except BaseException as error:
        self.future.set_exception(error)
        # The error refers to this frame.
        self = None
    else:
        self.future.set_result(result)


class BrokenProcessPool(_base.BrokenExecutor):
    """No pool raises it."""


class ProcessPoolExecutor(_Executor):  # type: ignore[misc]
    """A pool whose workers are threads: there are no processes."""

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Any = None,
        initargs: Any = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        super().__init__(max_workers, "ProcessPoolExecutor", initializer, initargs)

    def map(
        self, fn: Any, *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Any:
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        return super().map(fn, *iterables, timeout=timeout)


def install() -> None:
    """Replaces the workers of the pools, and adds the pool of processes."""
    for name, function in (("_adjust_thread_count", _adjust_thread_count), ("shutdown", _shutdown)):
        function.__name__, function.__qualname__ = name, f"ThreadPoolExecutor.{name}"
        function.__module__ = thread.__name__
        setattr(_Executor, name, function)
    item: Any = vars(thread)["_WorkItem"]
    item.run = _run_item
    path = "concurrent.futures.process"
    module = ModuleType(path)
    for kind in (ProcessPoolExecutor, BrokenProcessPool):
        kind.__module__ = path
        vars(module)[kind.__name__] = kind
    _modules[path] = module
    vars(_modules["concurrent.futures"])["process"] = module

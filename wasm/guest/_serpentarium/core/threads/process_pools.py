"""`multiprocessing.Pool` and `multiprocessing.pool.ThreadPool`, on `concurrent.futures`."""

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeAlias

Function: TypeAlias = Callable[..., Any]


class TimeoutError(Exception):
    """`multiprocessing.TimeoutError`, which is no `builtins.TimeoutError`."""


class AsyncResult:
    """The result of a call, or of several."""

    def __init__(
        self,
        futures: list[Future[Any]],
        join: Function,
        callback: Function | None,
        error_callback: Function | None,
    ) -> None:
        self._futures = futures
        self._join = join
        self._callbacks = callback, error_callback
        self._left = len(futures)
        if not futures:
            self._tell()
        for future in futures:
            future.add_done_callback(self._count)

    def _count(self, _future: object) -> None:
        self._left -= 1
        if not self._left:
            self._tell()

    def _tell(self) -> None:
        callback, error_callback = self._callbacks
        try:
            value = self._value()
        except BaseException as error:
            if error_callback is not None:
                error_callback(error)
        else:
            if callback is not None:
                callback(value)

    def _value(self) -> Any:
        return self._join([future.result() for future in self._futures])

    def ready(self) -> bool:
        return not self._left

    def successful(self) -> bool:
        if self._left:
            raise ValueError(f"{self!r} not ready")
        return not any(future.exception() for future in self._futures)

    def wait(self, timeout: float | None = None) -> None:
        wait(self._futures, timeout)

    def get(self, timeout: float | None = None) -> Any:
        self.wait(timeout)
        if self._left:
            raise TimeoutError
        return self._value()


class Results:
    """The iterator of `imap` and `imap_unordered`."""

    def __init__(self, futures: Iterator[Future[Any]]) -> None:
        self._futures = futures

    def __iter__(self) -> "Results":
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        future = next(self._futures)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            raise TimeoutError from None


def _first(values: list[Any]) -> Any:
    return values[0]


class Pool:
    """A pool whose workers are threads."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Function | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: object = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._executor = ThreadPoolExecutor(
            processes or 1, "PoolWorker", initializer, tuple(initargs)
        )
        self._is_open = True

    def _submit(self, function: Function, calls: Iterable[Any]) -> list[Future[Any]]:
        if not self._is_open:
            raise ValueError("Pool not running")
        return [self._executor.submit(function, *args) for args in calls]

    def apply(self, func: Function, args: Iterable[Any] = (), kwds: Any = None) -> Any:
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Function,
        args: Iterable[Any] = (),
        kwds: Any = None,
        callback: Function | None = None,
        error_callback: Function | None = None,
    ) -> AsyncResult:
        if not self._is_open:
            raise ValueError("Pool not running")
        future = self._executor.submit(func, *args, **(kwds or {}))
        return AsyncResult([future], _first, callback, error_callback)

    def map(self, func: Function, iterable: Iterable[Any], chunksize: int | None = None) -> Any:
        return self.map_async(func, iterable).get()

    def map_async(
        self,
        func: Function,
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Function | None = None,
        error_callback: Function | None = None,
    ) -> AsyncResult:
        calls = ((value,) for value in iterable)
        return AsyncResult(self._submit(func, calls), list, callback, error_callback)

    def starmap(self, func: Function, iterable: Iterable[Any], chunksize: int | None = None) -> Any:
        return self.starmap_async(func, iterable).get()

    def starmap_async(
        self,
        func: Function,
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Function | None = None,
        error_callback: Function | None = None,
    ) -> AsyncResult:
        return AsyncResult(self._submit(func, iterable), list, callback, error_callback)

    def imap(self, func: Function, iterable: Iterable[Any], chunksize: int = 1) -> Results:
        return Results(iter(self._submit(func, ((value,) for value in iterable))))

    imap_unordered = imap

    def close(self) -> None:
        self._is_open = False

    def terminate(self) -> None:
        self._is_open = False
        self._executor.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        if self._is_open:
            raise ValueError("Pool is still running")
        self._executor.shutdown()

    def __enter__(self) -> "Pool":
        if not self._is_open:
            raise ValueError("Pool not running")
        return self

    def __exit__(self, *error: object) -> None:
        self.terminate()


class ThreadPool(Pool):
    """A pool of threads."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Function | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        super().__init__(processes, initializer, initargs)

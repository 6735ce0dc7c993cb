"""asyncio where there are no file descriptors: timers and tasks work, everything that needs a socket does not."""

import asyncio
import contextvars
from asyncio import base_events, events
from collections.abc import Callable
from time import sleep as _sleep
from typing import Any


class _Clock:
    """A selector that watches nothing and only lets time pass."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("deadlock: the event loop waits for something that can never happen")
        if timeout > 0:
            _sleep(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


class EventLoop(base_events.BaseEventLoop):
    """An event loop without input and output."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits for a wake-up: there are no other threads."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Runs `func` at once, because there are no threads to run it in."""
        self._check_closed()  # type: ignore[attr-defined]
        future = self.create_future()
        try:
            future.set_result(contextvars.copy_context().run(func, *args))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future


class EventLoopPolicy(events.BaseDefaultEventLoopPolicy):
    """Makes such loops wherever asyncio makes one by itself."""

    _loop_factory = EventLoop


def install() -> None:
    """Makes this the event loop of asyncio, with no loop set yet."""
    asyncio.SelectorEventLoop = asyncio.EventLoop = EventLoop  # type: ignore[assignment]
    asyncio.DefaultEventLoopPolicy = EventLoopPolicy  # type: ignore[assignment]
    asyncio.set_event_loop_policy(EventLoopPolicy())  # type: ignore[abstract]

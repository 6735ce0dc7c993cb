"""asyncio where there are no file descriptors: timers, tasks and calls of the host work, what needs a socket does not.

A loop that has nothing to do waits in one call of the host, which returns with the first answer to any call in flight.
"""

import asyncio
import contextvars
from asyncio import base_events, events
from collections.abc import Callable
from time import sleep as _sleep
from typing import Any, TypeAlias

from _serpentarium.core import wire

# The number of a call, whether it went well, and the answer or the error's text.
Answer: TypeAlias = tuple[int, bool, str]

# Who waits for the answer of a call in flight, by its number.
_waiting: dict[int, asyncio.Future[tuple[bool, str]]] = {}

# How many calls may be in flight at once, where the host does not say otherwise.
_MOST = 1_000
_most = _MOST


async def call(name: str, params: str) -> tuple[bool, str]:
    """Calls the host while other tasks of the loop go on: whether it went well, and the answer or the error's text."""
    loop = asyncio.get_running_loop()
    places = loop.places if isinstance(loop, EventLoop) else asyncio.Semaphore(_most)
    async with places:
        future: asyncio.Future[tuple[bool, str]] = loop.create_future()
        number = wire.start_call(name, params)
        _waiting[number] = future
        try:
            return await future
        finally:
            # Cancelled: the host need not keep a place for the answer.
            if _waiting.pop(number, None) is not None:
                wire.notify_host("sandbox.forget", f"[{number}]")


def allow(most: int) -> None:
    """Lets so many calls be in flight at once; those beyond wait for a place."""
    global _most
    _most = max(most, 1)


class _Answers:
    """A selector that watches the calls in flight, and lets time pass where there are none."""

    def select(self, timeout: float | None = None) -> list[Answer]:
        if _waiting:
            return _wait(-1 if timeout is None else max(timeout, 0))
        if timeout is None:
            raise RuntimeError("deadlock: the event loop waits for something that can never happen")
        if timeout > 0:
            _sleep(timeout)
        return []

    def close(self) -> None:
        """Nothing is open."""


def _wait(seconds: float) -> list[Answer]:
    """All answers that are there as soon as there is one."""
    answers: list[Answer] = []
    while (answer := wire.wait_for_answer(seconds)) is not None:
        answers.append(answer)
        if len(answers) == len(_waiting):
            break
        seconds = 0
    return answers


class EventLoop(base_events.BaseEventLoop):
    """An event loop without files and sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Answers()
        self.places = asyncio.Semaphore(_most)

    def _process_events(self, event_list: list[Answer]) -> None:
        """Hands the answers to those who wait for them, in this loop or in another."""
        for number, went_well, text in event_list:
            future = _waiting.pop(number, None)
            if future is not None and not future.done() and not future.get_loop().is_closed():
                future.set_result((went_well, text))

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
    """Makes this the event loop of asyncio, with no loop set yet and no call in flight."""
    _waiting.clear()
    allow(_MOST)
    asyncio.SelectorEventLoop = asyncio.EventLoop = EventLoop  # type: ignore[assignment]
    asyncio.DefaultEventLoopPolicy = EventLoopPolicy  # type: ignore[assignment]
    asyncio.set_event_loop_policy(EventLoopPolicy())  # type: ignore[abstract]

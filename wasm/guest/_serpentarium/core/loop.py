"""asyncio without file descriptors: timers, tasks and host calls work, sockets do not.

An idle loop waits in one host call, which returns with the first answer to any pending call.
"""

import asyncio
import contextvars
from asyncio import base_events, events
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, TypeVarTuple, Unpack

from _serpentarium.abi import FORGET, MAX_PENDING_CALLS
from _serpentarium.core import wire
from _serpentarium.core.threads import schedule

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

# The number of a call, whether it succeeded, and the answer or the error's text.
Answer: TypeAlias = tuple[int, bool, str]

# The futures of pending calls, by number.
_waiting: dict[int, asyncio.Future[tuple[bool, str]]] = {}

# The answers for threads that wait for a call, by its number; None before it arrives.
_awaited: dict[int, tuple[bool, str] | None] = {}

# Calls that can be pending at once.
_max_calls = MAX_PENDING_CALLS


async def call(name: str, params: str) -> tuple[bool, str]:
    """Calls the host while other tasks run. Returns success, and the answer or error text."""
    loop = asyncio.get_running_loop()
    places = loop.places if isinstance(loop, EventLoop) else asyncio.Semaphore(_max_calls)
    async with places:
        future: asyncio.Future[tuple[bool, str]] = loop.create_future()
        number = wire.start_call(name, params)
        _waiting[number] = future
        try:
            return await future
        finally:
            # Cancelled: the host can discard the answer.
            if _waiting.pop(number, None) is not None:
                wire.notify_host(FORGET, f"[{number}]")


def call_blocking(name: str, params: str) -> tuple[bool, str]:
    """Calls the host and waits. Other threads begin meanwhile, so that their calls overlap."""
    if not schedule.others_can_begin() or len(_waiting) + len(_awaited) >= _max_calls:
        try:
            return True, wire.call_host(name, params)
        except wire.CallFailed as failed:
            return False, str(failed)
    number = wire.start_call(name, params)
    _awaited[number] = None

    def ask() -> bool:
        if _awaited[number] is None:
            _dispatch(_wait(0))
        return _awaited[number] is not None

    try:
        schedule.wait_outside(
            lambda: _awaited[number] is not None, ask, lambda seconds: _dispatch(_wait(seconds))
        )
    finally:
        answer = _awaited.pop(number)
        if answer is None:
            wire.notify_host(FORGET, f"[{number}]")
    assert answer is not None
    return answer


def allow(calls: int) -> None:
    """Sets how many calls can be pending at once. Further ones wait."""
    global _max_calls
    _max_calls = max(calls, 1)


class _Answers:
    """The loop's selector: waits for pending calls, or sleeps if there are none."""

    def select(self, timeout: float | None = None) -> list[Answer]:
        if _waiting:
            if schedule.others_can_begin() and (timeout is None or timeout > 0):
                schedule.run_next()
                timeout = 0
            return _wait(-1 if timeout is None else max(timeout, 0))
        if (timeout is None or timeout > 0) and not schedule.idle(timeout):
            raise RuntimeError("deadlock: the event loop waits for something that can never happen")
        return []

    def close(self) -> None:
        """Does nothing: no file is open."""


def _wait(seconds: float) -> list[Answer]:
    """Waits for one answer, and returns all answers that have arrived."""
    answers: list[Answer] = []
    while (answer := wire.wait_for_answer(seconds)) is not None:
        answers.append(answer)
        if len(answers) == len(_waiting) + sum(kept is None for kept in _awaited.values()):
            break
        seconds = 0
    return answers


def _dispatch(answers: list[Answer]) -> None:
    """Gives the answers to those that wait: futures of any loop, and threads."""
    for number, succeeded, text in answers:
        if number in _awaited:
            _awaited[number] = succeeded, text
            continue
        future = _waiting.pop(number, None)
        if future is not None and not future.done() and not future.get_loop().is_closed():
            future.set_result((succeeded, text))


class EventLoop(base_events.BaseEventLoop):
    """An event loop without files and sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Answers()
        self.places = asyncio.Semaphore(_max_calls)

    def _process_events(self, event_list: list[Answer]) -> None:
        """Completes the futures of the answers."""
        _dispatch(event_list)

    def _write_to_self(self) -> None:
        """Does nothing: other threads run only while the loop waits."""

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Runs `func` at once. A thread would run it when the loop waits, not beside the loop."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        future: asyncio.Future[_T] = self.create_future()
        try:
            call = contextvars.copy_context().run
            future.set_result(call(schedule.call, func, args, {}))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future


class EventLoopPolicy(events.BaseDefaultEventLoopPolicy):
    """Makes the loops that asyncio creates by itself."""

    _loop_factory = EventLoop


def install() -> None:
    """Makes this asyncio's event loop, without a current loop and without pending calls."""
    _waiting.clear()
    _awaited.clear()
    allow(MAX_PENDING_CALLS)
    members = vars(asyncio)
    members["SelectorEventLoop"] = members["EventLoop"] = EventLoop
    members["DefaultEventLoopPolicy"] = EventLoopPolicy
    # typeshed declares abstract methods that the class in asyncio does not have.
    asyncio.set_event_loop_policy(EventLoopPolicy())  # type: ignore[abstract]

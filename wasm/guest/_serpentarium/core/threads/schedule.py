"""Which thread runs: the started ones in their order, each when the running one waits."""

import _thread
import sys
from asyncio import events
from collections.abc import Callable
from contextvars import Context
from time import monotonic as _now
from time import sleep as _sleep
from types import FunctionType
from typing import Any

import _host

from _serpentarium.core import result, wire
from _serpentarium.core.code import FILENAME
from _serpentarium.core.current import task

# Threads that can wait on top of each other. Each takes some of the C stack.
MAX_DEPTH = 100
# A thread whose waits expire while a thread below could go on is stopped after this number of
# waits and of seconds: it may be a loop that only the thread below can end.
MAX_VAIN_WAITS = 10
MAX_VAIN_SECONDS = 5.0
# As much in sleeps: most threads that sleep come to an end by themselves.
MAX_VAIN_SLEEP = 30.0
# Sleeps of a thread before its sleeps let others begin: until then, threads run one after another,
# in their order. A loop that sleeps until another thread has done something goes on in the end.
_LONE_SLEEPS = 10

# Threads that an error names.
_MAX_SHOWN = 3

# What a body returns that can be resumed. Any other value: the thread has ended.
IDLE = object()

_MAIN_NAME = "the main thread"

_frame = sys._getframe
_get_limit, _set_limit = sys.getrecursionlimit, sys.setrecursionlimit
_set_thread = _host.set_thread
_get_loop, _set_loop = events._get_running_loop, events._set_running_loop
_members = vars(result)
_real_encode = wire.encode_plain


class Strand:
    """One thread, as the schedule sees it."""

    __slots__ = (
        "_context",
        "body",
        "daemon",
        "deadline",
        "done",
        "due",
        "ident",
        "idle",
        "line",
        "name",
        "ready",
        "sleeps",
        "stopped",
        "vain",
        "wasted",
        "worker",
    )

    def __init__(self, body: Callable[[], object], ident: int, daemon: bool) -> None:
        self.body = body
        self.ident = ident
        self.daemon = daemon
        self.name: Callable[[], str] = lambda: f"thread {ident}"
        # When it may begin, by the monotonic clock.
        self.due: float | None = None
        self.done = self.idle = self.stopped = self.worker = False
        # Its wait: whether it is over, until when it lasts, and the line of the user's code.
        self.ready: Callable[[], bool] = _never
        self.deadline: float | None = None
        self.line = 0
        self.sleeps = self.vain = 0
        self.wasted = 0.0
        self._context = Context()

    def step(self) -> None:
        """Runs the body."""
        self.idle = False
        try:
            self.idle = self._context.run(self.body) is IDLE
        except SystemExit:
            pass
        except BaseException:
            sys.excepthook(*sys.exc_info())
        # A stopped thread is one that waits for ever.
        self.done = not self.idle and not self.stopped

    def could_go_on(self) -> bool:
        """Returns whether its wait is over."""
        return self.ready() or (self.deadline is not None and _now() >= self.deadline)


def _never() -> bool:
    return False


def _program() -> object:
    """The body of the main thread, which the schedule does not start."""


_main = Strand(_program, _thread.get_ident(), False)
_main.name = lambda: _MAIN_NAME
# The running thread is the last one. Each waits for the one above it.
_running: list[Strand] = [_main]
# Threads that have not begun, in the order of their start.
_pending: list[Strand] = []
# Threads that have not ended.
_open: list[Strand] = []
_started = 0
# Whether a thread could not begin because too many waited.
_was_full = False


def reset() -> None:
    """Forgets all threads, after a rehearsal or a test."""
    global _was_full
    _was_full = False
    _running[1:] = _pending[:] = _open[:] = []
    _members["encode_plain"] = _real_encode


def get_ident() -> int:
    """Returns the number of the running thread."""
    return _running[-1].ident


def start(body: Callable[[], object], daemon: bool = False) -> Strand:
    """Adds a thread, which begins when the running one waits."""
    global _started
    _started += 1
    strand = Strand(body, _main.ident + _started, daemon)
    _pending.append(strand)
    _open.append(strand)
    # The end of the program waits for its threads, before its result is encoded.
    _members["encode_plain"] = _encode_at_end
    return strand


def resume(strand: Strand) -> None:
    """Runs the body of an idle thread once more, when the running one waits."""
    strand.idle = False
    _pending.append(strand)


def end(strand: Strand) -> None:
    """Ends an idle thread."""
    strand.idle, strand.done = False, True
    if strand in _open:
        _open.remove(strand)


def run_next() -> bool:
    """Runs the first thread that can begin, until it ends. Returns whether there was one."""
    global _was_full
    if len(_running) > MAX_DEPTH:
        _was_full = _was_full or bool(_pending)
        return False
    for index, strand in enumerate(_pending):
        if strand.due is None or strand.due <= _now():
            del _pending[index]
            _run(strand)
            return True
    return False


def _run(strand: Strand) -> None:
    limit, loop, depth = _get_limit(), _get_loop(), len(_running)
    _running.append(strand)
    _set_thread(strand.ident)
    _set_loop(None)
    # Each thread has its own thousand frames.
    _set_limit(limit + 1000)
    try:
        strand.step()
    finally:
        _set_limit(limit)
        _set_loop(loop)
        del _running[depth:]
        _set_thread(_running[-1].ident)
        if strand.done and strand in _open:
            _open.remove(strand)


_run_code = _run.__code__


def has_others() -> bool:
    """Returns whether threads besides the running one can still do something."""
    return len(_running) > 1 or any(not strand.stopped for strand in _open)


def idle(seconds: float | None) -> bool:
    """Lets the event loop wait: runs one thread, or sleeps. Returns false if neither can be."""
    if run_next():
        return True
    if seconds is None:
        return False
    _sleep(seconds)
    return True


def wait(
    ready: Callable[[], bool], seconds: float | None = None, most_vain: float | None = None
) -> bool:
    """Waits until `ready` returns true, and runs other threads meanwhile.

    Returns false after `seconds`. Raises an exception if the wait can never end, or if waits have
    ended without their reason for `most_vain` seconds, `MAX_VAIN_SECONDS` by default.
    """
    strand = _running[-1]
    before = strand.ready, strand.deadline
    strand.ready = ready
    strand.deadline = None if seconds is None else _now() + seconds
    try:
        if strand.stopped:
            _stop(strand)
        while not ready():
            if run_next():
                continue
            if not _pass_time(strand, most_vain):
                return False
        return True
    finally:
        strand.ready, strand.deadline = before


def others_can_begin() -> bool:
    """Returns whether a thread can begin while the running one waits."""
    return bool(_pending) and len(_running) <= MAX_DEPTH


def wait_outside(
    ready: Callable[[], bool], ask: Callable[[], bool], pause: Callable[[float], object]
) -> None:
    """Waits for the host until `ready` returns true, and runs other threads meanwhile.

    `ask` also fetches answers that have arrived: threads above ask whether this one could go on.
    `pause` waits for an answer of the host, at most for some seconds; negative: without a limit.
    """
    strand = _running[-1]
    before = strand.ready, strand.deadline
    strand.ready, strand.deadline = ask, None
    try:
        while not ready():
            if not run_next():
                dues = [other.due for other in _pending if other.due is not None]
                can_begin = bool(dues) and others_can_begin()
                pause(max(min(dues) - _now(), 0) if can_begin else -1)
    finally:
        strand.ready, strand.deadline = before


def sleep(seconds: float, /) -> None:
    """`time.sleep`: other threads begin meanwhile."""
    strand = _running[-1]
    if _pending and seconds >= 0:
        strand.sleeps += 1
        if strand is _main or strand.sleeps > _LONE_SLEEPS:
            wait(_never, seconds, MAX_VAIN_SLEEP)
            return
    _sleep(seconds)
    if strand is not _main:
        _expire(strand, seconds, MAX_VAIN_SLEEP)


def _pass_time(strand: Strand, most_vain: float | None) -> bool:
    """Sleeps until a thread can begin, or until the end of the wait. Returns false then."""
    dues = [other.due for other in _pending if other.due is not None]
    now = _now()
    if strand.deadline is not None:
        left = strand.deadline - now
        until = min(dues, default=strand.deadline)
        if left <= 0 or until >= strand.deadline:
            _sleep(max(left, 0))
            _expire(strand, left, MAX_VAIN_SECONDS if most_vain is None else most_vain)
            return False
    elif dues and len(_running) <= MAX_DEPTH:
        until = min(dues)
    else:
        _stop(strand)
    _sleep(max(until - now, 0))
    return True


def _expire(strand: Strand, seconds: float, most: float) -> None:
    """Counts a wait that ended without its reason. Stops the thread after too many."""
    if any(below.could_go_on() for below in _running[:-1]):
        strand.vain += 1
        strand.wasted += max(seconds, 0)
        if strand.vain >= MAX_VAIN_WAITS and strand.wasted >= most:
            _stop(strand)


def _stop(strand: Strand) -> None:
    """Raises the exception that ends a wait without an end."""
    strand.line = _line()
    if strand is _main or strand.worker:
        raise RuntimeError(_deadlock(strand))
    # It ends the thread without a report. Those that wait for the thread report it.
    strand.stopped = True
    raise SystemExit


def _deadlock(strand: Strand) -> str:
    others = [
        f"thread {other.name()!r}{_in_line(other)}"
        for other in _open
        if other is not strand and (other.stopped or other in _running)
    ]
    if len(others) > _MAX_SHOWN:
        others[_MAX_SHOWN:] = [f"and {len(others) - _MAX_SHOWN} more"]
    if _was_full:
        text = f"deadlock: more than {MAX_DEPTH} threads wait for another thread at the same time"
    else:
        text = f"deadlock: {strand.name()} waits for something that no other thread can do any more"
    return text + (f"; so does {', '.join(others)}" if others else "")


def _in_line(strand: Strand) -> str:
    return f" in line {strand.line}" if strand.line else ""


def _line() -> int:
    """Returns the line of the user's code that waits; 0 if the thread has no such code."""
    frame: Any = _frame(1)
    while frame is not None and frame.f_code.co_filename != FILENAME:
        if frame.f_code is _run_code:
            return 0
        frame = frame.f_back
    return frame.f_lineno if frame is not None else 0


def finish() -> None:
    """Runs the threads that the program has started, without the daemons, at its end."""
    wait(_all_ended)
    for strand in _open:
        if strand.stopped and not strand.daemon:
            raise RuntimeError(
                f"deadlock: thread {strand.name()!r} waits{_in_line(strand)} for something that "
                "no other thread can do any more"
            )


def _all_ended() -> bool:
    return all(strand.daemon or strand.idle or strand.stopped for strand in _open)


def _encode_at_end(reply: object) -> bytes | None:
    _members["encode_plain"] = _real_encode
    finish()
    return _real_encode(reply)


def _call(function: Any, args: Any, options: Any) -> Any:
    return function(*args, **options)


_call_code = _call.__code__
_Function = FunctionType


def call(function: Any, args: Any, options: Any) -> Any:
    """Calls a function of the user with the globals of the program around it.

    Functions such as `exec` take their caller's: those of a library module bypass the policy.
    """
    return _Function(_call_code, task.namespace)(function, args, options)

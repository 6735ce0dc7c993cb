"""`threading.Lock` and `threading.RLock`. A wait for one runs other threads."""

import _thread
from typing import Any, NoReturn

from _serpentarium.core.threads import schedule

_wait = schedule.wait
_get_ident = schedule.get_ident
_TIMEOUT_MAX = _thread.TIMEOUT_MAX


def _seconds(blocking: Any, timeout: float) -> float | None:
    """Returns the seconds of a wait, None for any number; 0 if it does not block."""
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0
    if timeout == -1:
        return None
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > _TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return timeout


class Lock:
    """A lock."""

    __slots__ = ("__weakref__", "_held")

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking is not True or timeout != -1:
            seconds = _seconds(blocking, timeout)
            if self._held and (not blocking or not _wait(self._is_free, seconds)):
                return False
        elif self._held:
            _wait(self._is_free)
        self._held = True
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def _is_free(self) -> bool:
        return not self._held

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False

    def __exit__(self, *error: object) -> None:
        self.release()

    def locked(self) -> bool:
        return self._held

    acquire_lock, release_lock, locked_lock = acquire, release, locked

    def _at_fork_reinit(self) -> None:
        self._held = False

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.lock' object")

    def __repr__(self) -> str:
        state = "locked" if self._held else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"


class RLock:
    """A lock that its owner can acquire again."""

    __slots__ = ("__weakref__", "_count", "_owner")

    def __init__(self) -> None:
        self._count = self._owner = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        seconds = None
        if blocking is not True or timeout != -1:
            seconds = _seconds(blocking, timeout)
        if not self._count or self._owner == _get_ident():
            self._count += 1
        elif blocking and _wait(self._is_free, seconds):
            self._count = 1
        else:
            return False
        self._owner = _get_ident()
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def _is_free(self) -> bool:
        return not self._count

    def release(self) -> None:
        if not self._count or self._owner != _get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = 0

    def __exit__(self, *error: object) -> None:
        self.release()

    def _release_save(self) -> tuple[int, int]:
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        state = self._count, self._owner
        self._count = self._owner = 0
        return state

    def _acquire_restore(self, state: tuple[int, int]) -> None:
        if self._count:
            _wait(self._is_free)
        self._count, self._owner = state

    def _is_owned(self) -> bool:
        return self._count > 0 and self._owner == _get_ident()

    def _recursion_count(self) -> int:
        return self._count if self._owner == _get_ident() else 0

    def _at_fork_reinit(self) -> None:
        self._count = self._owner = 0

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.RLock' object")

    def __repr__(self) -> str:
        state = "locked" if self._count else "unlocked"
        return (
            f"<{state} _thread.RLock object owner={self._owner} count={self._count} "
            f"at {id(self):#x}>"
        )


for _class, _name in ((Lock, "lock"), (RLock, "RLock")):
    _class.__module__, _class.__name__, _class.__qualname__ = "_thread", _name, _name

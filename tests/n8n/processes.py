"""Child processes that never outlive the test, each with its output in a file."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1


class Timeout(Exception):
    """Something that had to happen did not, within its time."""


def wait_for(what: str, seconds: float, look: Callable[[], Result | None]) -> Result:
    """Calls `look` until it gives something, at most for `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise Timeout(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """In the child: be killed when the test is, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running child, with all that it starts in a process group of its own."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], log: Path
    ) -> None:
        """Starts it, with nothing but this environment, and its output at the end of a file."""
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def written(self) -> int:
        """The length of the log so far: a mark to read on from."""
        return self.log.stat().st_size

    def output(self, since: int = 0) -> str:
        """What it wrote after a mark."""
        with open(self.log, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def wait_for(self, text: str, since: int, seconds: float) -> None:
        """Waits until it has written a text, in whatever case, after a mark."""

        def look() -> bool:
            found = text.lower() in self.output(since).lower()
            if not found and self.child.poll() is not None:
                raise Timeout(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")
            return found

        wait_for(f"{text!r} in the log of {self.name}", seconds, look)

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        return "\n".join(self.output().splitlines()[-lines:])

    def terminate(self, seconds: float) -> int:
        """Asks it to end, waits for that, and gives its exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.ended(seconds)

    def ended(self, seconds: float) -> int:
        """Waits until it has ended by itself, and gives its exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still ran after {seconds:g} s") from None

    def kill(self) -> None:
        """Ends it and everything that it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

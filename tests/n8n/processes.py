"""Child processes that end with the test. The output of each goes to a file."""

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
    """An expected event did not happen in time."""


def wait_for(what: str, seconds: float, look: Callable[[], Result | None]) -> Result:
    """Calls `look` until it returns a true value, for at most `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise Timeout(f"waited {seconds:g} s without success for {what}")
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Runs in the child: the kernel kills it when the test ends (PR_SET_PDEATHSIG, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running child in its own process group."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], log: Path
    ) -> None:
        """Starts the process with exactly this environment; appends its output to `log`."""
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
        """The length of the log: a mark for `output`."""
        return self.log.stat().st_size

    def output(self, since: int = 0) -> str:
        """The output after a mark."""
        with open(self.log, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def wait_for(self, text: str, since: int, seconds: float) -> None:
        """Waits until the output after a mark contains a text, ignoring case."""

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
        """Sends SIGTERM, waits for the end, and returns the exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.ended(seconds)

    def ended(self, seconds: float) -> int:
        """Waits for the end and returns the exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still ran after {seconds:g} s") from None

    def kill(self) -> None:
        """Kills the process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

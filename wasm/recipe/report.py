"""Reports a build to a person: steps, their times, and the log of a step that failed."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# Seconds between signs of life of a running step: CI systems end silent jobs.
HEARTBEAT_SECONDS = 30
SHOWN_LOG_LINES = 25
# Characters; the compiler's commands are much longer.
SHOWN_LINE_LENGTH = 160


class BuildError(Exception):
    """A failed build. The text names the cause and the next step."""


def _paint(text: str, code: str) -> str:
    coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def say(text: str) -> None:
    """Prints a line on standard error. Standard output is for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints a step's title and its time, and adds the title to an error."""
    say(f"{_paint('==>', '1;34')} {title}")
    begin = time.monotonic()
    try:
        yield
    except BuildError as error:
        raise BuildError(
            f"the step «{title}» failed after {time.monotonic() - begin:.0f} s\n{error}"
        ) from error
    say(f"    {_paint('done', '32')} in {time.monotonic() - begin:.1f} s")


def fail_line(text: str) -> None:
    """Prints an error."""
    say(f"{_paint('error', '1;31')}: {text}")


def _tail(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        shown = (line.rstrip() for line in deque(lines, SHOWN_LOG_LINES))
        return "\n".join(f"    | {line[:SHOWN_LINE_LENGTH]}" for line in shown)


def run(
    command: Sequence[object],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    advice: str = "read the log",
    progress: Callable[[], str] = lambda: "running",
) -> None:
    """Runs a program with its output in `log`; raises `BuildError` with the log's end if it fails.

    `progress` gives the text of the heartbeat.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        output.write("$ " + " ".join(str(word) for word in command) + "\n")
        output.flush()
        begin = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            status = _wait(process, begin, progress)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        program = Path(str(command[0])).name
        raise BuildError(
            f"  {program} ended with status {status}\n  to do: {advice}\n"
            f"  its log: {log}\n{_tail(log)}"
        )


def _wait(process: subprocess.Popen[bytes], begin: float, progress: Callable[[], str]) -> int:
    while True:
        try:
            return process.wait(timeout=HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"    ... {progress()} ({time.monotonic() - begin:.0f} s)")

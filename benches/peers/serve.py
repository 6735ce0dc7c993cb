"""The request loop of all peers. README.md defines the protocol."""

import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

# Tasks before the measurement.
WARM_UP = 3


def unable(code: str) -> str:
    """The `run` of a peer whose Python is the native one: programs would measure nothing new."""
    raise SystemExit("this peer runs no programs")


def serve(trivial: Callable[[], object], run: Callable[[str], str] = unable) -> None:
    """Answers requests on standard input until its end. `trivial` runs the task 1 + 2 in a fresh
    sandbox; `run` returns the output of a program.
    """
    for line in sys.stdin:
        request = json.loads(line)
        answer = (
            fresh(trivial, request["fresh"])
            if "fresh" in request
            else {"output": run(request["code"])}
        )
        print(json.dumps(answer), flush=True)


def fresh(trivial: Callable[[], object], count: int) -> dict[str, float]:
    """Median and 95th percentile of `count` trivial tasks, in milliseconds."""
    times = []
    for _ in range(WARM_UP + count):
        begin = perf_counter()
        result = trivial()
        times.append((perf_counter() - begin) * 1000)
        if result != 3:
            raise SystemExit(f"the trivial task gave {result!r}")
    times = sorted(times[WARM_UP:])
    return {"median": statistics.median(times), "p95": times[len(times) * 95 // 100]}

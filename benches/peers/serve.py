"""What the peers share: the loop that answers requests. See README.md."""

import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

WARM_UP = 3


def unable(code: str) -> str:
    """For a peer that is no other Python than the one that it runs in."""
    raise SystemExit("this peer is not measured with programs")


def serve(trivial: Callable[[], object], run: Callable[[str], str] = unable) -> None:
    """Answers requests on standard input until it ends: `trivial` is one fresh sandbox with the task 1 + 2, `run` gives
    what a piece of code prints."""
    for line in sys.stdin:
        request = json.loads(line)
        answer = (
            fresh(trivial, request["fresh"])
            if "fresh" in request
            else {"output": run(request["code"])}
        )
        print(json.dumps(answer), flush=True)


def fresh(trivial: Callable[[], object], count: int) -> dict[str, float]:
    """The middle time, and that which 95 of 100 are faster than, in milliseconds."""
    times = []
    for _ in range(WARM_UP + count):
        begin = perf_counter()
        result = trivial()
        times.append((perf_counter() - begin) * 1000)
        if result != 3:
            raise SystemExit(f"the trivial task gave {result!r}")
    times = sorted(times[WARM_UP:])
    return {"median": statistics.median(times), "p95": times[len(times) * 95 // 100]}

"""Runs test modules in the sandbox, several at once."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite import Suite

_PROGRAM = Path(__file__).parent.parent / "fixtures" / "cpython_module.py"


@dataclass(frozen=True)
class Failure:
    """A test that failed. An empty name: the module itself."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Ran:
    """What became of a module."""

    module: str
    ran: int = 0
    skipped: int = 0
    left_out: int = 0
    seconds: float = 0.0
    fuel: int = 0
    # Why the module skipped itself.
    absent: str | None = None
    failures: tuple[Failure, ...] = ()
    # Skipped tests by reason.
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Runner:
    """The program under test, and the limits of one module."""

    program: Path
    seconds: int
    memory: str

    def run(self, suite: Suite, module: str, without: list[str]) -> Ran:
        """Runs a module without the tests that match a pattern."""
        order = {
            "module": module,
            "files": suite.files(module),
            "stubs": suite.stubs(module),
            "without": without,
        }
        begin = time.monotonic()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as items:
            json.dump([{"json": order}], items)
            items.flush()
            limits = ["--timeout", f"{self.seconds}s", "--memory", self.memory]
            command = [str(self.program), "exec", "--json", "--items", items.name]
            command += [*limits, str(_PROGRAM)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
        try:
            outcome = json.loads(done.stdout)
        except ValueError:
            text = f"exit code {done.returncode}: {done.stderr[-1500:]}"
            return Ran(module, seconds=seconds, failures=(Failure("", "crash", text),))
        return _read(module, outcome, seconds)


def _read(module: str, outcome: dict[str, Any], seconds: float) -> Ran:
    if outcome["status"] != "returned":
        text = f"{outcome}"[-3000:]
        return Ran(module, seconds=seconds, failures=(Failure("", "crash", text),))
    result = outcome["result"][0]["json"]
    return Ran(
        module,
        result["ran"],
        result["skipped"],
        result["left_out"],
        seconds,
        outcome["fuel"],
        result["absent"],
        tuple(Failure(*failure) for failure in result["failed"]),
        result["reasons"],
    )


def run_all(
    runner: Runner,
    suite: Suite,
    plan: dict[str, list[str]],
    jobs: int,
    report: Callable[[Ran], None],
) -> list[Ran]:
    """Runs the modules of a plan, each without its patterns. Reports each when it ends."""
    done = []
    with ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(runner.run, suite, name, without) for name, without in plan.items()]
        for run in as_completed(runs):
            report(run.result())
            done.append(run.result())
    return sorted(done, key=lambda one: one.module)

"""Shows each outcome as a line, then a table of all; or JSON."""

import json
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Outcome:
    """The outcome of one case. Without a failure it passed."""

    group: str
    name: str
    milliseconds: int
    failure: str | None


class Report:
    """Collects and shows outcomes."""

    def __init__(self, as_json: bool) -> None:
        """`as_json` prints JSON at the end instead of a table."""
        self.as_json = as_json
        self.colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        self.outcomes: list[Outcome] = []

    def say(self, text: str) -> None:
        """Prints a progress message."""
        print(f"==> {text}", file=sys.stderr, flush=True)

    def add(self, outcome: Outcome) -> None:
        """Adds an outcome and prints its line."""
        self.outcomes.append(outcome)
        word = self.painted("FAILED", 31) if outcome.failure else self.painted("ok    ", 32)
        line = f"{word}  {outcome.group:<9}  {outcome.milliseconds:>6} ms  {outcome.name}"
        print(line, file=sys.stderr, flush=True)

    def finish(self) -> int:
        """Prints the table or the JSON. Returns the exit code."""
        failed = [outcome for outcome in self.outcomes if outcome.failure]
        if self.as_json:
            print(
                json.dumps(
                    [asdict(outcome) for outcome in self.outcomes], indent=2, ensure_ascii=False
                )
            )
        else:
            self.table(failed)
        return 1 if failed or not self.outcomes else 0

    def table(self, failed: list[Outcome]) -> None:
        """Prints the counts by group, and the failures."""
        counts = Counter((outcome.group, outcome.failure is None) for outcome in self.outcomes)
        print(f"\n{'group':<12}{'passed':>8}{'failed':>8}")
        for group in dict.fromkeys(outcome.group for outcome in self.outcomes):
            print(f"{group:<12}{counts[group, True]:>8}{counts[group, False]:>8}")
        for outcome in failed:
            print(
                f"\n{self.painted('FAILED', 31)} {outcome.group}: {outcome.name}\n"
                f"       {outcome.failure}"
            )
        print(f"\n{len(self.outcomes) - len(failed)} passed, {len(failed)} failed")

    def painted(self, text: str, colour: int) -> str:
        """Text in a colour, if standard error is a terminal."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour else text

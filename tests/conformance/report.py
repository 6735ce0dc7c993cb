"""Shows the outcomes: as a table, or as JSON."""

import json
import os
import sys
from collections.abc import Sequence

from suite import Outcome

# Rows of the closing table.
SLOWEST = 3
# Characters of a shown text; the middle of a longer one is left out.
MAX_TEXT = 1000
COLOURS = {"well": "32", "difference": "33", "failed": "31", "dim": "2", "title": "1"}
MARKS = {"well": "✓", "difference": "~", "failed": "✗"}


def verdict(outcome: Outcome, strict: bool) -> str:
    """`well`, `failed`, or `difference`: a failure that is known of other runners."""
    if outcome.is_well:
        return "well"
    return "difference" if outcome.case.better and not strict else "failed"


def has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, colour: str) -> str:
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if has_colours() else text


def milliseconds(outcome: Outcome, decimals: int) -> float | None:
    return None if outcome.seconds is None else round(outcome.seconds * 1000, decimals)


def show(outcomes: Sequence[Outcome], name: str, strict: bool) -> None:
    """Prints a table per theme, the slowest cases, and the totals."""
    theme = None
    for outcome in outcomes:
        if outcome.case.theme != theme:
            theme = outcome.case.theme
            print(f"\n{paint(theme, 'title')}")
        show_one(outcome, verdict(outcome, strict))
    print(f"\n{paint('Slowest', 'title')}")
    played = [(outcome.seconds, outcome) for outcome in outcomes if outcome.seconds is not None]
    for seconds, outcome in sorted(played, key=lambda pair: -pair[0])[:SLOWEST]:
        print(f"    {seconds * 1000:7.1f} ms  {outcome.case.name}")
    verdicts = [verdict(outcome, strict) for outcome in outcomes]
    count = verdicts.count
    print(f"\n{name}: {len(outcomes)} cases, {count('well')} well, ", end="")
    print(f"{count('difference')} known differences, {count('failed')} failed")


def show_one(outcome: Outcome, how: str) -> None:
    took = milliseconds(outcome, 1)
    time = " " * 10 if took is None else f"{took:7.1f} ms"
    waits = outcome.case.total_wait()
    also = paint(f" (and waits {waits:g} s)", "dim") if waits else ""
    print(f"  {paint(MARKS[how], how)} {time}  {outcome.case.name}{also}")
    if how == "difference":
        print(f"{' ' * 16}known: {outcome.case.better}")
    if how != "well":
        print(f"{' ' * 16}expected  {shortened(str(outcome.expected))}")
        print(f"{' ' * 16}got       {shortened(str(outcome.got))}")


def shortened(text: str) -> str:
    half = MAX_TEXT // 2
    return text if len(text) <= MAX_TEXT else f"{text[:half]} … {text[-half:]}"


def as_json(outcomes: Sequence[Outcome], name: str, strict: bool) -> None:
    """Prints one JSON document."""
    cases = [
        {
            "theme": outcome.case.theme,
            "name": outcome.case.name,
            "verdict": verdict(outcome, strict),
            "ms": milliseconds(outcome, 2),
            "waits": outcome.case.total_wait(),
            "expected": outcome.expected,
            "got": outcome.got,
            "better": outcome.case.better,
        }
        for outcome in outcomes
    ]
    print(json.dumps({"runner": name, "cases": cases}, ensure_ascii=False, indent=1))

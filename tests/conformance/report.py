"""What people and machines are shown of a run."""

import json
import os
import sys

SLOW_ONES = 3
# Characters of a text that is shown: enough for any message that people would read.
MOST = 1000
COLOURS = {"well": "32", "difference": "33", "failed": "31", "dim": "2", "title": "1"}
MARKS = {"well": "✓", "difference": "~", "failed": "✗"}


def verdict(outcome, strict):
    """`well`, `failed`, or `difference`: a failure that is known of other runners."""
    if outcome.is_well:
        return "well"
    return "difference" if outcome.case.better and not strict else "failed"


def is_colourful():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text, colour):
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if is_colourful() else text


def show(outcomes, name, strict):
    """The table, one part for each theme, and the totals."""
    theme = None
    for outcome in outcomes:
        if outcome.case.theme != theme:
            theme = outcome.case.theme
            print(f"\n{paint(theme, 'title')}")
        show_one(outcome, verdict(outcome, strict))
    print(f"\n{paint('Slowest', 'title')}")
    played = [outcome for outcome in outcomes if outcome.is_played]
    for outcome in sorted(played, key=lambda outcome: -outcome.seconds)[:SLOW_ONES]:
        print(f"    {outcome.seconds * 1000:7.1f} ms  {outcome.case.name}")
    verdicts = [verdict(outcome, strict) for outcome in outcomes]
    count = verdicts.count
    print(f"\n{name}: {len(outcomes)} cases, {count('well')} well, ", end="")
    print(f"{count('difference')} known differences, {count('failed')} failed")


def show_one(outcome, how):
    took = f"{outcome.seconds * 1000:7.1f} ms" if outcome.is_played else " " * 10
    waits = outcome.case.total_wait()
    also = paint(f" (and waits {waits:g} s)", "dim") if waits else ""
    print(f"  {paint(MARKS[how], how)} {took}  {outcome.case.name}{also}")
    if how == "difference":
        print(f"{' ' * 16}known: {outcome.case.better}")
    if how != "well":
        print(f"{' ' * 16}expected  {shortened(outcome.expected)}")
        print(f"{' ' * 16}got       {shortened(outcome.got)}")


def shortened(text):
    half = MOST // 2
    return text if len(text) <= MOST else f"{text[:half]} … {text[-half:]}"


def as_json(outcomes, name, strict):
    """The same, as one JSON document."""
    cases = [
        {
            "theme": outcome.case.theme,
            "name": outcome.case.name,
            "verdict": verdict(outcome, strict),
            "ms": round(outcome.seconds * 1000, 2) if outcome.is_played else None,
            "waits": outcome.case.total_wait(),
            "expected": outcome.expected,
            "got": outcome.got,
            "better": outcome.case.better,
        }
        for outcome in outcomes
    ]
    print(json.dumps({"runner": name, "cases": cases}, ensure_ascii=False, indent=1))

"""Writes results: JSON, the chart, and the marked parts of docs/benchmarks.md and README.md."""

import json
import math
from pathlib import Path
from typing import Any

import machine
from chart import Panel, draw
from commands import ROOT
from engines import Ours
from result import Result, Table, number
from show import all_tables, for_markdown

PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
BEGIN, END = "<!-- results: scripts/bench --docs -->", "<!-- end of results -->"
# The sections in the chart.
DRAWN = ("fresh", "compute")


def as_json(results: dict[str, Result], head: dict[str, Any], notes: list[str]) -> str:
    """All results as JSON."""
    figures = [
        {"section": name, **figure.as_json()}
        for name, result in results.items()
        for figure in result.figures
    ]
    sections = {name: result.raw for name, result in results.items()}
    return (
        json.dumps({**head, "figures": figures, "notes": notes, "sections": sections}, indent=2)
        + "\n"
    )


def chart(results: dict[str, Result]) -> str | None:
    """The chart of the results; `None` without a comparison."""
    panels = []
    if "fresh" in results:
        bars = {
            name: times["median"] for name, times in results["fresh"].raw["milliseconds"].items()
        }
        title = "A fresh sandbox with a trivial task: median time (logarithmic; shorter is better)"
        panels.append(Panel(title, bars, "ms", logarithmic=True, ours=Ours.name))
    if "compute" in results and "ratios" in results["compute"].raw:
        raw = results["compute"].raw
        title = "Computing: geometric mean, times native CPython 3.13 (shorter is better)"
        panels.append(
            Panel(title, raw["geometricMeans"], "×", mark=(1.0, "native"), ours=Ours.name)
        )
        title = f"Computing: {Ours.name} by program, times native CPython 3.13"
        panels.append(Panel(title, raw["ratios"][Ours.name], "×", mark=(1.0, "native")))
    return draw(panels) if panels else None


def to_docs(results: dict[str, Result], head: dict[str, Any], notes: list[str]) -> None:
    """Updates docs/ and README.md."""
    Path(PAGE.with_suffix(".json")).write_text(as_json(results, head, notes), encoding="utf-8")
    if picture := chart(results):
        PAGE.with_suffix(".svg").write_text(picture, encoding="utf-8")
    parts = [f"`{head['command']}` on {head['date']}: {machine.in_words(head['machine'])}."]
    parts += [for_markdown(table) for table in all_tables(results)]
    parts += ["\n".join(f"- {text}" for text in notes)] if notes else []
    _put(PAGE, parts)
    _put(README, [parts[0], for_markdown(summary(results))])


def summary(results: dict[str, Result]) -> Table:
    """The main figures of a full run, for README.md."""
    raw = {name: result.raw for name, result in results.items()}
    fresh, start, memory = (
        raw["fresh"]["milliseconds"][Ours.name],
        raw["start"]["start"],
        raw["memory"]["memory"],
    )
    flights, means = raw["flow"]["flow"], raw["compute"].get("geometricMeans", {})
    echoes = [
        number(each["echoMs"]) for each in raw["payload"]["payload"] if each["megabytes"] == 5
    ]
    others = ", ".join(
        f"{name} {number(mean)}" for name, mean in means.items() if name != Ours.name
    )
    rest = (memory["parentPssMib"] + sum(memory["workersPssMib"])) * 2**20 / 1_000_000
    in_flight = " / ".join(str(each["inFlight"]) for each in flights)
    rows = [
        [
            "fresh instance, trivial task, drop; in process, median / p95",
            _both(fresh["median"], fresh["p95"], "ms"),
        ],
        [
            f"tasks a second through the local broker, {in_flight} in flight",
            " / ".join(number(each["tasksPerSecond"]) for each in flights),
        ],
        [
            "latency at 1 in flight, p50 / p99",
            _both(flights[0]["p50Ms"], flights[0]["p99Ms"], "ms"),
        ],
        [
            "a call of a task there and back through the WebSocket, "
            "the broker's own time included, p50",
            f"{number(raw['flow']['calls']['p50Ms'])} ms",
        ],
        [
            f"computing, times the native CPython 3.13 ({others})",
            number(means.get(Ours.name, math.nan)),
        ],
        [
            "process start → registered / → first task answered",
            _both(start["registeredMs"], start["firstAnswerMs"], "ms"),
        ],
        ["memory at rest (PSS), runner and two workers", f"{number(rest)} MB"],
        ["memory that a running trivial task adds", f"{number(memory['taskPrivateKib'])} KiB"],
        ["5 MB there and back, as one text / as small items", f"{' / '.join(echoes)} ms"],
    ]
    return Table("Figures", ["what", "figure"], rows)


def _both(one: float, other: float, unit: str) -> str:
    return f"{number(one)} / {number(other)} {unit}"


def _put(page: Path, parts: list[str]) -> None:
    """Replaces the part of a page between the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("\n\n".join([before + BEGIN, *parts, END + after]), encoding="utf-8")

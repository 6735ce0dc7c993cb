"""Where results go: a JSON file, the chart, and the part of docs/benchmarks.md between its marks."""

import json
from pathlib import Path
from typing import Any

import machine
from chart import Panel, draw
from commands import ROOT
from engines import Ours
from result import Result
from show import all_tables, for_markdown

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: scripts/bench --docs -->", "<!-- end of results -->"


def as_json(results: dict[str, Result], head: dict[str, Any], notes: list[str]) -> str:
    """Everything, for machines."""
    figures = [{"section": name, **figure.as_json()} for name, result in results.items() for figure in result.figures]
    sections = {name: result.raw for name, result in results.items()}
    return json.dumps({**head, "figures": figures, "notes": notes, "sections": sections}, indent=2) + "\n"


def chart(results: dict[str, Result]) -> str | None:
    """The chart of what was measured; nothing where it has no comparison."""
    panels = []
    if "fresh" in results:
        bars = {name: times["median"] for name, times in results["fresh"].raw["milliseconds"].items()}
        title = "A fresh sandbox with a trivial task: median time (logarithmic; shorter is better)"
        panels.append(Panel(title, bars, "ms", logarithmic=True, ours=Ours.name))
    if "compute" in results and "ratios" in results["compute"].raw:
        raw = results["compute"].raw
        title = "Computing: geometric mean, times native CPython 3.13 (shorter is better)"
        panels.append(Panel(title, raw["geometricMeans"], "×", mark=(1.0, "native"), ours=Ours.name))
        title = f"Computing: {Ours.name} by program, times native CPython 3.13"
        panels.append(Panel(title, raw["ratios"][Ours.name], "×", mark=(1.0, "native")))
    return draw(panels) if panels else None


def to_docs(results: dict[str, Result], head: dict[str, Any], notes: list[str]) -> None:
    """Brings docs/ up to this measurement."""
    Path(PAGE.with_suffix(".json")).write_text(as_json(results, head, notes), encoding="utf-8")
    if picture := chart(results):
        PAGE.with_suffix(".svg").write_text(picture, encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [f"`{head['command']}` on {head['date']}: {machine.in_words(head['machine'])}."]
    parts += [for_markdown(table) for table in all_tables(results)]
    parts += ["\n".join(f"- {text}" for text in notes)] if notes else []
    PAGE.write_text("\n\n".join([before + BEGIN, *parts, END + after]), encoding="utf-8")

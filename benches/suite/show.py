"""Tables for a terminal and in Markdown."""

import sys

from result import Figure, Result, Table
from say import painted


def figures_table(figures: list[Figure]) -> Table:
    """All figures with their goals."""
    rows = [[f.what, f.shown(), f.shown_goal(), "met" if f.met else "not met"] for f in figures]
    return Table("Figures and goals", ["what", "figure", "goal", ""], rows)


def for_terminal(table: Table) -> str:
    """A table as aligned columns."""
    widths = [
        max(len(row[i]) for row in [table.header, *table.rows]) for i in range(len(table.header))
    ]

    def line(row: list[str]) -> str:
        first = row[0].ljust(widths[0])
        return "  ".join(
            [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()

    rows = [line(row) for row in table.rows]
    rows = [_painted_verdict(text) for text in rows]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([painted(table.title, "1", sys.stdout), line(table.header), rule, *rows])


def _painted_verdict(text: str) -> str:
    for verdict, colour in (("not met", "31"), ("met", "32")):
        if text.endswith(" " + verdict):
            return text.removesuffix(verdict) + painted(verdict, colour, sys.stdout)
    return text


def for_markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = [table.header, ["---"] + ["---:"] * (len(table.header) - 1), *table.rows]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def all_tables(results: dict[str, Result]) -> list[Table]:
    """The table of figures, then the tables of the sections."""
    figures = [figure for result in results.values() for figure in result.figures]
    return [
        figures_table(figures),
        *(table for result in results.values() for table in result.tables),
    ]

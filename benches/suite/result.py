"""The result of a section: figures with goals, tables, raw numbers."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A number with a goal: a maximum, or a minimum if `at_least` is set."""

    what: str
    value: float
    unit: str
    goal: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure meets the goal."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def shown(self) -> str:
        """The value with its unit."""
        return f"{number(self.value)} {self.unit}".strip()

    def shown_goal(self) -> str:
        """The goal with its unit."""
        return f"{'≥' if self.at_least else '≤'} {number(self.goal)} {self.unit}".strip()

    def as_json(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return {
            "what": self.what,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "atLeast": self.at_least,
            "met": self.met,
        }


@dataclass(frozen=True)
class Table:
    """A table of texts. Every column except the first holds numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Result:
    """The measurements of one section. `raw` is JSON."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def number(value: float) -> str:
    """A number with three significant digits; from 100 on an integer with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

"""What a section gives: figures with their goals, tables, and the numbers behind them for machines."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number with a goal."""

    what: str
    value: float
    unit: str
    goal: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def shown(self) -> str:
        """The number for people."""
        return f"{number(self.value)} {self.unit}".strip()

    def shown_goal(self) -> str:
        """The goal for people."""
        return f"{'≥' if self.at_least else '≤'} {number(self.goal)} {self.unit}".strip()

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
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
    """Rows of texts under a header; all columns but the first hold numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Result:
    """What one section measured."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def number(value: float) -> str:
    """A number with three digits that count; large ones whole, with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

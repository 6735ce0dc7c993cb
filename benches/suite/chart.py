"""The bar chart of docs/benchmarks.md as SVG."""

import math
from dataclasses import dataclass
from html import escape

from result import number

WIDTH, LABEL, VALUE, ROW, BAR = 760, 190, 90, 26, 16
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .faint { fill: #6e7781 }
  .ours { fill: #1a7f5a }
  .other { fill: #9aa4af }
  .line { stroke: #6e7781; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .faint { fill: #9198a1 }
    .ours { fill: #3fb68b }
    .other { fill: #656c76 }
  }
"""


@dataclass(frozen=True)
class Panel:
    """One group of bars. A logarithmic scale starts at a tenth of the smallest value."""

    title: str
    bars: dict[str, float]
    unit: str
    logarithmic: bool = False
    # Value and label of a line across the bars.
    mark: tuple[float, str] | None = None
    ours: str | None = None


def draw(panels: list[Panel]) -> str:
    """The SVG document with all panels from top to bottom."""
    parts, top = [], 10
    for panel in panels:
        drawn, height = _panel(panel, top)
        parts += drawn
        top += height + 14
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> tuple[list[str], int]:
    width = WIDTH - LABEL - VALUE
    values = [*panel.bars.values(), *([panel.mark[0]] if panel.mark else [])]
    low, high = math.log10(min(values) / 10), math.log10(max(values))

    def length(value: float) -> float:
        return width * (
            (math.log10(value) - low) / (high - low) if panel.logarithmic else value / max(values)
        )

    parts = [f'<text class="title" x="10" y="{top + 16}">{escape(panel.title)}</text>']
    first = top + 26
    for row, (name, value) in enumerate(panel.bars.items()):
        y = first + row * ROW
        kind = "ours" if panel.ours in (None, name) else "other"
        bar = f'x="{LABEL}" y="{y + 1}" width="{length(value):.1f}" height="{BAR}" rx="2"'
        end = f'x="{LABEL + length(value) + 8:.1f}" y="{y + 14}"'
        parts += [
            f'<text x="{LABEL - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" {bar}/>',
            f"<text {end}>{number(value)} {escape(panel.unit)}</text>",
        ]
    bottom = first + len(panel.bars) * ROW
    if panel.mark:
        x = LABEL + length(panel.mark[0])
        below = f'x="{x:.1f}" y="{bottom + 14}" text-anchor="middle"'
        parts += [
            f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{first - 4}" y2="{bottom}"/>',
            f'<text class="faint" {below}>{escape(panel.mark[1])}</text>',
        ]
    return parts, bottom - top + (18 if panel.mark else 0)

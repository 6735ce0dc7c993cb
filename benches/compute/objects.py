"""Classes: a small shop with inheritance, properties, and data classes."""

from dataclasses import dataclass


@dataclass
class Line:
    """One line of a cart."""

    price: float
    count: int

    @property
    def total(self) -> float:
        """What it costs."""
        return self.price * self.count


class Cart:
    """Lines that can be added up."""

    def __init__(self) -> None:
        """Begins empty."""
        self.lines: list[Line] = []

    def add(self, line: Line) -> "Cart":
        """Adds one."""
        self.lines.append(line)
        return self

    def total(self) -> float:
        """What all costs."""
        return sum(line.total for line in self.lines)


class Reduced(Cart):
    """A cart at a lower price."""

    def total(self) -> float:
        """What all costs."""
        return super().total() * 0.5


def run() -> None:
    """One round."""
    total = 0.0
    for n in range(30_000):
        cart = Reduced() if n % 2 else Cart()
        for k in range(4):
            cart.add(Line(k + 0.5, n % 5))
        total += cart.total()
    assert abs(total - 360_000) < 1e-6, total

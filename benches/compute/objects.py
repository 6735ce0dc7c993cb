"""Classes: a small shop with inheritance, properties, and data classes."""

from dataclasses import dataclass


@dataclass
class Line:
    """One line of a cart."""

    price: float
    count: int

    @property
    def total(self) -> float:
        """Returns the price of all pieces."""
        return self.price * self.count


class Cart:
    """Adds up lines."""

    def __init__(self) -> None:
        """Starts without lines."""
        self.lines: list[Line] = []

    def add(self, line: Line) -> "Cart":
        """Adds a line. Returns the cart."""
        self.lines.append(line)
        return self

    def total(self) -> float:
        """Returns the price of all lines."""
        return sum(line.total for line in self.lines)


class Reduced(Cart):
    """A cart at a lower price."""

    def total(self) -> float:
        """Returns the price of all lines."""
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

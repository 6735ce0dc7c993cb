"""Arithmetic on floats: planets that attract each other."""

import math
from itertools import combinations

STEPS = 6000


def energy(bodies: list[list[float]]) -> float:
    """Returns the sum of kinetic and potential energy."""
    moving = sum(body[6] * sum(v * v for v in body[3:6]) / 2 for body in bodies)
    return moving - sum(a[6] * b[6] / math.dist(a[:3], b[:3]) for a, b in combinations(bodies, 2))


def advance(bodies: list[list[float]], steps: int, dt: float) -> None:
    """Moves the bodies by `steps` steps of `dt`."""
    pairs = list(combinations(bodies, 2))
    for _ in range(steps):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            pull = dt * (dx * dx + dy * dy + dz * dz) ** -1.5
            for body, mass in ((a, -b[6] * pull), (b, a[6] * pull)):
                body[3] += dx * mass
                body[4] += dy * mass
                body[5] += dz * mass
        for body in bodies:
            body[0] += dt * body[3]
            body[1] += dt * body[4]
            body[2] += dt * body[5]


def run() -> None:
    """One round."""
    bodies = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0]]
    for i in range(1, 5):
        bodies.append([5.0 * i, 0.0, 0.1 * i, 0.0, math.sqrt(40.0 / (5.0 * i)), 0.0, 0.01 * i])
    before = energy(bodies)
    advance(bodies, STEPS, 0.001)
    assert abs(energy(bodies) / before - 1) < 1e-4

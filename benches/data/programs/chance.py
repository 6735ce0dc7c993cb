"""Random numbers: distributions, choices, an estimate of pi."""

import numpy as np


def run() -> None:
    """One round."""
    random = np.random.default_rng(4)
    x, y = random.random(200_000), random.random(200_000)
    assert abs(4 * float((x * x + y * y < 1).mean()) - np.pi) < 0.02
    walks = random.choice([-1, 1], size=(200, 500)).cumsum(axis=1)
    assert walks.shape == (200, 500)
    assert abs(float(random.normal(size=50_000).mean())) < 0.05
    assert len(np.unique(random.permutation(20_000))) == 20_000

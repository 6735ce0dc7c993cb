"""Formulas over arrays of real numbers."""

import numpy as np


def run() -> None:
    """One round."""
    x = np.linspace(0.0, 10.0, 200_000)
    y = np.sin(x) * np.exp(-x / 5) + np.sqrt(x) - x**2 / 50
    smooth = (y[:-2] + y[1:-1] * 2 + y[2:]) / 4
    inside = np.where(np.abs(smooth) < 1, smooth, np.sign(smooth))
    assert inside.shape == (199_998,)
    assert np.isfinite(float(np.trapezoid(y, x)))

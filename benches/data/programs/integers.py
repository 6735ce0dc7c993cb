"""Whole numbers: sums, remainders, counts, a sieve."""

import numpy as np


def run() -> None:
    """One round."""
    numbers = np.arange(300_000)
    assert int((numbers * numbers).sum()) == 8999955000050000
    assert np.bincount(numbers % 97, minlength=97).sum() == 300_000
    assert int(np.cumsum(numbers)[-1]) == 44999850000
    sieve = np.ones(200_000, dtype=bool)
    sieve[:2] = False
    for factor in range(2, 448):
        if sieve[factor]:
            sieve[factor * factor :: factor] = False
    assert int(sieve.sum()) == 17984

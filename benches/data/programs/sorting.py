"""Sorting, searching and sets of values."""

import numpy as np


def run() -> None:
    """One round."""
    values = np.random.default_rng(1).integers(0, 50_000, 100_000)
    ordered = np.sort(values)
    order = np.argsort(values, kind="stable")
    assert (values[order] == ordered).all()
    distinct, counts = np.unique(values, return_counts=True)
    assert counts.sum() == len(values)
    places = np.searchsorted(distinct, values[:20_000])
    assert (distinct[places] == values[:20_000]).all()
    assert np.isin(values[:1000], distinct).all()

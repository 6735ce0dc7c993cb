"""Joins of tables, and what follows them: filters, sorted heads, concatenation."""

import numpy as np
import pandas as pd


def run() -> None:
    """One round."""
    random = np.random.default_rng(7)
    orders = pd.DataFrame(
        {"customer": random.integers(0, 3000, 20_000), "value": random.uniform(1, 500, 20_000)}
    )
    customers = pd.DataFrame(
        {"customer": np.arange(2500), "name": [f"customer {i}" for i in range(2500)]}
    )
    joined = orders.merge(customers, on="customer", how="left")
    assert len(joined) == len(orders)
    known = joined.dropna(subset=["name"])
    best = known.groupby("name")["value"].sum().nlargest(10)
    assert len(best) == 10
    both = pd.concat([known, known.assign(value=known["value"] * 2)], ignore_index=True)
    assert len(both.drop_duplicates(["customer", "value"])) <= len(both)
    assert both.sort_values(["customer", "value"]).head(5).shape == (5, 3)

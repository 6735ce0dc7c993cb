"""Groups of a table: sums, several figures at once, shares, a pivot table."""

import numpy as np
import pandas as pd


def run() -> None:
    """One round."""
    random = np.random.default_rng(6)
    rows = 30_000
    frame = pd.DataFrame(
        {
            "shop": random.choice(["north", "south", "east", "west"], rows),
            "item": random.integers(0, 50, rows),
            "price": random.uniform(1, 100, rows),
            "count": random.integers(1, 9, rows),
        }
    )
    frame["total"] = frame["price"] * frame["count"]
    by_shop = frame.groupby("shop")["total"].sum()
    assert abs(by_shop.sum() - frame["total"].sum()) < 1e-3
    figures = frame.groupby(["shop", "item"]).agg({"total": ["sum", "mean"], "count": "max"})
    assert len(figures) == 200
    share = frame["total"] / frame.groupby("item")["total"].transform("sum")
    assert abs(share.sum() - 50) < 1e-6
    table = frame.pivot_table(index="item", columns="shop", values="total", aggfunc="sum")
    assert table.shape == (50, 4)

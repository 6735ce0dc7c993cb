"""Columns of texts: cases, parts, patterns, counts."""

import pandas as pd


def run() -> None:
    """One round."""
    names = pd.Series([f"Person {i % 700}, Street {i}, {10000 + i % 90} Town" for i in range(8000)])
    parts = names.str.split(", ", expand=True)
    assert parts.shape == (8000, 3)
    codes = names.str.extract(r"(\d{5}) Town")[0].astype(int)
    assert codes.min() == 10000
    assert names.str.upper().str.contains("STREET 7").sum() > 0
    assert len(parts[0].value_counts()) == 700
    assert parts[1].str.replace("Street", "St.").str.len().max() == 8

"""Sorting: numbers, texts, and records by keys."""

from operator import itemgetter


def run() -> None:
    """One round."""
    numbers = [n * 7919 % 100_003 for n in range(100_000)]
    ordered = sorted(numbers)
    assert all(a <= b for a, b in zip(ordered, ordered[1:]))
    texts = sorted(map(str, numbers[:40_000]), reverse=True)
    assert texts[0] > texts[-1]
    rows = [{"group": n % 17, "rank": numbers[n]} for n in range(40_000)]
    rows.sort(key=itemgetter("rank"))
    rows.sort(key=lambda row: (row["group"], -row["rank"]))
    assert rows[0]["group"] == 0 and rows[-1]["group"] == 16 and rows[0]["rank"] > rows[1]["rank"]

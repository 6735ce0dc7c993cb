"""Dictionaries and strings: words counted, grouped, and joined."""

from collections import Counter, defaultdict


def run() -> None:
    """One round."""
    text = " ".join(f"Word{n * n % 997} the-{n % 13}, and {n % 101};" for n in range(30_000))
    words = [word.strip(",;").lower() for word in text.split()]
    counts = Counter(words)
    assert counts["and"] == 30_000
    by_length: defaultdict[int, set[str]] = defaultdict(set)
    for word in words:
        by_length[len(word)].add(word)
    assert sum(map(len, by_length.values())) == len(counts)
    joined = "|".join(f"{word.title()}={count}" for word, count in sorted(counts.items()))
    assert joined.count("=") == len(counts) and joined.replace("=", "").find("=") == -1

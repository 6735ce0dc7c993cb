"""Generators and iterators: primes, pipelines, and coroutines."""

from collections.abc import Generator, Iterator
from itertools import chain, count, groupby, islice


def primes() -> Iterator[int]:
    """Yields all primes, by a growing sieve."""
    known: dict[int, list[int]] = {}
    for n in count(2):
        factors = known.pop(n, None)
        if factors is None:
            known[n * n] = [n]
            yield n
            continue
        for prime in factors:
            known.setdefault(n + prime, []).append(prime)


def average() -> Generator[float, float, None]:
    """Yields the mean of the sent numbers."""
    total, count = 0.0, 0
    value = yield 0.0
    while True:
        total, count = total + value, count + 1
        value = yield total / count


def run() -> None:
    """One round."""
    assert sum(islice(primes(), 2000)) == 16_274_627
    mean = average()
    next(mean)
    for value in (x * 0.5 for x in range(60_000)):
        last = mean.send(value)
    assert abs(last - 14_999.75) < 1e-6
    groups = groupby(
        chain.from_iterable((n // 3, n // 3) for n in range(30_000)), key=lambda n: n // 10
    )
    assert sum(sum(1 for _ in group) for _, group in groups) == 60_000

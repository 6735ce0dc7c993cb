"""Numbers: loops over floats and integers, statistics, exact arithmetic, tables."""

import fractions
import math
import random
import statistics
from decimal import Decimal


def loan(amount: float, rate: float, months: int) -> list[tuple[int, float, float]]:
    """Returns a repayment plan."""
    payment = amount * rate / (1 - (1 + rate) ** -months)
    plan, rest = [], amount
    for month in range(1, months + 1):
        interest = rest * rate
        rest = max(0.0, rest - (payment - interest))
        plan.append((month, round(interest, 2), round(rest, 2)))
    return plan


def primes(limit: int) -> int:
    """Counts the primes below a limit."""
    sieve = bytearray([1]) * limit
    sieve[0:2] = b"\0\0"
    for i in range(2, math.isqrt(limit) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, limit, i)))
    return sum(sieve)


def collatz(limit: int) -> int:
    """Returns the length of the longest Collatz sequence: integer loops."""
    longest = 0
    for start in range(1, limit):
        n, length = start, 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            length += 1
        longest = max(longest, length)
    return longest


def matrix(size: int) -> float:
    """Multiplies nested lists of floats, by element and by row."""
    a = [[(i * j) % 7 / 3 for j in range(size)] for i in range(size)]
    b = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(size):
            value = 0.0
            for k in range(size):
                value += a[i][k] * a[k][j]
            b[i][j] = value
    c = [[sum(x * y for x, y in zip(row, column)) for column in zip(*a)] for row in b]
    return sum(map(sum, c))


def distances(count: int) -> float:
    """Sums distances between places on the globe."""
    rng = random.Random(7)
    places = [(rng.uniform(-80, 80), rng.uniform(-180, 180)) for _ in range(count)]
    total = 0.0
    for (lat1, lon1), (lat2, lon2) in zip(places, places[1:]):
        p, q, d = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
        h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(d / 2) ** 2
        total += 2 * 6371.0 * math.asin(math.sqrt(h))
    return total


def exact() -> None:
    """Computes with decimals, fractions and large integers."""
    total = Decimal("0")
    for i in range(400):
        total += (Decimal(i) * Decimal("1.19")).quantize(Decimal("0.01"))
    sum(fractions.Fraction(1, i) for i in range(1, 60))
    number = math.factorial(300)
    (
        str(number),
        number % 97,
        pow(7, number, 1_000_007),
        number.bit_length(),
        (number >> 200) & 0xFFFF,
    )


def main() -> None:
    """Runs one round."""
    loan(250_000, 0.003, 360)
    primes(150_000)
    collatz(700)
    matrix(26)
    distances(800)
    exact()
    rng = random.Random(11)
    sample = [rng.gauss(50, 12) for _ in range(600)]
    (
        statistics.mean(sample),
        statistics.stdev(sample),
        statistics.median(sample),
        statistics.quantiles(sample),
    )
    sorted(sample)[len(sample) // 2]
    [round(abs(x - 50) ** 1.5, 3) for x in sample if 20 < x < 80]

"""Fuel and time of different kinds of work, each long enough to hide the start of a task.

Run it with `serpentarium bench benches/fuel_and_time.py`.
"""

import json
import re


def bench_loop() -> int:
    total = 0
    for n in range(4_000_000):
        total += n & 7
    return total


def bench_calls() -> int:
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    return fib(25)


def bench_objects() -> int:
    class Point:
        def __init__(self, x: int, y: int) -> None:
            self.x, self.y = x, y

    return sum(p.x * p.y for p in [Point(n, n + 1) for n in range(200_000)])


def bench_dicts() -> int:
    counts: dict[int, int] = {}
    for n in range(800_000):
        key = n * 7919 % 10_007
        counts[key] = counts.get(key, 0) + 1
    return len(counts)


def bench_text() -> int:
    return sum(len(f"{n}: {n * n}".upper().split()) for n in range(200_000))


def bench_sort() -> list[int]:
    return sorted([n * 7919 % 1_000_003 for n in range(400_000)])


def bench_floats() -> float:
    x = 0.5
    for _ in range(2_000_000):
        x = x * 3.7 * (1.0 - x)
    return x


def bench_big_integers() -> int:
    return len(str(3**200_000))


def bench_json() -> int:
    text = json.dumps(
        [{"id": n, "name": f"name {n}", "tags": ["a", "b"], "price": n / 7} for n in range(20_000)]
    )
    return len(json.dumps(json.loads(text)))


def bench_regex() -> int:
    text = "alpha=1; beta = 22 ;gamma= 333; " * 50_000
    return len(re.findall(r"(\w+)\s*=\s*(\d+)", text))


def bench_copy_of_memory() -> int:
    block = bytearray(50_000_000)
    return sum(len(bytes(block)) for _ in range(10))

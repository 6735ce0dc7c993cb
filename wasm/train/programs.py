"""Runs general programs: classes, recursion, generators, exceptions, searches."""

import asyncio
import collections
import contextlib
import dataclasses
import enum
import functools
import heapq
import itertools
import random
from collections.abc import Iterator
from typing import Any, NamedTuple


@dataclasses.dataclass(order=True)
class Job:
    """A name with a priority."""

    priority: int
    name: str = dataclasses.field(compare=False)
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)


class Colour(enum.Enum):
    """Two colours."""

    RED = "red"
    GREEN = "green"


class Point(NamedTuple):
    """A pair of numbers."""

    x: int
    y: int


class Vector:
    """Operators, a property and slots."""

    __slots__ = ("x", "y")

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.x == other.x

    def __hash__(self) -> int:
        return hash((self.x, self.y))

    @property
    def square(self) -> float:
        """The squared length."""
        return self.x * self.x + self.y * self.y


class Account:
    """An account: attributes, methods, inheritance."""

    opened = 0

    def __init__(self, owner: str) -> None:
        self.owner, self.balance = owner, 0
        self.history: list[int] = []
        type(self).opened += 1

    def pay(self, amount: int) -> None:
        """Adds to the balance, or raises at the limit."""
        if amount < 0 and self.balance + amount < self.limit():
            raise ValueError(f"{self.owner} cannot pay {-amount}")
        self.balance += amount
        self.history.append(amount)

    def limit(self) -> int:
        """The lowest balance."""
        return 0


class Credit(Account):
    """An account that may go below zero."""

    def limit(self) -> int:
        return super().limit() - 500


def accounts() -> int:
    """Counts refused payments: method calls and exceptions."""
    refused = 0
    for kind, name in itertools.product((Account, Credit), "abc"):
        account = kind(name)
        for amount in range(-300, 300, 3):
            try:
                account.pay(amount)
            except ValueError as error:
                refused += len(str(error)) > 0
            finally:
                account.owner = name
    return refused


def shortest_paths(size: int) -> int:
    """Returns the cheapest way through a grid (Dijkstra's algorithm)."""
    rng = random.Random(size)
    cost = {(x, y): rng.randint(1, 9) for x in range(size) for y in range(size)}
    best, queue = {(0, 0): 0}, [(0, (0, 0))]
    while queue:
        so_far, (x, y) = heapq.heappop(queue)
        if so_far > best[x, y]:
            continue
        for step in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if step in cost and so_far + cost[step] < best.get(step, 1 << 30):
                best[step] = so_far + cost[step]
                heapq.heappush(queue, (best[step], step))
    return best[size - 1, size - 1]


def queens(
    n: int,
    row: int = 0,
    columns: frozenset[int] = frozenset(),
    up: frozenset[int] = frozenset(),
    down: frozenset[int] = frozenset(),
) -> int:
    """Counts the ways to place queens."""
    if row == n:
        return 1
    free = (c for c in range(n) if c not in columns and row + c not in up and row - c not in down)
    return sum(queens(n, row + 1, columns | {c}, up | {row + c}, down | {row - c}) for c in free)


def fibonacci(n: int) -> int:
    """Computes Fibonacci numbers by recursion: calls."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.cache
def ways(amount: int, coins: tuple[int, ...]) -> int:
    """Counts ways to pay an amount: recursion with a cache."""
    if amount == 0:
        return 1
    return (
        0 if amount < 0 or not coins else ways(amount - coins[0], coins) + ways(amount, coins[1:])
    )


def edit_distance(a: str, b: str) -> int:
    """Computes the edit distance of two texts: a table of integers."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def flatten(value: object) -> Iterator[object]:
    """Yields the leaves and keys of nested values: a recursive generator."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from flatten(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from flatten(part)
    else:
        yield value


def tree(depth: int) -> tuple[Any, int, Any] | None:
    """Returns a binary tree: many small objects."""
    return (tree(depth - 1), depth, tree(depth - 1)) if depth else None


@contextlib.contextmanager
def collecting(into: list[str]) -> Iterator[list[str]]:
    """Records entry and exit of a context."""
    into.append("in")
    try:
        yield into
    finally:
        into.append("out")


async def exchange(count: int) -> int:
    """Exchanges numbers between tasks that wait for each other."""
    queue: asyncio.Queue[int] = asyncio.Queue(10)

    async def produce() -> None:
        for i in range(count):
            await queue.put(i)

    async def consume() -> int:
        return sum([await queue.get() for _ in range(count)])

    _, total = await asyncio.gather(produce(), consume())
    return total


def main() -> None:
    """Runs one round."""
    accounts()
    shortest_paths(26)
    queens(6)
    fibonacci(17)
    ways.cache_clear()
    ways(150, (50, 20, 10, 5, 2))
    edit_distance("workflow automation" * 3, "what flows, automatic" * 3)
    list(flatten([{"a": [1, (2, 3), {"b": [4] * 20}]}] * 60))
    tree(10)
    jobs = [Job(i * 37 % 101, f"job {i}") for i in range(300)]
    heapq.heapify(jobs)
    [heapq.heappop(jobs).name for _ in range(100)], sorted(jobs)[:3], dataclasses.asdict(jobs[0])
    functools.reduce(Vector.__add__, (Vector(i % 5, i) for i in range(1500))).square
    (
        len({Vector(i % 50, 1) for i in range(800)}),
        {Point(i % 9, i % 7): Colour("red") for i in range(500)},
    )
    sum(itertools.islice((x * x for x in itertools.count() if x % 3), 2500))
    window: collections.deque[int] = collections.deque(maxlen=5)
    for i in range(800):
        window.append(i)
        with collecting([]) as seen:
            match seen:
                case ["in", *_]:
                    pass
    asyncio.run(exchange(120))

"""Calls: Fibonacci numbers by plain recursion."""


def fib(n: int) -> int:
    """Returns the n-th number."""
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def run() -> None:
    """One round."""
    assert fib(27) == 196_418

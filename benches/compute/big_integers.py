"""Large integers: digits of pi, powers, and their texts."""


def pi_digits(count: int) -> str:
    """Digits of pi by a spigot."""
    digits: list[str] = []
    q, r, t, k, n, left = 1, 0, 1, 1, 3, 3
    while len(digits) < count:
        if 4 * q + r - t < n * t:
            digits.append(str(n))
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, left = (
                q * k,
                (2 * q + r) * left,
                t * left,
                k + 1,
                (q * (7 * k + 2) + r * left) // (t * left),
                left + 2,
            )
    return "".join(digits)


def run() -> None:
    """One round."""
    assert pi_digits(800).startswith("314159265358979323846264338327950288")
    assert pow(3, 10**40, 2**521 - 1) == pow(pow(3, 10**20, 2**521 - 1), 10**20, 2**521 - 1)
    number = 7**4000
    assert int(str(number)) == number

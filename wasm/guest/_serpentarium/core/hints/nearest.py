"""The nearest of some names to a misspelt one."""

from collections.abc import Iterable

# Letters of a name that may have one mistake, and of one that may have two.
_ONE = 4
_TWO = 8


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Returns the name that differs from `word` in case or space, or by one or two mistakes."""
    best, fewest = None, 3
    plain = word.strip().casefold()
    allowed = 0 if len(plain) < _ONE else 1 if len(plain) < _TWO else 2
    for name in names:
        if name.strip().casefold() == plain:
            return name if name != word else None
        if abs(len(name) - len(plain)) <= allowed:
            mistakes = _mistakes(plain, name.casefold(), allowed)
            if mistakes < fewest:
                best, fewest = name, mistakes
    return best if fewest <= allowed else None


def _mistakes(one: str, other: str, allowed: int) -> int:
    """Counts insertions, deletions, substitutions and swaps of neighbours; stops above a number."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        earlier, before, row = before, row, [i + 1]
        for j, wanted in enumerate(other):
            cost = min(before[j + 1] + 1, row[j] + 1, before[j] + (letter != wanted))
            if i and j and letter == other[j - 1] and one[i - 1] == wanted:
                cost = min(cost, earlier[j - 1] + 1)
            row.append(cost)
        if min(row) > allowed:
            return allowed + 1
    return row[-1]

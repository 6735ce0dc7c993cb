"""Floats in lists: matrices multiplied and a system of equations solved."""


def multiply(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    """Returns the product of two matrices."""
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def solve(a: list[list[float]], b: list[float]) -> list[float]:
    """Solves a system of equations by Gaussian elimination."""
    size = len(b)
    rows = [row[:] + [value] for row, value in zip(a, b)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(i + 1, size):
            factor = rows[k][i] / rows[i][i]
            for j in range(i, size + 1):
                rows[k][j] -= factor * rows[i][j]
    solution = [0.0] * size
    for i in reversed(range(size)):
        solution[i] = (
            rows[i][size] - sum(rows[i][j] * solution[j] for j in range(i + 1, size))
        ) / rows[i][i]
    return solution


def run() -> None:
    """One round."""
    size = 64
    matrix = [
        [float((i * 31 + j * 17) % 23) + (100.0 if i == j else 0.0) for j in range(size)]
        for i in range(size)
    ]
    right = multiply(matrix, [[float(i)] for i in range(size)])
    solution = solve(matrix, [row[0] for row in right])
    assert max(abs(value - i) for i, value in enumerate(solution)) < 1e-9
    product = multiply(matrix, matrix)
    assert product[0][0] == sum(matrix[0][k] * matrix[k][0] for k in range(size))

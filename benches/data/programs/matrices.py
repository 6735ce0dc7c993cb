"""Linear algebra of a size that fits a script: products, a system, eigenvalues."""

import numpy as np


def run() -> None:
    """One round."""
    random = np.random.default_rng(2)
    a = random.normal(size=(120, 120))
    b = random.normal(size=(120, 120))
    product = a @ b
    solved = np.linalg.solve(a, product)
    assert np.allclose(solved, b)
    symmetric = a + a.T
    values, vectors = np.linalg.eigh(symmetric)
    assert np.allclose(symmetric @ vectors, vectors * values)

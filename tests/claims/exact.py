"""Exact arrays for the claims: small Fractions, drawn or written out."""

from fractions import Fraction

import numpy as np

ONE = Fraction(1)
SEEDS = range(5)


def exact(rows):
    """Return an object array of Fractions."""
    return np.array(rows, dtype=object) * ONE


def drawn(seed, *shapes):
    """Draw an array of small Fractions of each shape."""
    rng = np.random.default_rng(seed)
    return [exact(rng.integers(-6, 7, shape)) / exact(rng.integers(1, 5, shape)) for shape in shapes]


def identity(K):
    return exact(np.eye(K, dtype=int))


def moment(x):
    """E[x xᵀ]."""
    return x.T @ x / len(x)


def power(x):
    """diag(E[x²])."""
    return np.diag(np.diag(moment(x)))


def off(x):
    """C_off."""
    return moment(x) - power(x)


def decorrelated(scales):
    """All patterns of signs, each input scaled: E[x xᵀ] is diagonal, exactly."""
    K = len(scales)
    return exact([[1 - 2 * (n >> j & 1) for j in range(K)] for n in range(2**K)]) * scales


def same(a, b):
    return bool((a == b).all())

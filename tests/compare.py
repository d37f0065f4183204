"""Comparators that raise; they never return a bool that somebody forgets."""

from fractions import Fraction

import numpy as np

N, K, M = 7, 5, 3  # all different, so that a missing axis or transpose can't hide

# Inputs of the comparisons below are drawn from [−2, 2] with at most 8 of them in a sum, and at most three
# products follow each other: every partial sum stays below 2¹¹ in size, and fewer than 64 roundings happen on the
# way, each of at most 2⁻⁵³ of such a sum. So the error is below 64 · 2⁻⁵³ · 2¹¹ = 2⁻³⁶ < 1.5e-11.
ALLOWED = 2.0**-36


def draw(rng, *shape):
    return rng.uniform(-2, 2, size=shape)


def fractions(rng, *shape):
    """A NumPy object array of small Fractions, zeros among them."""
    numbers = rng.integers(-6, 7, size=shape), rng.integers(1, 5, size=shape)
    return np.vectorize(lambda p, q: Fraction(int(p), int(q)), otypes=[object])(*numbers)


def assert_close(actual, expected, allowed=ALLOWED):
    """Two float64 arrays of the same shape that differ by no more than rounding."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    assert np.isfinite(expected.astype(float)).all()
    error = np.abs(actual - expected)
    assert (error <= allowed).all(), f"off by {error.max()} (allowed {allowed}) at {np.argmax(error)}"


def assert_exact(actual, expected):
    """An object array of Fractions throughout, equal to the nested list `expected`."""
    assert actual.dtype == object
    for entry in actual.flat:
        assert type(entry) is Fraction, f"{entry!r} leaked into exact mode"
    assert actual.tolist() == expected

"""Small networks as plain arrays, for tests."""

import itertools

from compare import N, draw

SIZES = (5, 4, 6, 3)  # all different


def network(rng, make=draw, leading=()):
    """W, R, B, y0 and a target of a three-layer network; R is not symmetric, so that a missing transpose shows."""
    pairs = list(itertools.pairwise(SIZES))
    W = tuple(make(rng, *leading, m, k) for k, m in pairs)
    R = tuple(make(rng, *leading, k, k) for k, _ in pairs)
    B = tuple(make(rng, *leading, k, m) for k, m in pairs[1:])
    return W, R, B, make(rng, *leading, N, SIZES[0]), make(rng, *leading, N, SIZES[-1])


def lists(arrays):
    return [array.tolist() for array in arrays]


def scaled(rng, *shape):
    """Entries of at most 1/K in rows of K: a forward product can't grow, whatever was drawn.

    Backward, a row sum is at most 6/4 or 4/5 a layer; with targets of order 1 nothing comes near the 2¹¹ that the
    allowance of compare.py assumes.
    """
    return draw(rng, *shape) / (2 * shape[-1])

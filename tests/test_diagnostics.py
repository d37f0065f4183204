"""The measure of decorrelation."""

import naive
import numpy as np
import pytest
from compare import K, N, assert_close, draw, fractions

from copi_ref.analysis.diagnostics import energy_of_moment, off_diagonal_energy


def by_hand(x):
    C = np.array([[naive.mean(x[:, i] * x[:, j]) for j in range(K)] for i in range(K)])
    off = sum(C[i, j] ** 2 for i in range(K) for j in range(K) if i != j)
    return np.sqrt(off / sum(C[i, i] ** 2 for i in range(K)))


def test_energy_equals_the_loops_alone_and_stacked(xp, rng):
    x = draw(rng, 4, 2, N, K)
    stacked = xp.numpy(off_diagonal_energy(xp.asarray(x)))
    assert stacked.shape == (4, 2)
    for member in np.ndindex(4, 2):
        assert_close(stacked[member], by_hand(x[member]))


def test_energy_of_tiny_correlations_is_not_lost_to_rounding():
    C = np.array([[1.0, 1e-9], [1e-9, 1.0]])
    np.testing.assert_allclose(energy_of_moment(C), 1e-9, rtol=1e-12)


def test_energy_of_tiny_inputs_is_not_lost_to_underflow(xp):
    x = xp.asarray([[1e-12, 1e-12], [2e-12, 2e-12]], "float32")
    np.testing.assert_allclose(xp.numpy(off_diagonal_energy(x)), 1, rtol=1e-6)


def test_energy_needs_a_square_moment():
    with pytest.raises(ValueError, match=r"C has shape \(2, 3\) but is not square"):
        energy_of_moment(np.ones((2, 3)))


def test_energy_of_dead_inputs_is_zero(xp):
    assert xp.numpy(off_diagonal_energy(xp.asarray(np.zeros((N, K))))) == 0


def test_energy_of_a_dead_and_a_live_input_is_zero():
    assert off_diagonal_energy(np.array([[0.0, 2.0], [0.0, -1.0]])) == 0


def test_energy_is_not_rational(rng):
    with pytest.raises(TypeError, match="off_diagonal_energy is not rational"):
        off_diagonal_energy(fractions(rng, N, K))

"""Linear maps from moments, powers of a moment and ZCA, against loops and known answers."""

from fractions import Fraction

import naive_analysis as naive
import numpy as np
import pytest
from compare import K, M, N, assert_close, assert_exact, draw, fractions

import copi_ref as copi
from copi_ref.analysis.linear_maps import LINEAR_MAPS, diagonal_map, inverse_map, pseudo_inverse_map
from copi_ref.analysis.spectrum import power_on_range
from copi_ref.analysis.whitening import distance_from_zca, distance_of_units_from_zca, zca

BY_HAND = {"diagonal": naive.diagonal_map, "inverse": naive.inverse_map, "pseudo-inverse": naive.pseudo_inverse_map}


def well_conditioned(rng, *leading):
    """Inputs whose moment has a condition of less than 4, with eigenvalues near 1.

    The moment is then in error by some K u, u = 2⁻⁵³, and so are a backward stable eigendecomposition or elimination
    of it; the functions λ^p, p ≥ −1, multiply that by less than 1/λmin² < 16, and products with entries of at most 2
    by 10: all is below 10⁴ u < ALLOWED.
    """
    q, _ = np.linalg.qr(draw(rng, *leading, N, K))
    x = np.sqrt(N) * (q + draw(rng, *leading, N, K) / (20 * K))
    assert (np.linalg.cond(x.mT @ x) < 4).all()
    return x


def moments(x, z):
    return z.mT @ x / x.shape[-2], x.mT @ x / x.shape[-2]


# --- the three formulas of App. B ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR_MAPS)
def test_it_equals_the_loops_alone_and_stacked(name, xp, rng):
    x, z = well_conditioned(rng, 4, 2), draw(rng, 4, 2, N, M)
    zx, C = (xp.asarray(moment) for moment in moments(x, z))
    stacked = xp.numpy(LINEAR_MAPS[name](zx, C))
    for at in np.ndindex(4, 2):
        exactly = [np.vectorize(Fraction, otypes=[object])(array[at]).tolist() for array in (z, x)]
        expected = np.array(BY_HAND[name](*exactly)).astype(float)
        assert_close(stacked[at], expected)
        assert_close(xp.numpy(LINEAR_MAPS[name](zx[(*at, ...)], C[(*at, ...)])), expected)


@pytest.mark.parametrize("name", LINEAR_MAPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_keeps_the_dtype(name, dtype, xp, rng):
    zx, C = (xp.asarray(moment, dtype) for moment in moments(well_conditioned(rng), draw(rng, N, M)))
    assert xp.numpy(LINEAR_MAPS[name](zx, C)).dtype == dtype


def test_the_diagonal_formula_is_the_fixed_point_and_exact(rng):
    x, z = fractions(rng, N, K), fractions(rng, N, M)
    x[:, 2] = Fraction(0)
    zx = z.mT @ (x / N)
    M_diagonal = diagonal_map(zx, np.array([sum(column**2) / N for column in x.T], dtype=object))
    assert_exact(M_diagonal, naive.diagonal_map(z.tolist(), x.tolist()))
    assert_exact(M_diagonal, copi.fixed_point(x, z).tolist())


@pytest.mark.parametrize("name", ["inverse", "pseudo-inverse"])
def test_the_others_are_not_rational(name, rng):
    zx, C = moments(fractions(rng, N, K), fractions(rng, N, M))
    with pytest.raises(TypeError, match="is not rational"):
        LINEAR_MAPS[name](zx, C)


@pytest.mark.parametrize("name", LINEAR_MAPS)
def test_a_dead_input_has_a_column_of_zeros(name, xp, rng):
    x, z = well_conditioned(rng), draw(rng, N, M)
    x[:, 2] = 0
    zx, C = moments(x, z)
    actual = xp.numpy(LINEAR_MAPS[name](xp.asarray(zx), xp.asarray(C)))
    assert (actual[:, 2] == 0).all()
    live = [0, 1, 3, 4]
    alone = LINEAR_MAPS[name](xp.asarray(zx[:, live]), xp.asarray(C[np.ix_(live, live)]))
    assert_close(actual[:, live], xp.numpy(alone))


@pytest.mark.parametrize("name", LINEAR_MAPS)
def test_where_no_input_is_alive_it_is_zero(name, xp):
    assert (xp.numpy(LINEAR_MAPS[name](xp.asarray(np.zeros((M, K))), xp.asarray(np.zeros((K, K))))) == 0).all()


def test_the_pseudo_inverse_has_the_least_norm_where_inputs_depend_on_each_other(xp, rng):
    x = np.vectorize(Fraction, otypes=[object])(np.round(well_conditioned(rng) * 64) / 64)
    x[:, 3] = x[:, 0] - x[:, 1]
    z = fractions(rng, N, M)
    expected = np.array(naive.pseudo_inverse_map(z.tolist(), x.tolist())).astype(float)
    zx, C = moments(x.astype(float), z.astype(float))
    eigenvalues = np.linalg.eigvalsh(C)
    assert eigenvalues[1] > 1 / 4  # the second smallest: as in `well_conditioned`
    assert_close(xp.numpy(pseudo_inverse_map(xp.asarray(zx), xp.asarray(C))), expected)


def test_the_inverse_is_refused_where_inputs_depend_on_each_other(xp, rng):
    x = well_conditioned(rng)
    x[:, 3] = x[:, 0] - x[:, 1]
    zx, C = moments(x, draw(rng, N, M))
    with pytest.raises(ValueError, match=r"E\[x xᵀ\] has no inverse to working precision.*'pseudo-inverse'"):
        inverse_map(xp.asarray(zx), xp.asarray(C))


def test_the_inverse_does_not_mind_inputs_of_very_different_size(rng):
    """Powers 10⁻²⁴ and 1: the condition of C is 10²⁴, that of inputs of power 1 below 16."""
    x, z = well_conditioned(rng), draw(rng, N, M)
    size = np.array([1e-12, 1, 1e-3, 1, 1])
    np.testing.assert_allclose(inverse_map(*moments(x * size, z)) * size, inverse_map(*moments(x, z)), rtol=1e-12)


def test_all_three_agree_on_decorrelated_inputs_and_find_a_linear_target(xp):
    """Three orthogonal inputs of powers 1, 4 and 1/4, and z = A x: exact in binary."""
    x = np.array([[1, 2, 0.5], [1, -2, -0.5], [-1, 2, -0.5], [-1, -2, 0.5]])
    A = np.array([[3.0, -1.0, 2.0], [0.0, 5.0, 0.25]])
    zx, C = (xp.asarray(moment) for moment in moments(x, x @ A.T))
    for linear_map in LINEAR_MAPS.values():
        assert_close(xp.numpy(linear_map(zx, C)), A)


@pytest.mark.parametrize("name", LINEAR_MAPS)
def test_moments_of_another_shape_are_refused(name):
    with pytest.raises(ValueError, match="zx has 4 features|C has shape|power has shape"):
        LINEAR_MAPS[name](np.ones((M, 4)), np.ones((K, K)))


# --- powers of a moment, and ZCA -------------------------------------------------------------------------------------


def test_zca_equals_the_loops_alone_and_stacked(xp, rng):
    C = moments(*[well_conditioned(rng, 4, 2)] * 2)[1]
    stacked = xp.numpy(zca(xp.asarray(C)))
    for at in np.ndindex(4, 2):
        expected = naive.zca(C[at].tolist(), rank=K)
        assert_close(stacked[at], expected)
        assert_close(xp.numpy(zca(xp.asarray(C[at]))), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zca_keeps_the_dtype(dtype, xp, rng):
    assert xp.numpy(zca(xp.asarray(moments(*[well_conditioned(rng)] * 2)[1], dtype))).dtype == dtype


def test_zca_whitens_and_is_symmetric(xp, rng):
    x = well_conditioned(rng)
    Z = xp.numpy(zca(xp.asarray(moments(x, x)[1])))
    assert_close(Z, Z.T)
    assert_close(moments(x @ Z.T, x @ Z.T)[1], np.eye(K))


def test_zca_makes_the_power_1_and_not_the_variance(xp):
    """One input that is always 2: its variance is 0, its power 4. (A centred ZCA would have nothing to whiten.)"""
    assert_close(xp.numpy(zca(xp.asarray([[4.0]]))), [[0.5]])


def test_zca_leaves_null_directions_at_zero(xp, rng):
    """A dead input, and one that is the sum of two others."""
    x = np.concatenate([well_conditioned(rng), np.zeros((N, 1))], axis=1)
    x[:, 3] = x[:, 0] + x[:, 1]
    Z = xp.numpy(zca(xp.asarray(moments(x, x)[1])))
    assert_close(Z, naive.zca(moments(x, x)[1].tolist(), rank=K - 1))
    white = moments(x @ Z.T, x @ Z.T)[1]
    assert_close(white @ white, white)  # the projector on what the inputs span
    assert_close(np.trace(white), K - 1)
    assert (Z[5] == 0).all()
    assert (Z[:, 5] == 0).all()


def test_powers_of_a_moment(xp, rng):
    C = moments(*[well_conditioned(rng)] * 2)[1]
    root = xp.numpy(power_on_range(xp.asarray(C), 0.5))
    assert_close(root @ root, C)
    assert_close(xp.numpy(power_on_range(xp.asarray(C), -1)) @ C, np.eye(K))
    assert (xp.numpy(power_on_range(xp.asarray(np.zeros((K, K))), -0.5)) == 0).all()


@pytest.mark.parametrize("function", [zca, lambda C: power_on_range(C, -1), lambda C: distance_from_zca(C, C)])
def test_roots_are_not_rational_and_need_square_matrices(function, rng):
    with pytest.raises(TypeError, match="is not rational"):
        function(fractions(rng, K, K))
    with pytest.raises(ValueError, match="is not square"):
        function(np.ones((2, 3)))


# --- the distance of R from ZCA --------------------------------------------------------------------------------------

DISTANCES = {
    "one scale": (distance_from_zca, naive.distance),
    "a scale a unit": (distance_of_units_from_zca, naive.distance_of_units),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_equals_the_loops_over_samples_alone_and_stacked(name, xp, rng):
    function, by_hand = DISTANCES[name]
    y, R = well_conditioned(rng, 4, 2), draw(rng, 4, 2, K, K)
    C = moments(y, y)[1]
    stacked = xp.numpy(function(xp.asarray(R), xp.asarray(C)))
    for at in np.ndindex(4, 2):
        expected = by_hand(R[at].tolist(), y[at].tolist(), rank=K)
        assert 0.1 < expected < 1  # its square is far from 0, where a root would lose digits
        assert_close(stacked[at], expected)
        assert_close(xp.numpy(function(xp.asarray(R[at]), xp.asarray(C[at]))), expected)


@pytest.mark.parametrize("name", DISTANCES)
def test_null_directions_count_in_no_distance(name, rng):
    """A dead input: whatever R does with it, and whatever it makes of the row that ZCA leaves at 0 …"""
    function, by_hand = DISTANCES[name]
    y, R = well_conditioned(rng), draw(rng, K, K)
    y[:, 2] = 0
    expected = by_hand(R.tolist(), y.tolist(), rank=K - 1)
    other = R.copy()
    other[:, 2] = 7
    for one in (R, other):
        assert_close(function(one, moments(y, y)[1]), expected)


def test_what_is_proportional_to_zca_is_at_distance_0(xp, rng):
    C = moments(*[well_conditioned(rng)] * 2)[1]
    R = xp.asarray(zca(C) / 7)
    for function, _ in DISTANCES.values():
        assert_close(xp.numpy(function(R, xp.asarray(C))), 0.0)


def test_units_of_other_sizes_count_in_the_first_distance_only(xp, rng):
    C = moments(*[well_conditioned(rng)] * 2)[1]
    R = xp.asarray(np.array([1.0, 2, 3, 4, 5])[:, None] * zca(C))
    # E‖s R y − Z y‖² = Σ (s r_i − 1)² with r = 1 … 5; s = 15/55, and Σ = 5 − 15²/55 = 10/11, of 5
    assert_close(xp.numpy(distance_from_zca(R, xp.asarray(C))), np.sqrt(2 / 11))
    assert_close(xp.numpy(distance_of_units_from_zca(R, xp.asarray(C))), 0.0)


def test_the_distance_of_an_orthogonal_unit_is_1(xp):
    """R swaps two white inputs: nothing of Z y = y is in R y."""
    R, C = xp.asarray([[0.0, 1.0], [1.0, 0.0]]), xp.asarray(np.eye(2))
    for function, _ in DISTANCES.values():
        assert xp.numpy(function(R, C)) == 1


def test_with_nothing_to_whiten_the_distance_is_0(xp):
    for function, _ in DISTANCES.values():
        assert xp.numpy(function(xp.asarray(np.eye(2)), xp.asarray(np.zeros((2, 2))))) == 0
        assert xp.numpy(function(xp.asarray(np.zeros((2, 2))), xp.asarray(np.eye(2)))) == 1

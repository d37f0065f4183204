"""f and f′, ℓ and δ_L: against the naive formulas, at the kink, at extremes, and in exact mode."""

from fractions import Fraction

import naive
import numpy as np
import pytest
from compare import M, N, assert_close, assert_exact, draw, fractions

import copi_ref as copi

RATIONAL = [name for name, f in copi.ACTIVATIONS.items() if f.rational]
EXTREMES = [-1e30, -745.0, -40.0, -0.0, 0.0, 40.0, 745.0, 1e30]


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
def test_activation_equals_the_naive_formula(name, xp, rng):
    f, a = copi.ACTIVATIONS[name], draw(rng, N, M)
    assert_close(xp.numpy(f(xp.asarray(a))), np.vectorize(naive.F[name])(a))
    assert_close(xp.numpy(f.derivative(xp.asarray(a))), np.vectorize(naive.F_PRIME[name])(a))


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
def test_activation_keeps_shape_and_dtype(name, xp, rng):
    f, a = copi.ACTIVATIONS[name], xp.asarray(draw(rng, 2, N, M), "float32")
    for result in (f(a), f.derivative(a)):
        assert xp.numpy(result).dtype == "float32"
        assert xp.numpy(result).shape == (2, N, M)


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_derivative_at_the_kink_is_one(name, xp):
    a = xp.asarray([[-0.0, 0.0]])
    assert xp.numpy(copi.ACTIVATIONS[name].derivative(a)).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
def test_activation_is_finite_at_extremes(name, xp):
    f, a = copi.ACTIVATIONS[name], xp.asarray([EXTREMES])
    assert np.isfinite(xp.numpy(f(a))).all()
    derivative = xp.numpy(f.derivative(a))
    assert ((derivative >= 0) & (derivative <= 1)).all()


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
def test_activation_does_not_hide_a_nan(name, xp):
    assert np.isnan(xp.numpy(copi.ACTIVATIONS[name](xp.asarray([[np.nan]])))).all()


@pytest.mark.parametrize(("name", "tail"), [("tanh", lambda a: 4 * np.exp(-2 * a)), ("sigmoid", lambda a: np.exp(-a))])
def test_derivative_keeps_its_digits_far_out(name, tail, xp):
    # At a = 30 the exact derivative is its leading exponential up to a factor 1 + O(e^−30); 1 − tanh² would be 0.
    a = np.array([[-30.0, 30.0]])
    derivative = xp.numpy(copi.ACTIVATIONS[name].derivative(xp.asarray(a)))
    np.testing.assert_allclose(derivative, tail(np.abs(a)), rtol=1e-12)


@pytest.mark.parametrize("name", RATIONAL)
def test_activation_is_exact_for_fractions(name, rng):
    a = fractions(rng, N, M)
    for ours, by_hand in (
        (copi.ACTIVATIONS[name], naive.F[name]),
        (copi.ACTIVATIONS[name].derivative, naive.F_PRIME[name]),
    ):
        assert_exact(ours(a), [[by_hand(entry) for entry in row] for row in a.tolist()])


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_activation_that_is_not_rational_says_so(name, rng):
    with pytest.raises(TypeError, match=f"{name} is not rational"):
        copi.ACTIVATIONS[name](fractions(rng, N, M))


def test_leaky_relu_with_another_slope(rng):
    a = np.array([[-80.0, -4.0, 0.0, 2.0]])
    for slope in (0.25, np.float64(0.25)):
        assert copi.leaky_relu_with(slope)(a).tolist() == [[-20.0, -1.0, 0.0, 2.0]]
        assert copi.leaky_relu_with(slope).derivative(a).tolist() == [[0.25, 0.25, 1.0, 1.0]]
        assert copi.leaky_relu_with(slope)(a.astype(np.float32)).dtype == np.float32
    exact = np.array([[Fraction(-3), Fraction(2)]])
    assert_exact(copi.leaky_relu_with(Fraction(2, 3))(exact), [[Fraction(-2), Fraction(2)]])
    with pytest.raises(ValueError, match="slope is nan"):
        copi.leaky_relu_with(float("nan"))


@pytest.mark.parametrize("name", copi.LOSSES)
def test_loss_equals_the_naive_formula(name, xp, rng):
    y, target = draw(rng, N, M), np.abs(draw(rng, N, M))
    expected = [naive.loss(name, *rows) for rows in zip(y.tolist(), target.tolist(), strict=True)]
    assert_close(xp.numpy(copi.LOSSES[name](xp.asarray(y), xp.asarray(target))), expected)


@pytest.mark.parametrize("name", copi.LOSSES)
def test_perturbation_equals_the_naive_formula(name, xp, rng):
    y, a, target = draw(rng, N, M), draw(rng, N, M), np.abs(draw(rng, N, M))
    ours = copi.LOSSES[name].perturbation(*(xp.asarray(v) for v in (y, a, target)), copi.leaky_relu)
    expected = naive.output_perturbation(name, y.tolist(), a.tolist(), target.tolist(), "leaky_relu")
    assert_close(xp.numpy(ours), expected)


@pytest.mark.parametrize("name", ["quadratic", "half_quadratic"])
def test_quadratic_losses_are_exact_for_fractions(name, rng):
    y, a, target = (fractions(rng, N, M) for _ in range(3))
    ours = copi.LOSSES[name].perturbation(y, a, target, copi.leaky_relu)
    expected = naive.output_perturbation(name, y.tolist(), a.tolist(), target.tolist(), "leaky_relu")
    assert_exact(ours, expected)
    values = [naive.loss(name, *rows) for rows in zip(y.tolist(), target.tolist(), strict=True)]
    assert_exact(copi.LOSSES[name](y, target), values)


def test_quadratic_has_the_factor_two_of_algorithm_1():
    one = np.ones((1, 1))
    assert copi.quadratic.perturbation(3 * one, one, 5 * one, copi.identity).tolist() == [[4.0]]
    assert copi.half_quadratic.perturbation(3 * one, one, 5 * one, copi.identity).tolist() == [[2.0]]


def test_cross_entropy_does_not_overflow(xp):
    y, target = xp.asarray([[1000.0, 0.0, -1000.0]]), xp.asarray([[0.0, 1.0, 0.0]])
    assert xp.numpy(copi.softmax_cross_entropy(y, target)).tolist() == [1000.0]
    delta = copi.softmax_cross_entropy.perturbation(y, y, target, copi.identity)
    assert xp.numpy(delta).tolist() == [[-1.0, 1.0, 0.0]]


def test_cross_entropy_is_not_rational(rng):
    with pytest.raises(TypeError, match="softmax_cross_entropy is not rational"):
        copi.softmax_cross_entropy(fractions(rng, N, M), fractions(rng, N, M))
    exact = fractions(rng, N, M)
    with pytest.raises(TypeError, match="softmax_cross_entropy is not rational"):
        copi.softmax_cross_entropy.perturbation(exact, exact, exact, copi.leaky_relu)


# --- inverses --------------------------------------------------------------------------------------------------------

INVERTIBLE = ["identity", "leaky_relu", "tanh", "sigmoid"]


@pytest.mark.parametrize("name", INVERTIBLE)
def test_inverse_gives_the_pre_activation_back(name, xp, rng):
    """For |a| ≤ 2: y is off by u, and f⁻¹ is at most 1/f′(2) < 15 times as steep."""
    f, a = copi.ACTIVATIONS[name], draw(rng, N, M)
    assert_close(xp.numpy(f.inverse(f(xp.asarray(a)))), a)


@pytest.mark.parametrize("slope", [Fraction(1, 3), 0.25])
def test_inverse_of_a_leak_of_ones_own(slope, xp):
    f = copi.leaky_relu_with(slope)
    np.testing.assert_allclose(
        xp.numpy(f.inverse(xp.asarray([[-1.0, 0.0, 2.0]]))), [[-float(1 / slope), 0, 2]], rtol=1e-15
    )


@pytest.mark.parametrize("name", ["identity", "leaky_relu"])
def test_inverse_is_exact_for_fractions(name, rng):
    f, a = copi.ACTIVATIONS[name], fractions(rng, N, M)
    assert_exact(f.inverse(f(a)), a.tolist())


@pytest.mark.parametrize("f", [copi.relu, copi.leaky_relu_with(0), copi.leaky_relu_with(Fraction(-1, 2))])
def test_what_has_no_inverse_says_so(f):
    with pytest.raises(ValueError, match="needs one with an inverse, such as leaky_relu or tanh"):
        f.inverse(np.ones((2, 2)))

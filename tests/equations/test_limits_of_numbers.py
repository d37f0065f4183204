"""Numbers near the ends of their format: squares that underflow, means over many samples, rates without end.

A factor of a power of two is exact, so what is homogeneous in x is so to the last bit, also where x² is 0.
"""

from fractions import Fraction

import numpy as np
import pytest
from compare import fractions

import copi_ref as copi
from copi_ref.credit.inverse_model import learn_inverse

TINY = {"float64": 2.0**-540, "float32": 2.0**-80, "float16": 2.0**-13}  # whose squares are 0 in their format
X = np.array([[1, -2, 4], [2, 1, -1], [-2, 1, 1], [1, 2, 2]]) / 2  # the largest of each row and column is such a power
Z = np.array([[1, 2], [-1, 1], [2, -2], [1, 1]]) / 2


@pytest.fixture
def formats(xp):
    """For each format that a library has: how to make arrays of it, how to read them, and its tiny number."""
    found = [
        (lambda host, name=name: xp.asarray(np.asarray(host, dtype="float64"), name), xp.numpy, s)
        for name, s in TINY.items()
        if hasattr(xp.xp, name)
    ]
    assert len(found) >= 2
    return found


def test_the_tiny_numbers_have_squares_of_0():
    assert all(np.dtype(name).type(s) ** 2 == 0 < s for name, s in TINY.items())


def test_fixed_point_of_tiny_inputs(formats):
    """W/s for s x: also where E[x²] is 0 in the format. A dead input has a column of 0 still."""
    for made, read, s in formats:
        x = X * [s, 1, 0]
        W, expected = (read(copi.fixed_point(made(one), made(Z))) for one in (x, X))
        assert (W[:, 0] == expected[:, 0] / s).all()
        assert (W[:, 1] == expected[:, 1]).all()
        assert (W[:, 2] == 0).all()
        assert (expected != 0).all()


def test_scaled_copi_of_tiny_inputs(formats):
    for made, read, s in formats:
        W = np.array([[1, 2, 3], [2, 1, -1]]) / 4
        ours, expected = (read(copi.scaled_copi_update(made(f * X), made(Z), made(W / f), 0)) for f in (s, 1))
        assert (ours == expected / s).all()
        assert (expected != 0).all()


def test_scaled_copi_keeps_its_epsilon(formats):
    """With ε it is E[z x]/ε where E[x²] is nothing beside it: no factor is taken out of it, nor put in."""
    for made, read, s in formats:
        x, z = made([[s], [s]]), made([[1.0], [1.0]])
        with np.errstate(over="ignore"):
            ours = read(copi.scaled_copi_update(x, z, made([[0.0]]), 2.0**-10)).astype(float)
        np.testing.assert_allclose(ours.item(), s * 2**10 / (1 + s**2 * 2**10), rtol=2.0**-10)


def test_inputs_whose_squares_overflow():
    x, z, W = np.array([[2.0**600], [-(2.0**600)]]), np.array([[3.0], [-3.0]]), np.array([[10.0]])
    assert copi.fixed_point(x, z).item() == 3 * 2.0**-600
    assert copi.nlms_update(x[:1], z[:1]).item() == 3 * 2.0**-600
    assert copi.scaled_copi_update(x, z, W, 0).item() == -10
    assert copi.safe_eta_r(x) == 0


def test_whole_numbers_have_whole_answers(rng):
    """Nothing is divided by a size where squares are in range: z = 3 x gives 3, to the last bit."""
    for _ in range(100):
        x = rng.integers(1, 100, (8, 3)).astype(float)
        assert copi.fixed_point(x, 3 * x[:, :1])[0, 0] == 3


def test_nlms_of_tiny_inputs(formats):
    for made, read, s in formats:
        ours, expected = (read(copi.nlms_update(made(f * X), made(Z))) for f in (s, 1))
        assert (ours == expected / s).all()
        assert (expected != 0).all()


def test_the_gain_of_tiny_inputs(formats):
    for made, read, s in formats:
        R = np.array([[1, 0.5, 0], [0.5, 2, 0.5], [0, 0.5, 1]])
        ours, expected = (read(copi.preserving_gain(made(f * X), made(R))) for f in (s, 1))
        assert (ours == expected).all()
        assert (expected < 1).all()


def test_an_inverse_model_of_tiny_outputs(formats):
    for made, read, s in formats:
        ours, expected = (
            read(
                learn_inverse(
                    (made(np.ones((2, 3)) / f),),
                    copi.Trace(x=(made(X), made(X)), a=(made(Z), made(X)), y=(made(Z), made(f * X))),
                    0.5,
                )[0]
            )
            for f in (s, 1)
        )
        assert (ours == expected / s).all()
        assert (expected != 1).all()


def test_the_safe_rate_of_tiny_inputs(formats):
    """1/x² has no number where x² has none: it is infinite then, and 0 only where all x are 0."""
    for made, read, s in formats:
        with np.errstate(over="ignore"):
            assert read(copi.safe_eta_r(made(s * X))) == np.inf
            assert read(copi.safe_eta_r(made(0 * X))) == 0
            small = copi.safe_eta_r(made(2.0**-5 * X))
        assert read(small) == read(copi.safe_eta_r(made(X))) * 2**10


@pytest.mark.parametrize("samples", [2**10, 2**16])
def test_means_over_many_samples_in_half_formats(samples, xp):
    """E[x²] of x = 2⁻⁶ is 2⁻¹², E[z x] for z = 1 is 2⁻⁶: exact for a power of two of samples, with sums in float32.

    In float16 itself 2⁻¹²/2¹⁶ is 0, and 1 + 1 + … ends at 2048.
    """
    for name in ("float16", "bfloat16"):
        if hasattr(xp.xp, name):
            x, z, W = (xp.asarray(np.full(shape, value), name)
                       for shape, value in (((samples, 1), 2.0**-6), ((samples, 1), 1.0), ((1, 1), 8.0)))  # fmt: skip
            dW = copi.copi_update(x, z, W)
            assert dW.dtype == x.dtype
            assert float(dW[0, 0]) == 2**-6 - 8 * 2**-12
            assert float(copi.sgd_update(x, z)[0, 0]) == 2**-6


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("alpha", [1e-3, 1, 1e5, 1e16, 1e30])
@pytest.mark.parametrize("dependent", ["samples", "inputs"])
def test_an_implicit_step_is_stable_for_every_rate(dependent, alpha, dtype, xp):
    """Samples or inputs that are the same, where (E[x xᵀ] + I/α) loses all digits: as exact as for one.

    N equal samples take the step of one; K equal inputs, of one input with √K of the size, and share it. The bound:
    an SVD is backward stable, that is, exact for an x that differs by a small multiple of max(N, K) ε.
    """
    W = np.array([[1.0, 2, 3], [-2, 1, 0.5]])
    if dependent == "samples":
        one = np.array([[1.0, -2, 0.5]])
        x, target = np.repeat(one, 4, axis=0), np.repeat([[3.0, 1]], 4, axis=0)
    else:
        one, target = np.ones((1, 3)) * 2, np.array([[3.0, 1], [-3, -1], [3, 1], [-3, -1]])
        x = one * [[1], [-1], [1], [-1]]
    exact_one, error = (np.vectorize(Fraction)(host) for host in (one, target[:1] - one @ W.T))
    rate = Fraction(alpha)
    step = rate / (1 + rate * (exact_one @ exact_one.T).item()) * (error.T @ exact_one)
    ours = copi.implicit_sgd_layer(xp.asarray(x, dtype), xp.asarray(W, dtype), xp.asarray(target, dtype), alpha)
    expected = W + step.astype(float)
    assert np.abs(xp.numpy(ours) - expected).max() <= 4 * 4 * np.finfo(dtype).eps * np.abs(expected).max()


def test_z_keeps_of_delta_what_a_leaves_room_for():
    """z = a + δ is rounded to the digits of a: on decorrelated inputs ΔW is E[δ xᵀ], off by |a|/|δ| roundings.

    E[δ xᵀ] + W C_off, the same number, keeps δ: docs/check/tolerances.md says when that matters.
    """
    x = np.array([[1 - 2 * (n >> j & 1) for j in range(3)] for n in range(8)], dtype=np.float32)
    W, d = np.float32([[0.7, -1.3, 0.9]]), np.float32(np.arange(1, 9)[:, None] % 5 - 2.5)
    for size in (2.0**-10, 2.0**-20):
        delta = np.float32(size) * d
        exactly = copi.sgd_update(fractions_of(x), fractions_of(delta))
        by_z, by_delta = copi.copi_update(x, x @ W.T + delta, W), copi.sgd_update(x, delta)
        lost = np.abs((fractions_of(by_z) - exactly).astype(float)).max()
        bound = 12 * 2.0**-24 * np.abs(W).sum()  # a, z, the sum of 8 and W E[x²]
        assert 2.0**-26 < lost <= bound
        assert np.abs((fractions_of(by_delta) - exactly).astype(float)).max() <= 8 * 2.0**-24 * np.abs(delta).max()


def test_an_implicit_step_on_many_samples_that_nearly_agree():
    """Each direction counts however many samples there are: x = 1 + noise/1000, 20,000 samples, in float32."""
    noise = np.random.default_rng(0).normal(size=(20_000, 4))
    x, W, target = 1 + noise / 1000, np.array([[1.0, 2, -1, 0]]), noise[:, :1] / 10
    exactly = copi.implicit_sgd_layer(x, W, target, 1e7) - W
    ours = copi.implicit_sgd_layer(*(one.astype(np.float32) for one in (x, W, target)), 1e7) - W
    # condition: singular values are in the ratio of about 2000; rounding of x and an SVD's own error, 4 ε each
    assert np.linalg.cond(x) < 3000
    assert np.abs(ours - exactly).max() <= 8 * 2.0**-23 * 3000 * np.abs(exactly).max()


def test_half_formats_are_solved_in_float32(xp):
    for name in ("float16", "bfloat16"):
        if hasattr(xp.xp, name):
            ours = copi.implicit_sgd_layer(*(xp.asarray(host, name) for host in ([[2.0]], [[1.0]], [[4.0]])), 0.5)
            assert abs(float(ours[0, 0]) - 5 / 3) <= 2.0**-7  # W + α/(1 + α x²) (y* − W x) x, α = ½
            assert ours.dtype == getattr(xp.xp, name)


def fractions_of(array):
    return np.vectorize(Fraction, otypes=[object])(array.astype(float))


def test_exact_arrays_stay_exact(rng):
    """The sizes that are divided out cancel: Fractions are the same numbers as without them."""
    x, z = fractions(rng, 5, 3), fractions(rng, 5, 2)
    assert (copi.fixed_point(x, z) == (z.T @ x) / (x * x).sum(axis=0)).all()

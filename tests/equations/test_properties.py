"""The properties that the library was asked for, by name, and where they end.

1. R stays symmetric.  2. Decorrelation converges.  3. A single layer is equivalent to SGD.
4. The fixed point W = E[z xᵀ] diag(E[x²])⁻¹.

Where a property holds exactly, it is tested in exact arithmetic. Where it holds under a condition, it is tested
under it, and the counter-example outside is a test too.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import copi_ref as copi
from copi_ref.arrays import backend

# All fractions in [−3, 3] with denominators up to 6; whole numbers, 0 among them, eight times as often, which makes
# about as many of them as `st.fractions` makes, in a tenth of the time.
ALL_FRACTIONS = {Fraction(p, q) for q in range(1, 7) for p in range(-3 * q, 3 * q + 1)}
SIMPLEST_FIRST = sorted(ALL_FRACTIONS, key=lambda one: (one.denominator, abs(one), one < 0))
small_fractions = st.sampled_from([one for one in SIMPLEST_FIRST for _ in range(8 if one.denominator == 1 else 1)])


def exact_arrays(*shape):
    return arrays(object, shape, elements=small_fractions, fill=st.nothing())


def floats(*shape):
    return arrays(np.float64, shape, elements=st.floats(-3, 3, width=32), fill=st.nothing())


def second_moment(x):
    return x.T @ x / len(x)


def off(C):
    return C - np.diag(np.diag(C))


def energy(C):
    """‖C_off‖_F², the quantity that decorrelation drives to 0."""
    return np.sum(off(C) ** 2)


# --- 1. R stays symmetric ----------------------------------------------------------------------------------------


@given(st.data(), st.integers(1, 5), st.integers(1, 6))
def test_R_stays_symmetric(data, K, N):
    """`symmetric` keeps a symmetric R symmetric to the last bit, whatever the inputs, over many steps."""
    y, start = data.draw(floats(N, K)), data.draw(floats(K, K))
    R = (start + start.T) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(20):
            R = R + 0.05 * copi.decorrelation_update(y @ R.T, R, "symmetric")
            np.testing.assert_array_equal(R, R.T)


def test_R_stays_symmetric_on_every_library_while_a_network_trains(xp, rng):
    recipe = copi.Recipe(eta_w=0.01, eta_r=0.01, lateral_rule="symmetric", dtype="float32")
    state = copi.init_state(recipe, (6, 5, 3), np.random.default_rng(0), xp.xp)
    params = copi.Params(
        *(xp.asarray(tuple(map(backend.to_numpy, p)), "float32") for p in (state.params.W, state.params.R))
    )
    state = copi.State(params, state.optimizer, None, state.rng_state)
    for _ in range(5):
        state = copi.step(
            recipe,
            state,
            xp.asarray(rng.normal(size=(8, 6)), "float32"),
            xp.asarray(rng.normal(size=(8, 3)), "float32"),
        )
    for R in state.params.R:
        R = xp.numpy(R)
        np.testing.assert_array_equal(R, R.T)
        assert (np.eye(len(R)) != R).any()


IDENTITY = {k: np.array([[Fraction(int(i == j)) for j in range(k)] for i in range(k)]) for k in (2, 3, 4)}


@pytest.mark.parametrize("rule", ["left", "right"])
def test_R_does_not_stay_symmetric_under_the_rules_as_printed(rule):
    """Counter-example to §2.4, "this matrix update maintains the symmetry of R", in exact arithmetic.

    From R = I the first step is symmetric; after it, C_off and R no longer commute.
    """
    y = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 2]], dtype=object) * Fraction(1)
    R = IDENTITY[3]
    R1 = R + copi.decorrelation_update(y @ R.T, R, rule) / 10
    assert (R1 == R1.T).all()
    R2 = R1 + copi.decorrelation_update(y @ R1.T, R1, rule) / 10
    assert not (R2 == R2.T).all()


@given(exact_arrays(4, 2))
def test_with_two_units_and_R_from_the_identity_the_rules_coincide(y):
    """Every C_off of two units is a multiple of one matrix, so the printed claim holds there, and all rules agree."""
    R = IDENTITY[2]
    for _ in range(3):
        left, right, symmetric = (
            copi.decorrelation_update(y @ R.T, R, rule) for rule in ("left", "right", "symmetric")
        )
        assert (left == right).all()
        assert (left == symmetric).all()
        R = R + left / 10
        assert (R == R.T).all()


@given(exact_arrays(4))
def test_where_all_matrices_commute_the_rules_coincide(samples):
    """All cyclic shifts of one sample have a circulant E[y yᵀ]; then C_off and R are circulant, and commute."""
    y = np.array([np.roll(samples, shift) for shift in range(4)])
    R = IDENTITY[4]
    for _ in range(3):
        left, right = (copi.decorrelation_update(y @ R.T, R, rule) for rule in ("left", "right"))
        assert (left == right).all()
        R = R + left / 50
        assert (R == R.T).all()


# --- 2. Decorrelation converges ----------------------------------------------------------------------------------


def moments_after(y, R, eta, rule):
    """C before and after one step R ← R + η ΔR, and the new R."""
    x = y @ R.T
    R = R + eta * copi.decorrelation_update(x, R, rule)
    return second_moment(x), second_moment(y @ R.T), R


@given(st.data(), st.integers(2, 4), st.integers(1, 5))
def test_decorrelation_never_loses_ground_under_left(data, K, N):
    """‖C_off⁺‖² ≤ ‖C_off‖² − η (4 − 6θ) tr(C_off C C_off) for θ = η λmax(C) ≤ 2/3, in exact arithmetic.

    For any inputs, rank-deficient ones too, and any R. θ is replaced by η tr(C) ≥ θ, which is rational and makes
    the bound weaker only. Proof: C⁺ = (I − ηC_off) C (I − ηC_off); expand ‖C_off + (C⁺ − C)‖².
    """
    y, R = data.draw(exact_arrays(N, K)), data.draw(exact_arrays(K, K))
    C = second_moment(y @ R.T)
    assume(np.trace(C) != 0)
    theta = data.draw(st.fractions(0, Fraction(2, 3), max_denominator=20))
    eta = theta / np.trace(C)
    C, C_next, _ = moments_after(y, R, eta, "left")
    gain = eta * (4 - 6 * theta) * np.trace(off(C) @ C @ off(C))
    assert gain >= 0
    assert energy(C_next) <= energy(C) - gain


@given(st.data(), st.integers(2, 4), st.integers(1, 5))
def test_activity_never_grows_under_left(data, K, N):
    """tr C⁺ ≤ tr C for η ≤ 2/λmax(C), in exact arithmetic; 1/λmax is replaced by the smaller 1/tr C.

    Proof: tr C⁺ − tr C = −2η ‖C_off‖² + η² tr(C_off C C_off) ≤ −η (2 − ηλmax) ‖C_off‖².
    """
    y, R = data.draw(exact_arrays(N, K)), data.draw(exact_arrays(K, K))
    C = second_moment(y @ R.T)
    assume(np.trace(C) != 0)
    theta = data.draw(st.fractions(0, 2, max_denominator=20))
    eta = theta / np.trace(C)
    C, C_next, _ = moments_after(y, R, eta, "left")
    assert np.trace(C_next) <= np.trace(C) - eta * (2 - theta) * energy(C)


def inputs_near(rng, correlation, N=40, K=5):
    """Samples whose E[x xᵀ] is the identity up to `correlation` in the spectral norm."""
    q, _ = np.linalg.qr(rng.normal(size=(N, K)))
    E = rng.normal(size=(K, K))
    E = correlation * (E + E.T) / np.linalg.norm(E + E.T, 2)
    return np.sqrt(N) * q @ np.linalg.cholesky(np.eye(K) + E).T


def steps_until(factor_of, y, eta, rule, goal=1e-6, at_most=2000):
    """Iterate; check energy⁺ ≤ factor · energy at every step, until the product of the factors is below `goal`."""
    R, product = np.eye(y.shape[1]), 1.0
    start = energy(second_moment(y))
    for _ in range(at_most):
        R_before = R
        C, C_next, R = moments_after(y, R, eta, rule)
        factor = factor_of(C, R_before)
        assert factor < 1, "the condition of this property is not met: convergence is not guaranteed"
        # 1e-9 and 1e-24 stand for rounding: entries of C are of order 1, so they carry errors near 1e-15.
        assert energy(C_next) <= factor * energy(C) * (1 + 1e-9) + 1e-24
        product *= factor
        if product < goal:
            break
    else:
        raise AssertionError(f"no convergence in {at_most} steps: the bound is at {product}")
    assert energy(C_next) <= goal * start * (1 + 1e-6) + 1e-24


@given(st.integers(0, 10**6), st.floats(0.05, 0.9))
def test_decorrelation_converges_under_left(seed, correlation):
    """With η = 2/(3 tr C₀), fixed: tr C never rises under `left`, so θ stays ≤ 2/3 for ever.

    The gain above is at least η (4 − 6θ) λmin(C) ‖C_off‖²: a geometric bound, for strongly correlated inputs too.
    θ ≤ 1/2 is taken so that the gain is not 0.
    """
    y = inputs_near(np.random.default_rng(seed), correlation)
    eta = 1 / (2 * np.trace(second_moment(y)))

    def factor_of(C, R):
        low, *_, high = np.linalg.eigvalsh(C)
        return 1 - eta * (4 - 6 * eta * high) * low

    steps_until(factor_of, y, eta, "left")


@given(st.integers(0, 10**6), st.floats(0.02, 0.3))
def test_decorrelation_converges(seed, correlation):
    """The default, `symmetric`, converges where C is well-conditioned and nearly commutes with R.

    R⁺ = R + ηΔ = (I + ηG) R with G = Δ R⁻¹ = −C_off − K, K = (R C_off R⁻¹ − C_off)/2, so C⁺ = (I + ηG) C (I + ηG)ᵀ.
    With c = ‖C_off‖, ρ = ‖K‖/c, g = 1 + ρ ≥ ‖G‖/c (Frobenius norms), l and h the extreme eigenvalues of C:

    - 2⟨C_off, η(GC + CGᵀ)⟩ = 4η tr(C_off G C) ≤ −4ηl c² + 4ηρh c²
    - 2⟨C_off, η²GCGᵀ⟩ ≤ 2η²h g² c³
    - ‖C⁺ − C‖ ≤ 2ηhgc + η²hg²c² = ηhgc (2 + ηgc)

    and ‖C_off⁺‖² ≤ ‖C_off‖² + 2⟨C_off, C⁺ − C⟩ + ‖C⁺ − C‖², which is the factor below times c².
    """
    y = inputs_near(np.random.default_rng(seed), correlation)
    eta = 0.1

    def factor_of(C, R):
        low, *_, high = np.linalg.eigvalsh(C)
        c = np.sqrt(energy(C))
        K = (R @ off(C) @ np.linalg.inv(R) - off(C)) / 2
        rho = np.linalg.norm(K) / c
        g = 1 + rho
        first = -4 * eta * low + 4 * eta * rho * high + 2 * eta**2 * high * g**2 * c
        return 1 + first + (eta * high * g * (2 + eta * g * c)) ** 2

    steps_until(factor_of, y, eta, "symmetric")


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 8))
def test_symmetric_keeps_R_positive_definite(seed, K, N):
    """Under η < 1/(√cond(R) ‖C_off‖₂), for any positive definite R and any inputs."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(K, K))
    R = A @ A.T + np.eye(K)
    x = rng.normal(size=(N, K)) @ R
    size = np.linalg.norm(off(second_moment(x)), 2)
    eta = 0.99 / (np.sqrt(np.linalg.cond(R)) * size)
    assert np.linalg.eigvalsh(R + eta * copi.decorrelation_update(x, R))[0] > 0


def test_left_can_lose_ground_above_theta_one():
    """Counter-example at θ = 1.01: C = [[1, ε], [ε, 1]]."""
    e = Fraction(1, 1000)
    C = np.array([[Fraction(1), e], [e, Fraction(1)]])
    eta = Fraction(101, 100) / (1 + e)
    step = IDENTITY[2] - eta * off(C)
    assert energy(step @ C @ step) > energy(C)


def test_relative_energy_need_not_fall():
    """Two identical inputs: ‖C_off‖ → 0, while ‖C_off‖/‖diag C‖ stays 1."""
    y = np.array([[1.0, 1.0], [-2.0, -2.0]])
    R = np.eye(2)
    for _ in range(200):
        R = R + 0.1 * copi.decorrelation_update(y @ R.T, R, "left")
    C = second_moment(y @ R.T)
    assert energy(C) < 1e-3 * energy(second_moment(y))
    np.testing.assert_allclose(np.sqrt(energy(C) / np.sum(np.diag(C) ** 2)), 1, rtol=1e-6)


def test_right_can_diverge_where_left_converges():
    """At η = 1/λmax(C₀), rank-deficient inputs: `right` has no function that falls at every step."""
    diverged = 0
    for seed in range(20):
        y = np.random.default_rng(seed).normal(size=(3, 6))
        eta = 1 / np.linalg.eigvalsh(second_moment(y))[-1]
        ends = {}
        for rule in ("left", "right"):
            R = np.eye(6)
            with np.errstate(over="ignore", invalid="ignore"):
                for _ in range(300):
                    R = R + eta * copi.decorrelation_update(y @ R.T, R, rule)
                ends[rule] = energy(second_moment(y @ R.T)) / energy(second_moment(y))
        assert ends["left"] < 1e-2
        diverged += not ends["right"] < 1
    assert diverged > 0


# --- 3. A single layer is equivalent to SGD ------------------------------------------------------------------------


def signs(K):
    """All 2^K patterns of signs: E[s_i s_j] = 0 for i ≠ j, exactly."""
    return np.array([[Fraction(1 - 2 * (n >> j & 1)) for j in range(K)] for n in range(2**K)])


def layer(W, x, target):
    a = x @ W.T
    return a, copi.quadratic.perturbation(a, a, target, copi.identity)


@given(exact_arrays(6, 4), exact_arrays(3, 4), exact_arrays(6, 3))
def test_copi_differs_from_sgd_by_W_C_off(x, W, delta):
    """ΔW_copi − ΔW_sgd = W C_off, exactly and for any inputs: what §2.7's "approximately equivalent" leaves out."""
    z = x @ W.T + delta
    difference = copi.copi_update(x, z, W) - copi.sgd_update(x, delta)
    assert (difference == W @ off(second_moment(x))).all()


@given(exact_arrays(3), exact_arrays(2, 3), exact_arrays(8, 2))
def test_a_single_layer_is_equivalent_to_sgd(scales, W, target):
    """On decorrelated inputs, COPI and gradient descent take the same steps, exactly, for as long as one likes."""
    x = signs(3) * scales
    W_copi = W_sgd = W
    for _ in range(3):
        a, delta = layer(W_copi, x, target)
        W_copi = W_copi + copi.copi_update(x, a + delta, W_copi) / 5
        _, delta = layer(W_sgd, x, target)
        W_sgd = W_sgd + copi.sgd_update(x, delta) / 5
        assert (W_copi == W_sgd).all()


def test_a_single_layer_is_not_equivalent_to_sgd_on_correlated_inputs():
    x = np.array([[1, 1], [1, 0]], dtype=object) * Fraction(1)
    W = np.array([[Fraction(1), Fraction(2)]])
    a, delta = layer(W, x, np.array([[Fraction(0)], [Fraction(1)]]))
    assert (copi.copi_update(x, a + delta, W) != copi.sgd_update(x, delta)).any()


# --- 4. The fixed point W = E[z xᵀ] diag(E[x²])⁻¹ --------------------------------------------------------------------


@given(exact_arrays(5, 4), exact_arrays(5, 3))
def test_the_update_vanishes_at_the_fixed_point(x, z):
    """For any inputs and targets, dead inputs among them, exactly."""
    assert (copi.copi_update(x, z, copi.fixed_point(x, z)) == 0).all()


@given(exact_arrays(5, 4), exact_arrays(5, 3), exact_arrays(3, 4), st.fractions(0, 1, max_denominator=9))
def test_the_update_leads_to_the_fixed_point(x, z, W, eta):
    """W_k − W* = (W_0 − W*) diag(1 − η E[x²])^k, exactly: column j converges if and only if 0 < η E[x_j²] < 2."""
    star, shrink = copi.fixed_point(x, z), 1 - eta * np.diag(second_moment(x))
    distance = W - star
    for _ in range(3):
        W = W + eta * copi.copi_update(x, z, W)
        distance = distance * shrink
        assert (W - star == distance).all()


@given(exact_arrays(3), exact_arrays(8, 2))
def test_on_decorrelated_inputs_the_fixed_point_is_the_regression(scales, z):
    """With C diagonal, W* solves W E[x xᵀ] = E[z xᵀ], whose solution Eq. 2 moves to in one step."""
    x = signs(3) * scales
    W = copi.fixed_point(x, z)
    assert (W @ second_moment(x) == z.T @ x / len(x)).all()


def test_on_correlated_inputs_the_fixed_point_is_not_the_regression():
    x = np.array([[1, 1], [1, 0]], dtype=object) * Fraction(1)
    z = np.array([[Fraction(1)], [Fraction(3)]])
    W = copi.fixed_point(x, z)
    assert (W @ second_moment(x) != z.T @ x / len(x)).any()

"""What decorrelation does to the volume of R, whitening, the rates and gains around it, and the other weight rules.

As in `test_properties`: exactly where it is exact, under its condition where it has one, with the counter-example.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_properties import IDENTITY, energy, exact_arrays, off, second_moment, signs

import copi_ref as copi

ONE = Fraction(1)


def determinant(A):
    """By elimination; exact for Fractions."""
    rows, result = [list(row) for row in A], ONE
    while rows:
        pivot = next((row for row in rows if row[0]), None)
        if pivot is None:
            return 0 * ONE
        result *= pivot[0] * (-1) ** rows.index(pivot)
        rows.remove(pivot)
        rows = [[a - row[0] / pivot[0] * p for a, p in zip(row[1:], pivot[1:], strict=True)] for row in rows]
    return result


def identity(K):
    return np.array([[Fraction(int(i == j)) for j in range(K)] for i in range(K)])


def test_the_determinant_of_these_tests():
    assert determinant([[ONE, 2, 3], [4, 5, 6], [7, 8, 10 * ONE]]) == -3
    assert determinant([[0, ONE], [ONE, 0]]) == -1
    assert determinant([[ONE, ONE], [ONE, ONE]]) == 0


# --- the volume of R -------------------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["left", "right"]), st.integers(2, 4), st.integers(1, 5))
def test_the_volume_never_grows_under_left_and_right(data, rule, K, N):
    """|det R⁺| ≤ |det R| for η λmax(C_off) ≤ 1.27, for any inputs and any R, in exact arithmetic.

    R⁺ is (I − ηC_off) R or R (I − ηC_off), so |det R⁺| = |det R| ∏|1 − λ| over the eigenvalues λ of ηC_off, which are
    real and add up to η tr C_off = 0. For λ < 1, 1 − λ ≤ e^(−λ). For 1 ≤ λ ≤ λ*, |1 − λ| = λ − 1 ≤ e^(−λ), since the
    left side rises, the right side falls, and λ* = 1.278… is where they meet. So ∏|1 − λ| ≤ e^(−Σλ) = 1.

    λmax is replaced by the largest row sum of |C_off|, which is rational and no less.
    """
    y, R = data.draw(exact_arrays(N, K)), data.draw(exact_arrays(K, K))
    x = y @ R.T
    bound = np.abs(off(second_moment(x))).sum(axis=1).max()
    assume(bound != 0)
    eta = data.draw(st.fractions(0, Fraction(127, 100), max_denominator=100)) / bound
    after = R + eta * copi.decorrelation_update(x, R, rule)
    assert abs(determinant(after)) <= abs(determinant(R))


@pytest.mark.parametrize("rule", ["left", "right"])
@pytest.mark.parametrize(("theta", "grows"), [(Fraction(127, 100), False), (Fraction(13, 10), True)])
def test_the_volume_can_grow_beyond(theta, grows, rule):
    """Counter-example just above 1.278…: 20 inputs that are always equal.

    C_off = 11ᵀ − I has the eigenvalue 19 once and −1 nineteen times. With θ = 19η, |det(I − ηC_off)| is
    (θ − 1)(1 + θ/19)¹⁹, near (θ − 1) e^θ: what the bound above allows is nearly reached.
    """
    K, x = 20, np.full((1, 20), ONE)
    R, eta = identity(K), theta / 19
    volume = abs(determinant(R + eta * copi.decorrelation_update(x, R, rule)))
    assert volume == (theta - 1) * (1 + theta / 19) ** 19
    assert (volume > 1) == grows


def test_the_volume_can_grow_under_symmetric():
    """Two equal inputs, C_off = [[0, 1], [1, 0]]; ΔR has −(r + s)/2 off the diagonal of R = diag(r, s), so
    det R⁺ = r s − η² (r + s)²/4.

    A positive definite R far from round: η λmax(C_off) = 1 overshoots, though `left` and `right` may take 1.27.
    An indefinite R: |det R| grows at any η, however small.
    """
    x = np.array([[ONE, ONE]])

    def volume(r, s, eta):
        R = np.array([[Fraction(r), 0 * ONE], [0 * ONE, Fraction(s)]])
        after = determinant(R + eta * copi.decorrelation_update(x, R, "symmetric"))
        assert after == r * s - eta**2 * (r + s) ** 2 / 4
        return abs(after)

    assert volume(1, Fraction(1, 100), ONE) > Fraction(1, 100)
    assert volume(1, -2, Fraction(1, 10**9)) > 2


# --- whitening -------------------------------------------------------------------------------------------------------


RATIONAL = (copi.Whitening, copi.NormalizedWhitening, copi.RowWhitening)


@given(exact_arrays(4, 3), exact_arrays(3, 3))
def test_whitening_with_kappa_0_is_left(x, R):
    left = copi.decorrelation_update(x, R, "left")
    assert (copi.Whitening(kappa=0)(x, R) == left).all()
    assert (copi.RowWhitening(kappa=0)(x, R) == left).all()
    assert (copi.NormalizedWhitening(kappa=0)(x, R) == left / 2).all()  # K − 1 = 2


@given(exact_arrays(4, 3), exact_arrays(3, 3))
def test_row_whitening_with_kappa_one_half_is_the_rule_of_that_name(x, R):
    """ΔR = −½ (C − I) R; and it is the default of `RowWhitening`."""
    by_name = copi.decorrelation_update(x, R, "whitening-rows")
    assert (by_name == -(second_moment(x) - IDENTITY[3]) @ R / 2).all()
    assert (copi.RowWhitening()(x, R) == by_name).all()


@given(exact_arrays(4, 3), exact_arrays(3, 3), st.fractions(0, 1, max_denominator=12))
def test_rows_and_columns_of_whitening_differ_by_the_commutator(x, R, kappa):
    """κ (diag(v) R − R diag(v)): 0 for a diagonal R, as at the start, and from the second step on not."""
    v = np.diag(np.diag(second_moment(x)) - 1)
    assert (copi.Whitening(kappa)(x, R) - copi.RowWhitening(kappa)(x, R) == kappa * (v @ R - R @ v)).all()


@given(exact_arrays(3, 3), st.fractions(0, 1, max_denominator=12), st.sampled_from(RATIONAL))
def test_whitened_inputs_are_a_rest(R, kappa, rule):
    """E[x xᵀ] = I gives ΔR = 0, for every κ and R."""
    assert (rule(kappa)(signs(3), R) == 0).all()


def test_whitened_inputs_are_a_rest_of_the_triangular_rule(rng):
    assert (copi.TriangularWhitening(0.5)(signs(3).astype(float), rng.normal(size=(3, 3))) == 0).all()


def test_the_logged_loss_is_0_where_inputs_are_white():
    white = np.array([[ONE, ONE], [ONE, -ONE], [-ONE, ONE], [-ONE, -ONE]])
    assert copi.whitening_loss(white, Fraction(1, 3)) == 0
    # (1, 2), (1, −2), (−1, 2), (−1, 0): C = (1, −½; −½, 3), so (⅔ · 2 · ¼ + ⅓ · 2²)/4 = 5/12
    assert copi.whitening_loss(ONE * np.array([[1, 2], [1, -2], [-1, 2], [-1, 0]]), Fraction(1, 3)) == Fraction(5, 12)


def test_columns_rest_elsewhere_too():
    """R's columns are eigenvectors of C_off, with −κ/(1 − κ) v as eigenvalues: at κ = ½ with C = ½ (1, 1; 1, 3)."""
    x = np.array([[s, s + t] for s in (ONE, 0 * ONE) for t in (1, -1)])  # E[s²] = ½, E[t²] = 1
    assert (second_moment(x) == np.array([[1, 1], [1, 3]]) * ONE / 2).all()
    R = np.array([[1, 1], [1, -1]]) * ONE
    assert (copi.Whitening(ONE / 2)(x, R) == 0).all()
    assert (copi.RowWhitening(ONE / 2)(x, R) != 0).any()


@given(exact_arrays(4, 3), st.fractions(0, 1, max_denominator=12))
def test_whitened_inputs_are_the_only_rest_of_a_regular_R(x, kappa):
    """By rows ΔR = −G R, G_ij = (1 − κ) C_ij, G_ii = κ (C_ii − 1): 0 only where G is, at 0 < κ < 1 where C = I.

    At the ends it is not the only one: κ = 0 asks for C_off = 0 only, κ = 1 for E[x²] = 1 only. By columns it is the
    same for R = I, and not for every regular R.
    """
    rests = (copi.RowWhitening(kappa)(x, IDENTITY[3]) == 0).all()
    assert rests == (copi.Whitening(kappa)(x, IDENTITY[3]) == 0).all()
    C = second_moment(x)
    assert rests == ((kappa == 1 or (off(C) == 0).all()) and (kappa == 0 or (np.diag(C) == 1).all()))


def inputs_with(C, rng, N=40):
    """Samples whose E[x xᵀ] is C."""
    q, _ = np.linalg.qr(rng.normal(size=(N, len(C))))
    return np.sqrt(N) * q @ np.linalg.cholesky(C).T


@given(st.integers(0, 10**6), st.floats(0.05, 0.5), st.floats(0.25, 0.75))
def test_whitening_converges_near_the_identity(seed, r, kappa):
    """‖C − I‖ falls at every step, by a rate that is known at the start.

    With E = C − I and ΔR = −G R, C⁺ = (I − ηG) C (I − ηG). Let m and M be the smaller and the larger of κ and 1 − κ,
    e = ‖E‖ ≤ r m/M with r ≤ 1/2, h = 1 + e ≥ λmax(C), g = M e ≥ ‖G‖ (Frobenius norms). Then

    - 2⟨E, −η(GC + CG)⟩ = −4η tr(E G C) = −4η (⟨E, G⟩ + tr(G E²)) ≤ −4η (m − g) e²
    - 2⟨E, η²GCG⟩ ≤ 2η²h g M e²
    - ‖C⁺ − C‖ ≤ ηhg (2 + ηg) = ηhM (2 + ηg) e

    and ‖E⁺‖² ≤ ‖E‖² + 2⟨E, C⁺ − C⟩ + ‖C⁺ − C‖² is the factor below times e². The factor grows with e, so that once it
    is below 1, it stays there. At η = m/(10 M²) it is at most 1 − (m/M)² (0.2 − 0.015 − 0.095), for any r ≤ 1/2.
    """
    rng = np.random.default_rng(seed)
    small, large = sorted((kappa, 1 - kappa))
    eta, R = small / (10 * large**2), np.eye(5)
    E = rng.normal(size=(5, 5))
    E = r * small / large * (E + E.T) / np.linalg.norm(E + E.T)
    y, rule = inputs_with(np.eye(5) + E, rng), copi.RowWhitening(kappa)

    def error_of(R):
        return np.sum((second_moment(y @ R.T) - np.eye(5)) ** 2)

    start, product = error_of(R), 1.0
    for _ in range(1500):
        squared = error_of(R)
        e = np.sqrt(squared)
        h, g = 1 + e, large * e
        factor = 1 - 4 * eta * (small - g) + 2 * eta**2 * h * g * large + (eta * h * large * (2 + eta * g)) ** 2
        assert factor <= 1 - 0.09 * (small / large) ** 2 + 1e-9
        R = R + eta * rule(y @ R.T, R)
        # 1e-9 and 1e-24 stand for rounding: entries of C are of order 1, so they carry errors near 1e-15.
        assert error_of(R) <= factor * squared * (1 + 1e-9) + 1e-24
        product *= factor
        if product < 1e-4:
            break
    else:
        raise AssertionError(f"no convergence: the bound is at {product}")
    assert error_of(R) <= 1e-4 * start * (1 + 1e-6) + 1e-24


@pytest.mark.parametrize(
    "rule",
    [copi.RowWhitening(0.1), copi.RowWhitening(0.5), copi.RowWhitening(0.9), copi.Whitening(0.1), copi.Whitening(0.5),
     copi.Whitening(0.9), copi.NormalizedWhitening(0.1), copi.NormalizedWhitening(0.5), copi.TriangularWhitening(0.1)],
    ids=str,
)  # fmt: skip
def test_strongly_correlated_inputs_of_full_rank_are_whitened(rule, rng):
    mixing = rng.normal(size=(5, 5)) + 2 * np.ones((5, 5))
    y = rng.normal(size=(200, 5)) @ mixing.T / 5
    assert np.linalg.cond(second_moment(y)) > 100
    R = np.eye(5)
    for _ in range(5000):
        R = R + 0.05 * rule(y @ R.T, R)
    np.testing.assert_allclose(second_moment(y @ R.T), np.eye(5), rtol=0, atol=1e-6)


def test_inputs_of_deficient_rank_cannot_be_whitened():
    """Two inputs that are always equal: C stays κ 11ᵀ for ever, and ‖R‖ grows geometrically. In exact arithmetic.

    From R = I, R has (1, 1) and (1, −1) as eigenvectors, with eigenvalues p and q. Then C = s 11ᵀ, s = p² E[t²], and
    G = (1 − κ) s [[0, 1], [1, 0]] + κ (s − 1) I gives p⁺ = p (1 − η (s − κ)) and q⁺ = q (1 + η (κ + (1 − 2κ) s)). With
    E[t²] = κ, p rests at 1 and s at κ, and q_k = (1 + 2ηκ(1 − κ))ᵏ.
    """
    kappa, eta = Fraction(1, 4), Fraction(1, 3)
    y = np.array([[1, 1], [-1, -1]]) * Fraction(1, 2)  # E[t²] = 1/4
    R, q = IDENTITY[2], ONE
    for _ in range(30):
        R, q = R + eta * copi.RowWhitening(kappa)(y @ R.T, R), q * (1 + 2 * eta * kappa * (1 - kappa))
        assert (second_moment(y @ R.T) == kappa).all()
        assert (np.array([[1 + q, 1 - q], [1 - q, 1 + q]]) / 2 == R).all()
    assert q > 30


@given(exact_arrays(4, 2), exact_arrays(2), st.fractions(0, 1, max_denominator=9))
def test_R_grows_along_what_deficient_inputs_lack(others, weights, eta):
    """For any inputs of deficient rank, at κ = 1/2: vᵀR_k = (1 + η/2)ᵏ vᵀR_0 for every v with vᵀx = 0. Exactly.

    vᵀC = 0, so vᵀR⁺ = vᵀR − η/2 vᵀ(C − I) R = (1 + η/2) vᵀR; and vᵀC⁺ = 0 again, as I − η/2 (C − I) commutes with C.
    So ‖R‖ grows beyond any bound, and vᵀC v = 0 is never vᵀv.
    """
    y = np.concatenate((others, (others @ weights)[:, None]), axis=1)
    v, R = np.array([*weights, -ONE]), IDENTITY[3]
    for k in range(1, 4):
        R = R + eta * copi.RowWhitening(Fraction(1, 2))(y @ R.T, R)
        assert (v @ R == (1 + eta / 2) ** k * v).all()
        assert (y @ R.T @ v == 0).all()


# --- the safe rate, and the gain that keeps the power ----------------------------------------------------------------


@given(st.data(), st.integers(2, 3), st.integers(1, 4))
def test_the_safe_rate_is_safe_for_ever(data, K, N):
    """With the rate of the first step, `left` raises neither ‖C_off‖ nor tr C at any later one, in exact arithmetic.

    η = 2/(3 tr C₀) gives η λmax(C) ≤ 2/3 as long as tr C ≤ tr C₀: then neither rises (see `test_properties`), so
    tr C ≤ tr C₀ at the next step too.
    """
    y, R = data.draw(exact_arrays(N, K)), data.draw(exact_arrays(K, K))
    x = y @ R.T
    eta, C = copi.safe_eta_r(x), second_moment(x)
    for _ in range(3):
        R = R + eta * copi.decorrelation_update(y @ R.T, R, "left")
        C, before = second_moment(y @ R.T), C
        assert energy(C) <= energy(before)
        assert np.trace(C) <= np.trace(before)


def whole(*shape):
    return arrays(np.int64, shape, elements=st.integers(-4, 4), fill=st.nothing())


@given(st.data(), st.integers(1, 4), st.sampled_from([1, 2, 8]))
def test_the_gain_preserves_the_power(data, K, N):
    """E‖g R y‖² = E‖y‖², for any R, to three roundings.

    On small integers and N a power of two, R y and both powers are exact in floats. Then g is off by the roundings of
    two roots and a quotient, and g² E‖R y‖² by a factor of at most (1 + u)⁴/(1 − u)² < 1 + 2⁻⁵⁰, u = 2⁻⁵³.
    """
    y, R = data.draw(whole(N, K)), data.draw(whole(K, K))
    gain = copi.preserving_gain(y.astype(float), R.astype(float))
    assert gain.shape == (1, 1)
    before, after = (Fraction(int(np.sum(a**2)), N) for a in (y, y @ R.T))
    if after == 0:
        assert gain.item() == 1
    else:
        assert abs(Fraction(gain.item()) ** 2 * after - before) <= before * Fraction(1, 2**50)


# --- scaled COPI -----------------------------------------------------------------------------------------------------

epsilons = st.fractions(0, 3, max_denominator=9)


@given(exact_arrays(5, 4), exact_arrays(5, 3), epsilons)
def test_scaled_copi_vanishes_at_the_fixed_point(x, z, epsilon):
    """Whatever ε is, and for dead inputs too: scaling columns moves no zero."""
    assert (copi.scaled_copi_update(x, z, copi.fixed_point(x, z), epsilon) == 0).all()


@given(exact_arrays(5, 4), exact_arrays(5, 3), exact_arrays(3, 4))
def test_scaled_copi_leads_to_the_fixed_point_in_one_step(x, z, W):
    """With ε = 0 and η = 1, from anywhere, exactly. The column of an input that is always 0 stays as it was."""
    dead = (x == 0).all(axis=0)
    after = W + copi.scaled_copi_update(x, z, W, 0)
    assert (after == np.where(dead, W, copi.fixed_point(x, z))).all()


@given(exact_arrays(5, 4), exact_arrays(5, 3), exact_arrays(3, 4), epsilons, st.fractions(0, 2, max_denominator=9))
def test_scaled_copi_learns_alike_from_weak_and_strong_inputs(x, z, W, epsilon, eta):
    """W_k − W* = (W_0 − W*) diag(1 − η v/(v + ε))ᵏ, v = E[x²], for live inputs: where v ≫ ε, v makes no difference."""
    v = np.diag(second_moment(x))
    assume((v != 0).all())
    star, distance = copi.fixed_point(x, z), W - copi.fixed_point(x, z)
    for _ in range(3):
        W = W + eta * copi.scaled_copi_update(x, z, W, epsilon)
        distance = distance * (1 - eta * v / (v + epsilon))
        assert (W - star == distance).all()


# --- normalised least mean squares -----------------------------------------------------------------------------------


@given(exact_arrays(1, 4), exact_arrays(1, 3), exact_arrays(3, 4))
def test_nlms_is_the_smallest_change_that_corrects_a_sample(x, delta, other):
    """ΔW x = δ, and every other D with D x = δ has ‖D‖ ≥ ‖ΔW‖. Exactly.

    D = ΔW + P with P x = 0, and ⟨ΔW, P⟩ = δᵀ P x/‖x‖² = 0: ‖D‖² = ‖ΔW‖² + ‖P‖². Any A gives such a P, A − A x xᵀ/‖x‖².
    """
    assume((x != 0).any())
    update = copi.nlms_update(x, delta)
    assert (x @ update.T == delta).all()
    P = other - (other @ x.T) @ x / np.sum(x * x)
    assert ((x @ (update + P).T) == delta).all()
    assert np.sum((update + P) ** 2) == np.sum(update**2) + np.sum(P**2)


# --- Oja's rule ------------------------------------------------------------------------------------------------------


@given(exact_arrays(5, 4), exact_arrays(3, 4))
def test_oja_drives_the_length_of_each_row_to_one(x, M):
    """m·Δm = E[y²] (1 − ‖m‖²) for every unit, exactly: the length moves towards 1.

    For y = m·x, m·Δm = E[y m·x] − ‖m‖² E[y²], and m·x is y again.
    """
    y = x @ M.T
    update = copi.oja_update(x, y, M)
    assert (np.sum(M * update, axis=1) == np.diag(second_moment(y)) * (1 - np.sum(M * M, axis=1))).all()


@given(exact_arrays(3), exact_arrays(3))
def test_oja_rests_on_unit_eigenvectors(scales, mirror):
    """Δm = C m − (mᵀC m) m = λm − λm = 0 for C m = λm with ‖m‖ = 1, exactly; in any number of rows.

    The eigenvectors are the columns of a reflection H = I − 2 v vᵀ/‖v‖², which is rational and orthogonal.
    """
    assume((mirror != 0).any())
    H = IDENTITY[3] - 2 * np.outer(mirror, mirror) / np.sum(mirror**2)
    x = (signs(3) * scales) @ H.T
    assert (second_moment(x) @ H == H * scales**2).all()
    M = np.array([*H.T, -H[:, 0], H[:, 1]])
    assert (copi.oja_update(x, x @ M.T, M) == 0).all()


def test_every_row_under_oja_finds_the_same_principal_component(rng):
    """The leading one alone is stable: near the eigenvector of λ_k, a part along that of λ_j changes by the factor
    1 + η (λ_j − λ_k).
    """
    y = rng.normal(size=(100, 4)) @ np.diag([2.0, 1.0, 0.5, 0.25]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    M = rng.normal(size=(3, 4))
    for _ in range(2000):
        M = M + 0.05 * copi.oja_update(y, y @ M.T, M)
    leading = np.linalg.eigh(second_moment(y))[1][:, -1]
    np.testing.assert_allclose(np.abs(M @ leading), 1, rtol=1e-9)
    np.testing.assert_allclose(np.sum(M**2, axis=1), 1, rtol=1e-9)

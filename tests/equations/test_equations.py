"""Every equation function against the naive implementation: on every library, stacked, and in exact mode."""

from fractions import Fraction

import naive
import numpy as np
import pytest
from compare import K, M, N, assert_close, assert_exact, draw, fractions

import copi_ref as copi

# name: (function of the package, function of tests/naive.py, shapes of the arguments)
EQUATIONS = {
    "copi_update": (copi.copi_update, naive.copi_update, [(N, K), (N, M), (M, K)]),
    "full_update": (copi.full_update, naive.full_update, [(N, K), (N, M), (M, K)]),
    "sgd_update": (copi.sgd_update, naive.sgd_update, [(N, K), (N, M)]),
    "fixed_point": (copi.fixed_point, naive.fixed_point, [(N, K), (N, M)]),
    **{
        f"decorrelation_update {rule}": (
            lambda x, R, rule=rule: copi.decorrelation_update(x, R, rule),
            lambda x, R, rule=rule: naive.decorrelation_update(x, R, rule),
            [(N, K), (K, K)],
        )
        for rule in copi.LATERAL_RULES
    },
    **{
        f"{rule.__name__}({kappa})": (
            rule(kappa),
            lambda x, R, kappa=kappa, slow=slow: slow(x, R, kappa),
            [(N, K), (K, K)],
        )
        for rule, slow in (
            (copi.Whitening, naive.whitening_update),
            (copi.NormalizedWhitening, naive.normalized_whitening_update),
            (copi.RowWhitening, naive.row_whitening_update),
        )
        for kappa in (0, Fraction(1, 10), Fraction(3, 4), 1)
    },
    "scaled_copi_update": (
        copi.scaled_copi_update,
        lambda x, z, W: naive.scaled_copi_update(x, z, W, Fraction(1, 1000)),
        [(N, K), (N, M), (M, K)],
    ),
    **{
        f"scaled_copi_update {epsilon}": (
            lambda x, z, W, epsilon=epsilon: copi.scaled_copi_update(x, z, W, epsilon),
            lambda x, z, W, epsilon=epsilon: naive.scaled_copi_update(x, z, W, epsilon),
            [(N, K), (N, M), (M, K)],
        )
        for epsilon in (0, Fraction(2, 3))
    },
    "nlms_update": (copi.nlms_update, naive.nlms_update, [(N, K), (N, M)]),
    "oja_update": (copi.oja_update, naive.oja_update, [(N, K), (N, M), (M, K)]),
    **{
        f"whitening_loss {kappa}": (
            lambda x, kappa=kappa: copi.whitening_loss(x, kappa),
            lambda x, kappa=kappa: naive.whitening_loss(x, kappa),
            [(N, K)],
        )
        for kappa in (0, Fraction(1, 10), 1)
    },
    "safe_eta_r": (copi.safe_eta_r, naive.safe_eta_r, [(N, K)]),
    "preserving_gain": (copi.preserving_gain, naive.preserving_gain, [(N, K), (K, K)]),
}
IRRATIONAL = ("full_update", "preserving_gain", "decorrelation_update whitening-triangular")
RATIONAL = [name for name in EQUATIONS if name not in IRRATIONAL]

# What an equation divides by, and the least that it has to be for ALLOWED to cover the division. By d ≥ 1/4: errors
# and sizes of the numerator grow at most fourfold. Numerators here are at most 2⁴ in size (E[z x] + W E[x²] ≤ 4 + 8),
# their errors below 2⁶ roundings of that; quotients are at most 2⁶; all stays below the 2¹¹ that ALLOWED is made for.
# The gain: entries of R y are sums of 5 products ≤ 4, so at most 20 and in error by 2⁷ u (u = 2⁻⁵³); their squares by
# 2·20·2⁷ u and a rounding, below 2¹³ u; E‖R y‖², 5 of them with 12 roundings of 2000, by 2¹⁶ u. It is at least 8:
# 2¹³ u relative to it. The root halves that, and g ≤ √(20/8) < 2: the error is below 2¹⁴ u = 2⁻³⁹ < ALLOWED.
DIVISORS = {
    "fixed_point": (lambda x, z: np.mean(x**2, axis=-2), 1 / 4),
    "scaled_copi_update": (lambda x, z, W: np.mean(x**2, axis=-2), 1 / 4),
    "nlms_update": (lambda x, delta: np.sum(x**2, axis=-1), 1 / 4),
    "safe_eta_r": (lambda x: np.mean(np.sum(x**2, axis=-1), axis=-1), 1 / 4),
    "preserving_gain": (lambda y, R: np.mean(np.sum((y @ R.mT) ** 2, axis=-1), axis=-1), 8),
}


def arguments_of(name, rng, *leading):
    arguments = [draw(rng, *leading, *shape) for shape in EQUATIONS[name][2]]
    if name == "full_update":
        # E[x xᵀ] has to be well-conditioned for a solution to be compared: columns of x are orthogonal up to a
        # tenth of their length. Elimination of 5 rows then loses at most 3·5·u·2⁴ (growth) · 4 (condition) · 4 (size)
        # < 5e-13 < ALLOWED.
        q, _ = np.linalg.qr(draw(rng, *leading, N, K))
        arguments[0] = np.sqrt(N) * (q + draw(rng, *leading, N, K) / (20 * K))
        assert (np.linalg.cond(arguments[0].mT @ arguments[0]) < 4).all()
    if name.partition(" ")[0] in DIVISORS:
        divisor, least = DIVISORS[name.partition(" ")[0]]
        assert divisor(*arguments).min() >= least, "drawn too close to a division by 0: ALLOWED does not cover it"
    return arguments


@pytest.mark.parametrize("name", EQUATIONS)
def test_equals_the_naive_loops(name, xp, rng):
    function, by_hand, _ = EQUATIONS[name]
    arguments = arguments_of(name, rng)
    actual = function(*(xp.asarray(argument) for argument in arguments))
    assert_close(xp.numpy(actual), by_hand(*(argument.tolist() for argument in arguments)))


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_keeps_the_dtype(name, dtype, xp, rng):
    actual = EQUATIONS[name][0](*(xp.asarray(argument, dtype) for argument in arguments_of(name, rng)))
    assert xp.numpy(actual).dtype == dtype


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_stack_gives_what_its_members_give(name, xp, rng):
    function, stacks = EQUATIONS[name][0], arguments_of(name, rng, 4, 2)
    stacked = xp.numpy(function(*(xp.asarray(stack) for stack in stacks)))
    assert stacked.shape[:2] == (4, 2)
    for member in np.ndindex(4, 2):
        alone = function(*(xp.asarray(stack[member]) for stack in stacks))
        # The same formula, but perhaps summed in another order by a batched matrix product.
        assert_close(stacked[member], xp.numpy(alone))


@pytest.mark.parametrize("name", [name for name in EQUATIONS if len(EQUATIONS[name][2]) > 1])
def test_what_has_no_ensemble_axis_is_shared_by_the_members(name, xp, rng):
    """Leading axes broadcast, also where a library's own function does not let them: CuPy's `linalg.solve`."""
    function, stacks = EQUATIONS[name][0], arguments_of(name, rng, 4)
    for shared in range(len(stacks)):
        given = [stack[0] if at == shared else stack for at, stack in enumerate(stacks)]
        stacked = xp.numpy(function(*(xp.asarray(argument) for argument in given)))
        for member in range(4):
            own = [argument if at == shared else argument[member] for at, argument in enumerate(given)]
            # The same formula, but perhaps summed in another order by a batched matrix product.
            assert_close(stacked[member], xp.numpy(function(*map(xp.asarray, own))))


@pytest.mark.parametrize("name", RATIONAL)
def test_is_exact_for_fractions(name, rng):
    function, by_hand, shapes = EQUATIONS[name]
    arguments = [fractions(rng, *shape) for shape in shapes]
    assert_exact(function(*arguments), by_hand(*(argument.tolist() for argument in arguments)))


def test_full_update_needs_as_many_samples_as_features(rng):
    with pytest.raises(ValueError, match="x has 4 samples of 5 features"):
        copi.full_update(draw(rng, 4, K), draw(rng, 4, M), draw(rng, M, K))


def test_full_update_needs_no_more(rng):
    x, z, W = np.eye(K), draw(rng, K, M), draw(rng, M, K)
    np.testing.assert_allclose(copi.full_update(x, z, W), z.T - W, rtol=1e-14)


def test_the_lateral_rule_is_symmetric_by_default(rng):
    x, R = draw(rng, N, K), draw(rng, K, K)  # not symmetric, so that the rules differ
    assert_close(copi.decorrelation_update(x, R), naive.decorrelation_update(x.tolist(), R.tolist(), "symmetric"))


def test_many_samples_do_not_overflow():
    """E of a constant is that constant: in float16, which holds no 4 · 60,000."""
    x, W = np.full((60_000, 1), 2, dtype=np.float16), np.ones((1, 1), dtype=np.float16)
    # 2/60,000 is subnormal in float16, with a spacing of 2⁻²⁴: half of it is a relative error of 2⁻²⁵ · 30,000 < 2⁻¹⁰.
    # With two roundings of 2⁻¹¹ the result is right to 2⁻⁹; sums are kept in float32.
    np.testing.assert_allclose(copi.sgd_update(x, x), 4, rtol=2**-9)
    np.testing.assert_allclose(copi.copi_update(x, 0 * x, W), -4, rtol=2**-9)


def test_a_small_variance_is_not_a_dead_input():
    W = copi.fixed_point(np.array([[1e-9]]), np.array([[2e-9]]))
    np.testing.assert_allclose(W, [[2.0]], rtol=1e-15)


def test_any_value_of_a_dead_column_is_a_fixed_point(rng):
    x, z = fractions(rng, N, K), fractions(rng, N, M)
    x[:, 2] *= 0
    W = copi.fixed_point(x, z)
    W[:, 2] = fractions(rng, M)
    assert (copi.copi_update(x, z, W) == 0).all()


def test_full_update_is_not_rational(rng):
    with pytest.raises(TypeError, match="full_update is not rational"):
        copi.full_update(fractions(rng, N, K), fractions(rng, N, M), fractions(rng, M, K))


def test_fixed_point_of_a_dead_input_is_zero(xp, rng):
    x = draw(rng, N, K)
    x[:, 2] = 0
    W = xp.numpy(copi.fixed_point(xp.asarray(x), xp.asarray(draw(rng, N, M))))
    assert np.isfinite(W).all()
    assert (W[:, 2] == 0).all()
    assert (W[:, [0, 1, 3, 4]] != 0).all()


def test_unknown_lateral_rule_lists_the_rules(rng):
    with pytest.raises(ValueError, match="rule is 'middle': choose one of 'symmetric', 'left', 'right'"):
        copi.decorrelation_update(draw(rng, N, K), draw(rng, K, K), "middle")


# --- where an input is dead, a number is out of range, or exact ------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0, 0.25])
def test_scaled_copi_leaves_the_column_of_a_dead_input(epsilon, xp, rng):
    x, z, W = draw(rng, N, K), draw(rng, N, M), draw(rng, M, K)
    x[:, 2] = 0
    update = xp.numpy(copi.scaled_copi_update(*map(xp.asarray, (x, z, W)), epsilon))
    assert np.isfinite(update).all()
    assert (update[:, 2] == 0).all()
    assert (update[:, [0, 1, 3, 4]] != 0).all()


def test_scaled_copi_takes_an_epsilon_for_each_member(xp, rng):
    x, z, W = draw(rng, 2, N, K), draw(rng, 2, N, M), draw(rng, 2, M, K)
    stacked = xp.numpy(copi.scaled_copi_update(*map(xp.asarray, (x, z, W)), np.array([0.25, 2.0])[:, None, None]))
    for member, epsilon in enumerate((0.25, 2.0)):
        alone = naive.scaled_copi_update(x[member].tolist(), z[member].tolist(), W[member].tolist(), epsilon)
        assert_close(stacked[member], alone)


def test_nlms_takes_nothing_from_a_sample_of_zeros(xp, rng):
    x, delta = draw(rng, N, K), draw(rng, N, M)
    x[2] = 0
    update = xp.numpy(copi.nlms_update(xp.asarray(x), xp.asarray(delta)))
    others = [0, 1, 3, 4, 5, 6]
    assert_close(update * N / (N - 1), naive.nlms_update(x[others].tolist(), delta[others].tolist()))


def test_the_safe_rate_of_dead_inputs_is_zero(xp):
    assert xp.numpy(copi.safe_eta_r(xp.asarray(np.zeros((N, K))))).tolist() == 0
    stack = np.stack([np.zeros((4, K)), np.ones((4, K))])  # with N = 4 nothing is rounded before the division
    assert xp.numpy(copi.safe_eta_r(xp.asarray(stack))).tolist() == [0.0, 2 / (3 * K)]
    exact = copi.safe_eta_r(np.full((N, K), Fraction(0), dtype=object))
    assert type(exact.item()) is Fraction
    assert exact.item() == 0


def test_the_gain_of_a_layer_without_power_is_one(xp):
    y = np.array([[1.0, -2.0], [3.0, 0.5]])
    gain = xp.numpy(
        copi.preserving_gain(
            xp.asarray(np.stack([y, y, 0 * y])), xp.asarray(np.array([1.0, 0, 1])[:, None, None] * np.eye(2))
        )
    )
    assert gain.tolist() == [[[1.0]], [[1.0]], [[1.0]]]


def test_the_gain_is_never_zero(xp):
    """R = 0 would stay 0: a power that overflows gives no finite gain, and one that underflows its own."""
    y, R = xp.asarray([[1.0, -2.0], [3.0, 0.5]]), xp.asarray(np.eye(2))
    with np.errstate(over="ignore"):
        assert not np.isfinite(xp.numpy(copi.preserving_gain(y, 1e200 * R))).any()
    assert xp.numpy(copi.preserving_gain(2.0**-565 * y, 2.0**33 * R)).tolist() == [[2.0**-33]]
    # E‖y‖²/E‖R y‖² = 2⁻¹¹⁰⁰ underflows; its root, 2⁻⁵⁵⁰, does not.
    assert xp.numpy(copi.preserving_gain(2.0**-300 * y, 2.0**550 * R)).tolist() == [[2.0**-550]]


def test_the_gain_is_not_rational(rng):
    with pytest.raises(TypeError, match="preserving_gain is not rational"):
        copi.preserving_gain(fractions(rng, N, K), fractions(rng, K, K))


@pytest.mark.parametrize(
    ("kappa", "error", "message"),
    [
        (-0.1, ValueError, "kappa is -0.1: needs at least 0"),
        (1.5, ValueError, "kappa is 1.5: needs at most 1"),
        (Fraction(7, 6), ValueError, "kappa is 7/6: needs at most 1"),
        (float("nan"), ValueError, "kappa is nan: needs a finite number"),
        ("half", TypeError, "kappa is 'half': needs a number"),
        (None, TypeError, "kappa is None: needs a number"),
        (True, TypeError, "kappa is True: needs a number"),
        (np.full((1, 1, 1), 0.5), TypeError, r"kappa has shape \(1, 1, 1\): needs one number"),
        (np.full((2, 1, 1), 0.5), TypeError, r"kappa has shape \(2, 1, 1\): needs one number"),
    ],
)
def test_a_kappa_that_is_no_share_is_named(kappa, error, message):
    with pytest.raises(error, match=message):
        copi.Whitening(kappa)


@pytest.mark.parametrize(
    ("epsilon", "error", "message"),
    [
        (-1e-9, ValueError, "epsilon is -1e-09: needs at least 0"),
        (Fraction(-1, 3), ValueError, "epsilon is -1/3: needs at least 0"),
        (float("inf"), ValueError, "epsilon is inf: needs a finite number"),
        ("small", TypeError, "epsilon is 'small': needs a number"),
        (np.ones(5), ValueError, r"epsilon has shape \(5,\): needs \(…, 1, 1\)"),
    ],
)
def test_an_epsilon_that_is_too_small_or_no_number_is_named(epsilon, error, message, rng):
    with pytest.raises(error, match=message):
        copi.scaled_copi_update(draw(rng, N, K), draw(rng, N, M), draw(rng, M, K), epsilon)


def test_exact_arrays_refuse_float_settings(rng):
    x, z, W, R = (fractions(rng, *shape) for shape in ((N, K), (N, M), (M, K), (K, K)))
    with pytest.raises(TypeError, match="kappa is 0.5, but the arrays are exact: needs an int or a Fraction"):
        copi.Whitening(0.5)(x, R)
    with pytest.raises(TypeError, match="epsilon is 0.5, but the arrays are exact: needs an int or a Fraction"):
        copi.scaled_copi_update(x, z, W, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, z: copi.Whitening()(x, np.eye(4)), r"R has shape \(4, 4\) but x has 5 features"),
        (lambda x, z: copi.scaled_copi_update(x, z, np.ones((3, 4))), r"W has shape \(3, 4\) but x has 5 features"),
        (lambda x, z: copi.nlms_update(x, z[:6]), r"delta has shape \(6, 3\) but x has 7 samples"),
        (lambda x, z: copi.oja_update(x, z, np.ones((2, 5))), r"M has shape \(2, 5\) but y has 3 units"),
        (lambda x, z: copi.safe_eta_r(x[0]), r"x has shape \(5,\): needs \(…, N, K\)"),
        (lambda x, z: copi.safe_eta_r(x[:0]), r"x has shape \(0, 5\): needs at least one of each"),
        (lambda x, z: copi.preserving_gain(x, np.ones((5, 4))), r"R has shape \(5, 4\) but y has 5 features"),
    ],
)
def test_shapes_that_do_not_fit_are_named(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(draw(rng, N, K), draw(rng, N, M))

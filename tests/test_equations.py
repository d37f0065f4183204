"""Every equation function against the naive implementation: on every library, stacked, and in exact mode."""

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
}
RATIONAL = [name for name in EQUATIONS if name != "full_update"]


def arguments_of(name, rng, *leading):
    arguments = [draw(rng, *leading, *shape) for shape in EQUATIONS[name][2]]
    if name == "full_update":
        # E[x xᵀ] has to be well-conditioned for a solution to be compared: columns of x are orthogonal up to a
        # tenth of their length. Elimination of 5 rows then loses at most 3·5·u·2⁴ (growth) · 4 (condition) · 4 (size)
        # < 5e-13 < ALLOWED.
        q, _ = np.linalg.qr(draw(rng, *leading, N, K))
        arguments[0] = np.sqrt(N) * (q + draw(rng, *leading, N, K) / (20 * K))
        assert (np.linalg.cond(arguments[0].mT @ arguments[0]) < 4).all()
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


def test_fixed_point_where_squares_underflow_is_zero(xp):
    # 1e-170² is 0 in float64, while z·x is not: the input counts as dead, and nothing is divided by 0.
    W = copi.fixed_point(xp.asarray([[1e-170, 1.0]]), xp.asarray([[1e100]]))
    assert xp.numpy(W).tolist() == [[0.0, 1e100]]


def test_unknown_lateral_rule_lists_the_rules(rng):
    with pytest.raises(ValueError, match="rule is 'middle': choose one of 'symmetric', 'left', 'right'"):
        copi.decorrelation_update(draw(rng, N, K), draw(rng, K, K), "middle")

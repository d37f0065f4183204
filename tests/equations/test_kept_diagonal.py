"""The rule that keeps C's diagonal, the gain before its step, and centring by the batch's own mean (Ahmad 2024)."""

from dataclasses import replace
from fractions import Fraction

import naive
import naive_credit
import numpy as np
import pytest
from compare import K, N, assert_close, assert_exact, draw, fractions
from networks import lists, network, scaled
from small_training import RECIPE, assert_same_bits, blobs, fresh, state_of
from test_lateral_properties import determinant
from test_properties import second_moment

import copi_ref as copi
from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.experiments.presets import LATERAL, check_lateral, experiment
from copi_ref.network import forward_by_batch_means

RULE = replace(
    RECIPE, credit="bp-batch-mean", weight_rule="sgd", lateral_rule="kept-diagonal", lateral_gain="norms",
    centring=copi.BatchCentring(),
)  # fmt: skip


@pytest.mark.parametrize("share", [0, Fraction(1, 10), Fraction(1, 2), 1])
def test_the_rule_as_by_hand(share, rng):
    x, R = fractions(rng, N, K), fractions(rng, K, K)
    assert_exact(copi.KeptDiagonal(share)(x, R), naive.kept_diagonal_update(x.tolist(), R.tolist(), share))


def test_without_a_gain_R_shrinks(rng):
    """|det R⁺| = |det R| Π (1 − η λ_i), λ_i ≥ 0 the eigenvalues of C: smaller for η < 1/λmax, while C is not 0."""
    for _ in range(5):
        x, R = fractions(rng, N, 3), fractions(rng, 3, 3)
        eta = Fraction(1, 2) / np.trace(second_moment(x))
        after = R + eta * copi.KeptDiagonal(1)(x, R)
        assert abs(determinant(after.tolist())) < abs(determinant(R.tolist()))


def test_the_gain_as_by_hand(xp, rng):
    """A mean of ratios: of the two first samples at N = 14 and s = 1/10."""
    y, x = draw(rng, 14, K), draw(rng, 14, K)
    gain = xp.numpy(copi.NormGain()(xp.asarray(y), xp.asarray(x)))
    by_hand = np.mean([np.sqrt(y[n] @ y[n] / (x[n] @ x[n] + 1e-8)) for n in range(2)])
    assert gain.shape == (1, 1)
    assert_close(gain, [[by_hand]], 1e-12)


def test_both_gains_where_samples_are_of_unequal_size():
    """x is y less its mean: a sample near the mean counts without bound in the mean of ratios, and not in the other."""
    y = np.array([[4.0, 4], [4.5, 4], [0, 1], [8, 7]])
    x = y - y.mean(axis=0)
    ratios = [np.linalg.norm(one) / np.linalg.norm(other) for one, other in zip(y, x, strict=True)]
    norms = copi.NormGain(share=1, epsilon=0)(y, x).item()
    power = copi.preserving_gain(y, np.eye(2)).item(), np.sqrt(np.sum(y**2) / np.sum(x**2))
    np.testing.assert_allclose(norms, np.mean(ratios), rtol=1e-12)
    assert power[0] == 1  # of what is centred, it would be given x
    assert norms > 3 * power[1]


@pytest.mark.parametrize("eta_r", [0.125, 0])
def test_a_step_as_by_hand(eta_r, xp, rng):
    """R ← g R − η g R C of 3 of 21 samples, x = R (y − E[y]), W by the gradient; with η = 0 R is still rescaled."""
    W, R, *_ = network(rng, scaled)
    y0, target = draw(rng, 21, 5), draw(rng, 21, 3)
    recipe = replace(RULE, eta_r=eta_r)
    state = state_of(xp.asarray(W), xp.asarray(R), recipe)
    means = tuple(xp.asarray(np.zeros(r.shape[-1])) for r in R)
    state = replace(state, params=replace(state.params, mean=means))
    after = copi.step(recipe, state, xp.asarray(y0), xp.asarray(target))
    seen = forward_by_batch_means(copi.Params(W, R), y0)
    top = 2 * np.where(seen[0].a[-1] < 0, 0.1, 1) * (target - seen[0].y[-1])
    deltas = naive_credit.backpropagation_through_batch_means(
        lists(W), lists(R), lists(seen[0].a), top.tolist(), "leaky_relu"
    )
    y = y0
    for layer, (W_l, R_l) in enumerate(zip(W, R, strict=True)):
        x = (y - y.mean(axis=0)) @ R_l.T
        used = x[: len(x) // 10 + 1]
        gain = np.mean(np.linalg.norm(y[: len(used)], axis=1) / np.sqrt(np.sum(used**2, axis=1) + 1e-8))
        by_hand = gain * R_l - eta_r * gain * R_l @ (used.T @ used / len(used))
        assert_close(xp.numpy(after.params.R[layer]), by_hand, 1e-11)
        assert len(used) == 3
        assert_close(xp.numpy(after.params.W[layer]), W_l + recipe.eta_w * np.array(deltas[layer]).T @ x / 21, 1e-11)
        assert_close(xp.numpy(after.params.mean[layer]), 0.1 * y.mean(axis=0))
        a = x @ W_l.T
        y = np.where(a < 0, a / 10, a)


def test_errors_go_through_the_mean(rng):
    """−dℓ/da of the loss of all samples together, by differences that are exact off the kinks: Fractions."""
    W, R, _, y0, target = network(rng, fractions)
    task = copi.Task(target)
    trace, seen = forward_by_batch_means(copi.Params(W, R), y0)
    deltas = copi.backpropagation_through_batch_means(seen, trace, task)
    layer, step = 0, Fraction(1, 10**12)
    assert all((a != 0).all() for a in trace.a)

    def loss(a):
        above = copi.Params(W[1:], R[1:])
        return copi.quadratic(forward_by_batch_means(above, copi.leaky_relu(a))[0].y[-1], target).sum()

    for n, unit in ((0, 0), (3, 1), (N - 1, 2)):
        moved = np.zeros_like(trace.a[layer]) * Fraction(0)
        moved[n, unit] = step
        slope = (loss(trace.a[layer] + moved) - loss(trace.a[layer] - moved)) / (2 * step)
        assert deltas[layer][n, unit] == -slope
    plain = copi.backpropagation(seen, trace, task)
    assert (plain[layer] != deltas[layer]).any()


def test_forward_with_the_means_is_the_same(xp, rng):
    W, R, _, y0, _ = network(rng, scaled)
    trace, seen = forward_by_batch_means(copi.Params(xp.asarray(W), xp.asarray(R)), xp.asarray(y0))
    for one, other in zip(trace.a, copi.forward(seen, xp.asarray(y0)).a, strict=True):
        np.testing.assert_array_equal(xp.numpy(one), xp.numpy(other))


def test_training_goes_on_where_it_stopped_and_evaluates_by_the_running_mean(rng):
    recipe = replace(RULE, eta_w=0.01, eta_r=0.001, batch_size=8)
    dataset = blobs(rng)
    whole = copi.fit(recipe, fresh(recipe), dataset, epochs=4)
    half = copi.fit(recipe, fresh(recipe), dataset, epochs=2)
    assert_same_bits(whole.state, copi.fit(recipe, half.state, dataset, epochs=2).state)
    assert any(mean.any() for mean in whole.state.params.mean)
    assert whole.metrics[-1]["train_loss"] < whole.metrics[0]["train_loss"]
    y, right = dataset.x_test, []  # one sample after the other, by the means that training left
    for one, label in zip(y, dataset.y_test, strict=True):
        right.append(np.argmax(copi.forward(whole.state.params, one[None], recipe.activation).y[-1]) == label)
    assert whole.metrics[-1]["test_accuracy"] == np.mean(right)


def test_the_defaults_are_the_authors(rng):
    """A tenth of the samples and one, η_R = 10⁻⁵, all of its parts, and no other rule under its name."""
    recipe = experiment("demo", "bp-kept-diagonal", "digits").recipe
    assert (recipe.credit, recipe.lateral_rule, recipe.lateral_gain) == ("bp-batch-mean", "kept-diagonal", "norms")
    assert (recipe.centring, recipe.eta_r, recipe.weight_rule) == (copi.BatchCentring(Fraction(1, 10)), 1e-5, "sgd")
    x, R = draw(rng, 21, K), draw(rng, K, K)
    by_hand = -R @ x[:3].T @ x[:3] / 3
    assert_close(copi.decorrelation_update(x, R, "kept-diagonal"), by_hand)
    for name in ("left-subsampled", "whitening-subsampled"):
        assert LATERAL[name] == copi.Subsampled(name.removesuffix("-subsampled"), Fraction(1, 10))
    with pytest.raises(ValueError, match="bp-kept-diagonal has a rule of its own"):
        check_lateral("lateral_rule", ["copi-bp", "bp-kept-diagonal"])


def test_a_gain_that_would_hide_something(xp):
    """y = 0 would make R 0 for ever: 1; what overflows is no number."""
    zero, one = xp.asarray(np.zeros((3, K))), xp.asarray(np.ones((3, K)))
    assert xp.numpy(copi.NormGain()(zero, zero)).tolist() == [[1.0]]
    with np.errstate(over="ignore"):
        assert not np.isfinite(xp.numpy(copi.NormGain()(one, 1e200 * one))).any()


def test_one_sample_has_no_mean_of_its_own(rng):
    W, R, _, y0, _ = network(rng, scaled)
    with pytest.raises(ValueError, match="y0 has 1 sample, which is its own mean"):
        forward_by_batch_means(copi.Params(W, R), y0[:1])
    with pytest.raises(ValueError, match=r"R of layer 2 has shape \(6, 6\) but y1 has 4 features"):
        forward_by_batch_means(copi.Params(W, (R[0], R[2], R[2])), y0)


def test_diagnostics_are_of_the_batch_means(rng):
    """So backpropagation through them is at no angle to the gradient."""
    recipe = replace(RULE, eta_w=0.01, eta_r=0.001, batch_size=8)
    last = copi.fit(recipe, fresh(recipe), blobs(rng), 2, diagnostics=layer_diagnostics).metrics[-1]
    assert {last[name] for name in last if name.startswith("angle")} == {0.0}


def test_what_does_not_fit_is_named():
    for make, message in (
        (lambda: copi.KeptDiagonal(2), "share is 2: needs at most 1"),
        (lambda: copi.NormGain(epsilon=-1), "epsilon is -1: needs at least 0"),
        (lambda: copi.BatchCentring(1.5), "momentum is 1.5: needs at most 1"),
        (lambda: replace(RULE, centring=0), r"credit is 'bp-batch-mean', but centring is 0: needs BatchCentring\(\)"),
        (lambda: copi.Subsampled(copi.Subsampled()), "which draws: needs one that does not"),
        (lambda: replace(RULE, lateral_gain="norm"), "lateral_gain is 'norm': choose one of 'none', 'power', 'norms'"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    for make, message in (
        (lambda: replace(RULE, lateral_gain=copi.NormGain), "needs an instance, as NormGain"),
        (lambda: replace(RULE, centring=copi.BatchCentring), "needs an instance, as BatchCentring"),
    ):
        with pytest.raises(TypeError, match=message):
            make()

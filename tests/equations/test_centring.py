"""The mean that is taken from a layer's input, and the gain that keeps its power: in one step, and in training."""

from dataclasses import replace
from fractions import Fraction

import naive
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled
from small_training import RECIPE, arrays_of, assert_same_bits, blobs, fresh, state_of

import copi_ref as copi
from copi_ref.arrays import backend
from copi_ref.training.finiteness import non_finite_weight


def means_of(rng, make, leading=()):
    return tuple(make(rng, *leading, size) for size in SIZES[:-1])


def with_means(state, mean):
    return replace(state, params=replace(state.params, mean=mean))


def power(x):
    """E‖x‖²."""
    return np.sum(x * x) / len(x)


def covariance(y):
    return (y - y.sum(axis=0) / len(y)).T @ (y - y.sum(axis=0) / len(y)) / len(y)


def relative_off_diagonal(C):
    return np.sum((C - np.diag(np.diag(C))) ** 2)


# --- the forward pass and a step, against the naive loops ------------------------------------------------------------


def test_forward_takes_the_means_from_the_inputs(xp, rng):
    W, R, _, y0, _ = network(rng, scaled)
    mean = means_of(rng, draw)
    trace = copi.forward(copi.Params(*map(xp.asarray, (W, R, mean))), xp.asarray(y0))
    expected = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu", lists(mean))
    for ours, by_hand in zip((trace.x, trace.a, trace.y), expected, strict=True):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_close(xp.numpy(array), rows)


def test_forward_of_a_stack_has_means_of_its_own(xp, rng):
    W, R, _, y0, _ = network(rng, scaled, leading=(3,))
    mean = means_of(rng, draw, leading=(3,))
    stacked = copi.forward(copi.Params(*map(xp.asarray, (W, R, mean))), xp.asarray(y0))
    for member in range(3):
        one = (tuple(array[member] for array in arrays) for arrays in (W, R, mean))
        alone = copi.forward(copi.Params(*map(xp.asarray, one)), xp.asarray(y0[member]))
        assert_close(xp.numpy(stacked.y[-1])[member], xp.numpy(alone.y[-1]))


@pytest.mark.parametrize("rate", [Fraction(2, 5), 1])
def test_step_with_centring_is_exact(rate, rng):
    """x is that of the mean before the step; the mean then moves towards that of the batch, in every layer."""
    W, R, _, y0, target = network(rng, fractions)
    mean = means_of(rng, fractions)
    recipe = replace(RECIPE, eta_w=Fraction(1, 3), eta_r=Fraction(1, 7), centring=rate)
    after = copi.step(recipe, with_means(state_of(W, R), mean), y0, target)
    new_W, new_R = naive.step(
        lists(W), lists(R), y0.tolist(), target.tolist(), Fraction(1, 3), Fraction(1, 7), means=lists(mean)
    )
    y = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu", lists(mean))[2]
    new_mean = [naive.running_mean(*pair, rate) for pair in zip(lists(mean), [y0.tolist(), *y[:-1]], strict=True)]
    for ours, by_hand in zip(
        (after.params.W, after.params.R, after.params.mean), (new_W, new_R, new_mean), strict=True
    ):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_exact(array, rows)


def test_step_with_centring_on_every_library(xp, rng):
    W, R, _, y0, target = network(rng, scaled)
    mean = means_of(rng, scaled)
    state = with_means(state_of(xp.asarray(W), xp.asarray(R)), xp.asarray(mean))
    after = copi.step(replace(RECIPE, centring=0.25), state, xp.asarray(y0), xp.asarray(target))
    new_W, new_R = naive.step(lists(W), lists(R), y0.tolist(), target.tolist(), 0.25, 0.125, means=lists(mean))
    y = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu", lists(mean))[2]
    new_mean = [naive.running_mean(*pair, 0.25) for pair in zip(lists(mean), [y0.tolist(), *y[:-1]], strict=True)]
    for ours, by_hand in zip(
        (after.params.W, after.params.R, after.params.mean), (new_W, new_R, new_mean), strict=True
    ):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_close(xp.numpy(array), rows)


def test_step_of_a_stack_moves_each_mean(xp, rng):
    W, R, _, y0, target = network(rng, scaled, leading=(3,))
    mean = means_of(rng, scaled, leading=(3,))
    recipe = replace(RECIPE, centring=0.25, lateral_gain="power")
    state = with_means(state_of(xp.asarray(W), xp.asarray(R)), xp.asarray(mean))
    stacked = copi.step(recipe, state, xp.asarray(y0), xp.asarray(target)).params
    for member in range(3):
        W_1, R_1, mean_1 = (xp.asarray(tuple(array[member] for array in arrays)) for arrays in (W, R, mean))
        state = with_means(state_of(W_1, R_1), mean_1)
        alone = copi.step(recipe, state, xp.asarray(y0[member]), xp.asarray(target[member])).params
        pairs = zip((*stacked.W, *stacked.R, *stacked.mean), (*alone.W, *alone.R, *alone.mean), strict=True)
        for stack, single in pairs:
            assert_close(xp.numpy(stack)[member], xp.numpy(single))


@pytest.mark.parametrize("rate", [np.float64(0.1), np.array(0.1), 0.1, 1], ids=["scalar", "0-d", "float", "int"])
def test_float32_stays_float32_whatever_the_settings(rate, xp):
    recipe = replace(RECIPE, centring=rate, weight_decay=rate, lateral_gain="power", lateral_rule=copi.Whitening(rate))
    W, R, _, y0, target = network(np.random.default_rng(1), scaled)
    there = {name: xp.asarray(part, "float32") for name, part in {"W": W, "R": R, "y0": y0, "target": target}.items()}
    state = with_means(state_of(there["W"], there["R"]), tuple(R_l[0, :] * 0 for R_l in there["R"]))
    after = copi.step(recipe, state, there["y0"], there["target"]).params
    assert {xp.numpy(array).dtype for array in (*after.W, *after.R, *after.mean)} == {np.dtype("float32")}


# --- what the mean is ------------------------------------------------------------------------------------------------


def test_the_means_start_at_zero(xp):
    recipe = replace(RECIPE, centring=0.1, dtype="float32")
    state = copi.init_state(recipe, (6, 5, 3), np.random.default_rng(0), xp.xp)
    means = [backend.to_numpy(mean) for mean in state.params.mean]
    assert [(mean.shape, mean.dtype, mean.any()) for mean in means] == [
        ((6,), "float32", False),
        ((5,), "float32", False),
    ]


def test_with_rate_1_the_mean_is_that_of_the_last_batch(rng):
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=0, eta_r=0, centring=1)
    state = with_means(state_of(W, R), means_of(rng, fractions))
    copi.step(recipe, state, fractions(rng, N, SIZES[0]), target)
    after = copi.step(recipe, state, y0, target)
    inputs = (y0, *copi.forward(state.params, y0).y[:-1])
    for mean, y in zip(after.params.mean, inputs, strict=True):
        assert_exact(mean, (y.sum(axis=0) / N).tolist())


def test_without_centring_nothing_changes(rng):
    """A rate of 0 leaves the state without means; means of 0 that don't move give the same weights, bit for bit."""
    W, R, _, y0, target = network(rng, scaled)
    plain = copi.step(RECIPE, state_of(W, R), y0, target)
    assert plain.params.mean is None
    assert fresh(RECIPE).params.mean is None
    zeros = tuple(np.zeros(size) for size in SIZES[:-1])
    still = copi.step(RECIPE, with_means(state_of(W, R), zeros), y0, target)
    for one, other in zip((*plain.params.W, *plain.params.R), (*still.params.W, *still.params.R), strict=True):
        assert one.tobytes() == other.tobytes()
    for mean, zero in zip(still.params.mean, zeros, strict=True):
        np.testing.assert_array_equal(mean, zero)


def test_means_stay_as_they_are_under_a_recipe_without_centring(rng):
    W, R, _, y0, target = network(rng, fractions)
    mean = means_of(rng, fractions)
    after = copi.step(replace(RECIPE, eta_w=0, eta_r=0), with_means(state_of(W, R), mean), y0, target)
    for new, old in zip(after.params.mean, mean, strict=True):
        assert_exact(new, old.tolist())


def test_means_move_while_only_R_learns(rng):
    W, R, _, y0, target = network(rng, fractions)
    mean = means_of(rng, fractions)
    recipe = replace(RECIPE, eta_r=1, centring=1, lateral_only_epochs=1)
    after = copi.step(recipe, with_means(state_of(W, R), mean), y0, target)
    assert all(new is old for new, old in zip(after.params.W, W, strict=True))
    assert_exact(after.params.mean[0], (y0.sum(axis=0) / N).tolist())


def test_after_one_full_batch_the_covariance_is_what_counts(rng):
    """With rate 1 and always the same samples, E[x xᵀ] is R Cov[y] Rᵀ from the second step on, exactly."""
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=0, eta_r=Fraction(1, 7), centring=1)
    state = copi.step(recipe, with_means(state_of(W, R), means_of(rng, fractions)), y0, target)
    x = copi.forward(state.params, y0).x[0]
    assert_exact(x.T @ x / N, (state.params.R[0] @ covariance(y0) @ state.params.R[0].T).tolist())


def test_centring_decorrelates_the_covariance_and_the_paper_the_second_moment(rng):
    """Counter-example to "decorrelation removes means" (§4): without centring a covariance is left, and the reverse."""
    y0 = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + np.array([1.0, -2.0, 3.0])
    ends = {}
    for rate in (0, 1):
        recipe = replace(RECIPE, eta_w=0, eta_r=copi.safe_eta_r(y0), lateral_rule="left", centring=rate)
        state = fresh(recipe, sizes=(3, 2))
        for _ in range(3000):
            state = copi.step(recipe, state, y0, np.zeros((60, 2)))
        x = y0 @ state.params.R[0].T
        ends[rate] = relative_off_diagonal(x.T @ x / 60), relative_off_diagonal(covariance(x))
    start = relative_off_diagonal(covariance(y0))
    assert ends[0][0] < 1e-9 * start < 1e-3 * start < ends[0][1]
    assert ends[1][1] < 1e-9 * start < 1e-3 * start < ends[1][0]


# --- the gain --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centring", [0, 0.5])
def test_with_the_gain_x_keeps_the_power_of_its_input(centring, rng):
    """After each step E‖R (y − μ)‖² = E‖y − μ‖² on its batch, with the R after it and the μ that it used."""
    recipe = replace(RECIPE, eta_w=0.05, eta_r=0.05, lateral_rule="left", lateral_gain="power", centring=centring)
    state = fresh(recipe)
    for _ in range(5):
        y0, target = draw(rng, 8, 6), np.eye(3)[rng.integers(0, 3, 8)]
        before, state = state.params, copi.step(recipe, state, y0, target)
        inputs = (y0, copi.forward(before, y0).y[0])
        for layer, (y, R) in enumerate(zip(inputs, state.params.R, strict=True)):
            y = y - before.mean[layer] if centring else y
            # Entries of R y are sums of at most 6 products: off by 8u |R||y|, u = 2⁻⁵³. Where that is at most 4 times
            # ‖R y‖, its square is off by 2⁶ u, here and when g was found; with the roundings of their sums, below 2⁸ u.
            assert power(np.abs(y) @ np.abs(R).T) <= 16 * power(y @ R.T)
            np.testing.assert_allclose(power(y @ R.T), power(y), rtol=2**-45)


def test_without_the_gain_the_power_falls(rng):
    """Under `left` at the safe rate tr C never rises, and falls by at least η (2 − 2/3) ‖C_off‖² a step."""
    y0 = draw(rng, 20, 6)
    eta = float(copi.safe_eta_r(y0))
    recipe = replace(RECIPE, eta_w=0, eta_r=eta, lateral_rule="left")
    state, x = fresh(recipe), y0
    for _ in range(10):
        state = copi.step(recipe, state, y0, np.zeros((20, 3)))
        before, x = x, y0 @ state.params.R[0].T
        assert power(x) < power(before) - eta * relative_off_diagonal(before.T @ before / 20)
    assert power(x) < 0.95 * power(y0)


def test_without_a_lateral_rule_there_is_no_gain(rng):
    W, R, _, y0, target = network(rng, scaled)
    after = copi.step(replace(RECIPE, lateral_rule="none", lateral_gain="power"), state_of(W, R), y0, target)
    assert all(new is old for new, old in zip(after.params.R, R, strict=True))


def test_an_exact_step_has_no_gain(rng):
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=1, eta_r=1, lateral_gain="power")
    with pytest.raises(TypeError, match="preserving_gain is not rational"):
        copi.step(recipe, state_of(W, R), y0, target)


# --- fit -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lateral_rule", ["left", copi.Whitening(0.1)], ids=["left", "Whitening"])
def test_fit_learns_with_centring_and_a_gain(lateral_rule, rng):
    """With a smaller η_W than without the gain, as inputs keep their strength: ΔW has W C_off in it."""
    recipe = replace(
        RECIPE,
        eta_w=0.02,
        eta_r=0.02,
        lateral_rule=lateral_rule,
        lateral_gain="power",
        centring=0.1,
        weight_decay=1e-3,
        batch_size=8,
    )
    dataset = blobs(rng)
    one, other = (copi.fit(recipe, fresh(recipe), dataset, epochs=40) for _ in range(2))
    assert one.metrics[-1]["train_accuracy"] > 0.9
    assert one.metrics[-1]["train_loss"] < one.metrics[0]["train_loss"] / 2
    assert_same_bits(one.state, other.state)
    assert len(arrays_of(one.state)) == 6  # the means are among them
    assert all(mean.any() for mean in one.state.params.mean)


def test_fit_with_centring_continues_where_it_stopped(rng):
    recipe = replace(RECIPE, eta_w=0.01, eta_r=0.01, centring=0.1, lateral_gain="power", batch_size=8)
    dataset = blobs(rng)
    whole = copi.fit(recipe, fresh(recipe), dataset, epochs=4)
    half = copi.fit(recipe, fresh(recipe), dataset, epochs=2)
    assert_same_bits(whole.state, copi.fit(recipe, half.state, dataset, epochs=2).state)


def test_the_gain_does_not_hide_a_divergence(rng):
    """E‖R y‖² overflows, R and R y do not. A gain of 0 would make R = 0, which is finite and never learns again."""
    recipe = replace(RECIPE, eta_w=0, eta_r=1e200, lateral_gain="power", lateral_only_epochs=1, batch_size=45)
    with pytest.raises(copi.NonFiniteError, match="batch 0 .* first in R of layer 1"):
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=1)


def test_a_mean_that_overflows_is_found(rng):
    """Only R could learn, and does not: μ alone shows that inputs of ±1.5e308 are 3e308 apart."""
    recipe = replace(RECIPE, eta_w=0, eta_r=0, lateral_rule="none", lateral_only_epochs=1, centring=1, batch_size=1)
    x = np.full((2, 6), 1.5e308) * np.array([[1.0], [-1.0]])
    dataset = copi.Dataset(x, np.array([0, 2]), x / 1e308, np.array([0, 2]))
    state = fresh(recipe)
    state = replace(state, params=replace(state.params, W=tuple(W * 1e-3 for W in state.params.W)))
    with pytest.raises(
        copi.NonFiniteError, match=r"epoch 0, batch 1 .* first in x of layer 1: the samples are too"
    ) as caught:
        copi.fit(recipe, state, dataset, epochs=1)
    assert not any(mean.any() for mean in caught.value.state.params.mean)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_mean_that_is_not_finite_is_named(layer):
    state = fresh(replace(RECIPE, centring=0.5))
    assert non_finite_weight(state.params, state.optimizer) is None
    state.params.mean[layer - 1][-1] = np.nan
    found = non_finite_weight(state.params, state.optimizer)
    assert found == f"the mean μ of layer {layer}'s input"


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_state_without_means_is_refused(rng):
    with pytest.raises(ValueError, match="centring is 0.1, but the state has no means: init_state makes them"):
        copi.fit(replace(RECIPE, centring=0.1), fresh(RECIPE), blobs(rng), epochs=1)


def test_an_exact_step_refuses_float_settings(rng):
    W, R, _, y0, target = network(rng, fractions)
    exact = replace(RECIPE, eta_w=1, eta_r=1)
    state = with_means(state_of(W, R), means_of(rng, fractions))
    for name in ("weight_decay", "centring"):
        with pytest.raises(TypeError, match=f"{name} is 0.5, but the arrays are exact: needs an int or a Fraction"):
            copi.step(replace(exact, **{name: 0.5}), state, y0, target)


@pytest.mark.parametrize(
    ("mean", "error", "message"),
    [
        (lambda mean: mean[:-1], ValueError, "mean has 2 entries: needs 3 for this network"),
        (lambda mean: (mean[0], mean[1][:-1], mean[2]), ValueError, r"mean of y1 has shape .* but y1 has 4 features"),
        (lambda mean: (mean[0][:1], *mean[1:]), ValueError, r"mean of y0 has shape .* but y0 has 5 features"),
        (
            lambda mean: (mean[0].astype("float32"), *mean[1:]),
            TypeError,
            "mean of y0 has dtype float32 but y0 has float64",
        ),
    ],
)
def test_means_that_do_not_fit_are_named(mean, error, message, rng):
    W, R, _, y0, _ = network(rng, scaled)
    with pytest.raises(error, match=message):
        copi.forward(copi.Params(W, R, mean(means_of(rng, scaled))), y0)

"""Algorithm 1: one step against the naive loops, and what `fit` does around it."""

import pickle
from dataclasses import replace
from fractions import Fraction

import array_api_strict
import naive
import naive_credit
import numpy as np
import pytest
from compare import assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled
from small_training import CREDIT, RATIONAL_LATERAL_RULES, RECIPE, arrays_of, assert_same_bits, blobs, fresh, state_of

import copi_ref as copi

# --- one step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RATIONAL_LATERAL_RULES)
@pytest.mark.parametrize("activation", ["identity", "relu", "leaky_relu"])
@pytest.mark.parametrize("loss", ["quadratic", "half_quadratic"])
@pytest.mark.parametrize("output", ["activation", "pre-activation"])
def test_step_is_algorithm_1_exactly(output, loss, activation, rule, rng):
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(
        RECIPE,
        eta_w=Fraction(1, 3),
        eta_r=Fraction(1, 7),
        activation=copi.ACTIVATIONS[activation],
        loss=copi.LOSSES[loss],
        output=output,
        lateral_rule=rule,
    )
    after = copi.step(recipe, state_of(W, R), y0, target)
    arguments = lists(W), lists(R), y0.tolist(), target.tolist(), Fraction(1, 3), Fraction(1, 7)
    expected = naive.step(*arguments, activation, rule, loss, output)
    for ours, by_hand in zip((after.params.W, after.params.R), expected, strict=True):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_exact(array, rows)
    assert after.step == 1


def test_step_is_algorithm_1_on_every_library(xp, rng):
    W, R, _, y0, target = network(rng, scaled)
    after = copi.step(RECIPE, state_of(xp.asarray(W), xp.asarray(R)), xp.asarray(y0), xp.asarray(target))
    expected = naive.step(lists(W), lists(R), y0.tolist(), target.tolist(), 0.25, 0.125)
    for ours, by_hand in zip((after.params.W, after.params.R), expected, strict=True):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_close(xp.numpy(array), rows)


def test_step_of_a_stack_with_a_rate_each(xp, rng):
    W, R, _, y0, target = network(rng, scaled, leading=(3,))
    rates = np.array([0.5, 0.25, 0.125])
    recipe = replace(RECIPE, eta_w=rates[:, None, None], eta_r=lambda epoch: rates[:, None, None] / 4)
    stacked = copi.step(recipe, state_of(xp.asarray(W), xp.asarray(R)), xp.asarray(y0), xp.asarray(target))
    for member, rate in enumerate(rates):
        alone = copi.step(
            replace(RECIPE, eta_w=rate, eta_r=rate / 4),
            state_of(*(xp.asarray(tuple(a[member] for a in arrays)) for arrays in (W, R))),
            xp.asarray(y0[member]),
            xp.asarray(target[member]),
        )
        pairs = zip((*stacked.params.W, *stacked.params.R), (*alone.params.W, *alone.params.R), strict=True)
        for stack, single in pairs:
            assert_close(xp.numpy(stack)[member], xp.numpy(single))


def test_a_rate_of_another_library_is_brought_over(xp):
    W, R, _, y0, target = network(np.random.default_rng(1), scaled)
    arguments = xp.asarray(y0), xp.asarray(target)
    ends = [
        copi.step(replace(RECIPE, eta_w=eta, eta_r=eta), state_of(xp.asarray(W), xp.asarray(R)), *arguments)
        for eta in (0.25, xp.asarray(0.25), array_api_strict.asarray(0.25), array_api_strict.asarray([[[0.25]]]))
    ]
    for end in ends[1:]:
        for one, other in zip(ends[0].params.W, end.params.W, strict=True):
            np.testing.assert_array_equal(xp.numpy(one), xp.numpy(other).reshape(one.shape))


def test_an_exact_step_of_a_stack_with_a_rate_each(rng):
    W, R, _, y0, target = network(rng, fractions, leading=(2,))
    rates = np.array([Fraction(1, 3), Fraction(2, 5)])[:, None, None]
    stacked = copi.step(replace(RECIPE, eta_w=rates, eta_r=rates), state_of(W, R), y0, target)
    alone = copi.step(
        replace(RECIPE, eta_w=Fraction(2, 5), eta_r=Fraction(2, 5)),
        state_of(tuple(w[1] for w in W), tuple(r[1] for r in R)),
        y0[1],
        target[1],
    )
    for stack, single in zip(stacked.params.W, alone.params.W, strict=True):
        assert_exact(stack[1], single.tolist())


@pytest.mark.parametrize("eta", [np.float64(0.1), np.array(0.1), 0.1, 1], ids=["scalar", "0-d", "float", "int"])
def test_float32_stays_float32_whatever_the_rate(eta, xp):
    recipe = replace(RECIPE, eta_w=eta, eta_r=eta, error_scale=np.float64(2), dtype="float32")
    W, R, _, y0, target = network(np.random.default_rng(1), scaled)
    state = state_of(xp.asarray(W, "float32"), xp.asarray(R, "float32"))
    after = copi.step(recipe, state, xp.asarray(y0, "float32"), xp.asarray(target, "float32"))
    assert {xp.numpy(array).dtype for array in (*after.params.W, *after.params.R)} == {np.dtype("float32")}


def test_step_with_the_weight_rule_sgd_is_gradient_descent(rng):
    W, R, _, y0, target = network(rng, scaled)
    after = copi.step(replace(RECIPE, weight_rule="sgd"), state_of(W, R), y0, target)
    trace = copi.forward(copi.Params(W, R), y0)
    deltas = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target))
    for new, old, x, delta in zip(after.params.W, W, trace.x, deltas, strict=True):
        np.testing.assert_array_equal(new, old + 0.25 * copi.sgd_update(x, delta))


def test_error_scale_multiplies_every_delta(rng):
    W, R, _, y0, target = network(rng, scaled)
    after = copi.step(replace(RECIPE, error_scale=8), state_of(W, R), y0, target)
    trace = copi.forward(copi.Params(W, R), y0)
    deltas = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target))
    for new, old, x, a, delta in zip(after.params.W, W, trace.x, trace.a, deltas, strict=True):
        np.testing.assert_array_equal(new, old + 0.25 * copi.copi_update(x, a + 8 * delta, old))


def test_lateral_only_epochs_leave_W_and_the_optimizer_alone(rng):
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, lateral_only_epochs=2, optimizer=copi.adam)
    state = state_of(W, R, recipe)
    for epoch, W_learns in ((0, False), (1, False), (2, True)):
        after = copi.step(recipe, replace(state, epoch=epoch), y0, target)
        assert [bool((new != old).any()) for new, old in zip(after.params.W, W, strict=True)] == [W_learns] * 3
        assert all((new != old).any() for new, old in zip(after.params.R, R, strict=True))
        assert [memory.t for memory in after.optimizer] == [int(W_learns)] * 3


def test_lateral_rule_none_leaves_R_alone(rng):
    W, R, _, y0, target = network(rng, scaled)
    after = copi.step(replace(RECIPE, lateral_rule="none"), state_of(W, R), y0, target)
    assert all(new is old for new, old in zip(after.params.R, R, strict=True))


def test_R_learns_in_every_so_many_th_step(rng):
    """Steps 0, 3, 6 are those of a recipe whose R always learns, to the last bit, and the others of one without."""
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, lateral_every=3)
    for number in range(7):
        state = replace(state_of(W, R), step=number)
        same = replace(RECIPE, lateral_rule=RECIPE.lateral_rule if number in (0, 3, 6) else "none")
        after, expected = (copi.step(each, state, y0, target).params for each in (recipe, same))
        for one, other in zip((*after.W, *after.R), (*expected.W, *expected.R), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("decay", [Fraction(2, 7), 3])
def test_weight_decay_takes_lambda_W_from_the_direction(decay, rng):
    """W⁺ with decay is W⁺ without, minus η_W λ W, exactly; R does not decay."""
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=Fraction(1, 3), eta_r=Fraction(1, 7))
    without = copi.step(recipe, state_of(W, R), y0, target)
    decayed = copi.step(replace(recipe, weight_decay=decay), state_of(W, R), y0, target)
    for new, other, old in zip(decayed.params.W, without.params.W, W, strict=True):
        assert_exact(new, (other - Fraction(1, 3) * decay * old).tolist())
    for new, other in zip(decayed.params.R, without.params.R, strict=True):
        assert_exact(new, other.tolist())


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_weight_decay_is_decoupled_from_the_optimizer(optimizer, xp, rng):
    """λ W goes past the optimizer: its memory is that of a step without, and Adam does not rescale the decay."""
    W, R, _, y0, target = network(rng, scaled)
    ends = []
    for decay in (0, 0.5):
        recipe = replace(RECIPE, optimizer=copi.OPTIMIZERS[optimizer], weight_decay=decay)
        state = state_of(xp.asarray(W), xp.asarray(R), recipe)
        ends.append(copi.step(recipe, state, xp.asarray(y0), xp.asarray(target)))
    for new, other, old in zip(ends[1].params.W, ends[0].params.W, W, strict=True):
        assert_close(xp.numpy(new), xp.numpy(other) - 0.25 * 0.5 * old)
    for new, other in zip(arrays_of(ends[1])[len(W) + len(R) :], arrays_of(ends[0])[len(W) + len(R) :], strict=True):
        np.testing.assert_array_equal(new, other)


def test_weights_that_do_not_learn_do_not_decay(rng):
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, weight_decay=0.5, lateral_only_epochs=1)
    after = copi.step(recipe, state_of(W, R), y0, target)
    assert all(new is old for new, old in zip(after.params.W, W, strict=True))


@pytest.mark.parametrize("name", copi.WEIGHT_RULES)
def test_every_weight_rule_gets_what_it_learns_from(name, rng):
    """ΔW is that of the naive loops, from x, δ and z = a + δ of the layer, exactly."""
    W, R, _, y0, target = network(rng, fractions)
    after = copi.step(replace(RECIPE, eta_w=1, eta_r=0, weight_rule=name), state_of(W, R), y0, target)
    x, a, y = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu")
    delta_L = naive.output_perturbation("quadratic", y[-1], a[-1], target.tolist(), "leaky_relu")
    deltas = naive.backpropagation(lists(W), lists(R), a, delta_L, "leaky_relu")
    for new, old, x_l, a_l, delta in zip(after.params.W, W, x, a, deltas, strict=True):
        z = (np.array(a_l, dtype=object) + np.array(delta, dtype=object)).tolist()
        expected = {
            "copi": lambda: naive.copi_update(x_l, z, old.tolist()),  # noqa: B023
            "copi-scaled": lambda: naive.scaled_copi_update(x_l, z, old.tolist(), Fraction(1, 1000)),  # noqa: B023
            "sgd": lambda: naive.sgd_update(x_l, delta),  # noqa: B023
            "nlms": lambda: naive.nlms_update(x_l, delta),  # noqa: B023
            "nlms-batch": lambda: naive_credit.batch_nlms(x_l, delta, 0),  # noqa: B023
        }[name]()
        assert_exact(new - old, expected)


def test_a_weight_rule_of_ones_own_plugs_in(rng):
    """Any callable (x, a, delta, W) -> ΔW: here COPI with ε = 1."""
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=1, eta_r=0)
    own = replace(recipe, weight_rule=lambda x, a, delta, W: copi.scaled_copi_update(x, a + delta, W, epsilon=1))
    unscaled = copi.step(recipe, state_of(W, R), y0, target)
    after = copi.step(own, state_of(W, R), y0, target)
    trace = copi.forward(copi.Params(W, R), y0)
    for new, other, old, x in zip(after.params.W, unscaled.params.W, W, trace.x, strict=True):
        power = np.sum(x * x, axis=0) / len(x)
        assert_exact(new, (old + (other - old) / (power + 1)).tolist())


def test_a_lateral_rule_of_ones_own_plugs_in(rng):
    """Any callable (x, R) -> ΔR: `Whitening` with a κ of its own, and a function."""
    W, R, _, y0, target = network(rng, fractions)
    recipe = replace(RECIPE, eta_w=0, eta_r=Fraction(1, 7))
    x, _, _ = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu")
    kappa = Fraction(1, 5)
    whitening = copi.step(replace(recipe, lateral_rule=copi.Whitening(kappa)), state_of(W, R), y0, target)
    decay = copi.step(replace(recipe, lateral_rule=lambda x, R: -R), state_of(W, R), y0, target)
    for ours, other, old, x_l in zip(whitening.params.R, decay.params.R, R, x, strict=True):
        update = np.array(naive.whitening_update(x_l, old.tolist(), kappa), dtype=object)
        assert_exact(ours, (old + update / 7).tolist())
        assert_exact(other, (old * 6 / 7).tolist())


def test_the_safe_rate_is_a_rate(xp, rng):
    """What `safe_eta_r` returns, an array without axes, goes into a recipe as it is."""
    W, R, _, y0, target = network(rng, scaled)
    rate = copi.safe_eta_r(xp.asarray(y0))
    ends = [
        copi.step(
            replace(RECIPE, eta_r=eta), state_of(xp.asarray(W), xp.asarray(R)), xp.asarray(y0), xp.asarray(target)
        )
        for eta in (rate, naive.safe_eta_r(y0.tolist()))
    ]
    for one, other in zip(ends[0].params.R, ends[1].params.R, strict=True):
        assert_close(xp.numpy(one), xp.numpy(other))


def test_the_exact_safe_rate_is_a_rate(rng):
    W, R, _, y0, target = network(rng, fractions)
    ends = [
        copi.step(replace(RECIPE, eta_w=0, eta_r=eta), state_of(W, R), y0, target)
        for eta in (copi.safe_eta_r(y0), naive.safe_eta_r(y0.tolist()))
    ]
    for one, other in zip(ends[0].params.R, ends[1].params.R, strict=True):
        assert_exact(one, other.tolist())


def test_a_method_of_ones_own_plugs_in(rng):
    """Any callable (params, trace, task) -> deltas is a credit method."""
    W, R, _, y0, target = network(rng, scaled)

    def nothing_to_blame(params, trace, task):
        assert task.target is target
        return tuple(a * 0 for a in trace.a)

    after = copi.step(replace(RECIPE, credit=nothing_to_blame), state_of(W, R), y0, target)
    trace = copi.forward(copi.Params(W, R), y0)
    for new, old, x, a in zip(after.params.W, W, trace.x, trace.a, strict=True):
        np.testing.assert_array_equal(new, old + 0.25 * copi.copi_update(x, a, old))


def test_step_passes_the_feedback_and_a_generator_that_moves_on(rng):
    W, R, B, y0, target = network(rng, scaled)
    drawn = []

    def watch(params, trace, task):
        assert task.feedback is B
        drawn.append(task.rng.normal())
        return tuple(a * 0 for a in trace.a)

    state = state_of(W, R, feedback=B)
    for _ in range(2):
        state = copi.step(replace(RECIPE, credit=watch), state, y0, target)
    expected = np.random.default_rng(0)  # the seed in state_of
    assert drawn == [expected.normal(), expected.normal()]


def test_lateral_only_epochs_ask_nobody_for_credit(rng):
    W, R, _, y0, target = network(rng, scaled)

    def never(params, trace, task):
        raise AssertionError

    copi.step(replace(RECIPE, credit=never, lateral_only_epochs=1), state_of(W, R), y0, target)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda a: a[:-1], "deltas has 2 entries: needs 3 for this network"),
        (lambda a: (*a, a[0]), "deltas has 4 entries: needs 3"),
        (lambda a: (*a[:2], a[2][:, :1]), r"δ of layer 3 has shape \(7, 1\) but W of layer 3 has 3 units"),
        (lambda a: (a[0][0], *a[1:]), r"δ of layer 1 has shape \(4,\): needs \(…, N, M\)"),
    ],
)
def test_deltas_of_the_wrong_shape_are_refused(wrong, message, rng):
    """They would broadcast, and train something else silently."""
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, credit=lambda params, trace, task: wrong(trace.a))
    with pytest.raises(ValueError, match=message):
        copi.step(recipe, state_of(W, R), y0, target)


@pytest.mark.parametrize(
    ("field", "wrong", "error", "message"),
    [
        ("weight_rule", lambda x, a, delta, W: W[:1], ValueError, r"ΔW of layer 3 has shape \(1, 6\)"),
        ("weight_rule", lambda x, a, delta, W: W.astype("float32"), TypeError, "ΔW of layer 3 has dtype float32"),
        ("lateral_rule", lambda x, R: R[:, :1], ValueError, r"ΔR of layer 3 has shape \(6, 1\)"),
    ],
)
def test_updates_of_the_wrong_shape_or_dtype_are_refused(field, wrong, error, message, rng):
    W, R, _, y0, target = network(rng, scaled)
    with pytest.raises(error, match=message):
        copi.step(replace(RECIPE, **{field: wrong}), state_of(W, R), y0, target)


class CountingArray(np.ndarray):
    """A NumPy array that notes the multiply-adds of every matrix product."""

    products: list = []  # noqa: RUF012

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [np.asarray(array) for array in inputs]
        if ufunc is np.matmul:
            self.products.append(plain[0].shape[-2] * plain[0].shape[-1] * plain[1].shape[-1])
        result = getattr(ufunc, method)(*plain, **kwargs)
        return result.view(CountingArray) if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("rule", [rule for rule in RATIONAL_LATERAL_RULES if rule != "kept-diagonal"])  # which is less
def test_a_step_costs_N_K_squared(rule, rng):
    """No product of a step is K×K by K×K: each takes N K² multiply-adds, for every lateral rule."""
    N, K = 4, 32
    W, R = ((rng.normal(size=(K, K)) / K).view(CountingArray) for _ in range(2))
    recipe = replace(RECIPE, lateral_rule=rule)
    state = state_of((W, W), (R, R), recipe)
    CountingArray.products = []
    copi.step(recipe, state, rng.normal(size=(N, K)).view(CountingArray), rng.normal(size=(N, K)).view(CountingArray))
    # Two layers: R y, W x; E[z xᵀ]; R x and its outer product; and δ through W and R once.
    assert CountingArray.products == [N * K * K] * (2 * (2 + 1 + 2) + 2)


# --- fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", CREDIT)
@pytest.mark.parametrize("optimizer", ["plain", "adam"])
def test_same_seed_same_bits(credit, optimizer, rng):
    recipe = replace(RECIPE, eta_w=0.01, eta_r=0.01, credit=credit, optimizer=copi.OPTIMIZERS[optimizer], batch_size=8)
    dataset = blobs(rng)
    one, two = (copi.fit(recipe, fresh(recipe), dataset, epochs=3) for _ in range(2))
    assert_same_bits(one.state, two.state)
    for row, other in zip(one.metrics, two.metrics, strict=True):
        assert {**row, "seconds": 0} == {**other, "seconds": 0}
    other = copi.fit(recipe, fresh(recipe, seed=1), dataset, epochs=3)
    assert arrays_of(other.state)[0].tobytes() != arrays_of(one.state)[0].tobytes()


def test_fit_continues_where_it_stopped(rng):
    recipe = replace(RECIPE, eta_w=lambda epoch: 0.01 * (1 + epoch), eta_r=0.01, optimizer=copi.adam, batch_size=8)
    dataset = blobs(rng)
    whole = copi.fit(recipe, fresh(recipe), dataset, epochs=4)
    half = copi.fit(recipe, fresh(recipe), dataset, epochs=2)
    rest = copi.fit(recipe, half.state, dataset, epochs=2)
    assert_same_bits(whole.state, rest.state)
    assert [row["epoch"] for row in rest.metrics] == [2, 3]
    assert (rest.state.epoch, rest.state.step) == (4, 4 * 6)


def test_fit_leaves_the_state_that_it_got_as_it_was(rng):
    recipe = replace(RECIPE, eta_w=0.01, eta_r=0.01)
    state = fresh(recipe)
    before = [array.copy() for array in arrays_of(state)], dict(state.rng_state)
    copi.fit(recipe, state, blobs(rng), epochs=1)
    for array, copy in zip(arrays_of(state), before[0], strict=True):
        np.testing.assert_array_equal(array, copy)
    assert state.rng_state == before[1]


def test_every_epoch_sees_every_sample_once_in_a_new_order():
    seen = []

    def watch(params, trace, task):
        seen.append(trace.x[0][:, 0])  # R = I, so this is the input
        return tuple(a * 0 for a in trace.a)

    x = np.arange(1.0, 12.0)[:, None] * np.ones((1, 6))
    y = np.zeros(11, dtype=int)
    recipe = replace(RECIPE, credit=watch, lateral_rule="none", eta_w=0, batch_size=4)
    copi.fit(recipe, fresh(recipe), copi.Dataset(x, y, x, y), epochs=2)
    assert [len(batch) for batch in seen] == [4, 4, 3, 4, 4, 3]
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == x[:, 0].tolist()
    assert first.tolist() != second.tolist()
    assert first.tolist() != x[:, 0].tolist()


def test_methods_with_one_seed_start_alike_and_see_the_same_batches():
    with_bp, with_fa = fresh(RECIPE), fresh(replace(RECIPE, credit="fa"))
    assert_same_bits(with_bp, with_fa)
    assert with_bp.rng_state == with_fa.rng_state
    assert with_bp.feedback is None
    assert [B.shape for B in with_fa.feedback] == [(5, 3)]


def test_fit_reports_each_epoch(rng):
    recipe = replace(RECIPE, eta_w=0.02, eta_r=0.01, batch_size=8)
    dataset, calls = blobs(rng), []
    result = copi.fit(
        recipe, fresh(recipe), dataset, epochs=3, callback=lambda state, row: calls.append((state.epoch, row))
    )
    assert [epoch for epoch, _ in calls] == [1, 2, 3]
    assert tuple(row for _, row in calls) == result.metrics
    columns = ["epoch", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds"]
    assert all(list(row) == columns for row in result.metrics)
    assert all(row["seconds"] > 0 for row in result.metrics)
    prediction = copi.forward(result.state.params, dataset.x_test).y[-1]
    hits = prediction.argmax(axis=1) == dataset.y_test
    assert result.metrics[-1]["test_accuracy"] == hits.mean()
    loss = np.sum((prediction - np.eye(3)[dataset.y_test]) ** 2, axis=1).mean()
    np.testing.assert_allclose(result.metrics[-1]["test_loss"], loss, rtol=1e-13)


def test_rates_follow_the_epoch(rng):
    asked = []

    def rate(epoch):
        asked.append(epoch)
        return 0.01

    recipe = replace(RECIPE, eta_w=rate, eta_r=0, batch_size=45)
    copi.fit(recipe, fresh(recipe), blobs(rng), epochs=3)
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("method", ["copi", "sgd"])
def test_fit_learns(method, rng):
    recipe = replace(RECIPE, eta_w=0.05, eta_r=0.02, weight_rule=method, batch_size=8, lateral_rule="symmetric")
    result = copi.fit(recipe, fresh(recipe), blobs(rng), epochs=40)
    assert result.metrics[-1]["train_accuracy"] > 0.9
    assert result.metrics[-1]["train_loss"] < result.metrics[0]["train_loss"] / 2


def test_fit_runs_where_the_state_is(xp):
    """On every library the same bits: whole numbers and powers of two, so that one epoch has no rounding."""
    x = np.array([[1, 0, 2], [-1, 1, 0], [0, 2, 1], [1, -1, 1]], dtype=float)
    dataset = copi.Dataset(x, np.array([0, 1, 1, 0]), x, np.array([0, 1, 1, 0]))
    W = (np.array([[1.0, -1, 0], [2, 1, -1], [0, 1, 1], [1, 0, -2]]), np.array([[1.0, 0, -1, 1], [0, 1, 1, -1]]))
    R = (np.eye(3), np.eye(4))
    recipe = replace(RECIPE, activation=copi.relu, batch_size=4)
    ends = [
        copi.fit(recipe, state_of(there(W), there(R)), dataset, epochs=1)
        for there in (xp.asarray, lambda arrays: arrays)
    ]
    for ours, theirs in zip((*ends[0].state.params.W, *ends[0].state.params.R), arrays_of(ends[1].state), strict=True):
        np.testing.assert_array_equal(xp.numpy(ours), theirs)
    assert {**ends[0].metrics[0], "seconds": 0} == {**ends[1].metrics[0], "seconds": 0}


def test_evaluate_in_pieces_is_evaluate(rng):
    recipe = RECIPE
    params = fresh(recipe).params
    x, target = draw(rng, 12_001, 6), np.eye(3)[rng.integers(0, 3, 12_001)]
    pieces = copi.evaluate(recipe, params, x, target)
    prediction = copi.forward(params, x).y[-1]
    assert pieces.accuracy == (prediction.argmax(1) == target.argmax(1)).mean()
    np.testing.assert_allclose(pieces.loss, copi.quadratic(prediction, target).mean(), rtol=1e-12)


@pytest.mark.parametrize("output", ["activation", "pre-activation"])
@pytest.mark.parametrize("loss", copi.LOSSES)
def test_evaluate_follows_the_recipe(output, loss, rng):
    recipe = replace(RECIPE, output=output, loss=copi.LOSSES[loss], activation=copi.tanh)
    params, x, target = fresh(recipe).params, draw(rng, 20, 6), np.eye(3)[rng.integers(0, 3, 20)]
    _, a, y = naive.forward(lists(params.W), lists(params.R), x.tolist(), "tanh")
    prediction = (y if output == "activation" else a)[-1]
    losses = [naive.loss(loss, *rows) for rows in zip(prediction, target.tolist(), strict=True)]
    result = copi.evaluate(recipe, params, x, target)
    np.testing.assert_allclose(result.loss, naive.mean(losses), rtol=1e-12)
    assert result.accuracy == (np.argmax(prediction, axis=1) == target.argmax(axis=1)).mean()


def test_evaluate_refuses_an_ensemble_of_ensembles(rng):
    W, R, _, y0, target = network(rng, scaled, leading=(2, 1))
    with pytest.raises(ValueError, match=r"W of the last layer has shape \(2, 1, 3, 6\): evaluate takes one network"):
        copi.evaluate(RECIPE, copi.Params(W, R), y0[0, 0], target[0, 0])


# --- leaving the finite numbers --------------------------------------------------------------------------------------


def test_fit_stops_when_weights_become_non_finite_and_says_where(rng):
    recipe = replace(RECIPE, eta_w=0.01, eta_r=lambda epoch: 0.01 if epoch < 2 else 1e200, batch_size=8)
    with pytest.raises(copi.NonFiniteError, match=r"epoch 2, batch \d+ .* first in \w of layer \d") as caught:
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=5)
    assert caught.value.state.epoch == 2
    assert all(np.isfinite(array).all() for array in arrays_of(caught.value.state))
    assert [row["epoch"] for row in caught.value.metrics] == [0, 1]


def test_the_first_quantity_to_overflow_is_named(rng):
    """W and R of layer 2 are so large that their product overflows, and nothing before it does."""
    recipe = replace(RECIPE, eta_w=0, eta_r=0, lateral_rule="none", batch_size=45)
    state = fresh(recipe)
    huge = replace(state, params=replace(state.params, R=(state.params.R[0], state.params.R[1] * 1e300)))
    huge = replace(huge, params=replace(huge.params, W=(state.params.W[0], state.params.W[1] * 1e300)))
    learn = replace(recipe, eta_w=1e-3)
    with pytest.raises(copi.NonFiniteError, match="epoch 0, batch 0 .* first in a of layer 2"):
        copi.fit(learn, huge, blobs(rng), epochs=1)


def test_fit_stops_when_only_the_loss_is_non_finite(rng):
    recipe = replace(RECIPE, eta_w=0, eta_r=0)
    state = fresh(recipe)
    huge = replace(state, params=replace(state.params, W=(state.params.W[0], state.params.W[1] * 1e200)))
    message = "epoch 0: train_loss is inf, test_loss is inf, first in the loss itself, though all weights are finite"
    with pytest.raises(copi.NonFiniteError, match=message):
        copi.fit(replace(recipe, lateral_only_epochs=1), huge, blobs(rng), epochs=1)


def test_the_layers_are_looked_at_in_the_order_of_the_forward_pass(rng):
    """a of layer 1 overflows before x of layer 2 does."""
    recipe = replace(RECIPE, eta_w=1e-3, eta_r=0, lateral_rule="none", batch_size=45)
    state = fresh(recipe)
    huge = replace(state, params=copi.Params((state.params.W[0] * 1e308, state.params.W[1]), state.params.R))
    dataset = blobs(rng)
    dataset = copi.Dataset(dataset.x_train * 1e10, dataset.y_train, dataset.x_test * 1e10, dataset.y_test)
    with pytest.raises(copi.NonFiniteError, match="batch 0 .* first in a of layer 1"):
        copi.fit(recipe, huge, dataset, epochs=1)
    with pytest.raises(copi.NonFiniteError, match="first in a of layer 1, though all weights are finite"):
        copi.fit(replace(recipe, lateral_only_epochs=1), huge, dataset, epochs=1)


def test_an_R_that_explodes_alone_is_found(rng):
    recipe = replace(RECIPE, eta_w=0, eta_r=1e308, lateral_only_epochs=9, batch_size=45, error_scale=1e308)
    dataset = blobs(rng)
    dataset = copi.Dataset(dataset.x_train * 100, dataset.y_train, dataset.x_test, dataset.y_test)
    with pytest.raises(copi.NonFiniteError, match="batch 0 .* first in R of layer 1"):
        copi.fit(recipe, fresh(recipe), dataset, epochs=1)


def test_an_optimizer_that_overflows_is_found(rng):
    """Adam's v becomes infinite, so its steps are 0: no weight ever shows it."""
    recipe = replace(RECIPE, eta_w=1e-3, eta_r=0.01, error_scale=1e25, optimizer=copi.adam, dtype="float32")
    with pytest.raises(copi.NonFiniteError, match="first in the optimizer's memory of layer 1"):
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=1)


def test_the_error_survives_pickling(rng):
    """As it has to when a run is in another process."""
    recipe = replace(RECIPE, eta_w=0.01, eta_r=1e200)
    with pytest.raises(copi.NonFiniteError) as caught:
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=1)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert_same_bits(copy.state, caught.value.state)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("eta_w", -1, ValueError, "eta_w is -1: needs at least 0"),
        ("eta_r", float("inf"), ValueError, "eta_r is inf: needs a finite number"),
        ("eta_w", "0.1", TypeError, "eta_w is '0.1': needs a number"),
        ("credit", "backprop", ValueError, "credit is 'backprop': choose one of 'bp', 'fa'"),
        (
            "weight_rule",
            "hebb",
            ValueError,
            "weight_rule is 'hebb': choose one of 'copi', 'copi-scaled', 'sgd', 'nlms'",
        ),
        ("lateral_rule", "up", ValueError, "lateral_rule is 'up': choose one of .*'none'"),
        ("output", "logits", ValueError, "output is 'logits': choose one of 'activation', 'pre-activation'"),
        ("batch_size", 0, ValueError, "batch_size is 0: needs at least 1"),
        ("lateral_only_epochs", 1.5, TypeError, "lateral_only_epochs is 1.5: needs a whole number"),
        ("lateral_every", 0, ValueError, "lateral_every is 0: needs at least 1"),
        ("batch_size", True, TypeError, "batch_size is True: needs a whole number"),
        ("error_scale", "big", TypeError, "error_scale is 'big': needs a number"),
        ("eta_w", True, TypeError, "eta_w is True: needs a number"),
        ("eta_w", [0.1], TypeError, r"eta_w is \[0.1\]: needs a number"),
        ("eta_w", np.ones(5), ValueError, r"eta_w has shape \(5,\): needs \(…, 1, 1\), one number per ensemble"),
        ("eta_r", np.full((2, 1, 1), -0.1), ValueError, "eta_r is -0.1: needs at least 0"),
        ("dtype", "int32", TypeError, "dtype is 'int32': need one of float16"),
        ("weight_decay", -0.1, ValueError, "weight_decay is -0.1: needs at least 0"),
        ("weight_decay", "strong", TypeError, "weight_decay is 'strong': needs a number"),
        ("weight_decay", np.ones((2, 1, 1)), TypeError, r"weight_decay has shape \(2, 1, 1\): needs one number"),
        ("centring", -0.1, ValueError, "centring is -0.1: needs at least 0"),
        ("centring", 1.01, ValueError, "centring is 1.01: needs at most 1"),
        ("centring", float("nan"), ValueError, "centring is nan: needs a finite number"),
        ("centring", True, TypeError, "centring is True: needs a number"),
        ("centring", np.full((1, 1, 1), 0.5), TypeError, r"centring has shape \(1, 1, 1\): needs one number"),
        ("lateral_gain", "unit", ValueError, "lateral_gain is 'unit': choose one of 'none', 'power'"),
        ("lateral_gain", None, ValueError, "lateral_gain is None: choose one of 'none', 'power'"),
        ("states", "clamped", ValueError, "states is 'clamped': choose one of 'forward', 'inferred'"),
        ("states", "inferred", ValueError, "states is 'inferred', but credit 'bp' infers none: choose 'forward'"),
    ],
)
def test_a_recipe_names_the_field_that_is_wrong(field, value, error, message):
    with pytest.raises(error, match=message):
        replace(RECIPE, **{field: value})


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (float("nan"), ValueError, "eta_w of epoch 2 is nan: needs a finite number"),
        (-0.5, ValueError, "eta_w of epoch 2 is -0.5: needs at least 0"),
        (None, TypeError, "eta_w of epoch 2 is None: needs a number"),
    ],
)
def test_a_schedule_that_gives_no_rate_is_named(value, error, message, rng):
    recipe = replace(RECIPE, eta_w=lambda epoch: value if epoch == 2 else 0.001, eta_r=0.001)
    with pytest.raises(error, match=message):
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=3)


def test_fit_refuses_data_that_do_not_fit(rng):
    state = fresh(RECIPE)
    with pytest.raises(ValueError, match="x_train has 7 features but the network has 6 inputs"):
        copi.fit(RECIPE, state, blobs(rng, features=7), epochs=1)
    with pytest.raises(ValueError, match="has the label 4 but the network has 3 outputs"):
        copi.fit(RECIPE, state, blobs(rng, classes=5), epochs=1)
    with pytest.raises(ValueError, match="epochs is -1: needs at least 0"):
        copi.fit(RECIPE, state, blobs(rng), epochs=-1)
    W, R, *_ = network(rng, scaled, leading=(2, 1))
    with pytest.raises(ValueError, match=r"shape \(2, 1, 3, 6\): fit takes one network, or \(S, M, K\)"):
        copi.fit(RECIPE, state_of(W, R), blobs(rng), epochs=1)


def test_data_too_large_for_the_dtype_are_named(rng):
    recipe = replace(RECIPE, dtype="float32")
    dataset = blobs(rng)
    huge = copi.Dataset(dataset.x_train, dataset.y_train, dataset.x_test * 1e300, dataset.y_test)
    with pytest.raises(ValueError, match="x_test has entries too large for float32: scale it down"):
        copi.fit(recipe, fresh(recipe), huge, epochs=1)


def test_a_state_of_another_optimizer_is_refused(rng):
    for optimizer, kind in ((copi.adam, "AdamMemory"), (copi.momentum, "MomentumMemory")):
        with pytest.raises(TypeError, match=rf"memory is \(\): .* needs a {kind}"):
            copi.fit(replace(RECIPE, optimizer=optimizer), fresh(RECIPE), blobs(rng), epochs=1)


def test_init_state_needs_a_generator():
    with pytest.raises(TypeError, match="rng is 0: needs a numpy.random.Generator"):
        copi.init_state(RECIPE, SIZES, 0)


def test_an_exact_step_refuses_a_float_rate(rng):
    W, R, _, y0, target = network(rng, fractions)
    with pytest.raises(TypeError, match=r"eta_w is 0.25, but the arrays are exact: needs an int or a Fraction"):
        copi.step(RECIPE, state_of(W, R), y0, target)

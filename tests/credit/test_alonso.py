"""Inference Learning and IL-prox as their authors run them: by hand, and what is known of them."""

import dataclasses
import itertools

import naive
import naive_credit
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled

import copi_ref as copi
from copi_ref.experiments.presets import METHODS, experiment

IL = copi.AlonsoInferenceLearning(steps=4, gamma_bot=0.25, gamma_top=0.125, share=0.75)
PROX = copi.AlonsoProx(alpha=0.5, steps=4, gamma_bot=0.25, gamma_top=0.125)


def problem(rng, f):
    """Weights large enough that no error is lost on its way down, and targets that are probabilities."""
    W, R, _, y0, target = network(rng, scaled)
    W, R = tuple(4 * w for w in W), tuple(r + np.eye(r.shape[-1]) for r in R)
    target = abs(target) / abs(target).sum(axis=1, keepdims=True)
    y0 = 4 * y0
    return copi.Params(W, R), copi.forward(copi.Params(W, R), y0, f), copi.Task(target, activation=f)


@pytest.mark.parametrize("f", ["relu", "tanh"])
@pytest.mark.parametrize("name", ["il-alonso", "il-prox"])
def test_what_the_weights_see_equals_the_loops(name, f, xp, rng):
    """x, a and errors of `infer`, as `states="inferred"` takes them, on every library."""
    params, trace, task = problem(rng, copi.ACTIVATIONS[f])
    assert all(np.abs(delta).max() > 1e-4 for delta in (*IL(params, trace, task), *PROX(params, trace, task)))
    W, R, y0, target = lists(params.W), lists(params.R), trace.y0.tolist(), task.target.tolist()
    _, a, y = naive.forward(W, R, y0, f)
    if name == "il-alonso":
        method, by_hand = IL, naive_credit.il_alonso(W, R, y0, a, y, target, f, 0.75, 4, 0.125, 0.25)
    else:
        method, by_hand = PROX, naive_credit.il_prox_alonso(W, R, y0, target, f, 0.5, 4, 0.125, 0.25)
    params = copi.Params(xp.asarray(params.W), xp.asarray(params.R))
    task = dataclasses.replace(task, target=xp.asarray(task.target))
    seen, errors = method.infer(params, copi.forward(params, xp.asarray(trace.y0), task.activation), task)
    for ours, theirs in zip((*seen.x, *seen.a, *errors), itertools.chain(*by_hand[1:]), strict=True):
        assert_close(xp.numpy(ours), theirs)


def test_their_two_rates_are_a_descent_with_growing_precisions(rng):
    """One step from any states is −γ_l ∂F/∂h_l, π_l = (γ_bot/γ_top)^l, γ_l = γ_top/π_l, ½ cross-entropy at the output.

    By central differences of that energy: a check of the step that shares nothing with it, and of what it lowers.
    """
    params, trace, task = problem(rng, copi.tanh)
    f, form = copi.tanh, copi.Form(order="activation-after-weights", output_activation="identity")
    h, ratio = tuple(draw(rng, N, units) for units in SIZES[1:]), 0.02 / 0.015
    precisions = [ratio**layer for layer in (1, 2, 3)]
    ones = copi.inference_learning.infer_by_two_rates(
        params, trace.y0, h, task.target, f, 1, gamma_top=0.015, gamma_bot=0.02, form=form, factor=0.5
    )

    def energy(h):
        settled = copi.predictions(params, trace.y0, (*h[:-1], copi.forward_states(params, trace.y0, f)[-1]), f, form)
        hidden = zip(precisions, settled.errors[:-1], strict=False)
        total = sum(precision * np.sum(e**2, axis=1) / 2 for precision, e in hidden)
        return total + precisions[-1] / 2 * copi.softmax_cross_entropy(settled.trace.a[-1], task.target)

    for layer in (0, 1):
        for i in range(h[layer].shape[1]):
            step = 1e-5 * np.eye(h[layer].shape[1])[i]
            ends = [energy((*h[:layer], h[layer] + sign * step, *h[layer + 1 :])) for sign in (1, -1)]
            slope = (ends[0] - ends[1]) / 2e-5
            moved = (ones[layer] - h[layer])[:, i]
            np.testing.assert_allclose(moved, -0.015 / precisions[layer] * slope, rtol=1e-6, atol=1e-10)
    assert (ones[-1] == h[-1]).all()


def test_fast_leaves_out_the_layers_own_errors(rng):
    params, trace, task = problem(rng, copi.tanh)
    assert copi.CREDIT["il-prox-fast"] == copi.AlonsoProx(steps=12, gamma_top=0)
    one = dataclasses.replace(PROX, steps=1)  # from a forward pass own errors are 0, up to the rounding of W R
    without = dataclasses.replace(one, gamma_top=0)
    for a, b in zip(one(params, trace, task), without(params, trace, task), strict=True):
        assert_close(a, b)
    two, fast = PROX(params, trace, task)[0], dataclasses.replace(PROX, gamma_top=0)(params, trace, task)[0]
    assert np.abs(two - fast).max() > 1e-4 * np.abs(two).max() > 1e-8


def test_f_on_the_input_is_f_of_the_data(rng):
    """Their network on y_0 is this library's on f(y_0): for what f leaves as it is the two are the same."""
    params, _, task = problem(rng, copi.tanh)
    y0 = draw(rng, N, SIZES[0])
    theirs = PROX(params, copi.forward(params, y0, copi.tanh), task)
    handed = dataclasses.replace(PROX, input_activation=False)
    ours = handed(params, copi.forward(params, np.tanh(y0), copi.tanh), task)
    for one, other in zip(theirs, ours, strict=True):
        assert_close(one, other)
    images, task = abs(y0), dataclasses.replace(task, activation=copi.leaky_relu)
    for one, other in zip(*(one(params, copi.forward(params, images), task) for one in (PROX, handed)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_their_update_is_a_ratio_of_means_exactly(rng):
    x, delta = fractions(rng, N, 5), fractions(rng, N, 3)
    assert_exact(copi.batch_nlms_update(x, delta), naive_credit.batch_nlms(lists(x), lists(delta), 0))
    assert_exact(copi.batch_nlms_update(x, delta, 20), naive_credit.batch_nlms(lists(x), lists(delta), 20))
    # For one sample, and without the 1, it is ours.
    one = copi.nlms_update(x[:1], delta[:1])
    n = np.sum(x[:1] ** 2)
    assert (copi.batch_nlms_update(x[:1], delta[:1]) * (n + 1) / n == one).all()
    with pytest.raises(ValueError, match="epsilon is -1: needs at least 0"):
        copi.batch_nlms_update(x, delta, -1)


@pytest.mark.parametrize("method", ["il-alonso", "il-prox", "il-prox-fast"])
def test_the_methods_make_these_updates(method, rng):
    """A step of `copi-ref train`'s recipe, from its states, is ΔW = E[e xᵀ], divided or not."""
    recipe = dataclasses.replace(experiment("il", method, "digits").recipe, dtype="float64", batch_size=N)
    state = copi.init_state(recipe, SIZES, np.random.default_rng(0), np)
    y0, target = abs(draw(rng, N, SIZES[0])), np.eye(3)[rng.integers(0, 3, N)]
    after = copi.step(recipe, state, y0, target)
    credit = copi.CREDIT[METHODS[method]["credit"]]
    trace = copi.forward(state.params, y0)
    seen, errors = credit.infer(state.params, trace, copi.Task(target))
    for new, old, x, e in zip(after.params.W, state.params.W, seen.x, errors, strict=True):
        update = (e.T @ x) / N
        if method != "il-alonso":
            update = update / (np.mean(np.sum(x**2, axis=1)) + 1)
        assert_close(new, old + recipe.eta_w * update)
    assert (recipe.output, recipe.loss) == ("linear", copi.softmax_cross_entropy)
    assert all((np.eye(len(R)) == R).all() for R in after.params.R)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: copi.AlonsoInferenceLearning(share=2), ValueError, "share is 2: needs at most 1"),
        (lambda: copi.AlonsoInferenceLearning(gamma_top=-1), ValueError, "gamma_top is -1: needs at least 0"),
        (lambda: copi.AlonsoProx(alpha=0), ValueError, "alpha is 0: needs a number above 0"),
        (lambda: copi.AlonsoProx(steps=1.5), TypeError, "steps is 1.5: needs a whole number"),
        (lambda: copi.AlonsoProx(input_activation=1), TypeError, "input_activation is 1: needs True or False"),
    ],
)
def test_settings_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_softmax_is_not_rational(rng):
    W, R, _, y0, target = network(rng, fractions)
    params = copi.Params(W, R)
    for name in ("il-alonso", "il-prox"):
        credit = dataclasses.replace(copi.CREDIT[name], **({"alpha": 1} if name == "il-prox" else {}))
        with pytest.raises(TypeError, match="softmax is not rational"):
            credit(params, copi.forward(params, y0), copi.Task(target))

"""Inference Learning: energies and their gradients, inference, updates."""

import functools
import itertools
from fractions import Fraction

import naive
import naive_credit
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import network, scaled

import copi_ref as copi
from copi_ref.inference_learning import (
    ORDERS,
    PREDICTIONS,
    PROX_SCHEDULES,
    SCHEDULES,
    Form,
    Weights,
    forward_states,
    il_energy,
    il_gradient,
    il_prox_update,
    il_update,
    infer,
    infer_prox,
    predictions,
    prox_energy,
    prox_gradient,
)
from copi_ref.inference_learning.weights import multiplied_where_cheaper
from copi_ref.to_convergence.minimise import minimise


def settled_at(W, R, y0, h, f, convention="weights-after-activation", mean=None):
    params = copi.Params(W, R, mean)
    return params, predictions(params, y0, h, f, convention)


def states(rng, like, size=1.0):
    """States that are near nothing in particular."""
    return tuple(size * draw(rng, *np.shape(a)) for a in like)


# --- energies and gradients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ORDERS)
@pytest.mark.parametrize("f", ["identity", "leaky_relu"])
def test_the_energy_of_il_equals_the_loops_exactly(f, convention, rng):
    W, R, _, y0, _ = network(rng, fractions)
    h = tuple(fractions(rng, N, w.shape[0]) for w in W)
    _, settled = settled_at(W, R, y0, h, copi.ACTIVATIONS[f], convention)
    for n, energy in enumerate(il_energy(settled)):
        rows = [h_l[n].tolist() for h_l in h]
        lists = [w.tolist() for w in W], [r.tolist() for r in R]
        assert energy == naive_credit.il_energy(*lists, y0[n].tolist(), rows, f, convention)


@pytest.mark.parametrize("output", ["activation", "linear"])
@pytest.mark.parametrize("f", ["identity", "leaky_relu"])
def test_the_energy_of_il_prox_equals_the_loops_exactly(f, output, rng):
    W, R, _, y0, target = network(rng, fractions)
    h, alpha = tuple(fractions(rng, N, w.shape[0]) for w in W), Fraction(2, 3)
    _, settled = settled_at(W, R, y0, h, copi.ACTIVATIONS[f])
    task = copi.Task(target, activation=copi.ACTIVATIONS[f], output=output)
    energies = prox_energy(settled, task, alpha)
    o = f if output == "activation" else "identity"
    loss = functools.partial(naive.loss, "quadratic")
    for n, energy in enumerate(energies):
        rows = [h_l[n].tolist() for h_l in h]
        lists = [w.tolist() for w in W], [r.tolist() for r in R]
        assert energy == naive_credit.prox_energy(*lists, y0[n].tolist(), rows, f, o, loss, target[n].tolist(), alpha)


def slopes(energy, h, step=1e-5):
    """Central differences of Σ energy with respect to each entry of each state."""
    result = []
    for layer, h_l in enumerate(h):
        slope = np.zeros_like(h_l)
        for at in np.ndindex(h_l.shape):
            ends = []
            for sign in (1, -1):
                moved = h_l.copy()
                moved[at] += sign * step
                ends.append(np.sum(energy((*h[:layer], moved, *h[layer + 1 :]))))
            slope[at] = (ends[0] - ends[1]) / (2 * step)
        result.append(slope)
    return result


def away_from_the_kink(h, margin=1e-3):
    return tuple(np.where(np.abs(h_l) < margin, margin, h_l) for h_l in h)


@pytest.mark.parametrize("convention", ORDERS)
@pytest.mark.parametrize("f", copi.ACTIVATIONS)
def test_the_gradient_of_il_is_that_of_its_energy(f, convention, rng):
    W, R, _, y0, _ = network(rng, scaled)
    y0, f = y0[:3], copi.ACTIVATIONS[f]
    h = away_from_the_kink(states(rng, [np.zeros((3, w.shape[0])) for w in W]))
    params, settled = settled_at(W, R, y0, h, f, convention)
    if settled.psi[-1] is f:  # a difference of 1e-5 in h moves a by less, as rows of W R have sums below 1
        assert min(np.abs(a).min() for a in settled.trace.a) > 2e-5, "a kink is within reach of a difference"
    numeric = slopes(lambda h: il_energy(settled_at(W, R, y0, h, f, convention)[1]), h)
    for exact, slope in zip(il_gradient(params, settled), numeric, strict=True):
        # h²/6 times a third derivative, and u/h: both near 1e-10 for energies of order 10.
        np.testing.assert_allclose(exact, slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("output", ["activation", "linear"])
@pytest.mark.parametrize("loss", copi.LOSSES)
@pytest.mark.parametrize("f", copi.ACTIVATIONS)
def test_the_gradient_of_il_prox_is_that_of_its_energy(f, loss, output, rng):
    W, R, _, y0, target = network(rng, lambda rng, *shape: draw(rng, *shape) / 2)
    y0, f = y0[:3], copi.ACTIVATIONS[f]
    h = away_from_the_kink(states(rng, [np.zeros((3, w.shape[0])) for w in W]))
    if f.name == "relu":
        h = tuple(np.abs(h_l) for h_l in h)  # an input x = 0 has no gradient
    task = copi.Task(target[:3], copi.LOSSES[loss], f, output=output)
    params, settled = settled_at(W, R, y0, h, f)
    powers = [np.sum(x**2, axis=1) for x in settled.trace.x]
    assert min(p.min() for p in powers) > 2e-2, "the energy has too large derivatives for these differences"
    numeric = slopes(lambda h: prox_energy(settled_at(W, R, y0, h, f)[1], task, 0.5), h)
    for exact, slope in zip(prox_gradient(params, settled, task, 0.5), numeric, strict=True):
        # The third derivative of 1/‖x‖² is below 10⁴ of the energy here, so that h²/6 of it is below 1e-6.
        np.testing.assert_allclose(exact, slope, rtol=1e-5, atol=1e-5)


def test_a_forward_pass_is_a_state_without_errors(rng):
    """With the loss of its own output at a minimum, neither energy has a slope there."""
    W, R, _, y0, _ = network(rng, scaled)
    params, f = copi.Params(W, R), copi.tanh
    trace = copi.forward(params, y0, f)
    for convention, h in zip(ORDERS, (trace.a, trace.y), strict=True):
        settled = predictions(params, y0, h, f, convention)
        assert (il_energy(settled) == 0).all()
        assert all((gradient == 0).all() for gradient in il_gradient(params, settled))
    task = copi.Task(trace.y[-1], activation=f)
    settled = predictions(params, y0, trace.a, f)
    assert (prox_energy(settled, task, 0.5) == 0).all()
    assert all((gradient == 0).all() for gradient in prox_gradient(params, settled, task, 0.5))


def test_an_input_of_zero_moves_no_weight_and_divides_nothing(xp):
    """Without an input no weight can change what a layer does: all states stay, and the implicit step is 0 too."""
    W, R = (np.ones((3, 2)), np.ones((1, 3))), (np.eye(2), np.eye(3))
    params = copi.Params(xp.asarray(W), xp.asarray(R))
    y0, target = xp.asarray([[0.0, 0.0]]), xp.asarray([[1.0]])
    trace, task = copi.forward(params, y0), copi.Task(target)
    implicit = copi.implicit_sgd_step(params, y0, task, 0.5)
    for states in (
        infer_prox(params, y0, trace.a, task, 0.5, 25, 0.5),
        copi.infer_prox_to_convergence(params, y0, trace.a, task, 0.5),
    ):
        assert all((xp.numpy(h) == 0).all() for h in states)
        for update in il_prox_update(predictions(params, y0, states, copi.leaky_relu)):
            assert (xp.numpy(update) == 0).all()
    assert all((xp.numpy(new) == old).all() for new, old in zip(implicit.W, W, strict=True))


def test_a_dead_layer_keeps_what_is_above_it(rng):
    """All units of layer 1 below the kink of relu: x_2 = 0, so h_2 can't move, and no weight does."""
    params = copi.Params((-np.ones((3, 2)), draw(rng, 2, 3)), (np.eye(2), np.eye(3)))
    y0, task = np.ones((1, 2)), copi.Task(np.ones((1, 2)), activation=copi.relu)
    trace = copi.forward(params, y0, copi.relu)
    states = infer_prox(params, y0, trace.a, task, 0.5, 25, 0.5)
    for h, a in zip(states, trace.a, strict=True):
        np.testing.assert_array_equal(h, a)


def test_tiny_inputs_do_not_overflow():
    params = copi.init_params((4, 3, 2), np.random.default_rng(0), "float32", np)
    y0, task = np.full((1, 4), 1e-12, "float32"), copi.Task(np.ones((1, 2), "float32"))
    trace = copi.forward(params, y0)
    assert all(np.isfinite(h).all() for h in infer_prox(params, y0, trace.a, task, 0.5, 25, 0.5))


# --- inference -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ORDERS)
def test_inference_lowers_the_energy_to_its_minimum(convention, xp, rng):
    """Gradient descent falls at every step, and ends where the converged solver ends.

    With W R small (row sums below 1 up and 3 down) the energy is convex enough: the two agree to the tolerance divided
    by its curvature, which is above 1/4.
    """
    W, R, _, y0, target = network(rng, scaled)
    W = tuple(w / 2 for w in W)
    params, f = copi.Params(xp.asarray(W), xp.asarray(R)), copi.tanh
    y0 = xp.asarray(y0)
    trace = copi.forward(params, y0, f)
    start = (*(trace.a if convention == "weights-after-activation" else trace.y)[:-1], xp.asarray(target))
    h, energies = start, []
    for _ in range(40):
        energies.append(xp.numpy(il_energy(predictions(params, y0, h, f, convention))))
        h = infer(params, y0, h, f, 10, 0.1, convention)
    assert all((late < early).all() for early, late in itertools.pairwise(energies[:6]))
    converged = copi.infer_to_convergence(params, y0, start, f, 1e-9, convention)
    for one, other in zip(h, converged, strict=True):
        assert_close(xp.numpy(one), xp.numpy(other), 1e-7)
    gradients = il_gradient(params, predictions(params, y0, converged, f, convention))[:-1]
    assert max(np.abs(xp.numpy(gradient)).max() for gradient in gradients) <= 2e-9


@pytest.mark.parametrize("alpha", [0.01, 0.5, 10])
@pytest.mark.parametrize("schedule", PROX_SCHEDULES)
def test_prox_inference_lowers_the_energy_to_its_minimum(alpha, schedule, rng):
    """The default γ serves every α, layers that narrow among them: the energy falls in each step, to the minimum."""
    params, f, gamma = copi.init_params((12, 4, 6, 2), rng, "float64", np), copi.tanh, 0.5
    y0 = 2 * draw(rng, N, 12)
    trace = copi.forward(params, y0, f)
    task = copi.Task(draw(rng, N, 2) / 4, activation=f)
    energies, h = [], trace.a
    for _ in range(40):
        energies.append(prox_energy(predictions(params, y0, h, f), task, alpha))
        h = infer_prox(params, y0, h, task, alpha, 1, gamma, schedule=schedule)
    assert all((late < early).all() for early, late in itertools.pairwise(energies))
    h = infer_prox(params, y0, h, task, alpha, 3000, gamma, schedule=schedule)
    converged = copi.infer_prox_to_convergence(params, y0, h, task, alpha, 1e-9)
    least = prox_energy(predictions(params, y0, converged, f), task, alpha)
    # Where tanh is saturated the energy is flat, and the last of the way long: energies are compared, not states.
    np.testing.assert_allclose(prox_energy(predictions(params, y0, h, f), task, alpha), least, rtol=2e-2)


@pytest.mark.parametrize("f", ["identity", "leaky_relu"])
def test_a_sweep_of_proximal_il_moves_one_layer_after_the_other(f, rng):
    """Exactly as the loops that predict all states anew for each layer."""
    W, R, _, y0, target = network(rng, fractions)
    alpha, gamma, task = Fraction(1, 2), Fraction(1, 4), copi.Task(target, activation=copi.ACTIVATIONS[f])
    params = copi.Params(W, R)
    start = copi.forward(params, y0, task.activation).a
    states = infer_prox(params, y0, start, task, alpha, 2, gamma, schedule="top-down")
    descent, lists = functools.partial(naive.descent, "quadratic"), ([w.tolist() for w in W], [r.tolist() for r in R])

    def one(a, y0, target):
        return naive_credit.prox_states(*lists, y0[0], a, f, descent, target[0], alpha, 2, gamma, top_down=True)

    for ours, by_hand in zip(states, naive_credit.by_sample(one, start, [y0], [target]), strict=True):
        assert_exact(ours, by_hand)


def test_a_sweep_of_proximal_il_carries_the_error_down_at_once_and_ends_nearer(rng):
    """From a forward pass one step of all states moves the output alone; a sweep moves every layer."""
    params, f = copi.init_params((12, 9, 8, 7, 5), rng, "float64", np), copi.tanh
    y0, task = 2 * draw(rng, N, 12), copi.Task(draw(rng, N, 5) / 4, activation=f)
    start = copi.forward(params, y0, f).a

    def settle(steps, schedule):
        return infer_prox(params, y0, start, task, 1, steps, 0.5, schedule=schedule)

    moved = {name: [(h != a).any() for h, a in zip(settle(1, name), start, strict=True)] for name in PROX_SCHEDULES}
    assert moved == {"all-at-once": [False, False, False, True], "top-down": [True] * 4}
    once, down = (prox_energy(predictions(params, y0, settle(25, name), f), task, 1) for name in moved)
    assert (down < once).all()


def test_what_can_not_converge_says_so_and_gives_its_best(rng):
    W, R, _, y0, target = network(rng, scaled)
    params, task = copi.Params(W, R), copi.Task(target)
    trace = copi.forward(params, y0)
    with pytest.raises(copi.NotConvergedError, match=r"the gradient's largest entry is .*: needs at most") as caught:
        copi.infer_prox_to_convergence(params, y0, trace.a, task, 0.5, tolerance=1e-300)
    assert [h.shape for h in caught.value.point] == [a.shape for a in trace.a]
    assert 0 < caught.value.residual < 1
    with pytest.raises(copi.NotConvergedError) as caught:
        copi.infer_to_convergence(params, y0, (*trace.a[:-1], target), copi.tanh, tolerance=1e-300)
    assert caught.value.point[-1] is target
    with pytest.raises(copi.NotConvergedError) as caught:
        copi.implicit_sgd_step(params, y0, copi.Task(target, activation=copi.tanh), 0.5, tolerance=1e-300)
    assert isinstance(caught.value.point, copi.Params)


def test_a_stationary_point_that_is_higher_is_no_minimum():
    """|x| (2 − |x|) has its minimum at the kink, 0; stationary it is at ±1 only, at the top, where Newton leads."""

    def hill(x):
        size, side = np.abs(x).item(), np.where(x < 0, -1.0, 1.0)
        return size * (2 - size), side * (2 - 2 * size)

    with pytest.raises(copi.NotConvergedError) as caught:
        minimise(hill, np.array([0.3]), 1e-8)
    assert abs(caught.value.point.item()) < 0.3


def test_the_products_of_W_and_R_are_formed_where_they_cost_less(rng):
    """M K² once, against 2 N K² in each step: N = 3 and T = 2 save as much as 12 units cost."""
    sizes = (5, 13, 12, 11, 2)
    W = tuple(draw(rng, m, k) for k, m in itertools.pairwise(sizes))
    weights = Weights(W, tuple(draw(rng, k, k) for k in sizes[:-1]), b=tuple(draw(rng, m) for m in sizes[1:]))
    used = multiplied_where_cheaper(weights, 3, 2)
    assert [R is None for R in used.R] == [False, False, True, True]
    for layer, (ours, theirs) in enumerate(zip(used.W, weights.W, strict=True)):
        np.testing.assert_array_equal(ours, theirs if layer < 2 else theirs @ weights.R[layer])
    assert used.b is weights.b
    assert multiplied_where_cheaper(Weights(W), 3, 2).W is W


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_sample_settles_as_it_does_among_others(schedule, prediction, rng):
    """Alone its products of W and R are not formed, in a batch they are: exact states are equal all the same."""
    W, R, _, y0, target = network(rng, fractions)
    weights = Weights(W, R, tuple(fractions(rng, len(r)) for r in R), tuple(fractions(rng, len(w)) for w in W))
    form = Form(order="activation-after-weights", biases="inside")

    def settle(rows):
        start = (*forward_states(weights, y0[rows], copi.leaky_relu, form)[:-1], target[rows])
        args = (y0[rows], start, copi.leaky_relu, 1, Fraction(1, 4), form)
        return infer(weights, *args, schedule=schedule, prediction=prediction)

    assert multiplied_where_cheaper(weights, 1, 1).R[1] is not None
    assert multiplied_where_cheaper(weights, N, 1).R[1] is None
    for among, alone in zip(settle(slice(None)), settle(slice(1)), strict=True):
        assert_exact(among[:1], alone.tolist())


# --- updates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ORDERS)
def test_the_update_of_il_is_the_descent_of_its_energy_over_weights(convention, rng):
    """ΔW_l = −∂E[F]/∂W_l at fixed states, by central differences (F is a polynomial or a smooth function of W)."""
    W, R, _, y0, _ = network(rng, scaled)
    h, f, step = states(rng, [np.zeros((N, w.shape[0])) for w in W]), copi.tanh, 1e-5
    _, settled = settled_at(W, R, y0, h, f, convention)
    for layer, update in enumerate(il_update(settled)):
        for at in [(0, 0), (1, 2), (2, 1)]:
            ends = []
            for sign in (1, -1):
                moved = W[layer].copy()
                moved[at] += sign * step
                other = (*W[:layer], moved, *W[layer + 1 :])
                ends.append(np.mean(il_energy(settled_at(other, R, y0, h, f, convention)[1])))
            np.testing.assert_allclose(update[at], -(ends[0] - ends[1]) / (2 * step), rtol=1e-7, atol=1e-9)


def test_the_update_of_il_prox_makes_the_states_the_networks_own(rng):
    """For one sample (W_l + ΔW_l) x_l = h_l, exactly: a forward pass through the new weights gives the states back."""
    W, R, _, y0, _ = network(rng, fractions)
    y0 = y0[:1]
    h = tuple(fractions(rng, 1, w.shape[0]) + Fraction(1, 7) for w in W)
    _, settled = settled_at(W, R, y0, h, copi.leaky_relu)
    new = tuple(w + update for w, update in zip(W, il_prox_update(settled), strict=True))
    assert all((a == h_l).all() for a, h_l in zip(copi.forward(copi.Params(new, R), y0).a, h, strict=True))


@pytest.mark.parametrize("f", [copi.leaky_relu, copi.tanh], ids=lambda f: f.name)
@pytest.mark.parametrize("convention", ORDERS)
def test_what_the_weights_see_is_what_inference_settled_on(convention, f, rng):
    """`infer` of the credit method: the settled inputs and predictions, and ψ′ ∘ e, under both conventions."""
    W, R, _, y0, target = network(rng, scaled)
    params, task = copi.Params(W, R), copi.Task(target, activation=f)
    trace = copi.forward(params, y0, f)
    seen, deltas = copi.InferenceLearning(3, 0.25, convention).infer(params, trace, task)
    outputs = convention != "weights-after-activation"
    delta_L = copi.backpropagation(params, trace, task)[-1]
    top = trace.y[-1] + 2 * (target - trace.y[-1]) if outputs else trace.a[-1] + delta_L
    start = (*(trace.y if outputs else trace.a)[:-1], top)
    h = infer(params, y0, start, f, 3, 0.25, convention)
    x, a, p = [trace.x[0]], [trace.a[0]], []
    for layer in (1, 2):
        x.append((h[layer - 1] if outputs else f(h[layer - 1])) @ R[layer].T)
        a.append(x[-1] @ W[layer].T)
    p = [f(a_l) for a_l in a] if outputs else a
    slope = [f.derivative(a_l) for a_l in a] if outputs else [1, 1, 1]
    for l in range(3):  # noqa: E741
        assert_close(seen.x[l], x[l])
        assert_close(seen.a[l], a[l])
        assert_close(deltas[l], slope[l] * (h[l] - p[l]))


@pytest.mark.parametrize("name", ["il", "il-prox"])
def test_a_recipe_with_inferred_states_takes_these_updates(name, rng):
    """The general step, told to learn from inferred states, makes IL's and IL-prox's own updates, exactly."""
    W, R, _, y0, target = network(rng, fractions)
    quarter, eta = Fraction(1, 4), Fraction(1, 3)
    params, task = copi.Params(W, R), copi.Task(target)
    trace = copi.forward(params, y0)
    if name == "il":
        credit, rule, update = copi.InferenceLearning(2, quarter), "sgd", il_update
        top = trace.a[-1] + copi.backpropagation(params, trace, task)[-1]
        h = infer(params, y0, (*trace.a[:-1], top), copi.leaky_relu, 2, quarter)
    else:
        credit, rule, update = copi.ProximalInferenceLearning(Fraction(1, 2), 1, quarter), "nlms", il_prox_update
        h = infer_prox(params, y0, trace.a, task, Fraction(1, 2), 1, quarter)
    recipe = copi.Recipe(eta_w=eta, eta_r=0, credit=credit, weight_rule=rule, states="inferred", lateral_rule="none")
    rng_state = dict(np.random.default_rng(0).bit_generator.state)
    after = copi.step(recipe, copi.State(params, ((), (), ()), None, rng_state), y0, target)
    updates = update(predictions(params, y0, h, copi.leaky_relu))
    for new, old, dW in zip(after.params.W, W, updates, strict=True):
        assert (new == old + eta * dW).all()

"""The forward pass and the perturbations: against the naive loops, finite differences and autodiff."""

import dataclasses
import importlib

import naive
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled

import copi_ref as copi
from copi_ref.arrays import backend
from copi_ref.task import OUTPUTS


def run(
    xp, W, R, y0, target, *, activation=copi.leaky_relu, loss=copi.quadratic, B=None, credit="bp", output="activation"
):
    params = copi.Params(W=xp.asarray(W), R=xp.asarray(R))
    trace = copi.forward(params, xp.asarray(y0), activation)
    feedback = None if B is None else xp.asarray(B)
    task = copi.Task(xp.asarray(target), loss, activation, feedback, output=output)
    return trace, copi.CREDIT[credit](params, trace, task)


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
def test_forward_equals_the_naive_loops(name, xp, rng):
    W, R, _, y0, target = network(rng, scaled)
    trace, _ = run(xp, W, R, y0, target, activation=copi.ACTIVATIONS[name])
    expected = naive.forward(lists(W), lists(R), y0.tolist(), name)
    for ours, by_hand in zip((trace.x, trace.a, trace.y), expected, strict=True):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_close(xp.numpy(array), rows)


@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu"])
def test_forward_is_exact_for_fractions(name, rng):
    W, R, _, y0, _ = network(rng, fractions)
    params, f = copi.Params(W=W, R=R), copi.ACTIVATIONS[name]
    trace = copi.forward(params, y0, f)
    expected = naive.forward(lists(W), lists(R), y0.tolist(), name)
    for ours, by_hand in zip((trace.x, trace.a, trace.y), expected, strict=True):
        for array, rows in zip(ours, by_hand, strict=True):
            assert_exact(array, rows)


@pytest.mark.parametrize("credit", ["bp", "fa"])
def test_a_stack_gives_what_its_members_give(credit, xp, rng):
    W, R, B, y0, target = network(rng, scaled, leading=(4, 2))
    stacked_trace, stacked = run(xp, W, R, y0, target, B=B, credit=credit)
    for at in np.ndindex(4, 2):
        member = [tuple(array[at] for array in arrays) for arrays in (W, R, B)]
        trace, deltas = run(xp, *member[:2], y0[at], target[at], B=member[2], credit=credit)
        for stack, alone in zip((*stacked_trace.y, *stacked), (*trace.y, *deltas), strict=True):
            assert_close(xp.numpy(stack)[at], xp.numpy(alone))


def test_one_batch_serves_a_stack_of_networks(rng):
    W, R, _, y0, _ = network(rng, scaled, leading=(4,))
    stacked = copi.forward(copi.Params(W=W, R=R), y0[0]).y[-1]
    alone = copi.forward(copi.Params(W=tuple(w[3] for w in W), R=tuple(r[3] for r in R)), y0[0]).y[-1]
    assert_close(stacked[3], alone)


@pytest.mark.parametrize("loss", copi.LOSSES.values(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("f", copi.ACTIVATIONS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("lateral", ["with R", "without R"])
def test_bp_equals_finite_differences(lateral, f, loss, rng):
    """δ_l = −dℓ/da_l, for every activation and loss, by changing one pre-activation of one sample at a time."""
    W, R, *_ = network(rng, lambda rng, *shape: draw(rng, *shape) / 2)
    R = R if lateral == "with R" else tuple(np.eye(len(r)) for r in R)
    y0, target = draw(rng, 40, SIZES[0]), np.eye(SIZES[-1])[rng.integers(0, SIZES[-1], 40)]
    params = copi.Params(W=W, R=R)
    trace = copi.forward(params, y0, f)
    deltas = copi.backpropagation(params, trace, copi.Task(target, loss, f))
    h = 1e-5
    # A sample counts where no pre-activation can cross the kink: a change of h grows at most 1000-fold on its way up.
    growth = np.prod([np.linalg.norm(W_l @ R_l, 2) for W_l, R_l in zip(W[1:], R[1:], strict=True)])
    assert growth < 1000
    clear = np.all([(np.abs(a) > 1000 * h).all(axis=1) for a in trace.a], axis=0)
    assert clear.sum() >= 5

    def loss_from(layer, a):
        y = f(a)
        for R_l, W_l in zip(R[layer + 1 :], W[layer + 1 :], strict=True):
            y = f((y @ R_l.T) @ W_l.T)
        return loss(y, target)

    for layer, (a, delta) in enumerate(zip(trace.a, deltas, strict=True)):
        for unit in range(a.shape[1]):
            bump = h * np.eye(a.shape[1])[unit]
            slope = (loss_from(layer, a + bump) - loss_from(layer, a - bump)) / (2 * h)
            # Truncation h²/6·|ℓ‴| and rounding u·|ℓ|/h are both near 1e-10 for values and derivatives of order 10.
            np.testing.assert_allclose(delta[clear, unit], -slope[clear], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss", copi.LOSSES.values(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("f", copi.ACTIVATIONS.values(), ids=lambda f: f.name)
@pytest.mark.parametrize("lateral", ["with R", "without R"])
@pytest.mark.parametrize("framework", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "jax")])
def test_bp_equals_autodiff(framework, lateral, f, loss, rng):
    """E[δ_l x_lᵀ] = −d mean(ℓ)/dW_l, with the derivative by the framework through this library's own forward."""
    W, R, _, y0, target = network(rng, scaled)
    R = R if lateral == "with R" else tuple(np.eye(len(r)) for r in R)
    library = importlib.import_module(framework)
    if framework == "torch":
        make = library.tensor

        def gradients(mean_loss, W):
            leaves = [w.requires_grad_() for w in W]
            return library.autograd.grad(mean_loss(leaves), leaves)
    else:
        make = library.numpy.asarray

        def gradients(mean_loss, W):
            return library.grad(mean_loss)(list(W))

    W, R = tuple(map(make, W)), tuple(map(make, R))
    y0, target = make(y0), make(target)

    def mean_loss(W):
        return loss(copi.forward(copi.Params(W=tuple(W), R=R), y0, f).y[-1], target).mean()

    params = copi.Params(W=W, R=R)
    trace = copi.forward(params, y0, f)
    deltas = copi.backpropagation(params, trace, copi.Task(target, loss, f))
    updates = [copi.sgd_update(x, delta) for x, delta in zip(trace.x, deltas, strict=True)]
    for update, gradient in zip(updates, gradients(mean_loss, W), strict=True):
        assert_close(np.asarray(update), -np.asarray(gradient))


def test_fa_with_the_transposed_weights_is_bp(xp, rng):
    W, R, _, y0, target = network(rng, scaled)
    B = tuple((W_l @ R_l).T for W_l, R_l in zip(W[1:], R[1:], strict=True))
    _, bp = run(xp, W, R, y0, target)
    _, fa = run(xp, W, R, y0, target, B=B, credit="fa")
    for one, other in zip(bp, fa, strict=True):
        assert_close(xp.numpy(one), xp.numpy(other))


def test_pre_activation_output_keeps_the_slope_of_f(rng):
    """The TMLR experiments compare a_L with the target, though δ_L still carries f′(a_L)."""
    W, R, _, y0, target = network(rng)
    params = copi.Params(W=W, R=R)
    trace = copi.forward(params, y0)
    assert (trace.a[-1] < 0).any()
    task = copi.Task(target, copi.half_quadratic, output="pre-activation")
    delta = copi.backpropagation(params, trace, task)[-1]
    slope = np.where(trace.a[-1] >= 0, 1.0, 0.1)
    np.testing.assert_array_equal(delta, slope * (target - trace.a[-1]))
    assert OUTPUTS["pre-activation"](trace) is trace.a[-1]


def test_feedback_is_xavier_normal():
    (B,) = copi.init_feedback("fa", (5, 200, 300), np.random.default_rng(1), "float64", np)
    assert B.shape == (200, 300)
    # Six standard errors of a variance of 60,000 normals, as below.
    assert abs(B.var() / (2 / 500) - 1) < 6 * np.sqrt(2 / B.size)


def test_arrays_are_float32_by_default():
    rng = np.random.default_rng(0)
    assert copi.init_params((2, 3), rng, xp=np).W[0].dtype == np.float32
    assert copi.init_feedback("fa", (2, 3, 4), rng, xp=np)[0].dtype == np.float32


def test_a_network_of_one_layer(rng):
    params = copi.Params(W=(draw(rng, 3, 5),), R=(draw(rng, 5, 5),))
    trace = copi.forward(params, draw(rng, N, 5))
    task = copi.Task(draw(rng, N, 3))
    delta_L = copi.quadratic.perturbation(trace.y[-1], trace.a[-1], task.target, copi.leaky_relu)
    for method in (copi.backpropagation, copi.feedback_alignment):
        (delta,) = method(params, trace, dataclasses.replace(task, feedback=()))
        np.testing.assert_array_equal(delta, delta_L)


def test_init_params_is_xavier_normal_and_identity(xp):
    params = copi.init_params((200, 300, 2), np.random.default_rng(1), "float64", xp.xp)
    W = backend.to_numpy(params.W[0])
    assert W.shape == (300, 200)
    # The variance of 60,000 normals has a relative standard error of √(2/60,000) = 0.6 %; six of them are allowed.
    assert abs(W.var() / (2 / 500) - 1) < 6 * np.sqrt(2 / W.size)
    assert abs(W.mean()) < 6 * np.sqrt(2 / 500 / W.size)
    assert [tuple(R.shape) for R in params.R] == [(200, 200), (300, 300)]
    for R in params.R:
        np.testing.assert_array_equal(backend.to_numpy(R), np.eye(R.shape[0]))


def test_one_seed_gives_one_network_on_every_library(xp):
    sizes = (5, 4, 3)
    ours = copi.init_params(sizes, np.random.default_rng(3), "float32", xp.xp)
    reference = copi.init_params(sizes, np.random.default_rng(3), "float32", np)
    for mine, theirs in zip(ours.W, reference.W, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(mine), theirs)


def test_init_feedback_has_the_shape_of_the_transposes():
    B = copi.init_feedback("fa", (5, 4, 6, 3), np.random.default_rng(0), xp=np)
    assert [b.shape for b in B] == [(4, 6), (6, 3)]
    assert copi.init_feedback(copi.feedback_alignment, (5, 4, 6, 3), np.random.default_rng(0), xp=np) is not None
    assert copi.init_feedback("bp", (5, 4, 6, 3), np.random.default_rng(0)) is None

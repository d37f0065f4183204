"""Inference to convergence: sample by sample, and with minima that lie on a kink."""

import numpy as np
import pytest
from compare import draw

import copi_ref as copi
from copi_ref.inference_learning import ORDERS

SIZES = (6, 5, 4, 3)
SAMPLES = 16


def problem(f, order, seed=0, samples=SAMPLES):
    """A network with inputs and targets of order 1, and states of its forward pass with the output clamped."""
    rng = np.random.default_rng(seed)
    params = copi.init_params(SIZES, rng, "float64", np)
    y0, target = rng.normal(size=(samples, SIZES[0])), rng.normal(size=(samples, SIZES[-1]))
    states = copi.forward_states(params, y0, f, order)
    return params, y0, (*states[:-1], target)


def energies(params, y0, states, f, order):
    return copi.il_energy(copi.predictions(params, y0, states, f, order))


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_gives_what_its_samples_give(order):
    params, y0, states = problem(copi.tanh, order)
    together = copi.infer_to_convergence(params, y0, states, copi.tanh, 1e-9, order)
    for n in range(0, SAMPLES, 5):
        alone = copi.infer_to_convergence(
            params, y0[n : n + 1], tuple(h[n : n + 1] for h in states), copi.tanh, 1e-9, order
        )
        for h, h_n in zip(together, alone, strict=True):
            np.testing.assert_array_equal(h[n : n + 1], h_n)
    gradients = copi.il_gradient(params, copi.predictions(params, y0, together, copi.tanh, order))
    assert max(np.abs(gradient).max() for gradient in gradients[:-1]) <= 1e-9


@pytest.mark.parametrize("order", ORDERS)
def test_of_an_ensemble_every_network_converges_on_its_own(order):
    (one, y0, states), (other, *_) = problem(copi.tanh, order, 0, 2), problem(copi.tanh, order, 1, 2)
    W, R = ([np.stack(pair) for pair in zip(*parts, strict=True)] for parts in ((one.W, other.W), (one.R, other.R)))
    stacked = copi.infer_to_convergence(copi.Params(tuple(W), tuple(R)), y0, states, copi.tanh, 1e-9, order)
    for member, params in enumerate((one, other)):
        alone = copi.infer_to_convergence(params, y0, states, copi.tanh, 1e-9, order)
        for h, h_m in zip(stacked[:-1], alone[:-1], strict=True):
            np.testing.assert_array_equal(h[member], h_m)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("f", [copi.relu, copi.leaky_relu], ids=lambda f: f.name)
def test_no_direction_leads_down_from_a_minimum_at_a_kink(f, order):
    """F along 200 directions, at two distances: a slope of −10⁻⁴ would be seen, curvature and rounding would not.

    What is a kink depends on the form: h_i = 0 of a state, or (W h)_i = 0.
    """
    params, y0, states = problem(f, order)
    with np.errstate(all="raise"):
        ends = copi.infer_to_convergence(params, y0, states, f, 1e-8, order)
    settled = copi.predictions(params, y0, ends, f, order)
    arguments = settled.states[:-1] if order == "weights-after-activation" else settled.trace.a[1:]
    at_kink = np.concatenate([np.abs(one) < 1e-9 for one in arguments], axis=1).any(axis=1)
    assert at_kink.sum() >= 3
    least, rng = energies(params, y0, ends, f, order), np.random.default_rng(1)
    assert (least <= energies(params, y0, states, f, order)).all()
    for _ in range(200):
        direction = [draw(rng, *h.shape) for h in ends[:-1]]
        for size in (1e-7, 1e-6):
            moved = (*(h + size * d for h, d in zip(ends, direction, strict=False)), ends[-1])
            assert (energies(params, y0, moved, f, order) - least > -1e-4 * size).all()


def test_states_at_a_kink_are_lower_than_a_long_descent_gets():
    """Gradient descent with a small step rattles around the kink, just above the minimum that is found."""
    f, order = copi.leaky_relu, "weights-after-activation"
    params, y0, states = problem(f, order)
    ends = copi.infer_to_convergence(params, y0, states, f, 1e-8, order)
    slow = copi.infer(params, y0, states, f, 4000, 0.01, order)
    difference = energies(params, y0, slow, f, order) - energies(params, y0, ends, f, order)
    assert (difference >= -1e-6).mean() > 0.8, "in another valley now and then, but not as a rule"
    assert np.median(difference) < 1e-2


def test_samples_that_do_not_converge_are_counted_and_the_others_are_right():
    params, y0, states = problem(copi.tanh, "weights-after-activation", samples=3)
    with pytest.raises(copi.NotConvergedError, match=r"3 sample\(s\) did not converge, the worst is \d: the gra"):
        copi.infer_to_convergence(params, y0, states, copi.tanh, 1e-300)


def test_a_network_without_hidden_layers_has_nothing_to_find():
    params, y0 = copi.init_params((3, 2), np.random.default_rng(0), "float64", np), np.ones((4, 3))
    target = np.zeros((4, 2))
    assert copi.infer_to_convergence(params, y0, (target,), copi.relu) == (target,)


@pytest.mark.parametrize("t", [5e-5, 1e-4])
def test_a_unit_near_its_kink_is_not_taken_for_one_at_it(t):
    """Three units by themselves, F = ½(h − p)² + ½(t − f(h))² each: at the kink, beside it, and far from it.

    The first has slopes −p − t/10 < 0 < −p − t on both sides of 0; the others lie at (p + t)/2, above 0. Where p = t
    no slope at the kink does anything, and else the one that would make it a minimum is below 0.
    """
    network = copi.Weights((np.array([[0.1], [5e-5], [2.0]]), np.eye(3)))
    start = (np.array([[0.3, 0.2, -0.4]]), np.array([[-0.5, t, 2.0]]))
    h, _ = copi.infer_to_convergence(network, np.ones((1, 1)), start, copi.leaky_relu, 1e-10)
    np.testing.assert_allclose(h, [[0, (5e-5 + t) / 2, 2]], rtol=0, atol=1e-9)

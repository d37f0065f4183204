"""Converged states and implicit steps are judged by residuals, whatever minimiser found them."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

from copi_ref.oracle import InferenceConventions, check
from copi_ref.oracle.inference.convergence import _cases_of_states
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.rounding import PRECISIONS
from inference.loops import Loops

TANH = InferenceConventions(activation="tanh")


class Minimiser(Loops):
    """L-BFGS on each sample's energy."""

    def converge(self, W, y0, h):
        rows = []
        for y, states in zip(self.batch(y0), self.samples(h), strict=True):
            ends = np.cumsum([len(one) for one in states[:-1]])

            def split(flat, ends=ends, top=states[-1]):
                return [*np.split(flat, ends[:-1]), top]

            def value_and_slope(flat, y=y, split=split):
                now = split(flat)
                seen = self.seen(W, y, now, None)
                value = sum(np.sum((one - p) ** 2) for one, p in zip(now, seen[2], strict=True)) / 2
                slopes = [self.gradient(layer, W, now, seen, now, None, 1) for layer in range(len(W) - 1)]
                return value, np.concatenate(slopes)

            rows.append(split(self.lowest(value_and_slope, np.concatenate(states[:-1])).astype(y.dtype)))
        return self.joined(rows)

    def lowest(self, value_and_slope, start):
        options = {"gtol": 1e-10, "ftol": 0, "maxiter": 5000}
        return minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options).x


class Descent(Loops):
    """Gradient descent for a number of steps."""

    def __init__(self, conventions, steps, factor=lambda N: 1):
        super().__init__(conventions)
        self.steps, self.factor = steps, factor

    def converge(self, W, y0, h):
        return self.infer(W, y0, h, 0.2 * self.factor(len(y0)), self.steps)


def only(name, conventions=TANH, **settings):
    return {"conventions": conventions, "only": (name,), "xp": np, **settings}


@pytest.mark.parametrize("form", ["weights-after-activation", "activation-after-weights"])
def test_minima_pass_whatever_found_them(form):
    conventions = InferenceConventions(activation="tanh", form=form)
    report = check(Minimiser(conventions), **only("converge", conventions))
    assert report.ok, report.summary()
    assert "of 76 samples" in report.results[0].notes[0]


def test_states_short_of_the_minimum_fail():
    report = check(Descent(TANH, 25), **only("converge"))
    assert "not converged: |∂F/∂h| of layer" in report.diagnosis
    assert "1/N" not in report.diagnosis


def test_a_rate_that_falls_with_the_batch_is_suspected():
    report = check(Descent(TANH, 60, lambda N: 1 / N), **only("converge"))
    assert "alone the same sample has" in report.diagnosis
    assert "1/N in the dynamics?" in report.diagnosis


class Moves(Minimiser):
    def converge(self, W, y0, h):
        found = super().converge(W, y0, h)
        return [*found[:-1], found[-1] + 1e-9]


class Rises(Minimiser):
    def converge(self, W, y0, h):
        return [*(3 * one for one in super().converge(W, y0, h)[:-1]), h[-1]]


@pytest.mark.parametrize(("wrong", "says"), [(Moves, "clamped output has moved"), (Rises, "the energy of sample")])
def test_other_faults_of_converged_states(wrong, says):
    assert says in check(wrong(TANH), **only("converge")).diagnosis


# --- where f has a kink -----------------------------------------------------------------------------------------------

KINKED = [
    InferenceConventions(activation=activation, form=form)
    for activation in ("leaky_relu", "relu")
    for form in ("weights-after-activation", "activation-after-weights")
]


class Stays(Loops):
    def converge(self, W, y0, h):
        return h


class Newton(Minimiser):
    """One step to the minimum of the quadratic that F is between the kinks where the states are."""

    def lowest(self, value_and_slope, start):
        g, step = value_and_slope(start)[1], 1e-6
        H = np.array([(value_and_slope(start + step * one)[1] - g) / step for one in np.eye(len(start))])
        return start - np.linalg.solve((H + H.T) / 2, g)


@pytest.mark.parametrize("conventions", KINKED, ids=lambda one: f"{one.activation}-{one.form}")
def test_beside_kinks_minimisers_pass(conventions):
    for right in (Minimiser(conventions), Descent(conventions, 400)):
        report = check(right, **only("converge", conventions))
        assert report.ok, report.summary()
        assert "a unit at a kink may have any slope" in report.results[0].notes[0]


@pytest.mark.parametrize("conventions", KINKED, ids=lambda one: f"{one.activation}-{one.form}")
@pytest.mark.parametrize("wrong", [Stays, Newton, lambda conventions: Descent(conventions, 10)])
def test_beside_kinks_states_short_of_the_only_minimum_fail(conventions, wrong):
    report = check(wrong(conventions), **only("converge", conventions))
    assert "not converged: |∂F/∂h| of layer" in report.diagnosis or "the energy of sample" in report.diagnosis
    if wrong is Stays:
        assert "one minimum" in report.results[0].where


@pytest.mark.parametrize("conventions", KINKED, ids=lambda one: f"{one.activation}-{one.form}")
def test_descent_can_end_in_one_place_only(conventions):
    """Wherever F is less than at the start, units are on the sides of the minimum, all but one at most."""
    loops, sizes, rng = Minimiser(conventions), set(), np.random.default_rng(0)

    def energy_and_sides(W, y, states):
        _, a, p = loops.seen(W, y, states, None)
        bent = states[:-1] if conventions.weights_last else a[1:]
        return sum(np.sum((h - one) ** 2) for h, one in zip(states, p, strict=True)), np.concatenate(bent) > 0

    cases = _cases_of_states(right_rules(conventions), conventions, PRECISIONS["float64"], 0)
    for W, y0, states in (map(case.inputs.get, ("W", "y0", "states")) for case, asked in cases if asked):
        sizes.add(len(W))
        for y, start, end in zip(y0, loops.samples(states), loops.samples(loops.converge(W, y0, states)), strict=True):
            (high, before), (_, after) = (energy_and_sides(W, y, one) for one in (start, end))
            assert np.sum(before != after) == 1
            lower = 0
            for size in rng.choice([0.3, 1, 3], 3000):
                drawn = [*(one + size * rng.normal(size=one.shape) for one in end[:-1]), end[-1]]
                energy, sides = energy_and_sides(W, y, drawn)
                if energy < high:
                    lower += 1
                    assert (sides == after).all() or (sides == before).all()
            assert lower > 10
    assert sizes == {2, 3}


# --- implicit steps ---------------------------------------------------------------------------------------------------


def loss_and_gradient(W, y0, target, N):
    """½‖prediction − y*‖² of weights after tanh, mean over N, and its gradient by every W: by hand, in rows."""
    xs, below = [], y0
    for w in W:
        xs.append(below)
        h = below @ w.T
        below = np.tanh(h)
    error, gradients = h - target, []
    for layer in range(len(W) - 1, -1, -1):
        gradients.insert(0, error.T @ xs[layer] / N)
        if layer:
            error = (1 - xs[layer] ** 2) * (error @ W[layer])
    return np.sum((h - target) ** 2) / 2 / N, gradients


class Implicit:
    """The proximal step by L-BFGS on the weights, and what may go wrong with it."""

    def __init__(self, alpha=lambda alpha, N: alpha, explicit=False):
        self.alpha, self.explicit = alpha, explicit

    def implicit_step(self, W, y0, target, alpha):
        N = len(y0)
        alpha = self.alpha(alpha, N)
        shapes, ends = [w.shape for w in W], np.cumsum([w.size for w in W])
        start = np.concatenate([np.ravel(w) for w in W]).astype(np.float64)

        def split(flat):
            return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

        def value_and_slope(flat):
            loss, gradients = loss_and_gradient(split(flat), y0, target, N)
            shift = flat - start
            return alpha * loss + shift @ shift / 2, shift + alpha * np.concatenate([np.ravel(g) for g in gradients])

        if self.explicit:
            return split(start - alpha * np.concatenate([np.ravel(g) for g in loss_and_gradient(W, y0, target, N)[1]]))
        found = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 0}).x
        return [one.astype(w.dtype) for one, w in zip(split(found), W, strict=True)]

    prox_step = implicit_step


@pytest.mark.parametrize("name", ["implicit_step", "prox_step"])
def test_weights_that_put_every_unit_on_the_kink_are_no_pass(name):
    conventions = InferenceConventions(form="activation-after-weights")
    zero = SimpleNamespace(**{name: lambda W, y0, target, alpha: [0 * w for w in W]})
    report = check(zero, **only(name, conventions))
    assert not report.ok
    assert report.results[0].status == "not checked"
    assert report.results[0].skipped == (9 if name == "prox_step" else 18)
    assert "on the kink of f" in report.results[0].notes[0]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", ["implicit_step", "prox_step"])
def test_implicit_steps_pass(name, precision):
    report = check(Implicit(), **only(name, precision=precision))
    assert report.ok, report.summary()


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (Implicit(explicit=True), "explicit-sgd"),
        (Implicit(lambda alpha, N: 1 / alpha), "alpha-inverted"),
        (Implicit(lambda alpha, N: 2 * alpha), "loss-without-half"),
        (Implicit(lambda alpha, N: alpha / 2), "alpha-halved"),
        (Implicit(lambda alpha, N: alpha * N), "loss-summed"),
        (Implicit(lambda alpha, N: alpha / N), "alpha-over-n"),
    ],
)
def test_wrong_implicit_steps_are_named(wrong, name):
    report = check(wrong, **only("implicit_step"))
    assert not report.ok
    assert report.variant == name, report.diagnosis


def test_inference_stopped_early_is_no_proximal_step():
    class Early:
        def prox_step(self, W, y0, target, alpha):
            explicit = loss_and_gradient(W, y0, target, 1)[1]
            return [w - alpha / 2 / (1 + alpha) * g for w, g in zip(W, explicit, strict=True)]

    report = check(Early(), **only("prox_step"))
    assert "no implicit step" in report.diagnosis


def test_the_closed_form_of_a_layer():
    class Layer:
        def __init__(self, factor=1):
            self.factor = factor

        def implicit_layer(self, x, W, target, alpha):
            moment = x.T @ x / len(x) + self.factor * np.eye(x.shape[1], dtype=x.dtype) / alpha
            return (W + np.linalg.solve(moment, x.T @ (target - x @ W.T) / len(x)).T).astype(x.dtype)

    for precision in ("float64", "float32"):
        assert check(Layer(), **only("implicit_layer", precision=precision)).ok
    assert check(Layer(2), **only("implicit_layer")).variant == "alpha-halved"


@pytest.mark.parametrize("name", ["summed-in-inverse", "summed-beside-inverse"])
def test_a_sum_in_one_of_two_places_is_named(name):
    class Layer:
        def implicit_layer(self, x, W, target, alpha):
            N = len(x)
            over, under = (N, 1) if name == "summed-in-inverse" else (1, N)
            inverse = np.linalg.inv(np.eye(x.shape[1]) + alpha / under * x.T @ x)
            return (W + alpha / over * target.T @ x) @ inverse

    assert check(Layer(), **only("implicit_layer")).variant == name

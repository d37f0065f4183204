"""The library's own Inference Learning passes its oracle, function by function, in every convention that it has."""

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.oracle import InferenceConventions, check

HALF = copi.half_quadratic


class Library:
    """`copi_ref.inference_learning` as an implementation."""

    def __init__(self, conventions):
        self.c, self.f = conventions, conventions.f()
        self.form = copi.Form(
            order=conventions.form,
            input_activation=conventions.input_activation,
            output_activation=conventions.output_activation,
            biases=conventions.biases,
        )
        self.energy_of = copi.Energy(precisions=conventions.precisions, decay=conventions.state_decay)

    def network(self, W, b=None):
        return copi.Weights(tuple(W), b=tuple(b) if b is not None else None)

    def settled(self, W, y0, states, b=None):
        return copi.predictions(self.network(W, b), y0, tuple(states), self.f, self.form)

    def errors(self, W, y0, states, b=None):
        return self.settled(W, y0, states, b).errors

    def predictions(self, W, y0, states, b=None):
        return self.settled(W, y0, states, b).trace.y

    def energy(self, W, y0, states, b=None):
        energy = copi.Energy(precisions=self.c.precisions)  # without decay, which is of the dynamics there
        return copi.il_energy(self.settled(W, y0, states, b), energy)

    def start(self, W, y0, target, b=None):
        return (*copi.forward_states(self.network(W, b), y0, self.f, self.form)[:-1], target)

    def infer(self, W, y0, states, gamma, steps, b=None):
        return copi.infer(
            self.network(W, b), y0, tuple(states), self.f, steps, gamma, self.form,
            energy=self.energy_of, schedule=self.c.schedule, prediction=self.c.predictions,
        )  # fmt: skip

    def weight_update(self, W, y0, states, b=None):
        return self.updates(self.settled(W, y0, states, b), b)

    def updates(self, settled, b):
        dW = copi.il_update(settled, self.energy_of)
        return dW if b is None else (dW, copi.il_bias_update(settled, self.energy_of))

    def step(self, W, y0, target, gamma, steps, eta, b=None):
        start = self.start(W, y0, target, b)
        if self.c.learning == "incremental":
            network, states = copi.incremental_il(
                self.network(W, b), y0, start, self.f, steps, gamma, eta, self.form,
                order=self.c.incremental_order, energy=self.energy_of,
            )  # fmt: skip
            return network.W if b is None else (network.W, network.b)
        states = self.infer(W, y0, start, gamma, steps, *([] if b is None else [b]))
        settled = self.settled(W, y0, states, b)
        if self.c.predictions == "fixed":
            settled = copi.inference_learning.held_predictions(self.settled(W, y0, start, b), states)
        rate = W[0].dtype.type(eta)
        told = {"start": start, "states": states}
        if b is None:
            return [w + rate * one for w, one in zip(W, self.updates(settled, b), strict=True)], told
        moved = (
            [old + rate * one for old, one in zip(*pair, strict=True)]
            for pair in zip((W, b), self.updates(settled, b), strict=True)
        )
        return (*moved, told)

    def converge(self, W, y0, states, b=None):
        tolerance = 1e-8 if y0.dtype == np.float64 else 1e-4
        return copi.infer_to_convergence(
            self.network(W, b), y0, tuple(states), self.f, tolerance, self.form, energy=self.energy_of
        )

    def prox_update(self, W, y0, states):
        return copi.il_prox_update(self.settled(W, y0, states))


class Implicit:
    """What the library has of implicit steps, for weights after activation and a linear output."""

    def prox_step(self, W, y0, target, alpha):
        network = copi.Weights(tuple(W))
        task = copi.Task(target, loss=HALF, activation=copi.tanh, output="linear")
        states = copi.forward_states(network, y0, copi.tanh)
        h = copi.infer_prox_to_convergence(network, y0, states, task, alpha, 1e-7)
        settled = copi.predictions(network, y0, h, copi.tanh)
        return [w + one for w, one in zip(W, copi.il_prox_update(settled), strict=True)]

    def implicit_step(self, W, y0, target, alpha):
        params = copi.Params(tuple(W), tuple(np.eye(w.shape[1], dtype=w.dtype) for w in W))
        task = copi.Task(target, loss=HALF, activation=copi.tanh, output="linear")
        return copi.implicit_sgd_step(params, y0, task, alpha, 1e-7).W

    def implicit_layer(self, x, W, target, alpha):
        return copi.implicit_sgd_layer(x, W, target, alpha)


AFTER = {"form": "activation-after-weights", "activation": "tanh"}


@pytest.mark.parametrize(
    "choice",
    [
        {"activation": "tanh", "input_activation": True},
        {**AFTER, "output_activation": "identity", "biases": "inside"},
        {**AFTER, "biases": "outside", "schedule": "top-down", "precisions": (1, 2, 0.5)},
        {"schedule": "bottom-up", "inference_rate": "per-layer"},
        {**AFTER, "predictions": "fixed"},
        {**AFTER, "learning": "incremental", "incremental_order": "simultaneous"},
        {"activation": "relu", "state_decay": 0.25},
    ],
    ids=lambda choice: ", ".join(map(str, choice.values())),
)
def test_it_passes(choice):
    conventions = InferenceConventions(**choice)
    library = Library(conventions)
    if conventions.biases != "none" or conventions.curve.has_kink:
        library.converge = None  # minima at kinks take minutes
    if conventions.biases != "none" or conventions.form != "weights-after-activation":
        library.prox_update = None
    report = check(library, conventions=conventions, xp=np)
    assert report.ok, report.summary()
    assert {"predictions", "infer", "weight_update", "step"} <= {one.check for one in report.results if one.cases}


def test_its_implicit_steps_pass():
    conventions = InferenceConventions(activation="tanh")
    report = check(Implicit(), conventions=conventions, xp=np)
    assert report.ok, report.summary()
    assert {one.check for one in report.results if one.cases} == {"prox_step", "implicit_step", "implicit_layer"}

"""Right implementations of Inference Learning pass, by whatever conventions and however they are written."""

import numpy as np
import pytest

from copi_ref.oracle import InferenceConventions, check
from inference.loops import Loops

AFTER = {"form": "activation-after-weights"}

CHOICES = [
    {"inference_rate": "per-layer", "precisions": (1, 2, 0.5), "state_decay": 0.1},
    {**AFTER, "activation": "sigmoid", "output_activation": "identity", "samples": "columns", "predictions": "fixed"},
    {"activation": "relu", "derivative_at_zero": 0, "input_activation": True, "start": "zeros", "output": "nudged"},
    {**AFTER, "biases": "outside", "activation": "tanh", "schedule": "top-down", "reduction": "sum"},
    {**AFTER, "biases": "inside", "inference_factor": 2, "weight_factor": 2, "energy_factor": 1},
    {"inference_factor": "1/N", "energy_reduction": "mean", "momentum": 0.5, "step_reduction": "sum"},
    {"output": "pulled", "activation": "tanh", "biases": "inside", "schedule": "bottom-up"},
    {"start": "from-above", "activation": "identity", "learning": "incremental"},
    {"learning": "incremental", "incremental_order": "simultaneous", "activation": "tanh"},
    {"returns": "gradient", "error_sign": -1, "energy_reduction": "sum", "slope": 0.01, "derivative_at_zero": "slope"},
]
"""Every value of every convention at least once, but for those that other tests of this folder have."""


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: ", ".join(map(str, choice.values())) or "defaults")
def test_loops_pass(choice):
    conventions = InferenceConventions(**choice)
    precision = "float32" if CHOICES.index(choice) % 2 else "float64"
    report = check(Loops(conventions), conventions=conventions, precision=precision, xp=np)
    assert report.ok, report.summary()
    assert all(result.cases for result in report.results if result.status == "passed")


class Autograd:
    """The energy alone, and torch.autograd for everything else."""

    def __init__(self, f, after):
        self.f, self.after = f, after

    def _energy(self, W, y0, states, b):
        total = 0
        for layer, (w, h) in enumerate(zip(W, states, strict=True)):
            below = y0 if layer == 0 else states[layer - 1]
            below = below if self.after or layer == 0 else self.f(below)
            a = below @ w.mT + b[layer]
            p = self.f(a) if self.after else a
            total = total + ((h - p) ** 2).sum(-1) / 2
        return total

    def energy(self, W, y0, states, b):
        return self._energy(W, y0, states, b).detach()

    def infer(self, W, y0, states, gamma, steps, b):
        import torch

        states = [h.clone() for h in states]
        for _ in range(steps):
            free = [h.clone().requires_grad_() for h in states[:-1]]
            gradients = []
            if free:
                gradients = torch.autograd.grad(self._energy(W, y0, [*free, states[-1]], b).sum(), free)
            states = [*(h - gamma * g for h, g in zip(states[:-1], gradients, strict=True)), states[-1]]
        return states

    def weight_update(self, W, y0, states, b):
        import torch

        W, b = ([one.clone().requires_grad_() for one in part] for part in (W, b))
        gradients = torch.autograd.grad(-self._energy(W, y0, states, b).mean(), [*W, *b])
        return gradients[: len(W)], gradients[len(W) :]


@pytest.mark.needs("torch")
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("after", [False, True])
def test_autograd_passes(after, precision):
    import torch

    conventions = InferenceConventions(
        form="activation-after-weights" if after else "weights-after-activation", activation="tanh", biases="inside"
    )
    report = check(Autograd(torch.tanh, after), conventions=conventions, precision=precision, xp=torch)
    assert report.ok, report.summary()


@pytest.mark.needs("jax")
def test_jax_passes():
    import jax
    import jax.numpy as jnp

    def F(h, W, y0, top):
        below, total = y0, 0
        for w, state in zip(W, (*h, top), strict=True):
            total = total + jnp.sum((state - w @ below) ** 2) / 2
            below = jnp.where(state >= 0, state, 0.1 * state)
        return total

    class Vmapped:
        def energy(self, W, y0, states):
            return jax.vmap(F, in_axes=(0, None, 0, 0))(tuple(states[:-1]), W, y0, states[-1])

        def infer(self, W, y0, states, gamma, steps):
            one = jax.jit(jax.vmap(jax.grad(F), in_axes=(0, None, 0, 0)))
            h = tuple(states[:-1])
            for _ in range(steps):
                h = tuple(state - gamma * g for state, g in zip(h, one(h, W, y0, states[-1]), strict=True))
            return [*h, states[-1]]

    # jnp.where(h >= 0, …) has a slope of 1 at 0.
    report = check(Vmapped(), conventions=InferenceConventions(), precision="float32", xp=jnp, only=("energy", "infer"))
    assert report.ok, report.summary()

"""The energy of states, and its gradient: what comes down as inference settles."""

from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.functions import place_of
from copi_ref.oracle.inference.rules import Rules, States


def gradients(rules: Rules, inputs: Inputs, states: States) -> dict[int, Any]:
    """∂F/∂h_l of each layer that moves, (N, units)."""
    at = place_of(rules, {**inputs, "states": states})
    return {layer: at.rules.gradient(at, layer) for layer in rules.moves(at)}


def energies(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    """F of each sample; with what pulls a free output, and the decay of states."""
    per_sample = rules.with_changes(
        conventions=replace(rules.conventions, energy_factor=0.5, energy_reduction="per-sample")
    )
    F = np.asarray(per_sample.energy(place_of(per_sample, {**inputs, "states": states})))
    if rules.conventions.output == "pulled":
        F = F + np.sum((states[-1] - inputs["target"]) ** 2, axis=-1) / 2
    return np.asarray(F + rules.conventions.state_decay * sum(np.sum(h * h, axis=-1) for h in states[:-1]) / 2)


def largest(gradients: dict[int, HostArray], samples: int) -> HostArray:
    """The largest entry of the gradient of each sample, (samples,); 0 where nothing moves."""
    parts = [np.max(np.abs(g), axis=-1) for g in gradients.values()]
    return np.max(parts, axis=0) if parts else np.zeros(samples)

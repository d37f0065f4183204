"""Where F has kinks, and the least gradient at states on one, where the slope of f may be any between both sides'."""

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.energy import gradients, largest
from copi_ref.oracle.inference.functions import place_of
from copi_ref.oracle.inference.right import is_bent
from copi_ref.oracle.inference.rules import At, Rules, States

_NEAR = 1e-6
"""Units as near to the kink as that count as on it."""


def arguments_at_kinks(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    """What f bends at 0 as states move, (N, units of all layers); without any, F has no kink."""
    at = place_of(rules, {**inputs, "states": states})
    if rules.conventions.weights_last:
        bent = [at.h(layer) for layer in range(1, at.net.layers)]
    else:
        bent = [at.a(layer) for layer in range(2, at.net.layers + 1) if is_bent(at, layer)]
    return np.concatenate([np.asarray(one) for one in bent] or [np.zeros((at.net.samples, 0))], axis=-1)


def nearest_to_zero(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    """Return the largest entry of the least gradient of each sample, (N,): 0 where 0 is in the subdifferential.

    With activation after weights a unit on the kink pulls at the whole layer below it: bounded least squares. With
    weights after activation it pulls at its own state alone.
    """
    found = gradients(rules, inputs, states)
    if rules.conventions.curve.has_kink:
        at = place_of(rules, {**inputs, "states": states})
        found = (_of_states if rules.conventions.weights_last else _of_layers)(at, found)
    return largest(found, len(inputs["y0"]))


def _slopes(at: At) -> tuple[float, float]:
    below = at.rules.conventions.curve.slope_below
    s = float(below) if below is not None else 1.0
    return min(s, 1.0), max(s, 1.0)


def _of_states(at: At, gradients: dict[int, HostArray]) -> dict[int, HostArray]:
    low, high = _slopes(at)
    found = {}
    for layer, g in gradients.items():
        if layer == at.net.layers:
            found[layer] = g
            continue
        down = np.asarray(at.rules.through(at, layer + 1) @ at.net.W[layer])
        # g = own − f′ down: with another slope s it is g + (f′ − s) down.
        at_kink = np.abs(at.h(layer)) <= _NEAR
        f_prime = np.asarray(at.rules.f.derivative(at.h(layer)))
        free = g + f_prime * down
        wanted = np.clip(np.where(down == 0, low, free / np.where(down == 0, 1, down)), low, high)
        found[layer] = np.where(at_kink, free - wanted * down, g)
    return found


def _of_layers(at: At, gradients: dict[int, HostArray]) -> dict[int, HostArray]:
    from scipy.optimize import lsq_linear

    low, high = _slopes(at)
    found = {layer: g.copy() for layer, g in gradients.items()}
    for layer in gradients:
        if layer == at.net.layers or not is_bent(at, layer + 1):
            continue
        above = np.abs(np.asarray(at.a(layer + 1))) <= _NEAR
        error = np.asarray(at.rules.own(at, layer + 1))
        f_prime = np.asarray(at.rules.f.derivative(at.a(layer + 1)))
        for n in np.flatnonzero(above.any(axis=-1)):
            units = np.flatnonzero(above[n])
            # g = own − Wᵀ(f′ e): of the units on the kink the slopes are unknown.
            columns = at.net.W[layer][units].T * error[n, units]
            free = gradients[layer][n] + columns @ f_prime[n, units]
            slopes = lsq_linear(columns, free, bounds=(low - 1e-12, high + 1e-12)).x
            found[layer][n] = free - columns @ slopes
    return found

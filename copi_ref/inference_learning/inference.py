"""Inference Learning: the energy of the prediction errors, how states settle, and what weights learn from them."""

from typing import Any

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.inference_learning.states import (
    WEIGHTS_LAST,
    ConventionName,
    Settled,
    States,
    check_inference,
    predictions,
    squared_length,
    weight_errors,
)
from copi_ref.learning_rules import sgd_update
from copi_ref.network import Params, Trace


def il_energy(settled: Settled) -> Array:
    """Return F = ½ Σ_l ‖e_l‖² of each sample, (…, N)."""
    xp = checks.floating("states", settled.states[-1])
    total: Any = sum(squared_length(e, xp)[..., 0] for e in settled.errors)  # of no errors it would be an int
    return total / 2


def il_gradient(params: Params, settled: Settled) -> States:
    """Return ∂F/∂h_l = e_l − φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ e_{l+1}) of every layer; at the top e_L."""
    pulls = weight_errors(settled)
    gradients = [settled.errors[-1]]
    for layer in reversed(range(len(params.W) - 1)):
        down = apply(params.R[layer + 1].mT, apply(params.W[layer + 1].mT, pulls[layer + 1]))
        gradients.append(settled.errors[layer] - settled.phi.derivative(settled.states[layer]) * down)
    return tuple(reversed(gradients))


def il_update(settled: Settled) -> tuple[Array, ...]:
    """Return IL's ΔW_l = E[(ψ′(a_l) ∘ e_l) x_lᵀ] of every layer, (…, K_l, K_{l−1})."""
    return tuple(sgd_update(x, e) for x, e in zip(settled.trace.x, weight_errors(settled), strict=True))


def infer(
    params: Params,
    trace: Trace,
    states: States,
    activation: Activation,
    steps: int,
    gamma: float,
    convention: ConventionName = WEIGHTS_LAST,
) -> States:
    """Lower F = ½ Σ_l ‖e_l‖² over the hidden states, with the output's clamped: T steps of gradient descent.

    h_l ← h_l − γ (e_l − φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ e_{l+1})), all layers at once

    Args:
        params: the network.
        trace: of a forward pass on the input.
        states: where to start; the last stays as it is.
        activation: f.
        steps: T.
        gamma: γ.
        convention: a name in `CONVENTIONS`.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, an unknown convention, or T no whole number of at
            least 0.

    Not checked: that γ is small enough for the energy to fall.
    """
    check_inference(steps, gamma)
    rate = checks.coefficient("gamma", gamma, trace.a[-1])
    for _ in range(steps):
        gradients = il_gradient(params, predictions(params, trace, states, activation, convention))
        hidden = zip(states[:-1], gradients[:-1], strict=True)
        states = (*(h - rate * gradient for h, gradient in hidden), states[-1])
    return states

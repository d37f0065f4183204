"""Proximal IL, this library's: the energy whose minimum is a step of implicit SGD, how states settle, the update."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.products import apply
from copi_ref.inference_learning.forms import Form
from copi_ref.inference_learning.inference import check_inference
from copi_ref.inference_learning.output import pull_energy, pull_gradient
from copi_ref.inference_learning.states import (
    Settled,
    States,
    check_settled,
    checked,
    first_layer,
    network_of,
    predicted,
    squared_length,
)
from copi_ref.inference_learning.weights import Weights, back_through_R, multiplied
from copi_ref.learning_rules import nlms_update
from copi_ref.network import Params
from copi_ref.task import Task, check_task


def prox_energy(settled: Settled, task: Task, alpha: Any) -> Array:
    """Return F_α = ℓ(h_L) + Σ_l ‖e_l‖² / (2α ‖x_l‖²) of each sample, (…, N), for weights after activation.

    ℓ(h_L) is the loss of the prediction that the output's state h_L makes: f(h_L), or with ``output="linear"`` h_L
    itself. Where x_l = 0 no weight can move a_l, and h_l has to stay at it, e_l = 0: the energy does not say so,
    `infer_prox` sees to it.

    Raises:
        TypeError, ValueError: the target doesn't fit, or ``output="pre-activation"``, whose δ_L is no gradient.
    """
    check_settled(settled)
    check_task(task)
    xp = checks.floating("states", settled.states[-1])
    alpha = checks.coefficient("alpha", alpha, settled.states[-1])
    pairs = zip(settled.errors, settled.powers, strict=True)
    distance: Any = sum(squared_length(e, xp) / (2 * alpha * _divisor(power, xp)) for e, power in pairs)
    return pull_energy(task, settled.states, settled.psi[-1]) + distance[..., 0]


def prox_gradient(params: Params | Weights, settled: Settled, task: Task, alpha: Any) -> States:
    """Return ∂F_α/∂h_l of every layer, for weights after activation.

    With c_l = 1/(α ‖x_l‖²):  c_l e_l − f′(h_l) ∘ R_{l+1}ᵀ c_{l+1} [W_{l+1}ᵀ e_{l+1} + ‖e_{l+1}‖²/‖x_{l+1}‖² x_{l+1}],
    and c_L e_L + ∂ℓ/∂h_L at the top. The second term in the bracket is there because ‖x_{l+1}‖ depends on h_l too.
    0 where x_l = 0: h_l can't move there.

    Raises:
        TypeError, ValueError: as `prox_energy`.
    """
    check_settled(settled)
    check_task(task)
    return prox_energy_gradient(network_of(params, settled), settled, task, alpha)


def prox_energy_gradient(weights: Weights, settled: Settled, task: Task, alpha: Any) -> States:
    """Return what `prox_gradient` does, which inference repeats; the network is not checked."""
    layers = range(len(weights.W))
    return tuple(_gradient_of(layer, settled.errors, weights, settled, task, alpha) for layer in layers)


def _gradient_of(layer: int, errors: Any, weights: Weights, settled: Settled, task: Task, alpha: Any) -> Array:
    """Return ∂F_α/∂h of a layer (from 0) from the errors e_l, which may be newer than those of `settled`."""
    xp = checks.floating("states", settled.states[-1])
    alpha = checks.coefficient("alpha", alpha, settled.states[-1])
    own = errors[layer] / (alpha * _divisor(settled.powers[layer], xp))
    if layer == len(weights.W) - 1:
        gradient = own + pull_gradient(task, settled.states, settled.psi[-1])
    else:
        e, x, power = errors[layer + 1], settled.trace.x[layer + 1], _divisor(settled.powers[layer + 1], xp)
        pull = apply(weights.W[layer + 1].mT, e) + squared_length(e, xp) / power * x
        down = back_through_R(weights, layer + 1, pull) / (alpha * power)
        gradient = own - settled.phi[layer + 1].derivative(settled.states[layer]) * down
    return xp.where(settled.powers[layer] == 0, gradient * 0, gradient)


def il_prox_update(settled: Settled) -> tuple[Array, ...]:
    """Return proximal IL's ΔW_l = E[e_l x_lᵀ/‖x_l‖²] of every layer, (…, K_l, K_{l−1}).

    It makes the states the network's own: for one sample, (W_l + ΔW_l) x_l = h_l.

    Raises:
        TypeError: `settled` is no `Settled`.
    """
    check_settled(settled)
    return tuple(nlms_update(x, e) for x, e in zip(settled.trace.x, settled.errors, strict=True))


GradientOf = Callable[[int, Sequence[Array]], Array]


def _all_at_once(settled: Settled, gradient_of: GradientOf, rates: Sequence[Array]) -> States:
    """Return states that have moved by −rate ∂F_α/∂h_l, all gradients taken at those of before."""
    layers = enumerate(zip(settled.states, rates, strict=True))
    return tuple(h - rate * gradient_of(layer, settled.errors) for layer, (h, rate) in layers)


def _top_down(settled: Settled, gradient_of: GradientOf, rates: Sequence[Array]) -> States:
    """Return states that have moved by −2 rate ∂F_α/∂h_l, the highest first: each sees the error that those above left.

    p_l is made from h_{l−1}, which moves after h_l: a sweep needs no prediction more than a step of all at once.
    """
    moved, errors = list(settled.states), list(settled.errors)
    for layer in reversed(range(len(moved))):
        moved[layer] = moved[layer] - 2 * rates[layer] * gradient_of(layer, errors)
        errors[layer] = moved[layer] - settled.trace.y[layer]
    return tuple(moved)


ProxScheduleName = Literal["all-at-once", "top-down"]

PROX_SCHEDULES: dict[str, Callable[[Settled, GradientOf, Sequence[Array]], States]] = {
    "all-at-once": _all_at_once,
    "top-down": _top_down,
}
"""Whether the layers of proximal IL move together, or one after the other and twice as far. Both cost the same."""


def infer_prox(
    params: Params | Weights,
    y0: Array,
    states: States,
    task: Task,
    alpha: Any,
    steps: int,
    gamma: Any,
    *,
    schedule: ProxScheduleName = "all-at-once",
) -> States:
    """Lower F_α over all states, the output's too: T steps of gradient descent, each layer at a rate of its own.

    h_l ← h_l − γ (c_l + c_{l+1} s_{l+1})⁻¹ ∂F_α/∂h_l,  h_L ← h_L − γ (c_L + 2)⁻¹ ∂F_α/∂h_L,  c_l = 1/(α ‖x_l‖²)

    s_l ≥ λmax(G_l G_lᵀ), G_l = W_l R_l, is the largest row sum of absolute values in G_l G_lᵀ, and 2 is the curvature
    of the quadratic loss. Where f is linear with f′ ≤ 1 and ‖x_l‖ is held fixed, the brackets bound the curvature of
    F_α over the states of one layer and, as ‖u − v‖² ≤ 2‖u‖² + 2‖v‖², twice the brackets that over all states. So under
    "top-down", where layers move one after the other, 2γ stands for γ: for γ < 1 the energy falls there under both
    schedules, whatever α is.

    Args:
        params: the network, one without biases.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start.
        task: target, loss, activation and output.
        alpha: α.
        steps: T.
        gamma: γ.
        schedule: a name in `PROX_SCHEDULES`. Under "top-down" what moves the output reaches every layer in each step.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, α not above 0, T no whole number of at least 0, an
            unknown schedule, or ``output="pre-activation"``, whose δ_L is no gradient.

    Not checked: that the energy falls.
    """
    check_task(task)
    weights, form = checked(params, y0, states, Form())
    xp = checks.floating("states", states[-1])
    check_inference(steps, gamma)
    checks.one_number("gamma", gamma)  # one for all layers: their own rates are found
    checks.positive_number("alpha", alpha)
    alpha = checks.coefficient("alpha", alpha, states[-1])
    gamma = checks.coefficient("gamma", gamma, states[-1])
    move = checks.choice("schedule", schedule, PROX_SCHEDULES)
    # In the steps G_l would save nothing: x_l = R_l f(h) is needed in any case, and so is R_lᵀ of it.
    stiffness = [_largest_row_sum(multiplied(weights, index), xp) for index in range(1, len(weights.W))]
    first = first_layer(weights, y0, task.activation, form)
    for _ in range(steps):
        settled = predicted(weights, first, y0, states, task.activation, form)
        gradient_of = partial(_gradient_of, weights=weights, settled=settled, task=task, alpha=alpha)
        c = [1 / (alpha * _divisor(power, xp)) for power in settled.powers]
        above = [c_above * s for c_above, s in zip(c[1:], stiffness, strict=True)]
        rates = [gamma / (own + more) for own, more in zip(c, [*above, 2], strict=True)]
        states = move(settled, gradient_of, rates)
    return states


def _largest_row_sum(G: Array, xp: Namespace) -> Array:
    """Return the largest row sum of |G Gᵀ| or |Gᵀ G|, the smaller one: (…, 1, 1), at least the largest eigenvalue."""
    gram = G @ G.mT if G.shape[-2] <= G.shape[-1] else G.mT @ G
    return xp.max(xp.sum(xp.abs(gram), axis=-1, keepdims=True), axis=-2, keepdims=True)


def _divisor(power: Array, xp: Namespace) -> Array:
    """‖x‖², but 1 where it is 0: e and the gradient are 0 there, and nothing is divided by 0."""
    return xp.where(power == 0, power + 1, power)

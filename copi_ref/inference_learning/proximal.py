"""IL-prox: the energy whose minimum is a step of implicit SGD, how states settle, and the update of the weights."""

from typing import Any

from copi_ref.activations import Activation, identity
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.products import apply
from copi_ref.inference_learning.states import Settled, States, check_inference, predictions, squared_length
from copi_ref.learning_rules import nlms_update
from copi_ref.network import Params, Trace
from copi_ref.task import Task


def prox_energy(settled: Settled, task: Task, alpha: float) -> Array:
    """Return F_α = ℓ(h_L) + Σ_l ‖e_l‖² / (2α ‖x_l‖²) of each sample, (…, N), for weights after activation.

    ℓ(h_L) is the loss of the prediction that the output's state h_L makes: f(h_L), or with
    ``output="pre-activation"`` h_L itself. Where x_l = 0 no weight can move a_l, and h_l has to stay at it, e_l = 0:
    the energy does not say so, `infer_prox` sees to it.

    Raises:
        TypeError, ValueError: the target doesn't fit.
    """
    xp = checks.floating("states", settled.states[-1])
    alpha = checks.coefficient("alpha", alpha, settled.states[-1])
    pairs = zip(settled.errors, settled.powers, strict=True)
    distance: Any = sum(squared_length(e, xp) / (2 * alpha * _divisor(power, xp)) for e, power in pairs)
    o, h_L = _output_function(task), settled.states[-1]
    return task.loss(o(h_L), task.target) + distance[..., 0]


def prox_gradient(params: Params, settled: Settled, task: Task, alpha: float) -> States:
    """Return ∂F_α/∂h_l of every layer, for weights after activation.

    With c_l = 1/(α ‖x_l‖²):  c_l e_l − f′(h_l) ∘ R_{l+1}ᵀ c_{l+1} [W_{l+1}ᵀ e_{l+1} + ‖e_{l+1}‖²/‖x_{l+1}‖² x_{l+1}],
    and c_L e_L + ∂ℓ/∂h_L at the top. The second term in the bracket is there because ‖x_{l+1}‖ depends on h_l too.
    0 where x_l = 0: h_l can't move there.

    Raises:
        TypeError, ValueError: the target doesn't fit.
    """
    xp = checks.floating("states", settled.states[-1])
    alpha = checks.coefficient("alpha", alpha, settled.states[-1])
    o, h_L, errors = _output_function(task), settled.states[-1], settled.errors
    powers = tuple(_divisor(power, xp) for power in settled.powers)
    gradients = [errors[-1] / (alpha * powers[-1]) - task.loss.perturbation(o(h_L), h_L, task.target, o)]
    for layer in reversed(range(len(params.W) - 1)):
        e, x, power = errors[layer + 1], settled.trace.x[layer + 1], powers[layer + 1]
        pull = apply(params.W[layer + 1].mT, e) + squared_length(e, xp) / power * x
        down = apply(params.R[layer + 1].mT, pull) / (alpha * power)
        own = errors[layer] / (alpha * powers[layer])
        gradients.append(own - settled.phi.derivative(settled.states[layer]) * down)
    layers = zip(reversed(gradients), settled.powers, strict=True)
    return tuple(xp.where(power == 0, gradient * 0, gradient) for gradient, power in layers)


def il_prox_update(settled: Settled) -> tuple[Array, ...]:
    """Return IL-prox's ΔW_l = E[e_l x_lᵀ/‖x_l‖²] of every layer, (…, K_l, K_{l−1}).

    It makes the states the network's own: for one sample, (W_l + ΔW_l) x_l = h_l.
    """
    return tuple(nlms_update(x, e) for x, e in zip(settled.trace.x, settled.errors, strict=True))


def infer_prox(
    params: Params, trace: Trace, states: States, task: Task, alpha: float, steps: int, gamma: float
) -> States:
    """Lower F_α over all states, the output's too: T steps of gradient descent, each layer at a rate of its own.

    h_l ← h_l − γ (c_l + c_{l+1} s_{l+1})⁻¹ ∂F_α/∂h_l,  h_L ← h_L − γ (c_L + 2)⁻¹ ∂F_α/∂h_L,  c_l = 1/(α ‖x_l‖²)

    s_l ≥ λmax(G_l G_lᵀ), G_l = W_l R_l, is the largest row sum of absolute values in G_l G_lᵀ, and 2 is the curvature
    of the quadratic loss. As ‖u − v‖² ≤ 2‖u‖² + 2‖v‖², twice the inverse of these rates bounds the curvature of F_α
    where f is linear with f′ ≤ 1 and ‖x_l‖ is held fixed: for γ < 1 the energy falls there, whatever α is.

    Args:
        params: the network.
        trace: of a forward pass on the input.
        states: where to start.
        task: target, loss, activation and output.
        alpha: α.
        steps: T.
        gamma: γ.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, α not above 0, or T no whole number of at least 0.

    Not checked: that the energy falls.
    """
    xp = checks.floating("states", states[-1])
    check_inference(steps, gamma)
    checks.positive_number("alpha", alpha)
    alpha = checks.coefficient("alpha", alpha, states[-1])
    gamma = checks.coefficient("gamma", gamma, states[-1])
    stiffness = [_largest_row_sum(W @ R, xp) for W, R in zip(params.W[1:], params.R[1:], strict=True)]
    for _ in range(steps):
        settled = predictions(params, trace, states, task.activation)
        gradients = prox_gradient(params, settled, task, alpha)
        c = [1 / (alpha * _divisor(power, xp)) for power in settled.powers]
        above = [c_above * s for c_above, s in zip(c[1:], stiffness, strict=True)]
        curvatures = [own + more for own, more in zip(c, [*above, 2], strict=True)]
        moved = zip(states, curvatures, gradients, strict=True)
        states = tuple(h - gamma / curvature * gradient for h, curvature, gradient in moved)
    return states


def _largest_row_sum(G: Array, xp: Namespace) -> Array:
    """Return the largest row sum of |G Gᵀ| or |Gᵀ G|, the smaller one: (…, 1, 1), at least the largest eigenvalue."""
    gram = G @ G.mT if G.shape[-2] <= G.shape[-1] else G.mT @ G
    return xp.max(xp.sum(xp.abs(gram), axis=-1, keepdims=True), axis=-2, keepdims=True)


def _divisor(power: Array, xp: Namespace) -> Array:
    """‖x‖², but 1 where it is 0: e and the gradient are 0 there, and nothing is divided by 0."""
    return xp.where(power == 0, power + 1, power)


def _output_function(task: Task) -> Activation:
    return task.activation if task.output == "activation" else identity

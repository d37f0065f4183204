"""Inference Learning (Alonso, Millidge, Krichmar and Neftci 2022, arXiv 2206.00164): energies, inference, updates.

Each layer has a state h_l beside its prediction from the layer below. Inference lowers an energy of the prediction
errors e_l over the states; then each weight learns from its own layer's error. Layers are numbered as in COPI, so
W_l leads to layer l, and its input is decorrelated by R_l (the paper has none: R = I). States are a tuple h_1 … h_L,
one (…, N, K_l) array per layer; the input y_0 is clamped. What a forward pass computed comes as its trace, of which
only the first layer's x and a are used: they depend on the input alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from copi_ref import _checks
from copi_ref.activations import Activation, identity
from copi_ref.backend import Array, Namespace
from copi_ref.learning_rules import nlms_update, sgd_update
from copi_ref.network import Params, Trace, decorrelated
from copi_ref.products import apply

if TYPE_CHECKING:  # the credit methods import this module
    from copi_ref.credit.task import Task

States = tuple[Array, ...]

WEIGHTS_LAST = "weights-after-activation"

CONVENTIONS: dict[str, Callable[[Activation], tuple[Activation, Activation]]] = {
    WEIGHTS_LAST: lambda f: (f, identity),  # p_l = W_l R_l f(h_{l−1}), states are pre-activations
    "activation-after-weights": lambda f: (identity, f),  # p_l = f(W_l R_l h_{l−1}), states are outputs
}
"""The functions φ and ψ of a prediction p_l = ψ(W_l R_l φ(h_{l−1})); φ is not applied to the input."""


@dataclass(frozen=True, eq=False)
class Settled:
    """Predictions and errors at given states.

    Args:
        states: h_l.
        trace: x_l, a_l = W_l x_l and, in the place of y_l, the prediction p_l = ψ(a_l); all from the states below.
        errors: e_l = h_l − p_l.
        phi: φ.
        psi: ψ.
    """

    states: States
    trace: Trace
    errors: States
    phi: Activation
    psi: Activation

    @cached_property
    def powers(self) -> States:
        """‖x_l‖² of each sample, (…, N, 1), layer by layer; IL-prox needs them in each step for more than one thing."""
        xp = _checks.floating("x", self.trace.x[0])
        return tuple(_square(x, xp) for x in self.trace.x)


def predictions(
    params: Params, trace: Trace, states: States, activation: Activation, convention: str = WEIGHTS_LAST
) -> Settled:
    """Predict every state from the one below: p_l = ψ(W_l R_l φ(h_{l−1})), and e_l = h_l − p_l.

    Args:
        params: the network.
        trace: of a forward pass on the input.
        states: h_l, one (…, N, K_l) array per layer.
        activation: f.
        convention: a name in `CONVENTIONS`.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, or an unknown convention.
    """
    phi, psi = _checks.choice("convention", convention, CONVENTIONS)(activation)
    _checks.same_length(states=(states, len(params.W)), trace=(trace.a, len(params.W)))
    for layer, (h, a) in enumerate(zip(states, trace.a, strict=True), start=1):
        _checks.arrays(**{f"a of layer {layer}": (a, "NK"), f"states of layer {layer}": (h, "NK")})
    xs, as_ = [trace.x[0]], [trace.a[0]]
    for layer in range(1, len(params.W)):
        xs.append(decorrelated(params, layer, phi(states[layer - 1])))
        as_.append(apply(params.W[layer], xs[-1]))
    ps = tuple(psi(a) for a in as_)
    errors = tuple(h - p for h, p in zip(states, ps, strict=True))
    return Settled(states, Trace(tuple(xs), tuple(as_), ps), errors, phi, psi)


def weight_errors(settled: Settled) -> States:
    """Return ψ′(a_l) ∘ e_l of every layer, what its weights learn from: e_l itself with weights after activation."""
    return tuple(settled.psi.derivative(a) * e for a, e in zip(settled.trace.a, settled.errors, strict=True))


def il_energy(settled: Settled) -> Array:
    """Return F = ½ Σ_l ‖e_l‖² of each sample, (…, N)."""
    xp = _checks.floating("states", settled.states[-1])
    return sum(_square(e, xp)[..., 0] for e in settled.errors) / 2


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
    convention: str = WEIGHTS_LAST,
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
    _check_inference(steps, gamma)
    rate = _checks.coefficient("gamma", gamma, trace.a[-1])
    for _ in range(steps):
        gradients = il_gradient(params, predictions(params, trace, states, activation, convention))
        hidden = zip(states[:-1], gradients[:-1], strict=True)
        states = (*(h - rate * gradient for h, gradient in hidden), states[-1])
    return states


def prox_energy(settled: Settled, task: "Task", alpha: float) -> Array:
    """Return F_α = ℓ(h_L) + Σ_l ‖e_l‖² / (2α ‖x_l‖²) of each sample, (…, N), for weights after activation.

    ℓ(h_L) is the loss of the prediction that the output's state h_L makes: f(h_L), or with
    ``output="pre-activation"`` h_L itself. Where x_l = 0 no weight can move a_l, and h_l has to stay at it, e_l = 0:
    the energy does not say so, `infer_prox` sees to it.

    Raises:
        TypeError, ValueError: the target doesn't fit.
    """
    xp = _checks.floating("states", settled.states[-1])
    alpha = _checks.coefficient("alpha", alpha, settled.states[-1])
    pairs = zip(settled.errors, settled.powers, strict=True)
    distance = sum(_square(e, xp) / (2 * alpha * _divisor(power, xp)) for e, power in pairs)
    o, h_L = _output_function(task), settled.states[-1]
    return task.loss(o(h_L), task.target) + distance[..., 0]


def prox_gradient(params: Params, settled: Settled, task: "Task", alpha: float) -> States:
    """Return ∂F_α/∂h_l of every layer, for weights after activation.

    With c_l = 1/(α ‖x_l‖²):  c_l e_l − f′(h_l) ∘ R_{l+1}ᵀ c_{l+1} [W_{l+1}ᵀ e_{l+1} + ‖e_{l+1}‖²/‖x_{l+1}‖² x_{l+1}],
    and c_L e_L + ∂ℓ/∂h_L at the top. The second term in the bracket is there because ‖x_{l+1}‖ depends on h_l too.
    0 where x_l = 0: h_l can't move there.

    Raises:
        TypeError, ValueError: the target doesn't fit.
    """
    xp = _checks.floating("states", settled.states[-1])
    alpha = _checks.coefficient("alpha", alpha, settled.states[-1])
    o, h_L, errors = _output_function(task), settled.states[-1], settled.errors
    powers = tuple(_divisor(power, xp) for power in settled.powers)
    gradients = [errors[-1] / (alpha * powers[-1]) - task.loss.perturbation(o(h_L), h_L, task.target, o)]
    for layer in reversed(range(len(params.W) - 1)):
        e, x, power = errors[layer + 1], settled.trace.x[layer + 1], powers[layer + 1]
        pull = apply(params.W[layer + 1].mT, e) + _square(e, xp) / power * x
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
    params: Params, trace: Trace, states: States, task: "Task", alpha: float, steps: int, gamma: float
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
    xp = _checks.floating("states", states[-1])
    _check_inference(steps, gamma)
    _checks.positive_number("alpha", alpha)
    alpha = _checks.coefficient("alpha", alpha, states[-1])
    gamma = _checks.coefficient("gamma", gamma, states[-1])
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


def _check_inference(steps: int, gamma: float) -> None:
    _checks.whole_number("steps", steps, minimum=0)
    _checks.one_number("gamma", gamma, minimum=0)


def _square(e: Array, xp: Namespace) -> Array:
    """‖e‖² of each sample: (…, N, K) gives (…, N, 1)."""
    return xp.sum(e * e, axis=-1, keepdims=True)


def _divisor(power: Array, xp: Namespace) -> Array:
    """‖x‖², but 1 where it is 0: e and the gradient are 0 there, and nothing is divided by 0."""
    return xp.where(power == 0, power + 1, power)


def _output_function(task: "Task") -> Activation:
    return task.activation if task.output == "activation" else identity

"""States and what predicts them: h_l, the prediction p_l from the layer below, and the error e_l = h_l − p_l."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from copi_ref.activations import Activation, identity
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.products import apply
from copi_ref.arrays.shown import shown
from copi_ref.network import Params, Trace, decorrelated

States = tuple[Array, ...]

ConventionName = Literal["weights-after-activation", "activation-after-weights"]

WEIGHTS_LAST: ConventionName = "weights-after-activation"

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

    __repr__ = shown

    @cached_property
    def powers(self) -> States:
        """‖x_l‖² of each sample, (…, N, 1), layer by layer; IL-prox needs them in each step for more than one thing."""
        xp = checks.floating("x", self.trace.x[0])
        return tuple(squared_length(x, xp) for x in self.trace.x)


def predictions(
    params: Params, trace: Trace, states: States, activation: Activation, convention: ConventionName = WEIGHTS_LAST
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
    phi, psi = checks.choice("convention", convention, CONVENTIONS)(activation)
    checks.same_length(states=(states, len(params.W)), trace=(trace.a, len(params.W)))
    for layer, (h, a) in enumerate(zip(states, trace.a, strict=True), start=1):
        checks.arrays(**{f"a of layer {layer}": (a, "NK"), f"states of layer {layer}": (h, "NK")})
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


def check_inference(steps: int, gamma: float) -> None:
    """Check T and γ of an inference.

    Raises:
        TypeError, ValueError: T is no whole number, or γ no number, of at least 0.
    """
    checks.whole_number("steps", steps, minimum=0)
    checks.one_number("gamma", gamma, minimum=0)


def squared_length(e: Array, xp: Namespace) -> Array:
    """‖e‖² of each sample: (…, N, K) gives (…, N, 1)."""
    return xp.sum(e * e, axis=-1, keepdims=True)

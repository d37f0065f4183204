"""GAIT-prop: target propagation through inverses, made equal to backpropagation (Ahmad et al. 2020)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, namespace
from copi_ref.arrays.products import apply
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback

InverseName = Literal["pseudo-inverse", "given"]


@dataclass(frozen=True)
class GaitProp:
    """Gradient-adjusted incremental target propagation (Ahmad et al. 2020, arXiv 2006.06438), with D_l = diag f′(a_l).

    δ_l = D_l ε_l,  ε_{l−1} = [g_l(y_l + γ D_l² ε_l) − g_l(y_l)] / γ,  g_l(y) = B_l f⁻¹(y),  ε_L = −∂ℓ/∂y_L

    B_l inverts W_l R_l, so g_l inverts a layer. ε_l points from a layer's output to its target, and D_l² is the
    gradient adjustment. To first order in γ this is δ_{l−1} = D_{l−1} B_l δ_l, which is backpropagation where
    B_l = (W_l R_l)ᵀ: where W_l R_l is orthogonal (for a layer that narrows: has orthonormal rows). The paper keeps all
    layers equally wide, where g_l(y_l) = y_{l−1}; with the difference, what a narrower layer lost of y_{l−1} stays.

    Args:
        gamma: γ, the size of the increment. Smaller is closer to first order, and leaves fewer digits: rounding adds
            about u ‖y_l‖ / γ to an error δ_l, however small that is, with u the unit roundoff.
        inverse: "pseudo-inverse": each B_l is that of W_l R_l, found anew in every call; "given": ``task.feedback``
            holds B_2 … B_L, (…, K_{l−1}, K_l).

    Raises:
        TypeError, ValueError: γ is no number above 0, or an unknown kind of inverse.

    Not checked: that f is not saturated. Where y_l is at the end of f's range (±1 for tanh), or γ leads beyond it,
    δ_{l−1} is NaN.
    """

    gamma: float | Fraction = Fraction(1, 1000)
    inverse: InverseName = "pseudo-inverse"

    def __post_init__(self) -> None:
        checks.positive_number("gamma", self.gamma)
        checks.choice("inverse", self.inverse, INVERSES)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, given feedback weights don't fit the network, or f
                has no inverse.
        """
        f = task.activation
        deltas = [output_perturbation(params, trace, task)]
        gamma = checks.coefficient("gamma", self.gamma, trace.a[-1])
        layers = zip(
            INVERSES[self.inverse](params, task)[::-1], trace.a[-2::-1], trace.a[:0:-1], trace.y[:0:-1], strict=True
        )
        for B, a, a_above, y_above in layers:
            checks.arrays(a_above=(a_above, "NM"), a=(a, "NK"), B=(B, "KM"))
            target = y_above + gamma * f.derivative(a_above) * deltas[-1]
            shift = apply(B, f.inverse(target) - f.inverse(y_above))
            deltas.append(f.derivative(a) * shift / gamma)
        return tuple(reversed(deltas))


def _pseudo_inverses(params: Params, task: Task) -> tuple[Array, ...]:
    checks.not_exact("a pseudo-inverse", params.W[-1])
    return tuple(_pseudo_inverse(W @ R) for W, R in zip(params.W[1:], params.R[1:], strict=True))


def _pseudo_inverse(G: Array) -> Array:
    """Return G⁺, or NaN throughout where G is not finite: training has diverged, and `fit` finds out where.

    Handed infinite numbers, LAPACK raises, or never comes back.
    """
    xp = namespace(G)
    finite = xp.all(xp.isfinite(G), axis=(-2, -1), keepdims=True)
    inverse = xp.linalg.pinv(xp.where(finite, G, xp.zeros_like(G)))
    return xp.where(finite, inverse, xp.full_like(inverse, math.nan))


INVERSES: dict[str, Callable[[Params, Task], tuple[Array, ...]]] = {
    "pseudo-inverse": _pseudo_inverses,
    "given": lambda params, task: required_feedback(params, task, "GAIT-prop"),
}
"""Where B_2 … B_L come from."""

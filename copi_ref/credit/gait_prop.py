"""GAIT-prop: target propagation through inverses, made equal to backpropagation (Ahmad et al. 2020), in two forms."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, namespace
from copi_ref.arrays.products import apply
from copi_ref.network import Params, Trace, centred
from copi_ref.task import Task, output_perturbation, required_feedback

InverseName = Literal["pseudo-inverse", "given"]


@dataclass(frozen=True)
class GaitProp:
    """Gradient-adjusted incremental target propagation (Ahmad et al. 2020, arXiv 2006.06438), with D_l = diag f′(a_l).

    t_{l−1} = g_l(y_l + γ D_l² (t_l − y_l)),  δ_l = γ^{−(L−l)} D_l (t_l − y_l),  g_l(y) = B_l f⁻¹(y)

    and t_L − y_L = −∂ℓ/∂y_L at the top. B_l inverts W_l R_l, so g_l inverts a layer. To first order in γ this is
    δ_{l−1} = D_{l−1} B_l δ_l, which is backpropagation where B_l = (W_l R_l)ᵀ: where W_l R_l is orthogonal (for a layer
    that narrows: has orthonormal rows). The increments compound: t_l is γ^{L−l} away from y_l, and in a deep network no
    digit of that is left. `RenormalizedGaitProp` keeps them.

    What differs from their code: B_l is the inverse of W_l R_l, where they have biases and no R (with centring g_l adds
    the mean again). A layer of theirs that narrows feeds the first units of the one below through a square matrix, and
    the others get no target; here every W_l is full, and where it is not square, t_{l−1} − g_l(y_l) is taken for
    t_{l−1} − y_{l−1}. They keep W near orthogonal by a regulariser. Their loss is ½‖·‖², with which t_L is y*.

    Args:
        gamma: γ, the size of the increment. Smaller is closer to first order, and leaves fewer digits: rounding adds
            about u ‖y_l‖ / γ^{L−l} to an error δ_l, however small that is, with u the unit roundoff.
        inverse: "pseudo-inverse": each B_l is that of W_l R_l, found anew in every call; "given": ``task.feedback``
            holds B_2 … B_L, (…, K_{l−1}, K_l).

    Raises:
        TypeError, ValueError: γ is no number above 0, or an unknown kind of inverse.

    Not checked: that a square W_l R_l is regular; and that f is not saturated. Where y_l is at the end of f's range (±1
    for tanh), or γ leads beyond it, δ_{l−1} is NaN.
    """

    gamma: float | Fraction = Fraction(1, 1000)
    inverse: InverseName = "pseudo-inverse"

    def __post_init__(self) -> None:
        _check_settings(self.gamma, self.inverse)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, given feedback weights don't fit the network, or f
                has no inverse.
        """
        pulls = [output_perturbation(params, trace, task)]  # D_l (t_l − y_l)
        gamma = checks.coefficient("gamma", self.gamma, trace.a[-1])
        inverses = INVERSES[self.inverse](params, task)
        for layer in reversed(range(len(trace.a) - 1)):
            f, B, y = task.activation, inverses[layer], centred(params, layer + 1, trace.y[layer])
            target, unmoved = _states_above(B, layer, trace, f, gamma * pulls[-1])
            square = B.shape[-2] == B.shape[-1]
            pulls.append(f.derivative(trace.a[layer]) * (apply(B, target) - (y if square else apply(B, unmoved))))
        return tuple(pull / gamma**steps for steps, pull in enumerate(pulls))[::-1]


@dataclass(frozen=True)
class RenormalizedGaitProp:
    """GAIT-prop with every increment of the size γ: this library's change of `GaitProp`.

    δ_l = D_l ε_l,  ε_{l−1} = [g_l(y_l + γ D_l² ε_l) − g_l(y_l)] / γ,  ε_L = −∂ℓ/∂y_L

    The division by γ is in each layer, and not by γ^{L−l} in the end: the same to first order in γ where no kink is
    crossed. Rounding adds about u ‖y_l‖ / γ to an error δ_l, at any depth.

    Arguments and errors as `GaitProp`.
    """

    gamma: float | Fraction = Fraction(1, 1000)
    inverse: InverseName = "pseudo-inverse"

    def __post_init__(self) -> None:
        _check_settings(self.gamma, self.inverse)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first; errors as `GaitProp`."""
        deltas = [output_perturbation(params, trace, task)]
        gamma = checks.coefficient("gamma", self.gamma, trace.a[-1])
        inverses = INVERSES[self.inverse](params, task)
        for layer in reversed(range(len(trace.a) - 1)):
            f, B = task.activation, inverses[layer]
            target, unmoved = _states_above(B, layer, trace, f, gamma * deltas[-1])
            deltas.append(f.derivative(trace.a[layer]) * apply(B, target - unmoved) / gamma)
        return tuple(reversed(deltas))


def _check_settings(gamma: Any, inverse: str) -> None:
    checks.positive_number("gamma", gamma)
    checks.choice("inverse", inverse, INVERSES)


def _states_above(B: Array, layer: int, trace: Trace, f: Activation, increment: Array) -> tuple[Array, Array]:
    """Return f⁻¹(y + D i) and f⁻¹(y), with y and D of the layer above `layer` (from 0), and i its increment."""
    a, y = trace.a[layer + 1], trace.y[layer + 1]
    checks.arrays(a_above=(a, "NM"), a=(trace.a[layer], "NK"), B=(B, "KM"))
    return f.inverse(y + f.derivative(a) * increment), f.inverse(y)


def _pseudo_inverses(params: Params, task: Task) -> tuple[Array, ...]:
    checks.solvable("a pseudo-inverse", "W of the last layer", params.W[-1])
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

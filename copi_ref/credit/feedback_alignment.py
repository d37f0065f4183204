"""Feedback alignment: fixed random weights carry the error down (Lillicrap et al. 2016)."""

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


def feedback_alignment(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of feedback alignment (§2.5).

    δ_l = f′(a_l) ∘ (B_{l+1} δ_{l+1}),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}), the shape of the (W_{l+1} R_{l+1})ᵀ that it
    stands for.

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    return through(required_feedback(params, task, "feedback alignment"), params, trace, task)


def through(feedback: tuple[Array, ...], params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return δ of all layers, sent down through feedback weights layer by layer.

    Raises:
        TypeError, ValueError: the target or the feedback weights don't fit the trace.
    """
    deltas = [output_perturbation(params, trace, task)]
    for B, a in zip(reversed(feedback), trace.a[-2::-1], strict=True):
        deltas.append(fed_back(deltas[-1], B, a, task.activation))
    return tuple(reversed(deltas))


def fed_back(delta: Array, B: Array, a: Array, activation: Activation) -> Array:
    """Return f′(a_l) ∘ (B_{l+1} δ), δ that of the layer above (FA) or of the output (DFA).

    Raises:
        TypeError, ValueError: the feedback weights don't fit.
    """
    checks.arrays(delta=(delta, "NM"), a=(a, "NK"), B=(B, "KM"))
    return activation.derivative(a) * apply(B, delta)

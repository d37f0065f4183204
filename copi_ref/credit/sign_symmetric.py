"""Sign-symmetric feedback: the signs of the weights carry the error down, not their sizes (Liao et al. 2016)."""

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, namespace
from copi_ref.arrays.signs import signs
from copi_ref.credit.feedback_alignment import through
from copi_ref.network import Params, Trace
from copi_ref.task import Task, check_passed, required_feedback


def sign_symmetric_feedback(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of uniform sign-concordant feedback: every feedback weight is −1, 0 or 1.

    δ_l = f′(a_l) ∘ (sign(W_{l+1})ᵀ δ_{l+1}),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    As in feedback alignment R is not on the way back: sign(Wᵀ) stands for (W R)ᵀ.

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target does not fit the trace.
    """
    check_passed(params, trace, task)
    return through(tuple(signs(W.mT) for W in params.W[1:]), params, trace, task)


def sign_symmetric_feedback_with_magnitudes(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of sign-concordant feedback with fixed magnitudes, those of B.

    δ_l = f′(a_l) ∘ ((abs(B_{l+1}) ∘ sign(W_{l+1})ᵀ) δ_{l+1}),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}). R is not on the way back.

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    check_passed(params, trace, task)
    feedback = required_feedback(params, task, "sign-symmetric feedback")
    return through(tuple(map(with_signs_of, feedback, params.W[1:])), params, trace, task)


def with_signs_of(B: Array, W: Array) -> Array:
    """Return abs(B) ∘ sign(W)ᵀ: B is (…, K, M), W is (…, M, K).

    Raises:
        TypeError, ValueError: they don't fit.
    """
    checks.arrays(W=(W, "MK"), B=(B, "KM"))
    return namespace(B).abs(B) * signs(W.mT)

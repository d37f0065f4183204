"""Direct feedback alignment: fixed random weights carry the output's error, or its sign, to every layer."""

from copi_ref.arrays.backend import Array
from copi_ref.arrays.signs import signs
from copi_ref.credit.feedback_alignment import fed_back
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


def direct_feedback_alignment(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of direct feedback alignment (§2.5; Nøkland 2016).

    δ_l = f′(a_l) ∘ (B_{l+1} δ_L),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_L).

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    feedback = required_feedback(params, task, "direct feedback alignment")
    delta_L = output_perturbation(params, trace, task)
    return (*directly_fed_back(delta_L, feedback, trace, task), delta_L)


def sign_direct_feedback_alignment(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of direct feedback alignment with the sign of the error (sDFA; Frenkel et al. 2021).

    δ_l = f′(a_l) ∘ (B_{l+1} sign(δ_L)),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L,  sign(0) = 0

    Where f′ > 0 this is the sign of the error y* − y_L; where f′(a_L) = 0 nothing is sent. The output keeps its δ_L.

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_L). Returns and raises as `direct_feedback_alignment`.
    """
    feedback = required_feedback(params, task, "direct feedback alignment")
    delta_L = output_perturbation(params, trace, task)
    return (*directly_fed_back(signs(delta_L), feedback, trace, task), delta_L)


def directly_fed_back(sent: Array, feedback: tuple[Array, ...], trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return f′(a_l) ∘ (B_{l+1} s) of the hidden layers, s (…, N, K_L) what is sent to all of them.

    Raises:
        TypeError, ValueError: the feedback weights don't fit.
    """
    return tuple(fed_back(sent, B, a, task.activation) for B, a in zip(feedback, trace.a[:-1], strict=True))

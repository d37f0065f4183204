"""Direct feedback alignment: fixed random weights carry the output's error to every layer (Nøkland 2016)."""

from copi_ref.arrays.backend import Array
from copi_ref.credit.feedback_alignment import fed_back
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


def direct_feedback_alignment(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of direct feedback alignment (§2.5).

    δ_l = f′(a_l) ∘ (B_{l+1} δ_L),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_L).

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    feedback = required_feedback(params, task, "direct feedback alignment")
    delta_L = output_perturbation(params, trace, task)
    hidden = (fed_back(delta_L, B, a, task.activation) for B, a in zip(feedback, trace.a[:-1], strict=True))
    return (*hidden, delta_L)

"""Direct random target projection: fixed random weights carry the target to every layer (Frenkel et al. 2021)."""

from copi_ref.arrays.backend import Array
from copi_ref.credit.direct_feedback_alignment import directly_fed_back
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


def direct_random_target_projection(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of direct random target projection: hidden layers don't wait for the output.

    δ_l = f′(a_l) ∘ (B_{l+1} y*),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    It stands for the sign of the error: of labels (0 or 1) and outputs between, sign(y* − y_L) = 2 y* − 1.

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_L).

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    feedback = required_feedback(params, task, "direct random target projection")
    delta_L = output_perturbation(params, trace, task)
    return (*directly_fed_back(task.target, feedback, trace, task), delta_L)

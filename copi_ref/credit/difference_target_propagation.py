"""Difference target propagation: what the inverse model gets wrong is taken off (Lee et al. 2015)."""

from dataclasses import dataclass

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.credit.inverse_model import LearnsInverse
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


@dataclass(frozen=True)
class DifferenceTargetPropagation(LearnsInverse):
    """Difference target propagation (Lee et al. 2015), with the pre-activations as the layers' states.

    z_L = a_L + δ_L,  z_l = a_l + B_{l+1} f(z_{l+1}) − B_{l+1} f(a_{l+1}),  δ_l = z_l − a_l

    The inverse model, a_l ≈ B_{l+1} f(a_{l+1}), is that of `TargetPropagation`. Its error cancels: z = a where the
    target is the output.

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}).

    Args:
        eta_b: learning rate of the inverse model, at most 2 (see `learn_inverse`); 0: its weights are given and stay.

    Raises:
        TypeError, ValueError: `eta_b` is no number from 0 to 2.
    """

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
        """
        feedback = required_feedback(params, task, "difference target propagation")
        deltas = [output_perturbation(params, trace, task)]
        layers = zip(reversed(feedback), trace.a[-2::-1], trace.a[:0:-1], trace.y[:0:-1], strict=True)
        for B, a, a_above, y_above in layers:
            checks.arrays(a_above=(a_above, "NM"), a=(a, "NK"), B=(B, "KM"))
            deltas.append(apply(B, task.activation(a_above + deltas[-1]) - y_above))
        return tuple(reversed(deltas))

"""Target propagation: targets, not errors, go down through an inverse model (Le Cun 1986; Bengio 2014)."""

from dataclasses import dataclass

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.credit.inverse_model import LearnsInverse
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation, required_feedback


def target_propagation_as_printed(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return the perturbations of target propagation as COPI's paper prints them (§2.5).

    δ_l = f(B_{l+1} δ_{l+1}) − a_l,  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    The inverse model f(B_{l+1} y_{l+1}) ≈ y_l was defined for outputs y, and is applied to a perturbation here: z_l =
    a_l + δ_l = f(B_{l+1} δ_{l+1}) has forgotten a_l. See `TargetPropagation` for the standard form.

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}).

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
    """
    feedback = required_feedback(params, task, "target propagation")
    deltas = [output_perturbation(params, trace, task)]
    for B, a in zip(reversed(feedback), trace.a[-2::-1], strict=True):
        checks.arrays(delta=(deltas[-1], "NM"), a=(a, "NK"), B=(B, "KM"))
        deltas.append(task.activation(apply(B, deltas[-1])) - a)
    return tuple(reversed(deltas))


@dataclass(frozen=True)
class TargetPropagation(LearnsInverse):
    """Target propagation in its standard form, with the inverse model f(B_{l+1} y_{l+1}) ≈ y_l of §2.5.

    z_L = a_L + δ_L,  ŷ_l = f(z_l),  z_l = B_{l+1} ŷ_{l+1},  δ_l = z_l − a_l

    A target output ŷ_l = f(B_{l+1} ŷ_{l+1}) has the target state z_l = B_{l+1} ŷ_{l+1}. It agrees with
    backpropagation where all of this is linear, B_{l+1} inverts W_{l+1} R_{l+1}, and that is orthogonal; elsewhere
    what the inverse model gets wrong goes into δ.

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
        feedback = required_feedback(params, task, "target propagation")
        deltas = [output_perturbation(params, trace, task)]
        z = trace.a[-1] + deltas[-1]
        for B, a in zip(reversed(feedback), trace.a[-2::-1], strict=True):
            checks.arrays(z=(z, "NM"), a=(a, "NK"), B=(B, "KM"))
            z = apply(B, task.activation(z))
            deltas.append(z - a)
        return tuple(reversed(deltas))

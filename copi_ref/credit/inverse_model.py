"""The inverse model of target propagation: weights that lead from a layer's output back to the state below it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_outer, mean_square, narrow, unit_size, wide
from copi_ref.arrays.products import apply
from copi_ref.network import Params, Trace
from copi_ref.task import Task, check_passed, required_feedback


@dataclass(frozen=True)
class LearnsInverse:
    """What methods have in common whose feedback weights B_2 … B_L learn: a_l ≈ B_{l+1} y_{l+1}, at the rate η_B."""

    eta_b: float | Fraction = Fraction(1, 2)

    def __post_init__(self) -> None:
        checks.one_number("eta_b", self.eta_b, minimum=0, maximum=2)

    def learn_feedback(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return the inverse model after one step, see `learn_inverse`."""
        check_passed(params, trace, task)
        return learn_inverse(required_feedback(params, task, "an inverse model"), trace, self.eta_b)


def learn_inverse(feedback: tuple[Array, ...], trace: Trace, eta_b: Any) -> tuple[Array, ...]:
    """Return the inverse model B_2 … B_L after one step of least mean squares on the states of a forward pass.

    B_{l+1} ← B_{l+1} + η_B E[(a_l − B_{l+1} y_{l+1}) y_{l+1}ᵀ] / E‖y_{l+1}‖²

    With 0 ≤ η_B ≤ 2 a step never raises E‖a_l − B_{l+1} y_{l+1}‖² of its batch.

    Args:
        feedback: B_{l+1}, (…, K_l, K_{l+1}).
        trace: states of the network.
        eta_b: η_B.

    Raises:
        TypeError, ValueError: arrays that don't fit together.
    """
    learnt = []
    for B, a, y in zip(feedback, trace.a[:-1], trace.y[1:], strict=True):
        xp = checks.arrays(a=(a, "NK"), y=(y, "NM"), B=(B, "KM"))
        size = unit_size(wide(y), (-2, -1), xp)
        u = wide(y) / size
        power = xp.sum(mean_square(u, xp), axis=-1, keepdims=True)[..., None]
        step = mean_outer(wide(a - apply(B, y)), u) / xp.where(power == 0, power + 1, power) / size
        learnt.append(B + checks.coefficient("eta_b", eta_b, B) * narrow(step, B))
    return tuple(learnt)

"""Who gets the blame: one credit method a file, all with the signature ``(params, trace, task) -> deltas``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from copi_ref import _checks
from copi_ref.backend import Array, Namespace, default_namespace
from copi_ref.credit.backpropagation import backpropagation
from copi_ref.credit.feedback_alignment import draw_feedback, feedback_alignment
from copi_ref.credit.task import OUTPUTS, CreditMethod, Task
from copi_ref.network import check_sizes

__all__ = [
    "CREDIT",
    "OUTPUTS",
    "CreditMethod",
    "Task",
    "backpropagation",
    "feedback_alignment",
    "find_credit",
    "init_feedback",
]

CREDIT: dict[str, CreditMethod] = {
    "bp": backpropagation,
    "fa": feedback_alignment,
}
"""Credit methods by name."""


def init_feedback(
    method: str | CreditMethod,
    sizes: Sequence[int],
    rng: np.random.Generator,
    dtype: Any = "float32",
    xp: Namespace | None = None,
) -> tuple[Array, ...] | None:
    """Draw the fixed feedback weights of a method, or return None if it has none.

    Args:
        method: a name in `CREDIT`, or a credit method itself.
        sizes: units of each layer, the input first, as for `init_params`.
        rng: the generator that is drawn from.
        dtype: floating dtype, as a name or of any library.
        xp: array module to make them with; by default the chosen backend.

    Raises:
        TypeError: a size is no integer or `dtype` is not floating.
        ValueError: the method is unknown or the sizes are wrong.
        BackendError: the backend can't be used.
    """
    check_sizes(sizes)
    _checks.generator("rng", rng)
    if find_credit(method) is feedback_alignment:
        return draw_feedback(sizes, rng, dtype, default_namespace(xp))
    return None


def find_credit(method: str | CreditMethod) -> CreditMethod:
    """Return the credit method of that name, or `method` itself if it is callable.

    Raises:
        ValueError: an unknown name.
    """
    return method if callable(method) else _checks.choice("credit", method, CREDIT)

"""Who gets the blame: one credit method a file, all with the signature ``(params, trace, task) -> deltas``."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, default_namespace, float_name, from_numpy
from copi_ref.credit.alonso import AlonsoInferenceLearning, AlonsoProx
from copi_ref.credit.backpropagation import backpropagation, backpropagation_through_batch_means
from copi_ref.credit.difference_target_propagation import (
    DifferenceTargetPropagation,
    PreActivationDifferenceTargetPropagation,
)
from copi_ref.credit.direct_feedback_alignment import direct_feedback_alignment, sign_direct_feedback_alignment
from copi_ref.credit.direct_random_target_projection import direct_random_target_projection
from copi_ref.credit.feedback_alignment import feedback_alignment
from copi_ref.credit.gait_prop import GaitProp, RenormalizedGaitProp
from copi_ref.credit.inference_learning import InferenceLearning, ProximalInferenceLearning
from copi_ref.credit.inverse_model import LearnsInverse
from copi_ref.credit.node_perturbation import NodePerturbation
from copi_ref.credit.sign_symmetric import sign_symmetric_feedback, sign_symmetric_feedback_with_magnitudes
from copi_ref.credit.target_propagation import TargetPropagation, target_propagation_as_printed
from copi_ref.network import check_sizes, xavier_normal
from copi_ref.task import CreditMethod

__all__ = [
    "CREDIT",
    "AlonsoInferenceLearning",
    "AlonsoProx",
    "CreditName",
    "DifferenceTargetPropagation",
    "GaitProp",
    "InferenceLearning",
    "NodePerturbation",
    "PreActivationDifferenceTargetPropagation",
    "ProximalInferenceLearning",
    "RenormalizedGaitProp",
    "TargetPropagation",
    "backpropagation",
    "backpropagation_through_batch_means",
    "direct_feedback_alignment",
    "direct_random_target_projection",
    "feedback_alignment",
    "find_credit",
    "init_feedback",
    "sign_direct_feedback_alignment",
    "sign_symmetric_feedback",
    "sign_symmetric_feedback_with_magnitudes",
    "target_propagation_as_printed",
]

CreditName = Literal[
    "bp",
    "fa",
    "dfa",
    "sdfa",
    "drtp",
    "sign-symmetric",
    "sign-symmetric-magnitudes",
    "tp-printed",
    "tp",
    "dtp",
    "dtp-pre-activation",
    "gait",
    "gait-renormalized",
    "node",
    "il",
    "il-alonso",
    "il-prox",
    "il-prox-fast",
    "il-proximal",
    "bp-batch-mean",
]

CREDIT: dict[str, CreditMethod] = {
    "bp": backpropagation,
    "fa": feedback_alignment,
    "dfa": direct_feedback_alignment,
    "sdfa": sign_direct_feedback_alignment,
    "drtp": direct_random_target_projection,
    "sign-symmetric": sign_symmetric_feedback,
    "sign-symmetric-magnitudes": sign_symmetric_feedback_with_magnitudes,
    "tp-printed": target_propagation_as_printed,
    "tp": TargetPropagation(),
    "dtp": DifferenceTargetPropagation(),
    "dtp-pre-activation": PreActivationDifferenceTargetPropagation(),
    "gait": GaitProp(),
    "gait-renormalized": RenormalizedGaitProp(),
    "node": NodePerturbation(),
    "il": InferenceLearning(),
    "il-alonso": AlonsoInferenceLearning(),
    "il-prox": AlonsoProx(),
    "il-prox-fast": AlonsoProx(steps=12, gamma_top=0),
    "il-proximal": ProximalInferenceLearning(),
    "bp-batch-mean": backpropagation_through_batch_means,
}
"""Credit methods by name."""


def init_feedback(
    method: CreditName | CreditMethod,
    sizes: Sequence[int],
    rng: np.random.Generator,
    dtype: Any = "float32",
    xp: Namespace | None = None,
) -> tuple[Array, ...] | None:
    """Draw the feedback weights with which a method starts, Xavier-normal, or return None if it has none.

    B_2 … B_L: B_{l+1} is (K_l, K_{l+1}); for direct feedback alignment, sDFA and direct random target projection
    (K_l, K_L).

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
    checks.generator("rng", rng)
    shapes, dtype = _feedback_shapes(find_credit(method, "method"), tuple(sizes)), float_name(dtype)
    if shapes is None:
        return None
    xp = default_namespace(xp)
    return tuple(from_numpy(xavier_normal(*shape, rng), xp, dtype) for shape in shapes)


_FROM_THE_OUTPUT = (direct_feedback_alignment, sign_direct_feedback_alignment, direct_random_target_projection)
_LAYER_BY_LAYER = (feedback_alignment, sign_symmetric_feedback_with_magnitudes, target_propagation_as_printed)


def _feedback_shapes(method: CreditMethod, sizes: tuple[int, ...]) -> list[tuple[int, int]] | None:
    if method in _FROM_THE_OUTPUT:
        return [(units, sizes[-1]) for units in sizes[1:-1]]
    if method in _LAYER_BY_LAYER or isinstance(method, LearnsInverse | DifferenceTargetPropagation):
        return list(itertools.pairwise(sizes[1:]))
    return None


def find_credit(method: CreditName | CreditMethod, argument: str = "credit") -> CreditMethod:
    """Return the credit method of that name, or `method` itself if it is callable; `argument` is for the message.

    Raises:
        TypeError: a class and not an instance of it.
        ValueError: an unknown name.
    """
    if isinstance(method, type):
        raise TypeError(f"{argument} is the class {method.__name__}: needs an instance, as {method.__name__}()")
    return method if callable(method) else checks.choice(argument, method, CREDIT)

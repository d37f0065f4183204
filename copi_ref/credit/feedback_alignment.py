"""Feedback alignment: fixed random weights carry the error down (Lillicrap et al. 2016)."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from copi_ref import _checks
from copi_ref.backend import Array, Namespace, from_numpy
from copi_ref.credit.task import Task, output_perturbation
from copi_ref.network import Params, Trace, xavier_normal


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
    if task.feedback is None:
        raise ValueError("feedback is None: feedback alignment needs fixed weights, as init_feedback makes them")
    _checks.same_length(feedback=(task.feedback, len(params.W) - 1))
    deltas = [output_perturbation(params, trace, task)]
    for B, a in zip(reversed(task.feedback), trace.a[-2::-1], strict=True):
        _checks.arrays(delta=(deltas[-1], "NM"), a=(a, "NK"), B=(B, "KM"))
        deltas.append(task.activation.derivative(a) * (deltas[-1] @ B.mT))
    return tuple(reversed(deltas))


def draw_feedback(sizes: Sequence[int], rng: np.random.Generator, dtype: Any, xp: Namespace) -> tuple[Array, ...]:
    """Draw B_2 … B_L, Xavier-normal, B_{l+1} of shape (K_l, K_{l+1})."""
    pairs = itertools.pairwise(sizes[1:])
    return tuple(from_numpy(xavier_normal(lower, upper, rng), xp, dtype) for lower, upper in pairs)

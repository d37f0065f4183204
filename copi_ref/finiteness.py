"""Whether numbers are finite, and which quantity of which layer is the first that is not."""

from collections.abc import Sequence
from typing import Any

from copi_ref.backend import Array, namespace
from copi_ref.network import Params, Trace


def finite(array: Array) -> bool:
    """Whether no entry is infinite or NaN; waits for the device."""
    xp = namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def non_finite_weight(params: Params, memories: Sequence[Sequence[Any]]) -> str | None:
    """Name the first of W, R, μ and the optimizer's memories, layer by layer, that is not finite."""
    means = params.mean or (None,) * len(params.W)
    for layer, (W, R, mean, memory) in enumerate(zip(params.W, params.R, means, memories, strict=True), start=1):
        if not finite(W):
            return f"W of layer {layer}"
        if not finite(R):
            return f"R of layer {layer}"
        if mean is not None and not finite(mean):
            return f"the mean μ of layer {layer}'s input"
        # An infinite v makes Adam's steps 0, and no weight shows it.
        if not all(finite(entry) for entry in memory if hasattr(entry, "shape")):
            return f"the optimizer's memory of layer {layer}"
    return None


def non_finite_activity(trace: Trace) -> str | None:
    """Name the first quantity of a forward pass, in its own order, that is not finite."""
    for layer, arrays in enumerate(zip(trace.x, trace.a, trace.y, strict=True), start=1):
        for name, array in zip("xay", arrays, strict=True):
            if not finite(array):
                return f"{name} of layer {layer}"
    return None

"""Whether numbers are finite, and which quantity of which layer is the first that is not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from copi_ref.arrays.backend import Array, HostArray, namespace, to_numpy
from copi_ref.network import Params, Trace
from copi_ref.state import State, arrays_of


def finite(array: Array) -> bool:
    """Whether no entry is infinite or NaN; waits for the device."""
    xp = namespace(array)
    return bool(xp.all(xp.isfinite(array)))


def finite_networks(state: State) -> HostArray:
    """Whether all weights and memories of a network are finite: () of one, (S,) of an ensemble; one wait for both."""
    arrays = arrays_of(replace(state, feedback=None))
    xp, first = namespace(arrays[0]), int(state.members is not None)
    flags = [xp.all(xp.isfinite(array), axis=tuple(range(first, array.ndim))) for array in arrays]
    return to_numpy(xp.all(xp.stack(flags), axis=0))


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

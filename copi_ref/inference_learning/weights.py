"""The weights of a network of Inference Learning: W alone, or with lateral weights, means and biases beside it."""

from dataclasses import dataclass, replace
from typing import Any

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.arrays.shown import shown
from copi_ref.network import Params, Trace


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights W_l, (…, K_l, K_{l−1}), and what else a network may have, layer by layer.

    Where this library asks for COPI's `Params`, R is always there. The published networks of Inference Learning have
    none: `Weights(W)` is such a network, `Weights(W, b=b)` one with biases.

    Args:
        W: forward weights W_l.
        R: lateral weights R_l, (…, K_{l−1}, K_{l−1}); None: there are none.
        mean: what is subtracted from each layer's input, (…, K_{l−1}); None: nothing.
        b: biases b_l, (…, K_l); None: there are none. A `Form` says where they go.
    """

    W: tuple[Array, ...]
    R: tuple[Array, ...] | None = None
    mean: tuple[Array, ...] | None = None
    b: tuple[Array, ...] | None = None

    __repr__ = shown


def as_weights(params: Params | Weights) -> Weights:
    """Return `params` as weights.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(params, (Params, Weights)):
        checks.instance("params", params, Weights, "Weights(W), or Params, as init_params makes them")
    return Weights(params.W, params.R, params.mean) if isinstance(params, Params) else params


def check_weights(weights: Weights, y0: Array, states: tuple[Array, ...]) -> None:
    """Check that weights, input and states belong together.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: numbers of layers or shapes that don't fit; the message names the layer.
    """
    check_lengths(weights)
    checks.same_length(states=(states, len(weights.W)))
    y, name = y0, "y0"
    for layer, h in enumerate(states, start=1):
        check_layer(weights, layer, **{name: y})
        checks.arrays(**{f"W of layer {layer}": (weights.W[layer - 1], "MK"), f"states of layer {layer}": (h, "NM")})
        y, name = h, f"states of layer {layer}"


def check_lengths(weights: Weights) -> None:
    """Check that there is an R, a mean and a bias for each W, where there are any; errors as `check_weights`."""
    checks.layers("W", weights.W)
    parts = {"R": weights.R, "mean": weights.mean, "b": weights.b}
    checks.same_length(**{name: (part, len(weights.W)) for name, part in parts.items() if part is not None})


def check_layer(weights: Weights, layer: int, **below: Array) -> None:
    """Check a layer (from 1) against its input, whose name is for the reader; errors as `check_weights`."""
    named = {**{name: (y, "NK") for name, y in below.items()}, f"W of layer {layer}": (weights.W[layer - 1], "MK")}
    if weights.R is not None:
        named[f"R of layer {layer}"] = (weights.R[layer - 1], "KK")
    if weights.mean is not None:
        name = f"mean of y{layer - 1}"
        named[name] = (checks.as_row(name, weights.mean[layer - 1]), "OK")
    if weights.b is not None:
        name = f"b of layer {layer}"
        named[name] = (checks.as_row(name, weights.b[layer - 1]), "OM")
    checks.arrays(**named)


def layer_input(weights: Weights, index: int, y: Array) -> Array:
    """Return x = R (y − μ) for the input y of layer `index` (from 0), without what the network has not.

    Not checked: that shapes fit.
    """
    if weights.mean is not None:
        y = y - weights.mean[index][..., None, :]
    R = _lateral(weights, index)
    return y if R is None else apply(R, y)


def back(weights: Weights, index: int, error: Array) -> Array:
    """Return Rᵀ Wᵀ e for the error e of layer `index` (from 0).

    Not checked: that shapes fit.
    """
    return back_through_R(weights, index, apply(weights.W[index].mT, error))


def back_through_R(weights: Weights, index: int, pull: Array) -> Array:
    """Return Rᵀ u for what pulls at the x of layer `index` (from 0)."""
    R = _lateral(weights, index)
    return pull if R is None else apply(R.mT, pull)


def multiplied(weights: Weights, index: int) -> Array:
    """Return G = W R of layer `index` (from 0), or W where there is no R."""
    R = _lateral(weights, index)
    return weights.W[index] if R is None else weights.W[index] @ R


def multiplied_where_cheaper(weights: Weights, samples: int, steps: int) -> Weights:
    """Return the network for T steps over N samples: G_l = W_l R_l for W_l and None for R_l, where that is less work.

    The first layer stays, whose x_1 doesn't move. All a_l and what comes down are the same up to rounding. Not so
    x_l, which there is φ(h_{l−1}) − μ: what weights learn from is made with the network itself.

    Not checked: that shapes fit.
    """
    if weights.R is None:
        return weights
    W, R = list(weights.W), list[Any](weights.R)
    for index in range(1, len(W)):
        # W R costs M K² products. In each step it saves N K² on the way up, R φ(h), and as many on the way down, Rᵀ u.
        # So it pays in a batch, and for one sample where a layer has few units. (Fixed predictions go up once only: it
        # pays for half as many units then, which makes no difference but near the bound.)
        if W[index].shape[-2] < 2 * samples * steps:
            W[index], R[index] = multiplied(weights, index), None
    return replace(weights, W=tuple(W), R=tuple(R))


def _lateral(weights: Weights, index: int) -> Array | None:
    return None if weights.R is None else weights.R[index]


def input_of(trace: Trace) -> Array:
    """Return the y0 of a trace.

    Raises:
        TypeError: it is no `Trace`.
        ValueError: it has none.
    """
    checks.instance("trace", trace, Trace, "forward makes it")
    if trace.y0 is None:
        raise ValueError("y0 of the trace is None: Inference Learning needs the input, as forward leaves it there")
    return trace.y0

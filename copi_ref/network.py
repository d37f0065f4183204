"""The network: its parameters, how they are drawn, and the forward pass."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from copi_ref.activations import Activation, leaky_relu
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, default_namespace, float_name, from_numpy
from copi_ref.arrays.moments import mean_sample
from copi_ref.arrays.products import apply
from copi_ref.arrays.said import said
from copi_ref.arrays.shown import shown


@dataclass(frozen=True, eq=False)
class Params:
    """Forward weights W_l, (…, K_l, K_{l−1}), and lateral weights R_l, (…, K_{l−1}, K_{l−1}), layer by layer.

    `mean` holds what is subtracted from each layer's input, μ_{l−1}, (…, K_{l−1}); None, as in the paper: nothing.
    """

    W: tuple[Array, ...]
    R: tuple[Array, ...]
    mean: tuple[Array, ...] | None = None

    __repr__ = shown


@dataclass(frozen=True, eq=False)
class Trace:
    """What a forward pass computed: decorrelated inputs x_l, pre-activations a_l, outputs y_l, layer by layer.

    `y0` is what it was run on. A trace made by hand may lack it: only Inference Learning asks for it.
    """

    x: tuple[Array, ...]
    a: tuple[Array, ...]
    y: tuple[Array, ...]
    y0: Array | None = None

    __repr__ = shown


def init_params(
    sizes: Sequence[int],
    rng: np.random.Generator,
    dtype: Any = "float32",
    xp: Namespace | None = None,
) -> Params:
    """Draw a network: W_l Xavier-normal, W_ij ~ N(0, 2/(K_l + K_{l−1})), and R_l = I.

    The numbers are drawn on the host in float64, so that one seed gives one network on every backend.

    Args:
        sizes: units of each layer, the input first: (784, 500, 10).
        rng: the generator that is drawn from (and so advanced).
        dtype: floating dtype, as a name or of any library.
        xp: array module to make them with; by default the chosen backend.

    Raises:
        TypeError: a size is no integer, `rng` is no Generator, or `dtype` is not floating.
        ValueError: fewer than two sizes, or a size below 1.
        BackendError: the backend can't be used.
    """
    check_sizes(sizes)
    checks.generator("rng", rng)
    dtype = float_name(dtype)
    xp = default_namespace(xp)
    W = tuple(
        from_numpy(xavier_normal(outputs, inputs, rng), xp, dtype) for inputs, outputs in itertools.pairwise(sizes)
    )
    R = tuple(from_numpy(np.eye(inputs), xp, dtype) for inputs in sizes[:-1])
    return Params(W=W, R=R)


def forward(params: Params, y0: Array, activation: Activation = leaky_relu) -> Trace:
    """Run the network on a batch (Algorithm 1, lines 4 to 8).

    x_l = R_l y_{l−1},  a_l = W_l x_l,  y_l = f(a_l)  (§2.1, §2.4); with centring x_l = R_l (y_{l−1} − μ_{l−1})

    Args:
        params: the network; R_l is (…, K_{l−1}, K_{l−1}), W_l is (…, K_l, K_{l−1}), μ_{l−1} is (…, K_{l−1}).
        y0: (…, N, K_0), rows are samples.
        activation: f, the same in every layer.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit; the message names the layer.
    """
    check_params(params)
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
    y, xs, as_, ys = y0, [], [], []
    for layer, (R, W) in enumerate(zip(params.R, params.W, strict=True), start=1):  # lines 4 to 8
        _check_layer(layer, y, R, W)
        x = decorrelated(params, layer - 1, y)  # line 5: x_l = R_l y_{l−1}
        a = apply(W, x)  # line 6: a_l = W_l x_l
        y = activation(a)  # line 7: y_l = f(a_l)
        xs.append(x)
        as_.append(a)
        ys.append(y)
    return Trace(x=tuple(xs), a=tuple(as_), y=tuple(ys), y0=y0)


def forward_by_batch_means(params: Params, y0: Array, activation: Activation = leaky_relu) -> tuple[Trace, Params]:
    """Run the network with every layer's input centred by its own mean over the batch, μ_{l−1} = E[y_{l−1}].

    Arguments and errors as `forward`, and ValueError for a single sample. Returns the trace, and the network with these
    means: with it `forward` gives the same trace.
    """
    check_params(params)
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
    below, means, traces = y0, [], []
    for layer, (W, R) in enumerate(zip(params.W, params.R, strict=True), start=1):
        xp = _check_layer(layer, below, R, W)
        if below.shape[-2] == 1:
            raise ValueError("y0 has 1 sample, which is its own mean: centring by the batch needs 2 or more")
        means.append(mean_sample(below, xp))
        traces.append(forward(Params((W,), (R,), (means[-1],)), below, activation))  # of one layer
        below = traces[-1].y[0]
    x, a, y = (tuple(getattr(trace, name)[0] for trace in traces) for name in ("x", "a", "y"))
    joined = Trace(x, a, y, y0)
    return joined, replace(params, mean=tuple(means))


def check_params(params: Params) -> None:
    """Check that a network has an R for each W.

    Raises:
        TypeError: it is no `Params`, or has no tuples.
        ValueError: it has more or fewer, or none at all.
    """
    checks.instance("params", params, Params, "state.params")
    if not (type(params.W) is type(params.R) is tuple and len(params.W) == len(params.R) > 0):
        checks.layers("W", params.W)
        checks.same_length(R=(params.R, len(params.W)))


def check_network(params: Params) -> None:
    """Check a network with all its arrays, without any samples.

    Raises:
        TypeError: it is no `Params`, or has arrays of different libraries or dtypes, or not floating.
        ValueError: numbers of layers or shapes that don't fit; the message names the layer.
    """
    check_params(params)
    for layer, (R, W) in enumerate(zip(params.R, params.W, strict=True), start=1):
        checks.arrays(**{f"R of layer {layer}": (R, "KK"), f"W of layer {layer}": (W, "MK")})
    if params.mean is not None:
        checks.same_length(mean=(params.mean, len(params.W)))
        for layer, (R, mean) in enumerate(zip(params.R, params.mean, strict=True)):
            name = f"mean of y{layer}"
            checks.arrays(**{f"R of layer {layer + 1}": (R, "MK"), name: (checks.as_row(name, mean), "OK")})


def check_trace(params: Params, trace: Trace) -> None:
    """Check that a trace is of a network: types, and shapes layer by layer; none of the numbers are looked at.

    Raises:
        TypeError: they are no `Params` and `Trace`, or have arrays of different libraries or dtypes, or not floating.
        ValueError: numbers of layers or shapes that don't fit; the message names the layer.
    """
    check_params(params)
    checks.instance("trace", trace, Trace, "forward makes it")
    count, parts = len(params.W), (trace.x, trace.a, trace.y)
    if not (type(parts[0]) is type(parts[1]) is type(parts[2]) is tuple and list(map(len, parts)) == [count] * 3):
        checks.same_length(trace=(trace.a, count), x=(trace.x, count), y=(trace.y, count))
    known = checks.is_plain(params.W[0])
    for layer, arrays in enumerate(zip(params.W, params.R, trace.x, trace.a, trace.y, strict=True), start=1):
        W, R, x, a, y = arrays
        if known and _is_like(params.W[0], arrays) and _fits(W, R, x, a, y):
            continue
        named = {"W": (W, "MK"), "R": (R, "KK"), "x": (x, "NK"), "a": (a, "NM"), "y": (y, "NM")}
        checks.arrays(**{f"{name} of layer {layer}": of for name, of in named.items()})
        known = True  # what is like this W


def _is_like(first: Array, arrays: tuple[Array, ...]) -> bool:
    """Whether arrays are of the type and dtype of one that has been checked: quick, for a step that checks often."""
    kind, dtype = type(first), first.dtype
    for one in arrays:  # noqa: SIM110  (half the time of `all`)
        if type(one) is not kind or one.dtype != dtype:
            return False
    return True


def _fits(W: Array, R: Array, x: Array, a: Array, y: Array) -> bool:
    """Whether shapes fit without any broadcasting but that of one network over the batch."""
    samples, features = x.shape[:-1], x.shape[-1:]
    return (
        len(samples) > 0
        and a.shape == y.shape
        and (a.shape[:-1], W.shape[-1:], R.shape[-2:]) == (samples, features, features * 2)
        and W.shape[-2:-1] == a.shape[-1:]
        and W.shape[:-2] == R.shape[:-2]
        and W.shape[:-2] in ((), samples[:-1])
    )


def _check_layer(layer: int, y: Array, R: Array, W: Array) -> Namespace:
    """Check that a layer (from 1) fits its input y_{l−1}, and return their array module."""
    return checks.arrays(
        **{f"y{layer - 1}": (y, "NK"), f"R of layer {layer}": (R, "KK"), f"W of layer {layer}": (W, "MK")}
    )


def decorrelated(params: Params, index: int, y: Array) -> Array:
    """Return x = R (y − μ) for the input y of layer `index` (from 0); errors as `centred`.

    Not checked: that R fits.
    """
    return apply(params.R[index], centred(params, index, y))


def centred(params: Params, index: int, y: Array) -> Array:
    """Return y − μ for the input y of layer `index` (from 0), or y itself where nothing is subtracted.

    Raises:
        TypeError, ValueError: μ has another library, dtype or length than y; the message names it.
    """
    if params.mean is None:
        return y
    checks.same_length(mean=(params.mean, len(params.W)))
    mean = checks.as_row(f"mean of y{index}", params.mean[index])
    checks.arrays(**{f"y{index}": (y, "NK"), f"mean of y{index}": (mean, "OK")})
    return y - mean


@dataclass(frozen=True, eq=False)
class Fused:
    """A network for inference alone: A_l = W_l R_l, (…, K_l, K_{l−1}), and b_l = −A_l μ_{l−1}, (…, K_l); None: no b."""

    A: tuple[Array, ...]
    b: tuple[Array, ...] | None = None

    __repr__ = shown


def fuse(params: Params) -> Fused:
    """Multiply out the lateral weights: A_l = W_l R_l, so that a_l = A_l y_{l−1}; with centring b_l = −A_l μ_{l−1}.

    `fused_forward` then gives what `forward` does up to rounding, exactly in Fractions, with one product a layer in the
    place of two. It can't be trained: x_l is not formed.

    Args:
        params: the network.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit; the message names the layer.
    """
    check_network(params)
    A = tuple(W @ R for W, R in zip(params.W, params.R, strict=True))
    if params.mean is None:
        return Fused(A)
    return Fused(A, tuple(-(A_l @ mu[..., :, None])[..., 0] for A_l, mu in zip(A, params.mean, strict=True)))


def fused_forward(fused: Fused, y0: Array, activation: Activation = leaky_relu) -> tuple[Array, Array]:
    """Run a fused network on a batch: y_l = f(A_l y_{l−1} + b_l).

    Args:
        fused: what `fuse` made of a network.
        y0: (…, N, K_0), rows are samples.
        activation: f, the same in every layer.

    Returns:
        a_L and y_L, (…, N, K_L) each. Which of them is the prediction, the recipe's `output` says.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit; the message names the layer.
    """
    checks.instance("fused", fused, Fused, "fuse makes it")
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
    checks.layers("A", fused.A)
    if fused.b is not None:
        checks.same_length(b=(fused.b, len(fused.A)))
    a, y = y0, y0
    for layer, A in enumerate(fused.A):
        checks.arrays(**{f"y{layer}": (y, "NK"), f"A of layer {layer + 1}": (A, "MK")})
        a = apply(A, y)
        if fused.b is not None:
            b = checks.as_row(f"b of layer {layer + 1}", fused.b[layer])
            checks.arrays(**{f"a of layer {layer + 1}": (a, "NM"), f"b of layer {layer + 1}": (b, "OM")})
            a = a + b
        y = activation(a)
    return a, y


def xavier_normal(outputs: int, inputs: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Draw an (outputs, inputs) matrix from N(0, 2/(outputs + inputs)), in float64 on the host."""
    return rng.normal(0.0, (2 / (outputs + inputs)) ** 0.5, size=(outputs, inputs))


def check_sizes(sizes: Sequence[int]) -> None:
    """Check the units of each layer.

    Raises:
        TypeError: a size is no integer.
        ValueError: fewer than two sizes, or a size below 1.
    """
    if not isinstance(sizes, Sequence) or isinstance(sizes, (str, bytes)):
        raise TypeError(f"sizes is {said(sizes)}: needs the units of each layer, the input first, as in (784, 10)")
    if len(sizes) < 2:
        raise ValueError(f"sizes is {said(tuple(sizes))}: needs at least the input and one layer, as in (784, 10)")
    for place, size in enumerate(sizes):
        checks.whole_number(f"sizes[{place}]", size, minimum=1)

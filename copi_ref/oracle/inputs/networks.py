"""Inputs of `forward`, `perturbations` and `step`: networks with a batch, a target and rates."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import BY_SIGNS, DIRECT, Conventions
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, forward, right_pieces
from copi_ref.oracle.inputs.drawing import (
    EXACT,
    LOOSE,
    NINE_BITS,
    ROUNDING,
    Draw,
    Drawing,
    Kind,
    is_narrow,
    shows_nine_bits,
)
from copi_ref.oracle.inputs.whole_networks import whole_network
from copi_ref.oracle.rounding import Precision

ETA_W, ETA_R = 4.0, 8.0  # above 1, so that an update is not lost in the weights; different, so that a swap shows


def network_kinds(function: Function, precision: Precision) -> Iterator[Kind]:
    """Yield each kind of case of a function of networks; the first is the one that a reproducer shows."""
    yield from _whole_kinds(function)
    if shows_nine_bits(precision):
        yield Kind("one layer of nine bits", EXACT, _of_nine_bits(function), LOOSE, first=16)
    yield from _real_kinds(function, precision)


def _whole_kinds(function: Function) -> Iterator[Kind]:
    sized = partial(whole_numbers, function)
    yield Kind("one layer of whole numbers", EXACT, sized(3, 2, N=4))
    yield Kind("one layer of the same shapes", EXACT, sized(3, 2, N=4))  # shows what is kept from a call
    yield Kind("two layers of whole numbers", EXACT, sized(3, 4, 2, N=8), LOOSE)
    yield Kind("fewer samples of the same widths", EXACT, sized(3, 4, 2, N=2))  # shows rows left in a buffer
    yield Kind("one layer with outputs of both signs", EXACT, sized(3, 2, N=4, below=True))
    yield Kind("one sample", EXACT, sized(2, 3, 4, N=1))
    yield Kind("one hidden unit", EXACT, sized(3, 1, 2, N=4))
    yield Kind("one output unit", EXACT, sized(3, 4, 1, N=4))
    yield Kind("one unit in each layer", EXACT, sized(1, 1, 1, N=4), LOOSE)
    yield Kind("two layers with outputs of both signs", EXACT, sized(3, 4, 2, N=4, below=True), LOOSE)
    without = sized(3, 4, 2, N=4, no_error=True)
    yield Kind("a sample and an output without error", EXACT, without, LOOSE, no_error=True)
    yield Kind("dead inputs", EXACT, sized(3, 4, 2, N=4, dead=True), LOOSE)
    large = sized(3, 4, 2, N=4, scale=2.0**12, rates=(2.0**-22, 2.0**-22))
    yield Kind("large whole numbers, small equal rates", EXACT, large, LOOSE, fine=True)
    yield Kind("three layers of whole numbers", EXACT, sized(3, 5, 4, 2, N=8), LOOSE, first=12)
    yield Kind(
        "as many samples as units", EXACT, sized(4, 4, 4, 4, N=4), LOOSE, first=12
    )  # a guess at the layout, or at B
    yield Kind("four layers of whole numbers", EXACT, sized(3, 2, 3, 2, 4, N=2), LOOSE, first=24)
    yield Kind("six layers of whole numbers", EXACT, sized(2, 3, 2, 3, 2, 3, 2, N=2), LOOSE, fine=True, first=40)
    yield Kind(
        "eight layers of whole numbers", EXACT, sized(2, 3, 2, 3, 2, 3, 2, 3, 2, N=2), LOOSE, fine=True, first=40
    )


def kinds_without_whole_numbers(function: Function, conventions: Conventions) -> Iterator[Kind]:
    """Yield kinds of cases that show what else only the whole numbers of an exact tier would, and signs of W."""

    def kind(name: str, network: Draw) -> Kind:
        return Kind(name, ROUNDING, lambda d: completed(d, function, network(d), (ETA_W, ETA_R)), LOOSE)

    if function.name == "forward":
        return
    if conventions.has_R and (conventions.credit in BY_SIGNS or not conventions.is_rational):
        yield kind("lateral weights that turn signs", _turning_signs)
    if conventions.loss == "cross-entropy":
        yield kind("errors that grow on their way down", _growing_errors)


def _growing_errors(d: Drawing) -> Inputs:
    """Draw a network whose second layer makes large numbers of small ones: its errors are no larger than 1."""
    inputs = real_network(d, (3, 5, 4, 2), 7)
    return inputs | {"W": (inputs["W"][0] / 256, inputs["W"][1] * 256, inputs["W"][2] * 16)}


def _turning_signs(d: Drawing) -> Inputs:
    """Draw a network in which inputs 0 and 1 of each layer are taken from each other, doubled: W R and W differ."""
    inputs = real_network(d, (3, 5, 4, 2), 7)
    return inputs | {"R": tuple(d.precision.representable(R + _between_first_two(len(R))) for R in inputs["R"])}


def _between_first_two(units: int) -> HostArray:
    beside = np.zeros((units, units))
    beside[0, 1] = beside[1, 0] = -2
    return beside


def whole_numbers(
    function: Function,
    *sizes: int,
    N: int,
    scale: float = 1.0,
    rates: tuple[float, float] = (ETA_W, ETA_R),
    **how: Any,
) -> Draw:
    """Return what draws a network of whole numbers with all that a function takes; see `whole_network`."""

    def draw(d: Drawing) -> Inputs:
        inputs = whole_network(d, sizes, N, **how)
        scaled = {name: inputs[name] * scale for name in ("y0", "target")}
        if "b" in inputs:
            scaled["b"] = tuple(scale * b for b in inputs["b"])
        return completed(d, function, inputs | scaled, rates)

    return draw


def _of_nine_bits(function: Function) -> Draw:
    """A factor of 257 in what a function multiplies: y₀, or errors; x² would leave 11 bits."""

    def draw(d: Drawing) -> Inputs:
        if function.name == "forward":
            inputs = whole_network(d, (3, 2), N=1)
            return completed(d, function, inputs | {"y0": NINE_BITS * inputs["y0"]}, (1.0, 1.0))
        sizes = (3, 2) if function.name == "step" else (3, 4, 2)
        return completed(d, function, whole_network(d, sizes, N=1, error=NINE_BITS), (1.0, 1.0))

    return draw


def _real_kinds(function: Function, precision: Precision) -> Iterator[Kind]:
    def sized(*sizes: int, N: int, rates: tuple[float, float] = (ETA_W, ETA_R), **how: Any) -> Draw:
        return lambda d: completed(d, function, real_network(d, sizes, N, **how), rates)

    def large(d: Drawing) -> Inputs:
        # What rounding may do to tanh, or a softmax, grows with a, and not with y: δ would not be sharp.
        scale = 2.0**4 if not d.conventions.is_rational and function.name != "forward" else 2.0**11
        return sized(3, 5, 2, N=7, signed=True, scale=scale)(d)

    yield Kind("numbers of order 1", ROUNDING, sized(3, 5, 2, N=7))
    yield Kind("inputs of both signs", ROUNDING, sized(3, 5, 2, N=7, samples_signed=True))
    yield Kind("one layer", ROUNDING, sized(3, 2, N=7))
    yield Kind("one sample of order 1", ROUNDING, sized(3, 2, 4, N=1))
    yield Kind("weights of both signs", ROUNDING, sized(3, 5, 2, N=7, signed=True, rates=(0.5, 0.5)), LOOSE, fine=True)
    yield Kind("one output unit of order 1", ROUNDING, sized(3, 5, 1, N=7, signed=True), LOOSE, fine=True)
    yield Kind("dead inputs of order 1", ROUNDING, sized(3, 5, 2, N=7, signed=True, dead=True), LOOSE, fine=True)
    yield Kind("three layers", ROUNDING, sized(3, 5, 4, 2, N=7), LOOSE, strided=True)
    yield Kind("equal widths", ROUNDING, sized(4, 4, 4, 4, N=4, signed=True), LOOSE, fine=True)
    yield Kind("four layers", ROUNDING, sized(3, 4, 1, 3, 2, N=5, deep=True), LOOSE, fine=True)
    yield Kind("five layers", ROUNDING, sized(3, 4, 3, 4, 3, 2, N=5, deep=True), LOOSE, fine=True)
    yield Kind("six layers", ROUNDING, sized(2, 3, 2, 3, 2, 3, 2, N=5, deep=True), LOOSE, fine=True)
    yield Kind("seven layers", ROUNDING, sized(2, 3, 2, 3, 2, 3, 2, 3, N=5, deep=True), LOOSE, fine=True)
    yield Kind("eight layers", ROUNDING, sized(2, 3, 2, 3, 2, 3, 2, 3, 2, N=5, deep=True), LOOSE, fine=True)
    yield Kind("large inputs", ROUNDING, large, LOOSE, fine=True)
    if not is_narrow(precision):
        tiny = sized(3, 5, 2, N=7, signed=True, scale=2.0**-40, rates=(2.0**80, 2.0**81))
        yield Kind("tiny inputs", ROUNDING, tiny, LOOSE, fine=True)
        yield Kind("inputs whose squares underflow", ROUNDING, sized(3, 5, 2, N=7, scale="root"), np.inf, fine=True)
    if function.name == "perturbations":
        reached = sized(3, 5, 2, N=7)
        yield Kind(
            "a sample and an output without error, of order 1", ROUNDING, lambda d: _partly_reached(d, reached(d)),
            no_error=True,
        )  # fmt: skip
    if function.name == "step":
        small = sized(3, 5, 2, N=7, signed=True, scale=2.0**5, rates=(2.0**-12, 2.0**-12))
        yield Kind("small equal rates", ROUNDING, small, LOOSE, fine=True)
    yield Kind("many samples", ROUNDING, sized(3, 5, 2, N=93, signed=True), LOOSE, fine=True)
    yield Kind("many samples and wide layers", ROUNDING, sized(37, 41, 35, N=150, signed=True), LOOSE, fine=True)
    yield Kind("pre-activations at and near 0", ROUNDING, sized(3, 4, 2, N=8, kink=True))


def completed(d: Drawing, function: Function, inputs: Inputs, rates: tuple[float, float]) -> Inputs:
    """Return a network with what else a function takes: feedback weights, rates, or what comes of a forward pass."""
    sizes = [len(W) for W in inputs["W"]]
    if d.conventions.has_B:
        above = [sizes[-1]] * (len(sizes) - 1) if d.conventions.credit in DIRECT else sizes[1:]
        inputs["B"] = _feedback(d, sizes[:-1], above)
    if d.conventions.loss == "cross-entropy":
        inputs["target"] = one_hot(d.rng, len(inputs["y0"]), sizes[-1])
    if function.name == "step":
        inputs |= {"eta_w": rates[0], "eta_r": rates[1]}
    if function.name == "step" and d.conventions.subsampled:
        inputs["indices"] = tuple(d.indices(len(inputs["y0"])) for _ in sizes)
    if function.name == "perturbations":
        inputs |= rounded_trace(d.conventions, d.precision, inputs)
    return inputs


def _feedback(d: Drawing, units: list[int], above: list[int]) -> tuple[HostArray, ...]:
    """Draw feedback weights of each layer, or cut them from one matrix."""
    if d.conventions.feedback == "own":
        return tuple(d.matrix(k, m) for k, m in zip(units, above, strict=True))
    whole = d.matrix(max(units, default=1), max(above, default=1))
    return tuple(whole[:k, :m] for k, m in zip(units, above, strict=True))


def one_hot(rng: np.random.Generator, samples: int, classes: int) -> HostArray:
    """Draw the labels of samples."""
    return np.asarray(np.eye(classes)[rng.integers(0, classes, size=samples)])


def _partly_reached(d: Drawing, inputs: Inputs) -> Inputs:
    """Return inputs in which one sample and one output have the target that they reach."""
    reached = d.conventions.predicted(inputs["a"][-1], inputs["y"][-1])
    target = inputs["target"].copy()
    target[1], target[:, 0] = reached[1], reached[:, 0]
    return inputs | {"target": target}


def rounded_trace(conventions: Conventions, precision: Precision, inputs: Inputs) -> Inputs:
    """Return x, a and y of the right forward pass, rounded to the precision under test."""
    found = forward(right_pieces(conventions), inputs, {})
    layers = range(1, len(inputs["W"]) + 1)
    return {
        name: tuple(precision.representable(np.asarray(found[f"{name} of layer {layer}"])) for layer in layers)
        for name in "xay"
    }


def real_network(
    d: Drawing,
    sizes: tuple[int, ...],
    N: int,
    signed: bool = False,
    deep: bool = False,
    samples_signed: bool = False,
    dead: bool = False,
    kink: bool = False,
    scale: float | str = 1.0,
) -> Inputs:
    """Draw W, R, y0 and a target, of order 1.

    Args:
        d: how to draw.
        sizes: of the layers, the inputs first.
        N: how many samples.
        signed: whether both signs are in every row of W, in R and in samples; else sums cancel little, and a whole
            step is as sharp as it can be.
        deep: the same with entries of the other sign so small that sums cancel little through many layers.
        samples_signed: whether samples have one sign each.
        dead: whether one feature of y0, and one x in each layer above the first, is 0 in all samples.
        kink: whether units are on the kink of f, exactly, and samples near it.
        scale: of inputs and targets; "root": so small that squares are about the smallest numbers.
    """
    pairs = list(itertools.pairwise(sizes))
    other = 1 / 16 if deep else 1 / 2 if signed else 0.0  # the size of what has the other sign
    # In a layer without a unit that is mostly below 0, a negative sample has no output above it.
    W = [_weights(d, units, inputs, other, turned=not deep or at % 4 == 1) for at, (inputs, units) in enumerate(pairs)]
    R = [_near_identity(d, inputs, other, dead and layer > 0) for layer, (inputs, _) in enumerate(pairs)]
    if not d.conventions.has_R:
        R = [np.eye(inputs) for inputs, _ in pairs]
    if deep:  # activity stays of order 1: else ΔR of the last layers would be lost in R
        W = [1.6 * one for one in W]
    y0 = d.mostly_of_one_sign(N, sizes[0], 0.25, 2, other)
    if other or samples_signed:
        y0 *= np.where(np.arange(N) % (4 if deep else 2) == 1, -1.0, 1.0)[:, None]
    if dead:
        y0[:, 1] = 0
    if kink:
        # A row of zeros in W puts a unit on the kink for every sample, small samples put all near it.
        W = [np.where(np.arange(len(one))[:, None] == 1, 0.0, one) for one in W]
        near = 2.0**-12 if d.fine or d.precision.dtype == "float32" else 2.0**-5
        factors = np.array([0.0, near, -near, *np.ones(N - 3)])
        # A gain is taken from the first samples, and of zeros there is none.
        y0 *= (factors if d.conventions.lateral_gain == "none" else factors[::-1])[:, None]
    factor = 2.0 ** np.floor(np.log2(d.precision.tiny) / 2) if isinstance(scale, str) else scale
    inputs: Inputs = {"W": W, "R": R, "y0": y0 * factor, "target": d.rng.uniform(-2, 2, size=(N, sizes[-1])) * factor}
    if d.conventions.biases:
        inputs["b"] = [_biases(d, W_l, other, kink) * factor for W_l in W]
    return {
        name: tuple(map(d.precision.representable, value))
        if isinstance(value, list)
        else d.precision.representable(value)
        for name, value in inputs.items()
    }


def _weights(d: Drawing, units: int, inputs: int, other: float, turned: bool) -> HostArray:
    """Draw W; where it is asked for every third unit is mostly, or all, below 0."""
    sign = np.where((np.arange(units) % 3 == 2) & turned, -1.0, 1.0)[:, None]
    return np.asarray(sign * d.mostly_of_one_sign(units, inputs, 0.5, 1, other) / inputs)


def _biases(d: Drawing, W: HostArray, other: float, kink: bool) -> HostArray:
    """Draw biases of the sign that their units have, so that sums cancel little; where it is asked for others too."""
    signs = np.where(W.sum(axis=1) < 0, -1.0, 1.0)
    if other:
        signs *= np.where(np.arange(len(W)) % 4 == 3, -other, 1.0)
    return np.asarray(signs * d.rng.uniform(0.125, 0.5, size=len(W)) * (W.any(axis=1) if kink else 1.0))


def _near_identity(d: Drawing, units: int, other: float, dead: bool) -> HostArray:
    """Draw R: the identity with something beside it."""
    beside = d.rng.uniform(0.1, 0.3, size=(units, units)) / units
    if other:
        beside *= 2 * other * d.rng.choice([-1.0, 1.0], size=(units, units))
        beside[-1, :-1] *= -np.sign(beside[-1, :-1])  # one at least is below 0
    R = np.eye(units) + beside
    if dead:
        R[0, :] = 0
        R[:, 0] = 0 if d.conventions.assumes_symmetric_R else R[:, 0]
    return d.symmetric_if_assumed(R)

"""Inputs of the equations `copi_update`, `sgd_update` and `decorrelation_update`: one layer with a batch."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inputs.drawing import (
    EXACT,
    LOOSE,
    NINE_BITS,
    ROUNDING,
    Drawing,
    Kind,
    is_narrow,
    shows_nine_bits,
)
from copi_ref.oracle.rounding import Precision

Change = Callable[[Drawing, HostArray], HostArray]


def layer_kinds(precision: Precision) -> Iterator[Kind]:
    """Yield each kind of case of an equation; the first is the one that a reproducer shows, so it is small."""
    yield Kind("whole numbers", EXACT, lambda d: layer(d, 4, 3, 2))
    yield Kind("whole numbers of the same shapes", EXACT, lambda d: layer(d, 4, 3, 2))  # shows what is kept
    yield Kind("more samples of the same widths", EXACT, lambda d: layer(d, 8, 3, 2))
    yield Kind("fewer samples of the same widths", EXACT, lambda d: layer(d, 2, 3, 2))  # shows rows left in a buffer
    yield Kind("more whole numbers", EXACT, lambda d: layer(d, 8, 5, 3))
    yield Kind("as many samples as inputs and units", EXACT, lambda d: layer(d, 4, 4, 4))  # a guess at the layout
    yield Kind("more units than inputs", EXACT, lambda d: layer(d, 4, 2, 5))
    yield Kind("fewer samples than inputs", EXACT, lambda d: layer(d, 4, 6, 3))
    yield Kind("one sample", EXACT, lambda d: layer(d, 1, 3, 2))
    yield Kind("one input", EXACT, lambda d: layer(d, 4, 1, 3))
    yield Kind("one unit", EXACT, lambda d: layer(d, 4, 2, 1))
    yield Kind("one input and one unit", EXACT, lambda d: layer(d, 4, 1, 1))
    yield Kind("a dead input", EXACT, lambda d: layer(d, 4, 3, 2, _dead_input))
    yield Kind("a rank-deficient batch", EXACT, lambda d: layer(d, 4, 3, 2, _rank_one))
    yield Kind("a sample and a unit of zeros", EXACT, lambda d: layer(d, 4, 3, 2, of_z=_zero_sample_and_unit))
    if shows_nine_bits(precision):
        yield Kind("whole numbers of nine bits", EXACT, _of_nine_bits, first=12)
    yield Kind("large whole numbers", EXACT, lambda d: layer(d, 4, 3, 2, _times(2.0**10), _times(2.0**10)), fine=True)
    yield Kind("numbers of order 1", ROUNDING, lambda d: layer(d, 7, 5, 3))
    yield Kind("many samples", ROUNDING, lambda d: layer(d, 61, 4, 3), strided=True)
    yield Kind("many samples, units and inputs", ROUNDING, lambda d: layer(d, 150, 41, 43), LOOSE, fine=True)
    yield Kind("large inputs", ROUNDING, lambda d: layer(d, 7, 5, 3, lambda d, x: x * _big(d)))
    if not is_narrow(precision):
        yield Kind("tiny numbers", ROUNDING, lambda d: layer(d, 7, 5, 3, _times(2.0**-40), _times(2.0**-40)))
        # Squares are subnormal or 0: a result is right within what underflows, but NaN, or 10⁻¹², is not.
        yield Kind("numbers whose squares underflow", ROUNDING, lambda d: layer(d, 7, 5, 3, _root, _root), np.inf)
    yield Kind("badly scaled inputs", ROUNDING, lambda d: layer(d, 7, 5, 3, _badly_scaled))


def layer(d: Drawing, N: int, K: int, M: int, of_x: Change = lambda d, x: x, of_z: Change = lambda d, z: z) -> Inputs:
    """Draw x, z (which is δ too), W and R of a layer, and what its lateral rule needs besides."""
    x = d.precision.representable(of_x(d, d.matrix(N, K)))
    z = d.precision.representable(of_z(d, d.matrix(N, M)))
    W, R = d.matrix(M, K), d.symmetric_if_assumed(d.matrix(K, K))
    inputs = {"x": x, "z": z, "delta": z, "W": W, "R": R}  # each function takes z or δ
    return inputs | for_lateral_rule(d, inputs)


def for_lateral_rule(d: Drawing, inputs: Inputs) -> Inputs:
    """Return what a lateral rule needs besides x and R: the samples that are drawn, or y and a rate."""
    more: Inputs = {"indices": d.indices(len(inputs["x"]))} if d.conventions.subsampled else {}
    if d.conventions.lateral_gain != "none":  # y is of the size of x, and not R⁻¹ x: that would leave the format
        more |= {
            "y": d.precision.representable(np.roll(inputs["x"], 1, axis=1) * d.matrix(*inputs["x"].shape)),
            "eta_r": 0.25,
        }
    return more


def _of_nine_bits(d: Drawing) -> Inputs:
    """z, δ and R of a factor of 257: only what multiplies with eight bits rounds them."""
    inputs = layer(d, 2, 3, 2)
    return inputs | {name: NINE_BITS * inputs[name] for name in ("z", "delta", "R")}


def _dead_input(d: Drawing, x: HostArray) -> HostArray:
    return np.where(np.arange(x.shape[1]) == 1, 0.0, x)


def _rank_one(d: Drawing, x: HostArray) -> HostArray:
    signs = np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)
    return x[:, :1] * signs


def _zero_sample_and_unit(d: Drawing, z: HostArray) -> HostArray:
    """An error of 0, which is no reason to leave a sample out of a mean, or a unit without its decay."""
    z[1], z[:, 0] = 0, 0
    return z


def _times(factor: float) -> Change:
    return lambda d, x: x * factor


def _root(d: Drawing, x: HostArray) -> HostArray:
    """Scale numbers so that their products are about the smallest of the format."""
    return np.asarray(x * 2.0 ** np.floor(np.log2(d.precision.tiny) / 2))


def _big(d: Drawing) -> float:
    return 2.0**20 if d.precision.dtype in ("float32", "float64") else 2.0**3


def _badly_scaled(d: Drawing, x: HostArray) -> HostArray:
    exponents = np.rint(np.linspace(-0.5, 0.5, x.shape[1]) * np.log2(_big(d)))
    return np.asarray(x * 2.0**exponents)

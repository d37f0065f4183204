"""Drawing inputs: layers for the equations, networks for the rest, whole numbers or numbers of order 1."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, forward, right_pieces
from copi_ref.oracle.rounding import Precision, tracked

EXACT, ROUNDING = "exact", "rounding"
ETA_W, ETA_R = 4.0, 8.0  # above 1, so that an update is not lost in the weights; different, so that a swap shows

Draw = Callable[["Drawing"], Inputs]


@dataclass(frozen=True)
class Drawing:
    """How to draw: the size of whole numbers shrinks from try to try until they fit the precision."""

    rng: np.random.Generator
    conventions: Conventions
    precision: Precision
    tier: str
    attempt: int

    def matrix(self, rows: int, columns: int, positive: bool = False) -> HostArray:
        """Draw entries for the tier: whole numbers, or numbers of order 1."""
        if self.tier == EXACT:
            top = max(1, 4 - self.attempt // 4)
            drawn = self.rng.integers(0 if positive else -top, top + 1, size=(rows, columns)).astype(float)
            share = min(1.0, 0.4 + 0.6 / (1 + self.attempt / 8))
            return np.where(self.rng.random((rows, columns)) < share, drawn, 0.0)
        return self.precision.representable(self.rng.uniform(0.25 if positive else -2, 2, size=(rows, columns)))

    def lateral(self, units: int, positive: bool = False) -> HostArray:
        """Draw R: not symmetric, unless the implementation takes it to be."""
        R = self.matrix(units, units, positive)
        if self.conventions.assumes_symmetric_R:
            R = np.tril(R) + np.tril(R, -1).T
        return R


# --- layers: copi_update, sgd_update, decorrelation_update ------------------------------------------------------------


def layer_kinds(precision: Precision) -> Iterator[tuple[str, str, Draw]]:
    """Yield the name, the tier and how to draw each case of an equation."""
    yield "whole numbers", EXACT, lambda d: _layer(d, 4, 3, 2)
    yield "whole numbers of the same shapes", EXACT, lambda d: _layer(d, 4, 3, 2)  # shows what is kept from a call
    yield "more whole numbers", EXACT, lambda d: _layer(d, 8, 5, 3)
    yield "as many samples as inputs and units", EXACT, lambda d: _layer(d, 4, 4, 4)  # shows a guess at the layout
    yield "more units than inputs", EXACT, lambda d: _layer(d, 4, 2, 5)
    yield "fewer samples than inputs", EXACT, lambda d: _layer(d, 2, 5, 3)
    yield "one sample", EXACT, lambda d: _layer(d, 1, 3, 2)
    yield "one input", EXACT, lambda d: _layer(d, 4, 1, 3)
    yield "one unit", EXACT, lambda d: _layer(d, 4, 2, 1)
    yield "a dead input", EXACT, lambda d: _layer(d, 4, 3, 2, _dead_input)
    yield "a rank-deficient batch", EXACT, lambda d: _layer(d, 4, 3, 2, _rank_one)
    yield "numbers of order 1", ROUNDING, lambda d: _layer(d, 7, 5, 3)
    yield "many samples", ROUNDING, lambda d: _layer(d, 50, 4, 3)
    yield "large inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, lambda d, x: x * _big(d))
    if not is_narrow(precision):
        yield "small inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, lambda d, x: x / _big(d))
    yield "badly scaled inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, _badly_scaled)


def is_narrow(precision: Precision) -> bool:
    """Whether a format has so small a range (float16) that what comes near its lower end is not checked."""
    return precision.tiny > 2.0**-30


def _layer(
    d: Drawing, N: int, K: int, M: int, change: Callable[[Drawing, HostArray], HostArray] = lambda d, x: x
) -> Inputs:
    x = d.precision.representable(change(d, d.matrix(N, K)))
    z = d.matrix(N, M)
    return {"x": x, "z": z, "delta": z, "W": d.matrix(M, K), "R": d.lateral(K)}  # each function takes z or δ


def _dead_input(d: Drawing, x: HostArray) -> HostArray:
    return np.where(np.arange(x.shape[1]) == 1, 0.0, x)


def _rank_one(d: Drawing, x: HostArray) -> HostArray:
    signs = np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)
    return x[:, :1] * signs


def _big(d: Drawing) -> float:
    return 2.0**20 if d.precision.dtype in ("float32", "float64") else 2.0**3


def _badly_scaled(d: Drawing, x: HostArray) -> HostArray:
    exponents = np.rint(np.linspace(-0.5, 0.5, x.shape[1]) * np.log2(_big(d)))
    return np.asarray(x * 2.0**exponents)


# --- networks: forward, perturbations, step ---------------------------------------------------------------------------


def network_kinds(function: Function, precision: Precision) -> Iterator[tuple[str, str, Draw]]:
    """Yield the name, the tier and how to draw each case of a function of networks."""

    def sized(*sizes: int, N: int, kink: bool = False, signed: bool = False, scale: float = 1.0) -> Draw:
        return lambda d: network(d, function, sizes, N, kink, signed, scale)

    yield "one layer of whole numbers", EXACT, sized(3, 2, N=4)
    yield "one layer of the same shapes", EXACT, sized(3, 2, N=4)  # shows what is kept from a call
    yield "two layers of whole numbers", EXACT, sized(3, 4, 2, N=8)
    yield "three layers of whole numbers", EXACT, sized(3, 5, 4, 2, N=8)
    yield "four layers of whole numbers", EXACT, sized(3, 2, 3, 2, 4, N=2)
    yield "square layers", EXACT, sized(3, 3, 3, 2, N=4)
    yield "as many samples as units", EXACT, sized(4, 4, 4, N=4)  # shows a guess at the layout
    yield "one sample", EXACT, sized(2, 3, 4, N=1)
    yield "one hidden unit", EXACT, sized(3, 1, 2, N=4)
    yield "numbers of order 1", ROUNDING, sized(3, 5, 2, N=7)
    yield "inputs of both signs", ROUNDING, sized(3, 5, 2, N=7, signed=True)
    yield "one layer", ROUNDING, sized(3, 2, N=7)
    yield "one sample of order 1", ROUNDING, sized(3, 2, 4, N=1)
    yield "three layers", ROUNDING, sized(3, 5, 4, 2, N=7)
    if function.name != "step":
        yield "four layers", ROUNDING, sized(3, 5, 4, 6, 2, N=7)
        yield "large activations", ROUNDING, sized(3, 5, 2, N=7, signed=True, scale=2.0**7)
    yield "pre-activations at and near 0", ROUNDING, sized(3, 4, 2, N=8, kink=True)


def network(
    d: Drawing,
    function: Function,
    sizes: tuple[int, ...],
    N: int,
    kink: bool = False,
    signed: bool = False,
    scale: float = 1.0,
) -> Inputs:
    """Draw a network with a batch, and what else the function takes; `scale` is that of the inputs."""
    pairs = list(itertools.pairwise(sizes))
    # Below 0 the slope multiplies: a whole number stays one only if the slope is a small dyadic fraction.
    positive = d.tier == EXACT and not _dyadic(d.conventions)
    inputs: Inputs = {
        "W": tuple(_weights(d, m, k, positive) for k, m in pairs),
        "R": tuple(_near_identity(d, k, positive) for k, _ in pairs),
        "y0": scale * _inputs(d, N, sizes[0], signed),
        "target": d.matrix(N, sizes[-1]),
    }
    if kink:
        # A row of zeros in W puts a unit on the kink for every sample, small samples put all near it.
        inputs["W"] = tuple(np.where(np.arange(len(W))[:, None] == 1, 0.0, W) for W in inputs["W"])
        near = 2.0**-12 if d.precision.dtype in ("float32", "float64") else 2.0**-5
        factor = np.array([0.0, near, -near, *np.ones(N - 3)])[:, None]
        inputs["y0"] = d.precision.representable(inputs["y0"] * factor)
    if d.conventions.credit != "bp":
        above = [sizes[-1]] * (len(pairs) - 1) if d.conventions.credit == "dfa" else sizes[2:]
        inputs["B"] = tuple(d.matrix(k, m) for k, m in zip(sizes[1:-1], above, strict=True))
    if function.name == "step":
        inputs |= {"eta_w": ETA_W, "eta_r": ETA_R}
    if function.name == "perturbations":
        inputs |= rounded_trace(d.conventions, d.precision, inputs)
    return inputs


def rounded_trace(conventions: Conventions, precision: Precision, inputs: Inputs) -> Inputs:
    """Return x, a and y of the right forward pass, rounded to the precision under test."""
    found = forward(right_pieces(conventions), inputs, {})
    layers = range(1, len(inputs["W"]) + 1)
    return {
        name: tuple(precision.representable(np.asarray(found[f"{name} of layer {layer}"])) for layer in layers)
        for name in "xay"
    }


def _inputs(d: Drawing, N: int, features: int, signed: bool) -> HostArray:
    """Draw y0, positive unless signs are asked for: whole samples then, so that sums still cancel little."""
    y0 = d.matrix(N, features, positive=True)
    if signed:
        return y0 * np.where(np.arange(N) % 2, -1.0, 1.0)[:, None]
    return np.maximum(y0, 1.0) if d.tier == EXACT else y0


def _weights(d: Drawing, units: int, inputs: int, positive: bool) -> HostArray:
    """Draw W; those of order 1 have rows of one sign, so that sums cancel little and a whole step stays sharp."""
    if d.tier == EXACT:
        W = d.matrix(units, inputs, positive)
        W[np.arange(units), d.rng.integers(0, inputs, size=units)] = 1  # no row of zeros: its unit would be on the kink
        return W
    sign = np.where(np.arange(units) % 3 == 2, -1.0, 1.0)[:, None]
    return d.precision.representable(sign * d.rng.uniform(0.5, 1, size=(units, inputs)) / inputs)


def _near_identity(d: Drawing, units: int, positive: bool) -> HostArray:
    """Draw R; whole numbers only come near the identity where larger ones don't fit the precision."""
    if d.tier == EXACT:
        R = d.lateral(units, positive)
        return R if d.attempt < _TRIES_WITH_ANY_R else np.eye(units) + np.sign(R - np.diag(np.diag(R)))
    R = np.eye(units) + d.rng.uniform(0.1, 0.3, size=(units, units)) / units
    return d.precision.representable(np.tril(R) + np.tril(R, -1).T if d.conventions.assumes_symmetric_R else R)


_TRIES_WITH_ANY_R = 15


def _dyadic(conventions: Conventions) -> bool:
    return conventions.activation != "leaky_relu" or tracked(conventions.slope).roundings == 0

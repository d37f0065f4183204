"""The inputs on which an implementation is checked, drawn from a seed: exact ones first, then ones that round.

An exact case has small whole numbers and N a power of two, and it is certified: the magnitude companion shows that
every value and every partial sum, in whatever order, is a whole number of quanta below 2^bits. Every correct
implementation then agrees with every other by ``==``.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.conventions import Conventions
from copi_ref.oracle.functions import FUNCTIONS, Function
from copi_ref.oracle.pieces import Inputs, Quantities, forward, right_pieces
from copi_ref.oracle.rounding import Precision, Tracked, tracked

EXACT, ROUNDING = "exact", "rounding"
ETA_W, ETA_R = 4.0, 8.0  # above 1, so that an update is not lost in the weights; different, so that a swap shows
TRAJECTORY_STEPS = 5

_TRIES = 60


class NoCaseError(ValueError):
    """No inputs could be drawn for which the precision is fine enough."""


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs by name, always with rows as samples, float64 but representable in the precision under test."""

    name: str
    tier: str
    inputs: Inputs


def draw_cases(function: Function, conventions: Conventions, precision: Precision, seed: int) -> list[Case]:
    """Return all cases of a function; a tier without any is one that the conventions or the precision don't allow."""
    layered = function.name in ("forward", "perturbations", "step")
    cases = []
    for number, (name, tier, draw) in enumerate(_network_kinds(function) if layered else _layer_kinds()):
        rng = np.random.default_rng([seed, number, sum(map(ord, function.name))])
        if tier == EXACT and conventions.is_smooth and function.name != "forward" and layered:
            continue
        if tier == ROUNDING and precision.unit > 2.0**-11 and function.name == "step":
            continue  # so coarse that the allowance of a whole step would say nothing
        try:
            cases.append(Case(name, tier, _sharp(function, conventions, precision, tier, rng, draw)))
        except NoCaseError:
            continue
    return cases


def with_tracked(inputs: Inputs) -> Inputs:
    """Return inputs with arrays as Tracked ones."""
    return {
        name: tuple(map(tracked, value))
        if isinstance(value, (tuple, list))
        else tracked(value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in inputs.items()
    }


def relative_allowance(quantity: Tracked, precision: Precision) -> float:
    """Return the smallest error, relative to the largest entry, that the allowance catches in every entry."""
    size = float(np.max(np.abs(quantity.value)))
    return float(np.max(quantity.allowance(precision))) / size if size else 0.0


def undecided(expected: Quantities, conventions: Conventions, precision: Precision) -> int:
    """Return how many pre-activations lie so near to a kink that rounding decides on which side they are."""
    if not conventions.has_kink:
        return 0
    pre = [quantity for name, quantity in expected.items() if name.startswith("a of layer")]
    return sum(int(np.sum((np.abs(a.value) <= a.allowance(precision)) & (a.magnitude > 0))) for a in pre if a.roundings)


def _finite(inputs: Inputs) -> bool:
    arrays = (one for value in inputs.values() for one in (value if isinstance(value, tuple) else (value,)))
    return all(bool(np.isfinite(array).all()) for array in arrays)


def _on_kink(inputs: Inputs, expected: Quantities, conventions: Conventions) -> bool:
    """Whether a pre-activation is 0, where f′ is a convention: such inputs are a case of their own."""
    pre = [quantity.value for name, quantity in expected.items() if name.startswith("a of layer")]
    return conventions.has_kink and any(bool(np.any(a == 0)) for a in (*pre, *inputs.get("a", ())))


# --- drawing ----------------------------------------------------------------------------------------------------------

Draw = Callable[["_Drawing"], Inputs]


@dataclass(frozen=True)
class _Drawing:
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


def _sharp(
    function: Function, conventions: Conventions, precision: Precision, tier: str, rng: np.random.Generator, draw: Draw
) -> Inputs:
    """Draw until the case is exact, or until its allowance is below the limit and no pre-activation is undecided."""
    pieces = right_pieces(conventions)
    for attempt in range(_TRIES):
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float16, say: drawn again
            inputs = draw(_Drawing(rng, conventions, precision, tier, attempt))
        if not _finite(inputs):
            continue
        expected = function.expected(pieces, with_tracked(inputs), {})
        if all(np.all(q.value == 0) for q in expected.values()):
            continue
        if tier == EXACT:
            exact = {name: q for name, q in expected.items() if not (conventions.is_smooth and name[0] == "y")}
            if conventions.is_smooth and "y0" in inputs and len(inputs["W"]) > 1:
                raise NoCaseError(function.name)  # what f rounded is in the second layer
            if all(q.is_exact(precision.bits) for q in exact.values()) and not _on_kink(inputs, expected, conventions):
                return inputs
        elif not undecided(expected, conventions, precision) and all(
            relative_allowance(q, precision) <= (precision.limit or 0.5)
            for name, q in expected.items()
            if function.name != "step" or name.startswith("Δ")
        ):
            return inputs
    raise NoCaseError(f"{function.name}: no {tier} case in {precision.name}")


# --- layers: copi_update, sgd_update, decorrelation_update ------------------------------------------------------------


def _layer_kinds() -> Iterator[tuple[str, str, Draw]]:
    yield "whole numbers", EXACT, lambda d: _layer(d, 4, 3, 2)
    yield "whole numbers of the same shapes", EXACT, lambda d: _layer(d, 4, 3, 2)  # shows what is kept from a call
    yield "more whole numbers", EXACT, lambda d: _layer(d, 8, 5, 3)
    yield "one sample", EXACT, lambda d: _layer(d, 1, 3, 2)
    yield "one unit", EXACT, lambda d: _layer(d, 4, 2, 1)
    yield "a dead input", EXACT, lambda d: _layer(d, 4, 3, 2, _dead_input)
    yield "a rank-deficient batch", EXACT, lambda d: _layer(d, 4, 3, 2, _rank_one)
    yield "numbers of order 1", ROUNDING, lambda d: _layer(d, 7, 5, 3)
    yield "many samples", ROUNDING, lambda d: _layer(d, 50, 4, 3)
    yield "large inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, lambda d, x: x * _big(d))
    yield "small inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, lambda d, x: x / _big(d))
    yield "badly scaled inputs", ROUNDING, lambda d: _layer(d, 7, 5, 3, _badly_scaled)


def _layer(
    d: _Drawing, N: int, K: int, M: int, change: Callable[[_Drawing, HostArray], HostArray] = lambda d, x: x
) -> Inputs:
    x = change(d, d.matrix(N, K))
    z = d.matrix(N, M)
    return {"x": x, "z": z, "delta": z, "W": d.matrix(M, K), "R": d.lateral(K)}


def _dead_input(d: _Drawing, x: HostArray) -> HostArray:
    return np.where(np.arange(x.shape[1]) == 1, 0.0, x)


def _rank_one(d: _Drawing, x: HostArray) -> HostArray:
    signs = np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)
    return x[:, :1] * signs


def _big(d: _Drawing) -> float:
    return 2.0**20 if d.precision.dtype in ("float32", "float64") else 2.0**3


def _badly_scaled(d: _Drawing, x: HostArray) -> HostArray:
    exponents = np.rint(np.linspace(-0.5, 0.5, x.shape[1]) * np.log2(_big(d)))
    return np.asarray(x * 2.0**exponents)


# --- networks: forward, perturbations, step ---------------------------------------------------------------------------


def _network_kinds(function: Function) -> Iterator[tuple[str, str, Draw]]:
    def network(*sizes: int, N: int, kink: bool = False) -> Draw:
        return lambda d: _network(d, function, sizes, N, kink)

    yield "one layer of whole numbers", EXACT, network(3, 2, N=4)
    yield "one layer of the same shapes", EXACT, network(3, 2, N=4)  # shows what is kept from a call
    yield "two layers of whole numbers", EXACT, network(3, 4, 2, N=8)
    yield "three layers of whole numbers", EXACT, network(3, 5, 4, 2, N=8)
    yield "one sample", EXACT, network(2, 3, 4, N=1)
    yield "one hidden unit", EXACT, network(3, 1, 2, N=4)
    yield "numbers of order 1", ROUNDING, network(3, 5, 2, N=7)
    yield "one layer", ROUNDING, network(3, 2, N=7)
    yield "one sample of order 1", ROUNDING, network(3, 2, 4, N=1)
    if function.name != "step":
        yield "four layers", ROUNDING, network(3, 5, 4, 6, 2, N=7)
    yield "three layers", ROUNDING, network(3, 5, 4, 2, N=7)
    yield "pre-activations at and near 0", ROUNDING, network(3, 4, 2, N=8, kink=True)


def _network(d: _Drawing, function: Function, sizes: tuple[int, ...], N: int, kink: bool) -> Inputs:
    pairs = list(itertools.pairwise(sizes))
    # Below 0 the slope multiplies: a whole number stays one only if the slope is a small dyadic fraction.
    positive = d.tier == EXACT and not _dyadic(d.conventions)
    inputs: Inputs = {
        "W": tuple(_weights(d, m, k, positive) for k, m in pairs),
        "R": tuple(_near_identity(d, k, positive) for k, _ in pairs),
        "y0": d.matrix(N, sizes[0], positive=True),
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
        inputs |= _trace(d, inputs)
    return inputs


def _trace(d: _Drawing, inputs: Inputs) -> Inputs:
    """Return x, a and y of the right forward pass, rounded to the precision under test."""
    found = forward(right_pieces(d.conventions), inputs, {})
    layers = range(1, len(inputs["W"]) + 1)
    return {
        name: tuple(d.precision.representable(np.asarray(found[f"{name} of layer {layer}"])) for layer in layers)
        for name in "xay"
    }


def _weights(d: _Drawing, units: int, inputs: int, positive: bool) -> HostArray:
    """Draw W; those of order 1 have rows of one sign, so that sums cancel little and a whole step stays sharp."""
    if d.tier == EXACT:
        return d.matrix(units, inputs, positive)
    sign = np.where(np.arange(units) % 3 == 2, -1.0, 1.0)[:, None]
    return d.precision.representable(sign * d.rng.uniform(0.5, 1, size=(units, inputs)) / inputs)


def _near_identity(d: _Drawing, units: int, positive: bool) -> HostArray:
    if d.tier == EXACT:
        return d.lateral(units, positive)
    R = np.eye(units) + d.rng.uniform(0.1, 0.3, size=(units, units)) / units
    return d.precision.representable(np.tril(R) + np.tril(R, -1).T if d.conventions.assumes_symmetric_R else R)


def _dyadic(conventions: Conventions) -> bool:
    return conventions.activation != "leaky_relu" or tracked(conventions.slope).roundings == 0


def first_weights(conventions: Conventions, precision: Precision, seed: int) -> tuple[Inputs, np.random.Generator]:
    """Return the weights with which several steps start, and the generator that draws their batches."""
    rng = np.random.default_rng([seed, 77])
    drawing = _Drawing(rng, conventions, precision, ROUNDING, 0)
    first = _network(drawing, FUNCTIONS["step"], (3, 5, 2), 7, kink=False)
    return {name: first[name] for name in ("W", "R", "B") if name in first}, rng


def next_batch(weights: Inputs, conventions: Conventions, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Return weights with a batch and rates, so that updates are as large as they may be and steps don't run away.

    Rates are powers of two for which no update is more than an eighth of the largest W or a 32nd of the largest R: once
    inputs are decorrelated, ΔR is a small difference of large numbers, and its check no longer sharp.
    """
    inputs = weights | {
        "y0": precision.representable(rng.uniform(0.25, 1.5, size=(7, 3))),
        "target": precision.representable(rng.uniform(2, 4, size=(7, 2))),  # far from y: y* − y cancels little
        "eta_w": 1.0,
        "eta_r": 1.0,
    }
    found = FUNCTIONS["step"].expected(right_pieces(conventions), inputs, {})
    inputs["eta_w"], inputs["eta_r"] = (_rate(letter, inputs, found, share) for letter, share in (("W", 8), ("R", 32)))
    if inputs["eta_w"] == inputs["eta_r"]:
        inputs["eta_r"] /= 2  # so that a swap shows
    return inputs


def _rate(letter: str, inputs: Inputs, found: Quantities, share: int) -> float:
    """The smallest ratio of a layer's largest weight and its largest update, over `share`, down to a power of two."""
    ratios = (
        float(np.max(np.abs(A)) / (np.max(np.abs(found[f"Δ{letter} of layer {layer}"])) or 1))
        for layer, A in enumerate(inputs[letter], start=1)
    )
    return float(2.0 ** np.floor(np.log2(min(ratios) / share)))

"""The inputs on which an implementation is checked, drawn from a seed: exact ones first, then ones that round.

An exact case has small whole numbers and N a power of two, and it is certified: the magnitude companion shows that
every value and every partial sum, in whatever order, is a whole number of quanta below 2^bits. Every correct
implementation then agrees with every other by ``==``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.lateral import has_no_gain, is_exact
from copi_ref.oracle.contract.pieces import Inputs, Quantities, batch_of, right_pieces
from copi_ref.oracle.inputs.drawing import EXACT, ROUNDING, Drawing, Kind
from copi_ref.oracle.inputs.lateral import lateral_layer_kinds, lateral_network_kinds
from copi_ref.oracle.inputs.layers import layer_kinds
from copi_ref.oracle.inputs.networks import kinds_without_whole_numbers, network_kinds
from copi_ref.oracle.rounding import Precision, Tracked, tracked

_TRIES = 60


class NoCaseError(ValueError):
    """No inputs could be drawn for which the precision is fine enough."""


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs by name, always with rows as samples, float64 but representable in the precision under test.

    `strided` says whether arrays are to be handed over as transposes of others, where the library has strides.
    """

    name: str
    tier: str
    inputs: Inputs
    strided: bool = False


_OF_NETWORKS = ("forward", "perturbations", "step")


def kinds(function: Function, precision: Precision, conventions: Conventions = AS_PRINTED) -> list[Kind]:
    """Return each kind of case of a function; those that a convention asks for come last."""
    if function.name in _OF_NETWORKS:
        more = (*lateral_network_kinds(function, conventions), *kinds_without_whole_numbers(function, conventions))
        return [*network_kinds(function, precision), *more]
    return [*layer_kinds(precision), *lateral_layer_kinds(function, conventions)]


@lru_cache(maxsize=128)  # half of a check, and tests check many implementations against the same conventions
def draw_cases(function: Function, conventions: Conventions, precision: Precision, seed: int) -> tuple[Case, ...]:
    """Return all cases of a function; a tier without any is one that the conventions or the precision don't allow."""
    layered = function.name in _OF_NETWORKS
    cases = []
    for number, kind in enumerate(kinds(function, precision, conventions)):
        rng = np.random.default_rng([seed, number, sum(map(ord, function.name))])
        if kind.tier == EXACT and not conventions.is_rational and function.name != "forward" and layered:
            continue
        if kind.no_error and conventions.needs_error and function.name != "forward":
            continue
        if kind.tier == ROUNDING and precision.unit > 2.0**-11 and function.name == "step":
            continue  # so coarse that the allowance of a whole step would say nothing
        if kind.fine and precision.limit is None:
            continue
        if not _lateral_rule_allows(function, conventions, kind):
            continue
        if kind.underflows and conventions.reduction == "sum":
            continue  # a sum multiplies with N what a mean loses
        try:
            cases.append(Case(kind.name, kind.tier, _sharp(function, conventions, precision, kind, rng), kind.strided))
        except NoCaseError:
            continue
    return tuple(cases)


def _lateral_rule_allows(function: Function, conventions: Conventions, kind: Kind) -> bool:
    """Whether ΔR of whole numbers may be exact, and no root is taken of squares that underflow."""
    if function.name not in ("decorrelation_update", "step"):
        return True
    if kind.tier == EXACT:
        return is_exact(conventions, of_networks=function.name == "step")
    return not (kind.underflows and conventions.lateral_gain != "none")


def with_tracked(inputs: Inputs) -> Inputs:
    """Return inputs with arrays as Tracked ones, but for those of indices."""

    def of(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(map(of, value))
        return tracked(value) if isinstance(value, np.ndarray) and value.dtype.kind != "i" else value

    return {name: of(value) for name, value in inputs.items()}


def relative_allowance(quantity: Tracked, precision: Precision) -> float:
    """Return the smallest error, relative to the largest entry, that the allowance catches in every entry."""
    size = float(np.max(np.abs(quantity.value)))
    return float(np.max(quantity.allowance(precision))) / size if size else 0.0


def undecided(expected: Quantities, conventions: Conventions, precision: Precision) -> int:
    """Return how many pre-activations lie so near to a kink, or errors whose signs are sent so near to 0, that rounding
    decides on which side they are.
    """
    bends = ("a of layer", "error of layer") if conventions.has_kink else ("error of layer",)
    pre = [quantity for name, quantity in expected.items() if name.startswith(bends)]
    return sum(int(np.sum((np.abs(a.value) <= a.allowance(precision)) & (a.magnitude > 0))) for a in pre if a.roundings)


def without_gain(inputs: Inputs, expected: Quantities, conventions: Conventions) -> bool:
    """Whether a layer's gain has nothing to go by, see `has_no_gain`."""
    if conventions.lateral_gain == "none" or "eta_r" not in inputs:
        return False
    if "y0" not in inputs:
        return has_no_gain(conventions, inputs["y"])
    below = (expected[f"y of layer {at}"].value for at in range(1, len(inputs["W"])))
    return any(has_no_gain(conventions, y) for y in (inputs["y0"], *below))


def overflows(inputs: Inputs, expected: dict[str, Tracked], precision: Precision) -> bool:
    """Whether a sum over the batch, before it becomes a mean and after a rate, may leave the range of the format."""
    factor = 4 * len(batch_of(inputs)) * max(1.0, inputs.get("eta_w", 1.0), inputs.get("eta_r", 1.0))
    return any(float(np.max(quantity.magnitude)) * factor > precision.most for quantity in expected.values())


def _finite(inputs: Inputs) -> bool:
    arrays = (one for value in inputs.values() for one in (value if isinstance(value, tuple) else (value,)))
    return all(bool(np.isfinite(array).all()) for array in arrays)


def _sharp(
    function: Function, conventions: Conventions, precision: Precision, kind: Kind, rng: np.random.Generator
) -> Inputs:
    """Draw until the allowance is below the limit, and the case exact, or no pre-activation undecided."""
    pieces = right_pieces(conventions)
    limit = kind.looseness * (precision.limit or (np.inf if kind.tier == EXACT else 0.5))
    for attempt in range(kind.first, _TRIES):
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float16, say: drawn again
            inputs = kind.draw(Drawing(rng, conventions, precision, kind.tier, attempt))
        if not _finite(inputs):
            continue
        expected = function.expected(pieces, with_tracked(inputs), {})
        if overflows(inputs, expected, precision):
            continue
        if kind.tier == EXACT:
            if conventions.is_smooth and "y0" in inputs and len(inputs["W"]) > 1:
                break  # what f rounded is in the second layer
            good = _is_exact(inputs, expected, conventions, precision)
        if function.name in ("forward", "perturbations"):
            expected = as_compared(function, conventions, precision, inputs)
        if kind.tier == ROUNDING:
            good = not undecided(expected, conventions, precision)
        good = good and not without_gain(inputs, expected, conventions)
        if good and _says_something(function, inputs, expected) and sharpness(expected, precision) <= limit:
            return inputs
    raise NoCaseError(f"{function.name}: no {kind.tier} case in {precision.name}")


def as_compared(
    function: Function, conventions: Conventions, precision: Precision, inputs: Inputs
) -> dict[str, Tracked]:
    """Return what is expected of an implementation that is right: from its own values before, so nothing compounds."""
    pieces = right_pieces(conventions)
    own = {name: precision.representable(value) for name, value in function.expected(pieces, inputs, {}).items()}
    return function.expected(pieces, with_tracked(inputs), with_tracked(own))


def _says_something(function: Function, inputs: Inputs, expected: dict[str, Tracked]) -> bool:
    """Whether not all is 0, by chance; of one input alone ΔR always is."""
    alone = function.name == "decorrelation_update" and inputs["x"].shape[1] == 1
    updates = [quantity for name, quantity in expected.items() if name.startswith("Δ")]
    return alone or any(bool(np.any(quantity.value)) for quantity in updates or expected.values())


def sharpness(expected: dict[str, Tracked], precision: Precision) -> float:
    """Return the smallest relative error that is caught in every quantity; of a step, only new weights are seen."""
    updates = [quantity for name, quantity in expected.items() if name.startswith("Δ")]
    return max(relative_allowance(quantity, precision) for quantity in updates or expected.values())


def _is_exact(inputs: Inputs, expected: dict[str, Tracked], conventions: Conventions, precision: Precision) -> bool:
    """Whether nothing is rounded (but what a smooth f gives), and no pre-activation is 0.

    There f′ is a convention: such inputs are a case of their own.
    """
    exact = [q for name, q in expected.items() if not (conventions.is_smooth and name.startswith("y"))]
    pre = [quantity.value for name, quantity in expected.items() if name.startswith("a of layer")]
    on_kink = conventions.has_kink and any(bool(np.any(a == 0)) for a in (*pre, *inputs.get("a", ())))
    whole = all(quantity.is_exact(precision.bits) for quantity in exact)
    return not on_kink and whole and _slope_is_exact(inputs, expected, conventions, precision)


def _slope_is_exact(
    inputs: Inputs, expected: dict[str, Tracked], conventions: Conventions, precision: Precision
) -> bool:
    """Whether what a rounded slope multiplies comes out whole in this format, with other factors before or after it."""
    slope = conventions.slope_below
    if slope is None or conventions.slope_is_dyadic:
        return True
    in_format, p, q = precision.representable, slope.numerator, slope.denominator
    s = in_format(np.asarray(float(slope)))
    factors = (1.0, float(conventions.loss_factor), float(conventions.error_scale))
    for layer in range(1, len(inputs["W"]) + 1 if "y0" in inputs else 0):
        name = f"a of layer {layer}"
        a = expected[name].value if name in expected else inputs["a"][layer - 1]
        products = [(a[a < 0] * p / q, 1.0)]
        if f"δ of layer {layer}" in expected:
            delta = expected[f"δ of layer {layer}"].value[a < 0]
            products += [(delta, factor) for factor in factors]
        for product, factor in products:
            multiplied = in_format(product * q / p / factor)
            if np.any(in_format(in_format(s * factor) * multiplied) != product):
                return False
    return True

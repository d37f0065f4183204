"""Wrong slopes f′ in δ: in all layers, at the output, or in the hidden layers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.catalogue.arrays import EPSILONS, nonzero
from copi_ref.oracle.naming.catalogue.variant import Variant

Slope = Callable[[Pieces, HostArray, HostArray], HostArray]
"""``(pieces, a, y) -> slope``; the pieces are those before the change."""


def f(p: Pieces, a: HostArray) -> HostArray:
    """f(a)."""
    return np.asarray(p.conventions.f()(a))


def slope_formula(p: Pieces, a: HostArray) -> HostArray:
    """What the formula of f′ for y makes of something else."""
    return np.asarray(1 - a * a if p.conventions.activation == "tanh" else a * (1 - a))


def with_slope_of_y(p: Pieces) -> Pieces:
    """f′ computed from y, as many do: the same, as long as y is right."""
    return p.with_changes(slope=lambda a, y: slope_formula(p, y) if p.conventions.is_smooth else p.slope(y, y))


def _everywhere(p: Pieces, slope: Callable[..., HostArray]) -> Pieces:
    return p.with_changes(slope=slope)


def _at_output(p: Pieces, slope: Callable[..., HostArray]) -> Pieces:
    return p.with_changes(at_output=lambda q, *args: p.at_output(q.with_changes(slope=slope), *args))


def _in_hidden(p: Pieces, slope: Callable[..., HostArray]) -> Pieces:
    return p.with_changes(in_hidden=lambda q, *args: p.in_hidden(q.with_changes(slope=slope), *args))


SLOPE_PLACES = (
    ("", "{}", _everywhere),
    ("-at-output", "{}, in δ_L", _at_output),
    ("-in-hidden", "{}, in the hidden layers", _in_hidden),
)
"""How names end, what is said, and how the pieces get another f′, ``(a, y) -> slope``, there."""


def _slopes(name: str, says: str, wrong: Slope, smooth: bool = False) -> Iterator[Variant]:
    """A wrong f′, in each place; for tanh and the sigmoid only, if `smooth`."""

    def changing(place: Callable[[Pieces, Any], Pieces]) -> Callable[[Pieces], Pieces | None]:
        def change(p: Pieces) -> Pieces | None:
            if smooth and not p.conventions.is_smooth:
                return None
            return place(p, lambda a, y: wrong(p, a, y))

        return change

    for ending, where, place in SLOPE_PLACES:
        known = _KNOWN_AS.get(name + ending, name + ending)
        yield Variant(known, where.format(says) + _IF_MEANT.get(known, ""), changing(place))


_IF_MEANT = {
    "delta-no-slope-at-output": ": pass output_activation='identity' in Conventions, if your output is linear",
}

_KNOWN_AS = {"delta-slope-squared-at-output": "delta-slope-twice-at-output"}


def _whole_as_first(slope: HostArray) -> HostArray:
    """As of a function that takes the type of all numbers from the first."""
    first = slope.flat[0]
    return np.trunc(slope) if first == np.trunc(first) else slope


def _quotient(epsilon: float) -> Callable[[Pieces], Pieces]:
    return lambda p: p.with_changes(slope=lambda a, y: f(p, a) / (a + epsilon))


def _lower_slope(p: Pieces) -> float:
    return float(np.asarray(p.slope(np.array([[-1.0]]), np.array([[-1.0]])))[0, 0])


SLOPE_VARIANTS = (
    *_slopes("delta-no-slope", "f′ is missing", lambda p, a, y: np.ones_like(a)),
    *_slopes("delta-slope-of-relu", "f′ is 0 below 0, as for ReLU",
             lambda p, a, y: np.where(a < 0, 0.0, p.slope(a, y))),
    *_slopes("delta-slope-of-step", "f′ is 1 above 0 and 0 elsewhere", lambda p, a, y: np.where(a > 0, 1.0, 0.0)),
    *_slopes("delta-slope-mirrored", "f′(−a) for f′(a): slopes of the two sides are exchanged",
             lambda p, a, y: p.slope(-a, -y)),
    *_slopes("delta-slope-formula-at-a", "the formula of f′ for y, 1 − y² or y (1 − y), is given a",
             lambda p, a, y: slope_formula(p, a), smooth=True),
    *_slopes("delta-slope-one-minus-f", "1 − f(a) for f′(a)", lambda p, a, y: 1 - f(p, a)),
    *_slopes("delta-slope-of-tanh", "1 − y² for f′, as for tanh", lambda p, a, y: 1 - y * y),
    *_slopes("delta-slope-of-sigmoid", "y (1 − y) for f′, as for the sigmoid", lambda p, a, y: y * (1 - y)),
    *_slopes("delta-slope-at-y", "f′ is taken at y, not at a", lambda p, a, y: p.slope(y, f(p, y))),
    *_slopes("delta-f-for-slope", "f(a) for f′(a)", lambda p, a, y: f(p, a)),
    *_slopes("delta-a-for-slope", "a for f′(a)", lambda p, a, y: a),
    *_slopes("delta-slope-squared", "f′ is squared", lambda p, a, y: p.slope(a, y) ** 2),
    *_slopes("delta-slope-inverse", "divided by f′ and not multiplied", lambda p, a, y: 1 / nonzero(p.slope(a, y))),
    *_slopes("delta-slope-one-minus", "1 − f′ for f′", lambda p, a, y: 1 - p.slope(a, y)),
    *_slopes("delta-slope-plus-one", "f′ + 1 for f′: a skip connection", lambda p, a, y: 1 + p.slope(a, y)),
    *_slopes("delta-slope-for-whole-batch", "f′ is taken at the mean of a over the batch",
             lambda p, a, y: p.slope(*(np.tile(v.mean(axis=0), (len(a), 1)) for v in (a, y)))),
    *_slopes("delta-slope-averaged", "f′ is averaged over the batch",
             lambda p, a, y: np.tile(p.slope(a, y).mean(axis=0), (len(a), 1))),
    *_slopes("delta-slope-of-first-sample", "f′ of the first sample is used for all",
             lambda p, a, y: np.tile(p.slope(a, y)[:1], (len(a), 1))),
    *_slopes("delta-slope-shifted", "f′ of another sample is used",
             lambda p, a, y: np.roll(p.slope(a, y), 1, axis=0)),
    *_slopes("delta-slope-of-softsign", "1/(1 + |a|)² for f′, a surrogate", lambda p, a, y: 1 / (1 + np.abs(a)) ** 2),
    *_slopes("delta-slope-of-quarter-softsign", "¼/(1 + |a|)² for f′, a surrogate",
             lambda p, a, y: 0.25 / (1 + np.abs(a)) ** 2),
    *_slopes("delta-slope-kink-at-slope", "the kink of f′ is at its lower slope, not at 0",
             lambda p, a, y: p.slope(a - _lower_slope(p), y)),
    *_slopes("delta-slope-kink-at-1", "the kink of f′ is at 1, not at 0", lambda p, a, y: p.slope(a - 1, y)),
    *_slopes("delta-slope-cut-at-1", "f′ is 0 where |a| > 1, as for a hard tanh",
             lambda p, a, y: np.where(np.abs(a) > 1, 0.0, p.slope(a, y))),
    *_slopes("delta-slope-whole-as-first", "f′ is cut to whole numbers where that of the first entry is one",
             lambda p, a, y: _whole_as_first(p.slope(a, y))),
    *_slopes("delta-slope-quotient", "f(a)/a for f′(a)", lambda p, a, y: f(p, a) / nonzero(a)),
    *(Variant(f"delta-slope-quotient-{epsilon:g}", f"f(a)/(a + {epsilon:g}) for f′(a)", _quotient(epsilon))
      for epsilon in EPSILONS),
    *_slopes("delta-slope-cut-above-6", "f′ is 0 where a > 6, as for ReLU6",
             lambda p, a, y: np.where(a > 6, 0.0, p.slope(a, y))),
)  # fmt: skip
"""Where they stand is the order in which they are tried."""

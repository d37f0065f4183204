"""Wrong lateral updates ΔR of a part of a batch: of its first samples with their gain, or of some that are drawn."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.kept_diagonal import first
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.lateral import gain_of
from copi_ref.oracle.contract.pieces import Pieces, reduced
from copi_ref.oracle.naming.catalogue.arrays import centred, nonzero
from copi_ref.oracle.naming.catalogue.moments import mean_outer, mean_square
from copi_ref.oracle.naming.catalogue.variant import Variant, by_rule, draws, meant_for

# --- the first samples, with their diagonal and their gain ------------------------------------------------------------

_keeps = by_rule("kept-diagonal")


def _gains(conventions: Conventions) -> bool:
    return conventions.lateral_gain != "none"


def _first(conventions: Conventions, x: HostArray) -> HostArray:
    return np.asarray(first(x, conventions.share))


def _count(conventions: Conventions, x: HostArray) -> int:
    """⌊N share⌋, without the 1 that is added."""
    return int(len(x) * conventions.share)


def _of_samples(
    name: str, says: str, samples: Callable[[Conventions, HostArray], HostArray], of_rule: bool = True
) -> Variant:
    """Others than the first samples, for the rule and for the gain where there is one."""

    def change(p: Pieces) -> Pieces | None:
        conventions = p.conventions
        if not (of_rule and _keeps(conventions)) and not _gains(conventions):
            return None

        def product(x: HostArray, R: HostArray) -> HostArray:
            taken = samples(conventions, x)
            return np.asarray(reduced(conventions, taken, R @ mean_outer(taken, taken)))

        every = Conventions(share=1, lateral_gain="norms")
        changes: dict[str, Callable[..., HostArray]] = {}
        if of_rule and _keeps(conventions):
            changes["product"] = product
        if _gains(conventions):
            changes["gain"] = lambda y, x: gain_of(every)(samples(conventions, y), samples(conventions, x))
        return p.with_changes(**changes)

    return Variant(name, says, change)


def _without_its_diagonal(p: Pieces) -> Pieces:
    def decay(x: HostArray, R: HostArray) -> HostArray:
        taken = _first(p.conventions, x)
        return np.asarray(reduced(p.conventions, taken, R * mean_square(taken)))

    return p.with_changes(decay=decay)


def _with_gain(name: str, says: str, gain: Callable[[HostArray, HostArray], HostArray | float]) -> Variant:
    """Another gain, of the first samples of y and x."""

    def change(p: Pieces) -> Pieces:
        return p.with_changes(gain=lambda y, x: gain(_first(p.conventions, y), _first(p.conventions, x)))

    return meant_for(_gains, name, says, change)


def _norms(x: HostArray, epsilon: float = 0.0) -> HostArray:
    return np.asarray(np.sqrt(np.sum(x * x, axis=1) + epsilon))


def _mean(ratio: HostArray) -> float:
    return float(np.mean(ratio))


_EPSILON = 1e-8
"""That of the gain."""


def _regaining(name: str, says: str, regained: Callable[..., HostArray]) -> Variant:
    """Another way to put the gain and the step together, ``(pieces, y, x, drawn x, R, η)``."""
    return meant_for(_gains, name, says, lambda p: p.with_changes(regained=regained))


def _gain_of_new_R(p: Pieces, y: HostArray, x: HostArray, taken: HostArray, R: HostArray, eta: float) -> HostArray:
    new = R + eta * p.lateral(taken, R)
    return np.asarray(p.gain(y, y @ new.mT) * new - R)


OF_KEPT_DIAGONAL = (
    meant_for(_keeps, "lateral-kept-diagonal-taken-out", "the diagonal of E[x xᵀ] is taken out, where it has to stay",
           _without_its_diagonal),
    _of_samples("lateral-first-all", "all samples of the batch are taken, and not the first of them",
                lambda c, x: x),
    _of_samples("lateral-first-last", "the last samples of the batch are taken, and not the first",
                lambda c, x: x[-_count(c, x) - 1 :]),
    _of_samples("lateral-first-without-1", "⌊N share⌋ samples are taken, but one at least, and not ⌊N share⌋ + 1",
                lambda c, x: x[: max(_count(c, x), 1)]),
    _of_samples("lateral-first-every", "every so many samples one is taken, and not the first of the batch",
                lambda c, x: x[:: max(1, len(x) // (_count(c, x) + 1))][: _count(c, x) + 1]),
    _of_samples("lateral-gain-of-all-samples", "the gain is that of the whole batch", lambda c, x: x, of_rule=False),
    _regaining("lateral-gain-missing", "the gain is missing",
               lambda p, y, x, taken, R, eta: eta * p.lateral(taken, R)),
    _regaining("lateral-gain-after", "R is stepped first, and multiplied by the gain of the new R",
               _gain_of_new_R),
    _regaining("lateral-gain-beside-step", "the gain multiplies R, and not R in its step",
               lambda p, y, x, taken, R, eta: p.gain(y, x) * R - R + eta * p.lateral(taken, R)),
    _regaining("lateral-gain-in-step-only", "the gain multiplies the step of R, and not R",
               lambda p, y, x, taken, R, eta: eta * p.lateral(taken, p.gain(y, x) * R)),
    _regaining("lateral-gain-with-new-x", "the step sees g x, as the gained R makes it",
               lambda p, y, x, taken, R, eta: p.gain(y, x) * R - R
               + eta * p.lateral(p.gain(y, x) * taken, p.gain(y, x) * R)),
    _with_gain("lateral-gain-of-means", "the gain is a ratio of mean norms, and not the mean of their ratios",
               lambda y, x: float(np.mean(_norms(y)) / np.mean(_norms(x, _EPSILON)))),
    _with_gain("lateral-gain-of-powers", "the gain is √(E‖y‖²/E‖x‖²), and not the mean of ratios of norms",
               lambda y, x: float(np.sqrt(np.sum(y * y) / (np.sum(x * x) or 1)))),
    _with_gain("lateral-gain-inverse", "the gain is E[‖x‖/‖y‖]: upside down",
               lambda y, x: _mean(_norms(x) / np.sqrt(np.sum(y * y, axis=1) + _EPSILON))),
    _with_gain("lateral-gain-squared", "the gain is E[‖y‖²/‖x‖²]: the roots are missing",
               lambda y, x: _mean(np.sum(y * y, axis=1) / (np.sum(x * x, axis=1) + _EPSILON))),
    _with_gain("lateral-gain-of-centred-y", "y is centred for the gain",
               lambda y, x: _mean(_norms(centred(y)) / _norms(x, _EPSILON))),
    _with_gain("lateral-gain-of-sums", "the gain has Σ|y|/Σ|x| for norms",
               lambda y, x: _mean(np.sum(np.abs(y), axis=1) / (np.sum(np.abs(x), axis=1) + _EPSILON))),
    _with_gain("lateral-gain-of-inputs", "the gain is a vector: norms are over samples, and not over inputs",
               lambda y, x: np.sqrt(np.mean(y * y, axis=0)) / np.sqrt(np.mean(x * x, axis=0) + _EPSILON)),
    _with_gain("lateral-gain-epsilon-beside-root", "1e-8 is added to ‖x‖, and not to ‖x‖² under the root",
               lambda y, x: _mean(_norms(y) / (_norms(x) + _EPSILON))),
    _with_gain("lateral-gain-without-epsilon", "1e-8 is missing under the root of the gain",
               lambda y, x: _mean(_norms(y) / nonzero(_norms(x)))),
)  # fmt: skip


# --- samples that are drawn -------------------------------------------------------------------------------------------


def _drawing(name: str, says: str, drawn: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """Others than the samples that were drawn, ``(x, indices) -> x``."""
    return meant_for(draws, name, says, lambda p: p.with_changes(drawn=drawn))


def _over_whole_batch(x: HostArray, indices: HostArray) -> HostArray:
    """A sum over what is drawn, over N: as if each sample had √(n/N) of its size."""
    return np.asarray(x[indices] * np.sqrt(len(indices) / len(x)))


OF_DRAWN = (
    _drawing("lateral-drawn-once", "a sample that is drawn twice counts once",
             lambda x, indices: x[np.unique(indices)]),
    _drawing("lateral-drawn-once-over-all", "a sample that is drawn twice counts once, and is divided by all drawn",
             lambda x, indices: x[np.unique(indices)] * np.sqrt(len({*indices.tolist()}) / len(indices))),
    _drawing("lateral-drawn-first", "as many samples as are drawn are taken from the beginning of the batch",
             lambda x, indices: x[: len(indices)]),
    _drawing("lateral-drawn-others", "the samples that are not drawn are taken, where there are some",
             lambda x, indices: np.delete(x, indices, axis=0) if len({*indices.tolist()}) < len(x) else x),
    _drawing("lateral-drawn-over-batch", "what is drawn is divided by N, and not by how many are drawn",
             _over_whole_batch),
    _drawing("lateral-drawn-from-1", "indices are taken to count from 1", lambda x, indices: x[indices - 1]),
    _drawing("lateral-drawn-mean", "the mean of the samples that are drawn is taken for a sample",
             lambda x, indices: x[indices].mean(axis=0, keepdims=True)),
)  # fmt: skip

PARTIAL_VARIANTS = (*OF_KEPT_DIAGONAL, *OF_DRAWN)

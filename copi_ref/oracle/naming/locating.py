"""Where it is wrong, when no name fits: which quantities, layers, cases and entries, and what nearly gives them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.naming.evidence import Cell, Evidence, kind_of
from copi_ref.oracle.naming.places import Facts, facts, separating
from copi_ref.oracle.naming.rules import Partial

_SHOWN = 4
"""Names of cases that are listed."""


def located(evidence: Evidence, partials: Sequence[Partial]) -> tuple[str, ...]:
    """Return what is known of the place, a sentence each, the most telling first."""
    known = facts(evidence)
    pairs = [
        (np.atleast_2d(_actual(evidence, cell)), np.atleast_2d(_expected(evidence, cell)))
        for cell in sorted(evidence.wrong)
    ]
    found = [
        _quantities(evidence),
        _cases(evidence, known),
        _ratio(evidence, known),
        _entries(pairs),
        _values(pairs),
        _size(pairs),
        _rank(pairs),
        _nearest(evidence, partials),
    ]
    return tuple(sentence for sentence in found if sentence)


def _actual(evidence: Evidence, cell: Cell) -> HostArray:
    return np.asarray(evidence.observations[cell[0]].actual[cell[1]])


def _expected(evidence: Evidence, cell: Cell) -> HostArray:
    return np.asarray(evidence.observations[cell[0]].expected[cell[1]].value)


# --- which quantities and cases ---------------------------------------------------------------------------------------


def _kinds(cells: frozenset[Cell]) -> list[str]:
    """The kinds of quantities of some cells, each once."""
    return list(dict.fromkeys(map(kind_of, sorted(cells))))


def _quantities(evidence: Evidence) -> str:
    """Which quantities are wrong somewhere, and which never."""
    kinds, wrong = _kinds(evidence.cells), _kinds(evidence.wrong)
    right = [kind for kind in kinds if kind not in wrong]
    if not right:
        return ""
    return f"wrong: {', '.join(wrong)}; always right: {', '.join(right)}"


def _cases(evidence: Evidence, known: dict[Cell, Facts]) -> str:
    """How many cases fail, and what tells them from the others."""
    total = len(evidence.observations)
    where = separating(known, evidence.wrong, evidence.cells - evidence.wrong)
    names = [evidence.observations[at].case.name for at in sorted(evidence.failing)]
    if len(names) == total:
        return f"wrong in all {total} cases" + (f", {where.words}" if where and where.words else "")
    listed = ", ".join(repr(name) for name in names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    told = f": wrong {where.words}, right elsewhere" if where and where.words else ""
    return f"wrong in {len(names)} of {total} cases ({listed}){told}"


# --- how what came differs --------------------------------------------------------------------------------------------

_FACTORS: dict[str, Callable[[Facts], float]] = {
    "N": lambda c: c.N,
    "1/N": lambda c: 1 / c.N,
    "K": lambda c: c.K,
    "1/K": lambda c: 1 / c.K,
    "M": lambda c: c.M,
    "1/M": lambda c: 1 / c.M,
    "1/(N K)": lambda c: 1 / (c.N * c.K),
    "N/(N − 1)": lambda c: c.N / (c.N - 1) if c.N > 1 else np.inf,
    "N/(N + 1)": lambda c: c.N / (c.N + 1),
    "N²": lambda c: c.N**2,
    "N/K": lambda c: c.N / c.K,
    "M/K": lambda c: c.M / c.K,
    "K/M": lambda c: c.K / c.M,
    "η_W": lambda c: c.inputs.get("eta_w", np.nan),
    "1/η_W": lambda c: 1 / c.inputs.get("eta_w", np.nan),
    "η_R": lambda c: c.inputs.get("eta_r", np.nan),
    "1/η_R": lambda c: 1 / c.inputs.get("eta_r", np.nan),
    "η_R/η_W": lambda c: c.inputs.get("eta_r", np.nan) / c.inputs.get("eta_w", np.nan),
    "η_W/η_R": lambda c: c.inputs.get("eta_w", np.nan) / c.inputs.get("eta_r", np.nan),
}


def _ratio(evidence: Evidence, known: dict[Cell, Facts]) -> str:
    """One factor on all that is wrong."""
    factors = {}
    for cell in evidence.wrong:
        factor = _constant_ratio(_actual(evidence, cell), _expected(evidence, cell))
        if factor is None:
            return ""
        factors[cell] = factor
    values = list(factors.values())
    kinds = _kinds(evidence.wrong)
    have = f"{' and '.join(kinds)} {'has' if len(kinds) == 1 else 'have'} the factor"
    if np.ptp(values) <= 1e-6 * max(map(abs, values)):
        return f"{have} {values[0]:.6g} where wrong"
    for words, wanted in _FACTORS.items():
        if all(abs(value - wanted(known[cell])) <= 1e-6 * abs(value) for cell, value in factors.items()):
            return f"{have} {words} where wrong"
    return ""


def _constant_ratio(actual: HostArray, expected: HostArray) -> float | None:
    """The one factor between two arrays, if they have several entries and one factor."""
    nonzero = expected != 0
    if np.sum(nonzero) < 2 or np.any(actual[~nonzero] != 0):
        return None
    ratio = actual[nonzero] / expected[nonzero]
    middle = float(np.median(ratio))
    return middle if np.all(np.abs(ratio - middle) <= 1e-5 * abs(middle)) and middle != 0 else None


_PATTERNS: dict[str, Callable[[HostArray, HostArray, HostArray], HostArray]] = {
    "on the diagonal": lambda A, row, column: row == column,
    "off the diagonal": lambda A, row, column: row != column,
    "in the last column": lambda A, row, column: column == A.shape[1] - 1,
    "in the last row": lambda A, row, column: row == A.shape[0] - 1,
    "in the first column": lambda A, row, column: column == 0,
    "in the first row": lambda A, row, column: row == 0,
    "in the last row and column": lambda A, row, column: (row == A.shape[0] - 1) | (column == A.shape[1] - 1),
    "below the diagonal": lambda A, row, column: row > column,
    "above the diagonal": lambda A, row, column: row < column,
    "in all rows but the first": lambda A, row, column: row > 0,
    "in all columns but the first": lambda A, row, column: column > 0,
    "in the second half of the rows": lambda A, row, column: row >= A.shape[0] // 2,
    "where the right value is negative": lambda A, row, column: A < 0,
    "where the right value is positive": lambda A, row, column: A > 0,
    "where the right value is 0": lambda A, row, column: A == 0,
    "where the right value is beyond ±1": lambda A, row, column: np.abs(A) > 1,
    "where the right value is within ±1": lambda A, row, column: np.abs(A) < 1,
}
"""Of what is right, and its indices."""


def _entries(pairs: Sequence[tuple[HostArray, HostArray]]) -> str:
    """Which entries are wrong, where some are right."""
    wrong = [np.abs(came - right) > 1e-6 * np.max(np.abs(right), initial=1e-300) for came, right in pairs]
    if all(one.all() for one in wrong):
        return ""
    for words, pattern in _PATTERNS.items():
        masks = [pattern(right, *np.indices(right.shape)) for _, right in pairs]
        # Some of these may be right by chance, but no pattern is one with most of it right, or with all entries in it.
        inside = all(not np.any(one & ~mask) for one, mask in zip(wrong, masks, strict=True))
        full = 2 * sum(int(one.sum()) for one in wrong) > sum(int(mask.sum()) for mask in masks)
        if inside and full and not all(mask.all() for mask in masks):
            return f"only entries {words} are wrong"
    return ""


def _values(pairs: Sequence[tuple[HostArray, HostArray]]) -> str:
    """What is strange about the values that came."""
    came = [array for array, _ in pairs]
    right = [array for _, array in pairs]

    if not any(array.any() for array in came):
        return "what came is 0 there"
    largest, largest_right = (max(float(np.max(np.abs(array))) for array in arrays) for arrays in (came, right))
    for bound in (1.0, 2.0, 5.0, 6.0, 10.0):
        if largest <= bound * (1 + 1e-6) and largest_right > 2 * bound:
            return f"nothing that came is beyond ±{bound:g}: is it cut off?"
    if all(np.all(array >= 0) for array in came) and any(np.any(array < 0) for array in right):
        return "nothing that came is negative"
    if all(map(_is_whole, came)) and not all(map(_is_whole, right)):
        return "all that came are whole numbers"
    for words, other in _REARRANGED.items():
        if all(one.shape == other(two).shape and np.allclose(one, other(two), rtol=1e-6, atol=0) for one, two in pairs):
            return f"what came is {words}"
    symmetric = [one.shape[0] == one.shape[1] > 1 and np.allclose(one, one.T, rtol=1e-6) for one in came]
    if all(symmetric) and not all(np.allclose(two, two.T, rtol=1e-6) for two in right):
        return "what came is symmetric"
    return ""


_REARRANGED: dict[str, Callable[[HostArray], HostArray]] = {
    "the transpose of what is right": lambda array: array.T,
    "its rows or samples in another order": lambda array: array[::-1],
}


def _is_whole(array: HostArray) -> bool:
    return bool(np.all(array == np.rint(array)))


def _size(pairs: Sequence[tuple[HostArray, HostArray]]) -> str:
    """Small errors."""
    relative = [float(np.max(np.abs(came - right)) / (np.max(np.abs(right)) or 1)) for came, right in pairs]
    worst = max(relative, default=0.0)
    if worst < 1e-2:
        return f"off by at most {worst:.1e} of the largest entry: an epsilon, few digits, another format?"
    return ""


def _rank(pairs: Sequence[tuple[HostArray, HostArray]]) -> str:
    """Whether errors have a low rank where they could have a higher one."""
    ranks = [
        (int(np.linalg.matrix_rank(came - right, tol=1e-6 * (np.max(np.abs(came - right)) or 1))), min(right.shape))
        for came, right in pairs
    ]
    if all(rank == 1 for rank, _ in ranks) and max((most for _, most in ranks), default=1) > 1:
        return "the error is of rank 1, one column times one row, in every case"
    return ""


# --- what nearly gives it ---------------------------------------------------------------------------------------------


def _nearest(evidence: Evidence, partials: Sequence[Partial]) -> str:
    """The mistake that gives most of what is wrong, and what it misses."""
    best: tuple[int, Partial] | None = None
    for partial in partials:
        score = len(partial.hits(evidence)) - len(evidence.cells - evidence.wrong - partial.fit.gives)
        if partial.hits(evidence) and (best is None or score > best[0]):
            best = score, partial
    if best is None or best[0] <= 0:
        return ""
    partial = best[1]
    missed = evidence.wrong - partial.fit.gives
    spoiled = evidence.cells - evidence.wrong - partial.fit.gives
    parts = [*_listed(evidence, "misses", missed), *_listed(evidence, "would also change", spoiled)]
    says = f"nearest: [{partial.candidate.name}] {partial.candidate.says}: gives {len(partial.hits(evidence))} of "
    return says + f"{len(evidence.wrong)} wrong results" + (", but " + ", and ".join(parts) if parts else "")


def _listed(evidence: Evidence, verb: str, cells: frozenset[Cell]) -> Iterator[str]:
    if cells:
        ordered = sorted(cells)
        names = [f"{name} of {evidence.observations[at].case.name!r}" for at, name in ordered[:2]]
        more = f" and {len(ordered) - 2} more" if len(ordered) > 2 else ""
        yield f"{verb} {', '.join(names)}{more}"

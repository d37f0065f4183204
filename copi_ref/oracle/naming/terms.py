"""A wrong ΔW or ΔR as a sum of terms: coefficients are fitted, and said as a formula."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces, Quantities
from copi_ref.oracle.naming.catalogue.arrays import centred, without_diagonal
from copi_ref.oracle.naming.catalogue.moments import C_off, mean_outer, mean_square
from copi_ref.oracle.naming.evidence import Cell, Evidence, Fit, kind_of
from copi_ref.oracle.naming.explaining import Candidate
from copi_ref.oracle.naming.rules import Partial

Term = Callable[..., HostArray]


_OF_W: dict[str, Term] = {
    "W diag(E[x²])": lambda x, z, W, d: W * mean_square(x),
    "E[z xᵀ]": lambda x, z, W, d: mean_outer(z, x),
    "W": lambda x, z, W, d: W,
    "E[δ xᵀ]": lambda x, z, W, d: mean_outer(d, x),
    "W E[x xᵀ]": lambda x, z, W, d: W @ mean_outer(x, x),
    "W C_off": lambda x, z, W, d: W @ C_off(x),
    "E[z] E[x]ᵀ": lambda x, z, W, d: np.outer(z.mean(axis=0), x.mean(axis=0)),
    "W diag(E[x]²)": lambda x, z, W, d: W * x.mean(axis=0) ** 2,
    "W diag(var x)": lambda x, z, W, d: W * mean_square(centred(x)),
    "cov(z, x)": lambda x, z, W, d: mean_outer(centred(z), centred(x)),
    "diag(E[z²]) W": lambda x, z, W, d: mean_square(z)[:, None] * W,
    "W E[x xᵀ] as a triangle": lambda x, z, W, d: W @ np.tril(mean_outer(x, x)),
    "W mean E[x²]": lambda x, z, W, d: W * mean_square(x).mean(),
    "sign(W)": lambda x, z, W, d: np.sign(W),
    "E[z]": lambda x, z, W, d: z.mean(axis=0)[:, None] + 0 * W,
    "E[x]ᵀ": lambda x, z, W, d: x.mean(axis=0) + 0 * W,
    "E[x²]ᵀ": lambda x, z, W, d: mean_square(x) + 0 * W,
    "1": lambda x, z, W, d: np.ones_like(W),
}

_OF_R: dict[str, Term] = {
    "R C_off": lambda x, R: R @ C_off(x),
    "C_off R": lambda x, R: C_off(x) @ R,
    "R E[x xᵀ]": lambda x, R: R @ mean_outer(x, x),
    "E[x xᵀ] R": lambda x, R: mean_outer(x, x) @ R,
    "R diag(E[x²])": lambda x, R: R * mean_square(x),
    "diag(E[x²]) R": lambda x, R: mean_square(x)[:, None] * R,
    "R": lambda x, R: R,
    "I": lambda x, R: np.eye(len(R)),
    "Rᵀ": lambda x, R: R.T,
    "C_off": lambda x, R: C_off(x),
    "E[x xᵀ]": lambda x, R: mean_outer(x, x),
    "diag(E[x²])": lambda x, R: np.diag(mean_square(x)),
    "Rᵀ C_off": lambda x, R: R.T @ C_off(x),
    "C_off Rᵀ": lambda x, R: C_off(x) @ R.T,
    "Rᵀ E[x xᵀ]": lambda x, R: R.T @ mean_outer(x, x),
    "E[x xᵀ] Rᵀ": lambda x, R: mean_outer(x, x) @ R.T,
    "R cov(x)": lambda x, R: R @ mean_outer(centred(x), centred(x)),
    "cov(x) R": lambda x, R: mean_outer(centred(x), centred(x)) @ R,
    "R E[x] E[x]ᵀ": lambda x, R: R @ np.outer(x.mean(axis=0), x.mean(axis=0)),
    "R diag(E[x]²)": lambda x, R: R * x.mean(axis=0) ** 2,
    "R diag(var x)": lambda x, R: R * mean_square(centred(x)),
    "R |C_off|": lambda x, R: R @ np.abs(C_off(x)),
    "|C_off| R": lambda x, R: np.abs(C_off(x)) @ R,
    "R C_off below the diagonal": lambda x, R: R @ np.tril(C_off(x)),
    "R C_off above the diagonal": lambda x, R: R @ np.triu(C_off(x)),
    "C_off R below the diagonal": lambda x, R: np.tril(C_off(x)) @ R,
    "C_off R above the diagonal": lambda x, R: np.triu(C_off(x)) @ R,
    "R mean E[x²]": lambda x, R: R * mean_square(x).mean(),
    "R without its diagonal": lambda x, R: without_diagonal(R),
    "R Rᵀ R": lambda x, R: R @ R.T @ R,
    "1": lambda x, R: np.ones_like(R),
}

_TIMES: dict[str, Callable[[int, int, int], float]] = {
    "": lambda N, K, M: 1.0,
    "N ": lambda N, K, M: float(N),
    "1/N ": lambda N, K, M: 1 / N,
    "1/K ": lambda N, K, M: 1 / K,
    "N/K ": lambda N, K, M: N / K,
    "N/(N − 1) ": lambda N, K, M: N / (N - 1) if N > 1 else 1.0,
    "N/(N + 1) ": lambda N, K, M: N / (N + 1),
    "1/M ": lambda N, K, M: 1 / M,
}
"""What may stand before a term besides a number. N/(N − 1) is 1 for one sample: else it would be infinite."""


_FORMULAS = {
    "left": "−C_off R",
    "right": "−R C_off",
    "symmetric": "−½ (C_off R + (C_off R)ᵀ)",
    "whitening": "−(1 − κ) C_off R − κ R diag(v)",
    "whitening-normalized": "−(1 − κ)/(K − 1) C_off R − 2κ R diag(v)",
    "whitening-triangular": "−(1 − κ) √i tril(C) R − κ R diag(v)",
    "whitening-rows": "−(1 − κ) C_off R − κ diag(v) R",
    "kept-diagonal": "−R E[x xᵀ] of the first samples",
}
"""ΔR by lateral rule, as it stands in a formula with something besides."""


@dataclass(frozen=True)
class _Basis:
    """Terms on the cells of one kind, each scaled, as columns; and what came, less what is known."""

    cells: list[Cell]
    columns: HostArray
    names: list[str]
    came: HostArray
    right: HostArray
    scales: list[float]


def as_terms(evidence: Evidence, right: Pieces, kind: str) -> Iterator[Partial]:
    """Yield the simplest formula of at most two terms, or of two besides the right ones, that gives every ΔW or ΔR."""
    basis = _basis(evidence, right, kind)
    if basis is None:
        return
    for start, prefix in ((np.zeros_like(basis.right), ""), (basis.right, _right_formula(evidence, right, kind) + " ")):
        for chosen in _promising(basis, start):
            solved = np.linalg.lstsq(basis.columns[:, chosen], basis.came - start, rcond=None)[0]
            numbers = [_simple(number) for number in solved]
            if any(number is None for number in numbers) or not all(numbers):
                continue
            found = start + basis.columns[:, chosen] @ np.array([float(number or 0) for number in numbers])
            if _fits(evidence, basis, found):
                formula = prefix + _written(numbers, [basis.names[one] for one in chosen], bool(prefix))
                yield _as_partial(evidence, kind, f"{kind} = {formula}")
                return


def _right_formula(evidence: Evidence, right: Pieces, kind: str) -> str:
    if kind == "ΔR":
        return _FORMULAS[right.conventions.lateral_rule]
    of_delta = evidence.function.name == "sgd_update" or right.conventions.weight_rule == "sgd"
    return "E[δ xᵀ]" if of_delta else "E[z xᵀ] − W diag(E[x²])"


def _basis(evidence: Evidence, right: Pieces, kind: str) -> _Basis | None:
    cells = sorted(cell for cell in evidence.cells if kind_of(cell) == kind and evidence.is_sharp(cell))
    table = _OF_W if kind == "ΔW" else _OF_R
    names = [times + term for term in table for times in _TIMES]
    blocks, came, expected, scales = [], [], [], []
    states: dict[int, Quantities | None] = {}
    for at, name in cells:
        one = evidence.observations[at]
        if at not in states:
            states[at] = evidence.evaluated(right, at)
        found = states[at]
        if found is None:
            return None
        arguments = _arguments(evidence, right, found, at, name, kind)
        N, K = arguments[0].shape
        M = arguments[1].shape[1] if kind == "ΔW" else K
        scale = 1 / (float(np.max(one.expected[name].magnitude)) or 1)
        values = [term(*arguments) * scale for term in table.values()]
        blocks.append(
            np.stack([(value * times(N, K, M)).ravel() for value in values for times in _TIMES.values()], axis=1)
        )
        came.append((one.actual[name] * scale).ravel())
        expected.append((one.expected[name].value * scale).ravel())
        scales.append(scale)
    if not blocks:
        return None
    columns = np.concatenate(blocks)
    if not np.isfinite(columns).all():
        return None
    return _Basis(cells, columns, names, np.concatenate(came), np.concatenate(expected), scales)


def _arguments(
    evidence: Evidence, right: Pieces, found: Quantities, at: int, name: str, kind: str
) -> tuple[HostArray, ...]:
    """What the formula of a cell is made of: x, z, W and δ, or x and R, the implementation's own where it has them."""
    one = evidence.observations[at]
    inputs = one.case.inputs
    if not isinstance(inputs["W"], (tuple, list)):
        x = inputs["x"]
        if kind == "ΔR":
            return x, inputs["R"]
        delta = inputs["delta"] if evidence.function.name == "sgd_update" else inputs["z"] - x @ inputs["W"].T
        return x, inputs["z"], inputs["W"], delta
    layer = int(name.rpartition(" ")[2])
    states = {key: one.actual.get(f"{key} of layer {layer}", found[f"{key} of layer {layer}"]) for key in "xayδ"}
    x, a, y, delta = (np.asarray(states[key]) for key in "xayδ")
    if kind == "ΔR":
        return x, inputs["R"][layer - 1]
    return x, np.asarray(right.target_state(a, y, delta)), inputs["W"][layer - 1], delta


def _promising(basis: _Basis, start: HostArray, most: int = 40) -> Iterator[list[int]]:
    """Yield the columns, one or two, whose least-squares fit leaves least, by the normal equations of all pairs."""
    wanted = basis.came - start
    gram, projected = basis.columns.T @ basis.columns, basis.columns.T @ wanted
    diagonal = np.diag(gram)
    total = float(wanted @ wanted)
    usable = diagonal > 0
    alone = np.where(usable, projected**2 / np.where(usable, diagonal, 1), -1)
    tolerance = 1e-6 * total + 1e-300
    ones = [int(at) for at in np.argsort(-alone, kind="stable")[:most] if total - alone[at] <= tolerance]
    yield from ([one] for one in sorted(ones))
    first, second = np.triu_indices(len(diagonal), 1)
    determinant = diagonal[first] * diagonal[second] - gram[first, second] ** 2
    regular = determinant > 1e-12 * diagonal[first] * diagonal[second]
    both = (
        projected[first] ** 2 * diagonal[second]
        + projected[second] ** 2 * diagonal[first]
        - 2 * projected[first] * projected[second] * gram[first, second]
    )
    gained = np.where(regular, both / np.where(regular, determinant, 1), -1)
    best = np.argsort(-gained, kind="stable")[:most]
    pairs = [(int(first[at]), int(second[at])) for at in best if total - gained[at] <= tolerance]
    yield from (list(pair) for pair in sorted(pairs))


def _simple(number: float) -> Fraction | float | None:
    """A simple fraction, or the number itself; None if it is 0."""
    if abs(number) < 1e-14:
        return None
    fraction = Fraction(number).limit_denominator(64)
    if fraction and abs(number - float(fraction)) <= 1e-6 * abs(number):
        return fraction
    short = float(f"{number:.3g}")
    return short if abs(number - short) <= 1e-6 * abs(number) else number


def _fits(evidence: Evidence, basis: _Basis, found: HostArray) -> bool:
    """Whether a sum of terms gives every cell of the basis."""
    start = 0
    for cell, scale in zip(basis.cells, basis.scales, strict=True):
        shape = evidence.observations[cell[0]].actual[cell[1]].shape
        stop = start + shape[0] * shape[1]
        if not evidence.agrees((found[start:stop] / scale).reshape(shape), cell):
            return False
        start = stop
    return True


def _written(numbers: list[Fraction | float | None], names: list[str], continued: bool) -> str:
    parts = []
    ordered = sorted(zip(numbers, names, strict=True), key=lambda one: float(one[0] or 0) < 0)
    for at, (number, name) in enumerate(ordered):
        sign = "−" if float(number or 0) < 0 else "+"
        size = abs(number or 0)
        factor = "" if size == 1 else f"{size} " if isinstance(size, Fraction) else f"{size:.4g} "
        lead = f"{sign} " if at or continued else ("−" if sign == "−" else "")
        parts.append(f"{lead}{factor}{name}")
    return " ".join(parts)


def _as_partial(evidence: Evidence, kind: str, says: str) -> Partial:
    """With cells that are too coarse to fit numbers to taken for explained."""
    mine = frozenset(cell for cell in evidence.cells if kind_of(cell) == kind)
    others = frozenset(cell for cell in evidence.cells - mine if cell not in evidence.wrong)
    candidate = Candidate("terms", says, lambda pieces: None)
    return Partial(candidate, Fit(mine | others, mine & evidence.wrong))

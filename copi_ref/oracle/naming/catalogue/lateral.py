"""Wrong lateral updates ΔR (Eq. 4, 6)."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.lateral import ON_THE_RIGHT
from copi_ref.oracle.contract.pieces import Pieces, coupled, reduced
from copi_ref.oracle.naming.catalogue.adjustment import Adjustment, Update
from copi_ref.oracle.naming.catalogue.adjustments import ADJUSTMENTS, named
from copi_ref.oracle.naming.catalogue.arrays import (
    EPSILONS,
    centred,
    cleared,
    mirrored,
    n_minus_1,
    nonzero,
    unit_power,
    without_diagonal,
)
from copi_ref.oracle.naming.catalogue.moments import mean_outer, mean_square
from copi_ref.oracle.naming.catalogue.variant import Variant

# --- from the table ---------------------------------------------------------------------------------------------------


def _adjusted(place: str, adjustment: Adjustment) -> Variant:
    what, piece = _PLACES[place]

    def change(p: Pieces) -> Pieces | None:
        if not adjustment.has_meaning(p.conventions):
            return None
        summed = p.conventions.reduction == "sum"

        def wrong(right: Update) -> Update:
            return lambda x, R: adjustment.wrong(lambda x, _: right(x, R), x, x, summed)

        if piece == "lateral":
            return p.with_changes(joined=lambda q, x, R: wrong(lambda x, R: p.joined(q, x, R))(x, R))
        return p.with_changes(**{piece: wrong(getattr(p, piece))})

    return Variant(*named(place, adjustment, what), change)


_PLACES = {
    "lateral": ("ΔR", "lateral"),
    "lateral-product": ("the product of R and E[x xᵀ]", "product"),
    "lateral-decay": ("the product of R and diag(E[x²])", "decay"),
}
"""What is adjusted, by name: what it is, and which piece."""


def _adjusted_places() -> Iterator[Variant]:
    for place in _PLACES:
        yield from (_adjusted(place, adjustment) for adjustment in ADJUSTMENTS if place in adjustment.places)


# --- by hand ----------------------------------------------------------------------------------------------------------


def times(p: Pieces, C: HostArray, R: HostArray) -> HostArray:
    """The product of the lateral rule: C R, R C, or the symmetric part of C R."""
    if p.conventions.lateral_rule in ON_THE_RIGHT:
        return R @ C
    return C @ R if p.conventions.lateral_rule != "symmetric" else (C @ R + (C @ R).mT) / 2


def _whole(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """A wrong ``(pieces, x, R) -> ΔR``, which gets the pieces as they are at last."""
    return Variant(name, says, lambda p: p.with_changes(joined=wrong))


def _with_R(name: str, says: str, wrong: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for R in both terms."""
    return Variant(name, says, lambda p: p.with_changes(joined=lambda q, x, R: p.joined(q, x, wrong(R))))


def _with_C(name: str, says: str, wrong: Callable[[HostArray, HostArray, HostArray], HostArray]) -> Variant:
    """Another C_off: ``(C, D, x)`` of C = E[x xᵀ] and D = diag(E[x²]), as the pieces have both."""

    def joined(p: Pieces, x: HostArray, R: HostArray) -> HostArray:
        one = np.eye(len(R))
        C_off = wrong(p.product(x, one), p.decay(x, one), x)
        return np.asarray(coupled(p, times(p, C_off, R), x, R))

    return _whole(name, says, joined)


def _with_product(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """Another product of R and E[x xᵀ]."""
    return Variant(name, says, lambda p: p.with_changes(product=lambda x, R: wrong(p, x, R)))


def _with_decay(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """Another product of R and diag(E[x²])."""
    return Variant(name, says, lambda p: p.with_changes(decay=lambda x, R: wrong(p, x, R)))


_OF_R: tuple[tuple[str, str, Callable[[HostArray], HostArray]], ...] = (
    ("missing", "R is missing", lambda R: np.eye(len(R))),
    ("transposed", "R is transposed", lambda R: R.mT),
    ("diagonal", "only the diagonal of R is used", lambda R: np.diag(np.diag(R))),
    ("off-diagonal", "the diagonal of R is left out", without_diagonal),
    ("inverse", "R⁻¹ for R", np.linalg.pinv),
    ("inverse-transposed", "R⁻ᵀ for R, as in the gradient of log det R,", lambda R: np.linalg.pinv(R).mT),
    ("gram", "R Rᵀ for R", lambda R: R @ R.mT),
    ("squared", "R² for R", lambda R: R @ R),
    ("plus-identity", "R + I for R", lambda R: R + np.eye(len(R))),
    ("minus-identity", "R − I for R", lambda R: R - np.eye(len(R))),
    ("absolute", "|R| for R", np.abs),
    ("symmetrised", "the symmetric part of R is used", lambda R: (R + R.mT) / 2),
    ("lower-triangle", "only the lower triangle of R is used", np.tril),
    ("upper-triangle", "only the upper triangle of R is used", np.triu),
)
"""What stands for R in ΔR, or in one of its terms."""


_OF_ENTRIES = {"diagonal", "off-diagonal", "absolute", "lower-triangle", "upper-triangle"}
"""What it does to R, it does to its product with a diagonal: there it is in the table."""


def _of_R() -> Iterator[Variant]:
    for name, says, wrong in _OF_R:
        if name != "missing":  # in both it has a name of its own
            yield _with_R(f"lateral-R-{name}", f"{says} in ΔR", wrong)
        yield _with_product(f"lateral-R-{name}-in-product", f"{says} where it multiplies E[x xᵀ]",
                            _of_changed("product", wrong))  # fmt: skip
        if name not in _OF_ENTRIES:
            yield _with_decay(f"lateral-R-{name}-in-decay", f"{says} where it multiplies diag(E[x²])",
                              _of_changed("decay", wrong))  # fmt: skip


def _of_changed(term: str, wrong: Callable[[HostArray], HostArray]) -> Callable[..., HostArray]:
    return lambda p, x, R: np.asarray(getattr(p, term)(x, wrong(R)))


def _with_power(name: str, says: str, power: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """``(x, R)`` give something else for E[x²] in the decay."""
    return _with_decay(name, says, lambda p, x, R: reduced(p.conventions, x, np.asarray(_beside(p, power(x, R)) * R)))


def _beside(p: Pieces, power: HostArray) -> HostArray:
    """One number an input as it stands beside R: along its rows for `right`, its columns otherwise."""
    power = np.broadcast_to(power, np.shape(power) or (1,))
    return power[None, :] if p.conventions.lateral_rule in ON_THE_RIGHT else power[:, None]


def _power(p: Pieces, x: HostArray) -> HostArray:
    return np.diag(p.decay(x, np.eye(x.shape[1])))


def _C(p: Pieces, x: HostArray) -> HostArray:
    return np.asarray(p.product(x, np.eye(x.shape[1])))


def _of(u: HostArray) -> Callable[[Pieces, HostArray], HostArray]:
    return lambda p, x: np.asarray(reduced(p.conventions, x, mean_outer(u, u)))


def _only_transpose(p: Pieces) -> Pieces | None:
    if p.conventions.lateral_rule != "symmetric":
        return None  # −(C_off R)ᵀ = −Rᵀ C_off is `right` with Rᵀ for R
    return p.with_changes(joined=lambda q, x, R: -(q.product(x, R) - q.decay(x, R)).mT)


def _mirrored_left(p: Pieces, upper: bool) -> Pieces | None:
    if p.conventions.lateral_rule != "symmetric":
        return None  # a triangle of ΔR itself, mirrored, is in the table
    return p.with_changes(joined=lambda q, x, R: -mirrored((_C(q, x) - np.diag(_power(q, x))) @ R, upper))


def _triangle_in_other_order(lower: bool) -> Callable[[HostArray, HostArray, HostArray], HostArray]:
    """Pairs are listed along the rows of one triangle, and put into the other along its own rows."""

    def wrong(C: HostArray, D: HostArray, x: HostArray) -> HostArray:
        found, below, above = C - D, np.tril_indices(len(C), -1), np.triu_indices(len(C), 1)
        if lower:
            found[below] = C[above]
        else:
            found[above] = C[below]
        return found

    return wrong


def _without_dead(rows: bool) -> Callable[[Pieces], Pieces]:
    def joined(p: Pieces, q: Pieces, x: HostArray, R: HostArray) -> HostArray:
        lives = np.any(x != 0, axis=0)
        return np.asarray(p.joined(q, x, R) * (lives[:, None] if rows else lives))

    return lambda p: p.with_changes(joined=lambda q, x, R: joined(p, q, x, R))


def _added_in_place(p: Pieces, by_rows: bool, halved: bool = False) -> Pieces | None:
    if p.conventions.lateral_rule != "symmetric":
        return None

    def joined(q: Pieces, x: HostArray, R: HostArray) -> HostArray:
        A = _off(q, x) @ R
        A = A if by_rows else A.mT
        # What is above the diagonal is the sum, or the mean, already when rows below read it.
        found = A + A.mT + (np.tril(A - A.mT, -1) / 2 if halved else np.tril(A, -1))
        return np.asarray(-(found if by_rows else found.mT) / 2)

    return p.with_changes(joined=joined)


def _averaged_in_place(by_rows: bool) -> Callable[[Pieces], Pieces | None]:
    return lambda p: _added_in_place(p, by_rows, halved=True)


def _decay_subtracted(p: Pieces, x: HostArray, R: HostArray) -> HostArray:
    sign = -1 if p.conventions.lateral_rule in ON_THE_RIGHT else 1
    return sign * (_beside(p, _power(p, x)) - R)


def _decay_divided(p: Pieces, x: HostArray, R: HostArray) -> HostArray:
    power = _beside(p, _power(p, x))
    return R / power if p.conventions.lateral_rule in ON_THE_RIGHT else power / R


def _guarded(epsilon: float) -> Callable[[Pieces, HostArray, HostArray], HostArray]:
    return lambda p, x, R: _beside(p, np.maximum(_power(p, x), epsilon)) * R


def _outer_of_means(x: HostArray) -> HostArray:
    return np.outer(x.mean(axis=0), x.mean(axis=0))


def _in_blocks(size: int) -> Callable[[HostArray, HostArray, HostArray], HostArray]:
    def wrong(C: HostArray, D: HostArray, x: HostArray) -> HostArray:
        block = np.arange(len(C)) // size
        return np.where(block == block[:, None], C - D, 0)

    return wrong


def _one_sided(change: Callable[[HostArray], HostArray], side: str) -> Callable[..., HostArray]:
    """E[g(x) xᵀ] or E[x g(x)ᵀ], as a mean or a sum as C is one, without its diagonal."""

    def wrong(C: HostArray, D: HostArray, x: HostArray) -> HostArray:
        found = mean_outer(change(x), x) if side == "left" else mean_outer(x, change(x))
        power = np.diag(mean_outer(x, x))
        return np.asarray(without_diagonal(found) * (np.sum(np.diag(D)) / (np.sum(power) or 1)))

    return wrong


def _clearing(line: str, at: int, of_all: bool = False) -> Callable[[HostArray, HostArray, HostArray], HostArray]:
    where = (at, slice(None)) if line == "row" else (slice(None), at)
    return lambda C, D, x: cleared(C if of_all else C - D, *where)


LATERAL_VARIANTS = (
    *_adjusted_places(),
    _with_C("lateral-only-diagonal", "the diagonal of E[x xᵀ] is all that is taken", lambda C, D, x: D),
    _with_C("lateral-lower-triangle", "only the lower triangle of C_off is used", lambda C, D, x: np.tril(C - D)),
    _with_C("lateral-upper-triangle", "only the upper triangle of C_off is used", lambda C, D, x: np.triu(C - D)),
    _with_C("lateral-lower-triangle-with-diagonal", "the lower triangle of E[x xᵀ] is used, with its diagonal",
            lambda C, D, x: np.tril(C)),
    _with_C("lateral-upper-triangle-with-diagonal", "the upper triangle of E[x xᵀ] is used, with its diagonal",
            lambda C, D, x: np.triu(C)),
    _with_C("lateral-off-absolute", "|C_off| for C_off", lambda C, D, x: np.abs(C - D)),
    _with_C("lateral-off-signs", "the signs of C_off for C_off", lambda C, D, x: np.sign(C - D)),
    _with_C("lateral-off-positive", "C_off is set to 0 where it is negative", lambda C, D, x: np.maximum(C - D, 0)),
    _with_C("lateral-off-squared", "C_off is squared, element by element", lambda C, D, x: (C - D) ** 2),
    _with_C("lateral-whitening", "E[x xᵀ] − I for C_off: it whitens", lambda C, D, x: C - np.eye(len(C))),
    _with_C("lateral-first-unit-left-out", "the first input is left out of C_off: its row and column are 0",
            lambda C, D, x: cleared(cleared(C - D, 0, slice(None)), slice(None), 0)),
    _with_C("lateral-last-unit-left-out", "the last input is left out of C_off: its row and column are 0",
            lambda C, D, x: cleared(cleared(C - D, -1, slice(None)), slice(None), -1)),
    *(_with_C(f"lateral-off-misses-{which}-{line}", f"the {which} {line} of C_off is left out",
              _clearing(line, at)) for which, at in (("first", 0), ("last", -1)) for line in ("row", "column")),
    *(_with_C(f"lateral-{which}-{line}-for-diagonal", f"the {which} {line} of E[x xᵀ] is set to 0, not its diagonal",
              _clearing(line, at, of_all=True))
      for which, at in (("first", 0), ("last", -1)) for line in ("row", "column")),
    _with_C("lateral-neighbours", "only neighbouring inputs are decorrelated",
            lambda C, D, x: np.triu(np.tril(C - D, 1), -1)),
    _with_C("lateral-upper-neighbours-twice", "the triangles overlap: the diagonal is in, what is above it twice",
            lambda C, D, x: np.triu(C, 1) + np.tril(C, 1)),
    _with_C("lateral-no-lower-neighbours", "what lies right below the diagonal is left out of C_off",
            lambda C, D, x: np.triu(C, 1) + np.tril(C, -2)),
    _with_C("lateral-no-upper-neighbours", "what lies right above the diagonal is left out of C_off",
            lambda C, D, x: np.triu(C, 2) + np.tril(C, -1)),
    _with_C("lateral-mask-as-matrix", "E[x xᵀ] is multiplied with the mask of ones beside the diagonal as a matrix",
            lambda C, D, x: C @ (1 - np.eye(len(C)))),
    _with_C("lateral-diagonal-by-samples", "every (N + 1)-th entry of E[x xᵀ] is set to 0, not every (K + 1)-th",
            lambda C, D, x: np.where(np.arange(C.size) % (len(x) + 1) == 0, 0, C.ravel()).reshape(C.shape)),
    *(_with_C(f"lateral-blocks-of-{size}", f"only inputs of one block of {size} are decorrelated with each other",
              _in_blocks(size)) for size in (2, 4, 8, 16)),
    _with_C("lateral-nothing-below-1e-08", "ΔR is 0 where all of C_off is below 1e-8",
            lambda C, D, x: (C - D) * bool(np.max(np.abs(C - D)) > 1e-8)),
    _with_C("lateral-no-neighbours", "neighbouring inputs are left out of C_off",
            lambda C, D, x: np.triu(C, 2) + np.tril(C, -2)),
    *(_with_C(f"lateral-{name}-{side}", f"{says} for x in E[x xᵀ], on {which} side alone", _one_sided(change, side))
      for name, says, change in (("squashed", "tanh(x)", np.tanh), ("signs-of-x", "the sign of x", np.sign),
                                 ("squared", "x²", np.square), ("cubed", "x³", lambda x: x**3),
                                 ("positive-part", "max(x, 0)", lambda x: np.maximum(x, 0)),
                                 ("shifted-x", "x of the sample before", lambda x: np.roll(x, 1, axis=0)))
      for side, which in (("left", "its left"), ("right", "its right"))),
    _with_C("lateral-diagonal-from-rows", "diag(E[x²]) is taken from every row of E[x xᵀ], not from its diagonal",
            lambda C, D, x: C - np.diag(D)),
    _with_C("lateral-diagonal-from-columns", "diag(E[x²]) is taken from every column of E[x xᵀ], not from its diagonal",
            lambda C, D, x: C - np.diag(D)[:, None]),
    _with_C("lateral-scaled-by-power", "C_off is divided by E[x_i²]: regression coefficients",
            lambda C, D, x: (C - D) / nonzero(np.diag(D))[:, None]),
    _with_C("lateral-scaled-by-power-of-columns", "C_off is divided by E[x_j²]: regression coefficients",
            lambda C, D, x: (C - D) / nonzero(np.diag(D))),
    Variant("lateral-pearson", "x is centred and scaled to variance 1: correlation coefficients for E[x xᵀ]", lambda p:
            p.with_changes(joined=lambda q, x, R: p.joined(q, unit_power(centred(x)), R))),
    Variant("lateral-sample-covariance",
            "x is centred, and ΔR divides by N − 1: the sample covariance for E[x xᵀ]", lambda p:
            p.with_changes(joined=lambda q, x, R: p.joined(q, centred(x), R) * n_minus_1(x))),
    _whole("lateral-no-R", "ΔR is −C_off: the product with R is missing",
           lambda p, x, R: coupled(p, _C(p, x) - p.decay(x, np.eye(len(R))), x, R)),
    Variant("lateral-upper-of-left-mirrored", "C_off R with its upper triangle mirrored below, for the mean with its "
            "transpose", lambda p: _mirrored_left(p, upper=True)),
    Variant("lateral-lower-of-left-mirrored", "C_off R with its lower triangle mirrored above, for the mean with its "
            "transpose", lambda p: _mirrored_left(p, upper=False)),
    Variant("lateral-symmetrised-in-place", "C_off R and its transpose are added in place, row by row: below the "
            "diagonal the transpose is that of the sum", lambda p: _added_in_place(p, by_rows=True)),
    *(Variant(f"lateral-averaged-in-place{end}", f"the mean of C_off R and its transpose is taken in place, {line} by "
              f"{line}: {side} the diagonal it is that of a mean", _averaged_in_place(line == "row"))
      for end, line, side in (("", "row", "below"), ("-by-columns", "column", "above"))),
    Variant("lateral-symmetrised-in-place-by-columns", "C_off R and its transpose are added in place, column by column:"
            " above the diagonal the transpose is that of the sum", lambda p: _added_in_place(p, by_rows=False)),
    *_of_R(),
    _with_product("lateral-row-sums-of-R-in-product", "the sums of the rows of R for R in the product with E[x xᵀ]",
                  lambda p, x, R: p.product(x, np.diag(R.sum(axis=1)))),
    _with_product("lateral-column-sums-of-R-in-product",
                  "the sums of the columns of R for R in the product with E[x xᵀ]",
                  lambda p, x, R: p.product(x, np.diag(R.sum(axis=0)))),
    _with_product("lateral-R-times-row-sums", "the sums of the columns of E[x xᵀ] multiply the columns of R",
                  lambda p, x, R: R * _C(p, x).sum(axis=0)),
    _with_decay("lateral-decay-of-dead-inputs", "E[x²] is taken for 1 where it is 0",
                lambda p, x, R: _beside(p, nonzero(_power(p, x))) * R),
    _with_product("lateral-product-elementwise", "R and E[x xᵀ] are multiplied elementwise",
                  lambda p, x, R: R * _C(p, x)),
    _with_decay("lateral-decay-elementwise", "the decay is the elementwise product of R and E[x xᵀ]",
                lambda p, x, R: R * _C(p, x)),
    *(_with_C(f"lateral-{one}-in-order-of-{other}",
              f"the {one} triangle of C_off is filled in the order of the {other} one",
              _triangle_in_other_order(one == "lower")) for one, other in (("lower", "upper"), ("upper", "lower"))),
    *(Variant(f"lateral-dead-{lines}-kept", f"{lines} of R stay as they are where x is 0 in all samples",
              _without_dead(lines == "rows")) for lines in ("rows", "columns")),
    _whole("lateral-elementwise", "R and C_off are multiplied elementwise",
           lambda p, x, R: coupled(p, R * (_C(p, x) - p.decay(x, np.eye(len(R)))), x, R)),
    Variant("lateral-only-transpose", "ΔR is −(C_off R)ᵀ, without −C_off R", _only_transpose),
    _with_product("lateral-of-outputs", "E[q qᵀ] of q = R x for E[q xᵀ]", lambda p, x, R: _of(x @ R.mT)(p, x)),
    _with_product("lateral-of-projections", "E[p pᵀ] of p = Rᵀ x for E[x pᵀ]", lambda p, x, R: _of(x @ R)(p, x)),
    _with_power("lateral-decay-of-R", "the decay has E[R²] for E[x²]", lambda x, R: np.mean(R * R, axis=0)),
    _with_power("lateral-decay-of-outputs", "the decay has E[(R x)²] for E[x²]", lambda x, R: mean_square(x @ R.mT)),
    _with_power("lateral-decay-of-projections", "the decay has E[(Rᵀ x)²] for E[x²]", lambda x, R: mean_square(x @ R)),
    _with_power("lateral-decay-square-of-mean", "the decay has E[x]² for E[x²]", lambda x, R: x.mean(axis=0) ** 2),
    _with_power("lateral-decay-not-squared", "the decay has E[x] for E[x²]", lambda x, R: x.mean(axis=0)),
    _with_power("lateral-decay-root", "the decay has √E[x²] for E[x²]", lambda x, R: np.sqrt(mean_square(x))),
    _with_power("lateral-decay-absolute", "the decay has E|x| for E[x²]", lambda x, R: np.abs(x).mean(axis=0)),
    _with_power("lateral-decay-row-mean", "the decay has the mean of a row of E[x xᵀ] for its diagonal",
                lambda x, R: mean_outer(x, x).mean(axis=0)),
    _with_power("lateral-decay-row-sum", "the decay has the sum of a row of E[x xᵀ] for its diagonal",
                lambda x, R: mean_outer(x, x).sum(axis=0)),
    _with_power("lateral-decay-total-power", "the decay has ΣE[x_j²], one number for all inputs",
                lambda x, R: mean_square(x).sum()),
    _with_power("lateral-decay-mean-power", "the decay has the mean of E[x_j²] over inputs, one number for all",
                lambda x, R: mean_square(x).mean()),
    *(_with_decay(f"lateral-decay-at-least-{epsilon:g}", f"the decay has max(E[x²], {epsilon:g}) for E[x²]",
                  _guarded(epsilon)) for epsilon in EPSILONS),
    _with_decay("lateral-decay-added", "E[x²] is added to R in the decay, not multiplied",
                lambda p, x, R: _beside(p, _power(p, x)) + R),
    _with_decay("lateral-decay-subtracted", "R is taken from E[x²] in the decay, or E[x²] from R", _decay_subtracted),
    _with_decay("lateral-decay-divided", "R is divided by E[x²] in the decay, or E[x²] by R", _decay_divided),
    _with_decay("lateral-decay-of-product", "the decay has the diagonal of the product of R and E[x xᵀ] for E[x²]",
                lambda p, x, R: _beside(p, np.diag(p.product(x, R))) * R),
    _whole("lateral-terms-multiplied", "E[x xᵀ] R and the decay are multiplied",
           lambda p, x, R: _joined_parts(p, x, R, lambda product, decay: product * decay)),
    _whole("lateral-terms-divided", "E[x xᵀ] R is divided by the decay",
           lambda p, x, R: _joined_parts(p, x, R, lambda product, decay: product / decay)),
    _whole("lateral-diagonal-of-product", "the diagonal of the product with R is set to 0, not that of E[x xᵀ]",
           lambda p, x, R: _joined_parts(p, x, R, lambda product, decay: without_diagonal(product))),
    _with_decay("lateral-diagonal-other-side", "diag(E[x²]) multiplies R from the other side than E[x xᵀ]",
                lambda p, x, R: p.decay(x, R.mT).mT),
    _with_product("lateral-product-other-side", "E[x xᵀ] multiplies R from the other side than diag(E[x²])",
                  lambda p, x, R: p.product(x, R.mT).mT),
    Variant("lateral-both-sides", "C_off multiplies R from both sides", lambda p: p.with_changes(
            joined=lambda q, x, R: -(_off(q, x) @ R @ _off(q, x)) / _samples_in_a_sum(q, x))),
    Variant("lateral-anticommutator", "−½ (C_off R + R C_off): both sides, and their mean", lambda p: p.with_changes(
            joined=lambda q, x, R: -(_off(q, x) @ R + R @ _off(q, x)) / 2)),
    Variant("lateral-commutator", "C_off R − R C_off", lambda p: p.with_changes(
            joined=lambda q, x, R: _off(q, x) @ R - R @ _off(q, x))),
    Variant("lateral-of-gradient", "−R C_off Rᵀ: R multiplies from both sides", lambda p: p.with_changes(
            joined=lambda q, x, R: -R @ _off(q, x) @ R.mT)),
    _whole("lateral-outer-of-means", "E[x] E[x]ᵀ for E[x xᵀ]: the mean is taken before the product",
           lambda p, x, R: -reduced(p.conventions, x, times(p, without_diagonal(_outer_of_means(x)), R))),
    _whole("lateral-not-halved", "ΔR is the sum of C_off R and its transpose, not their mean",
           lambda p, x, R: -(_off(p, x) @ R + (_off(p, x) @ R).mT)),
    _whole("lateral-antisymmetric-of-left", "the antisymmetric part of −C_off R is taken",
           lambda p, x, R: -(_off(p, x) @ R - (_off(p, x) @ R).mT) / 2),
)  # fmt: skip


def _off(p: Pieces, x: HostArray) -> HostArray:
    """C_off, as the pieces have it."""
    one = np.eye(x.shape[1])
    return np.asarray(p.product(x, one) - p.decay(x, one))


def _samples_in_a_sum(p: Pieces, x: HostArray) -> int:
    return len(x) if p.conventions.reduction == "sum" else 1


def _joined_parts(
    p: Pieces, x: HostArray, R: HostArray, wrong: Callable[[HostArray, HostArray], HostArray]
) -> HostArray:
    """What is made of both terms for their difference, with the symmetric part of each where the rule takes it."""
    symmetric = p.conventions.lateral_rule == "symmetric"
    product, decay = ((A + A.mT) / 2 if symmetric else A for A in (p.product(x, R), p.decay(x, R)))
    return np.asarray(coupled(p, wrong(product, decay), x, R))


def lateral_terms(p: Pieces, product: float, decay: float) -> Callable[[HostArray, HostArray], HostArray]:
    """Return ``(x, R) -> ΔR`` with factors on its two terms, E[x xᵀ] and diag(E[x²]); the right ones are 1."""
    return p.with_changes(
        product=lambda x, R: product * p.product(x, R), decay=lambda x, R: decay * p.decay(x, R)
    ).lateral

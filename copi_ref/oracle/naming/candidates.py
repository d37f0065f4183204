"""What may explain a wrong result: other conventions and the catalogue."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from copi_ref.oracle.contract.conventions import (
    ALTERNATIVES,
    DIRECT,
    LATERAL_RULES,
    OF_THE_PAPER,
    WHITENING,
    WITHOUT_B,
    Conventions,
    LateralRuleName,
    combined,
)
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import OF_FORWARD, OF_LATERAL, OF_PERTURBATIONS, Pieces, right_pieces
from copi_ref.oracle.naming.catalogue import STEP_VARIANTS, VARIANTS
from copi_ref.oracle.naming.catalogue.slopes import SLOPE_PLACES
from copi_ref.oracle.naming.evidence import Evidence, kind_of
from copi_ref.oracle.naming.explaining import Candidate, Change
from copi_ref.oracle.naming.factors import Family, fitted_numbers

_USED = {
    "copi_update": {"copi"},
    "sgd_update": {"sgd"},
    "decorrelation_update": OF_LATERAL,
    "forward": OF_FORWARD,
    "perturbations": OF_PERTURBATIONS,
}
"""The pieces that functions are made of; a step has all."""

DEEPEST = 4
"""Conventions that may differ at once."""


def singles(function: Function, conventions: Conventions) -> Iterator[Candidate]:
    """Yield every other convention, and every catalogued mistake that the function can have, likely ones first."""
    # What `perturbations` sees of f is f′ alone: another f is no likelier there than a wrong f′.
    of_f = {"activation", "slope"} if function.name == "perturbations" else set()
    others = [
        (changed, convention(changed, conventions))
        for changed in combined(conventions, 1)
        if can_be(conventions, changed)
    ]
    if function.name == "forward":  # it shows f, and f′ may be that of either
        others = [(changed, replace(candidate, seen=_only_f(candidate.change))) for changed, candidate in others]
    if function.name == "perturbations":
        others = [(changed, replace(candidate, seen=_all_but_f(candidate.change))) for changed, candidate in others]
    yield from (candidate for changed, candidate in others if not changed.keys() & of_f)
    right = right_pieces(conventions)
    yield from (mistake for mistake in mistakes(function) if concerns(function, mistake.change(right), right))
    yield from (candidate for changed, candidate in others if changed.keys() & of_f)
    if function.name in ("perturbations", "step"):
        yield from _other_slopes(conventions)


def _only_f(change: Change) -> Change:
    def only(p: Pieces) -> Pieces | None:
        changed = change(p)
        return p.with_changes(activate=changed.activate) if changed is not None else None

    return only


def _all_but_f(change: Change) -> Change:
    def others(p: Pieces) -> Pieces | None:
        changed = change(p)
        return changed.with_changes(activate=p.activate) if changed is not None else None

    return others


def _other_slopes(conventions: Conventions) -> Iterator[Candidate]:
    """Yield f′ of other conventions where f is as it should be: in all layers, at the output or in hidden layers."""
    for field in ("slope", "derivative_at_zero"):
        for changed in combined(conventions, 1, {field: ALTERNATIVES[field]}):
            for ending, where, place in SLOPE_PLACES:
                if ending or field == "slope":  # f′(0) of all layers is a convention
                    says = where.format(f"f′ is that of {field}={changed[field]!r}") + ", and f is not"
                    yield Candidate(f"f-prime-{field}={changed[field]!r}{ending}", says, _with_slope_of(changed, place))


def _with_slope_of(changed: dict[str, Any], place: Callable[[Pieces, Any], Pieces]) -> Change:
    return lambda p: place(p, right_pieces(replace(p.conventions, **changed)).slope)


_OF_A_STEP = frozenset(variant.name for variant in STEP_VARIANTS)


def mistakes(function: Function) -> list[Candidate]:
    """Mistakes of a whole step first where a step is looked at: some are those of an equation in other words."""
    in_order = sorted(VARIANTS.values(), key=lambda one: function.name == "step" and one.name not in _OF_A_STEP)
    return [Candidate(variant.name, variant.says, variant.change) for variant in in_order]


def concerns(function: Function, pieces: Pieces | None, right: Pieces) -> bool:
    """Whether a piece is another that the function is made of."""
    if pieces is None or function.name not in _USED:
        return pieces is not None
    return any(getattr(pieces, name) is not getattr(right, name) for name in _USED[function.name])


def several_conventions(evidence: Evidence, conventions: Conventions) -> Iterator[Candidate]:
    """Yield conventions that differ in two to `DEEPEST` fields, of those that alone change something."""
    alive = {
        name: values
        for name, values in ALTERNATIVES.items()
        if any(
            evidence.fit(right_pieces(replace(conventions, **changed)), evidence.order).changes
            for changed in combined(conventions, 1, {name: values})
            if can_be(conventions, changed)
        )
    }
    if "lateral_rule" in alive:
        alive["lateral_rule"] = tuple(_plausible_rules(evidence, conventions))
    give_each_kind = _giving_each_kind(evidence, conventions)
    for depth in range(2, DEEPEST + 1):
        yield from filter(give_each_kind, _possible(conventions, depth, alive, {}))
    for fitted in with_fitted_kappa(evidence, conventions):
        if evidence.fit(right_pieces(replace(conventions, **fitted.changed)), evidence.few).explains:
            others = {name: values for name, values in alive.items() if name not in ("lateral_rule", "kappa")}
            for depth in range(1, DEEPEST):
                yield from filter(give_each_kind, _possible(conventions, depth, others, fitted.changed))


_LATERAL = frozenset({"lateral_rule", "kappa", "share", "subsampled"})
_ACTIVATION = frozenset({"activation", "slope"})

FIELDS_OF = {
    **dict.fromkeys(("x", "a", "y"), _ACTIVATION | {"output_activation"}),
    **dict.fromkeys(("δ", "ΔW", "Δb"), ALTERNATIVES.keys() - _LATERAL),
    "ΔR": _ACTIVATION | _LATERAL | {"reduction"},
}
"""The conventions, of `ALTERNATIVES`, of which each kind of quantity may depend."""


def _giving_each_kind(evidence: Evidence, conventions: Conventions) -> Callable[[Candidate], bool]:
    """Return whether other conventions give each kind of quantity, by those of them alone that concern it.

    Of tens of thousands of combinations few differ in what concerns ΔR, or all but ΔR: each is tried once.
    """
    kinds = sorted({kind_of(cell) for cell in evidence.cells}, key=lambda kind: len(FIELDS_OF[kind]))

    @cache
    def gives(kind: str, changed: frozenset[tuple[str, Any]]) -> bool:
        return evidence.gives_kind(right_pieces(replace(conventions, **dict(changed))), kind)

    def give_each_kind(candidate: Candidate) -> bool:
        changed = candidate.changed.items()
        return all(gives(kind, frozenset(one for one in changed if one[0] in FIELDS_OF[kind])) for kind in kinds)

    return give_each_kind


def _possible(
    conventions: Conventions, depth: int, alternatives: Mapping[str, Iterable[Any]], besides: Mapping[str, Any]
) -> Iterator[Candidate]:
    """Yield conventions that differ in `depth` fields, and in those of `besides`."""
    for changed in combined(conventions, depth, alternatives):
        if can_be(conventions, changed):
            yield convention({**besides, **changed}, conventions)


def _plausible_rules(evidence: Evidence, conventions: Conventions) -> Iterator[str]:
    """Yield the paper's rules, and others that alone give some wrong ΔR, or a multiple: with κ they are too many."""
    for name in LATERAL_RULES:
        changes = combined(conventions, 1, {"lateral_rule": (name,)})
        fits = (evidence.fit(right_pieces(replace(conventions, **changed)), evidence.few) for changed in changes)
        if name in OF_THE_PAPER or any(fit.explains or fit.scaled for fit in fits):
            yield name


def with_fitted_kappa(evidence: Evidence, conventions: Conventions) -> Iterator[Candidate]:
    """Yield the whitening rules with the κ that fits best: ΔR depends on it linearly."""
    right = right_pieces(conventions)
    for rule in WHITENING if conventions.has_R else ():
        for kappa in fitted_numbers(_of_kappa(rule), evidence, right, evidence.failing[:_FITTED]):
            if 0 <= kappa[0] <= 1:
                of_rule = {} if rule == conventions.lateral_rule else {"lateral_rule": rule}
                yield convention({**of_rule, "kappa": kappa[0]}, conventions)


_FITTED = 6
"""Observations to which κ is fitted: then it has to fit all."""


def _of_kappa(rule: LateralRuleName) -> Family:
    def change(p: Pieces, kappa: Any) -> Pieces:
        return right_pieces(replace(p.conventions, lateral_rule=rule, kappa=float(kappa[0])))

    return Family("kappa", ("κ",), change)


_WITHOUT_B_IN_WORDS = {"bp": " (backpropagation: B is not used)", "sign-symmetric": " (signs of W: B is not used)"}


def convention(changed: dict[str, Any], conventions: Conventions) -> Candidate:
    """Another choice in some fields; it has no use for pieces that were changed before."""

    def change(pieces: Pieces) -> Pieces:
        return right_pieces(replace(pieces.conventions, **changed))

    name = ", ".join(f"{field}={value!r}" for field, value in changed.items())
    words = _WITHOUT_B_IN_WORDS.get(changed.get("credit", ""), "") if conventions.has_B else ""
    return Candidate(name, name + words, change, is_convention=True, changed=changed)


def can_be(conventions: Conventions, changed: dict[str, Any]) -> bool:
    """Whether it can be tried: feedback weights, of the shape that a method needs, can't be made up."""
    if "lateral_rule" in changed and not conventions.has_R:
        return False
    credit = changed.get("credit", conventions.credit)
    if "dfa_error" in changed and credit not in ("dfa", "sdfa"):
        return False
    of_one_shape = conventions.has_B and (credit in DIRECT) == (conventions.credit in DIRECT)
    return credit in WITHOUT_B or credit == conventions.credit or of_one_shape

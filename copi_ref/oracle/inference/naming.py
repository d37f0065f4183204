"""Which mistake is it: another convention, a catalogued mistake, a number, or two of these, the simplest first."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from copi_ref.oracle.inference.catalogue import INFERENCE_VARIANTS
from copi_ref.oracle.inference.catalogue.families import generated
from copi_ref.oracle.inference.conventions import ALTERNATIVES, MEASURED, InferenceConventions, combined
from copi_ref.oracle.inference.inputs import says_little
from copi_ref.oracle.inference.right import factor_of, right_rules
from copi_ref.oracle.inference.rules import At, Rules
from copi_ref.oracle.inference.scales import scale_formulas
from copi_ref.oracle.naming.coarse import coarser
from copi_ref.oracle.naming.evidence import Evidence
from copi_ref.oracle.naming.explaining import Candidate, Change, Diagnosis, joined, with_all
from copi_ref.oracle.naming.rules import first_explaining
from copi_ref.oracle.rounding import Precision


def explaining(evidence: Evidence, conventions: InferenceConventions) -> list[Candidate]:
    """Return every other convention and every catalogued mistake that explains all that came, likely ones first."""
    right = right_rules(conventions)
    order = evidence.telling_first(right)
    made = ((one, one.change(right)) for one in (*_conventions(conventions, 1), *_mistakes()))
    return [one for one, rules in made if rules is not None and evidence.explained_by(rules, order)]


def chosen(candidates: Sequence[list[Candidate]], right: Rules, passed: Sequence[Evidence]) -> list[Diagnosis | None]:
    """Return a diagnosis of each function that has candidates: what explains most functions, the first of equals.

    Where f is left out of predictions, the errors are those of another activation too; what states do then is not. And
    what would have shown in a function that `passed` is not what is wrong with another.
    """
    counts = Counter(one.name for mine in candidates for one in {one.name: one for one in mine}.values())
    found: list[Diagnosis | None] = []
    for mine in candidates:
        quiet = [one for one in mine if not _would_show(one, right, passed)] if len(mine) > 1 else mine
        mine = quiet or mine
        best = max(mine, key=lambda one: counts[one.name], default=None)
        others = [one.name for one in mine if best and counts[one.name] == counts[best.name] and one is not best]
        here = f" (here the same: {', '.join(others[:3])})" if others else ""
        found.append(best.diagnosis(here) if best is not None else None)
    return found


def _would_show(candidate: Candidate, right: Rules, passed: Sequence[Evidence]) -> bool:
    rules: Any = candidate.change(right)
    return any(one.fit(rules, one.few).changes for one in passed)


def consequence(evidence: Evidence, conventions: InferenceConventions, before: list[Diagnosis]) -> Diagnosis | None:
    """Return what was found in functions that were called before, if it is all that is wrong here."""
    known = [one for one in before if one.change is not None]
    above = with_all(known, right_rules(conventions)) if known else None
    if above is None or not evidence.explained_by(above):
        return None
    names = " + ".join(one.name for one in known)
    return Diagnosis(names, f"comes of what is above: {'; '.join(map(str, known))}", is_consequence=True)


def diagnose(
    evidence: Evidence,
    conventions: InferenceConventions,
    precision: Precision,
    before: list[Diagnosis],
) -> Diagnosis:
    """Return what explains what no single mistake does; a nameless one, with notes on the place, if nothing does.

    `before` are the diagnoses of functions that were called before: what is wrong there may be in it too.
    """
    right = right_rules(conventions)
    known = [one for one in before if one.change is not None]
    above: Any = with_all(known, right) if known else None
    found = (
        next(_measured(evidence, right), None)
        or next(coarser(precision, [one for one in evidence.observations if not says_little(one.case)], 16), None)
        or next(scale_formulas(evidence, right), None)
        or first_explaining(evidence, right, _members(), at_most=1)
        or first_explaining(evidence, right, _in_places(_mistakes()), at_most=1)
        or first_explaining(evidence, right, _conventions(conventions, 2), at_most=1)
    )
    if found is None and above is not None:
        other = first_explaining(evidence, above, _mistakes(), at_most=1) or next(_measured(evidence, above), None)
        found = other and Diagnosis(other.name, f"{other}, besides what is above", other.change)
    singles = [*_conventions(conventions, 1), *_mistakes()]
    found = found or _two(evidence, right, singles) or Diagnosis("", "", notes=tuple(_located(evidence)))
    ours = "a fault of copi_ref itself, in trying mistakes; please report it"
    return replace(found, notes=(*found.notes, *(f"{ours}: {fault}" for fault in sorted(evidence.faults))))


def _conventions(conventions: InferenceConventions, depth: int) -> Iterator[Candidate]:
    for changed in combined(conventions, depth, ALTERNATIVES):
        yield _convention(changed)


@dataclass(frozen=True)
class _Choice(Candidate):
    """Another convention."""

    def diagnosis(self, more: str = "", everywhere: bool = True) -> Diagnosis:
        """As a diagnosis, with `more` behind its words."""
        says = f"matches {self.name}{more}: pass it in InferenceConventions, if that is what you mean"
        return Diagnosis(self.name, says, self.change if everywhere else None)


def _convention(changed: dict[str, Any]) -> Candidate:
    """Another choice in some fields; it has no use for pieces that were changed before."""

    def change(rules: Any) -> Any:
        return right_rules(replace(rules.conventions, **changed))

    name = ", ".join(f"{field}={value!r}" for field, value in changed.items())
    return _Choice(name, name, change, is_convention=True)


def _mistakes() -> list[Candidate]:
    return [Candidate(one.name, one.says, one.change) for one in INFERENCE_VARIANTS.values()]


def _members() -> Iterator[Candidate]:
    """Members of families of mistakes."""
    return (Candidate(one.name, one.says, one.change) for one in generated())


# --- numbers ----------------------------------------------------------------------------------------------------------


def _measured(evidence: Evidence, base: Rules) -> Iterator[Diagnosis]:
    """Fields of which results are a linear function: the number that what came says."""
    for field in MEASURED:
        value = _fitted(evidence, base, partial(_set, base, field))
        if value is not None:
            yield _convention({field: value}).diagnosis()
    for name, says, change in _WITH_A_NUMBER:
        value = _fitted(evidence, base, partial(change, base))
        if value is not None:
            yield Candidate(name, f"{says} {value:.4g}", partial(_changed, change, value)).diagnosis()


def _changed(change: Callable[[Rules, float], Rules], value: float, rules: Rules) -> Rules:
    return change(rules, value)


def _set(base: Rules, field: str, number: float) -> Rules:
    chosen: Any = base.conventions
    if field == "inference_factor" and chosen.inference_factor == "1/N":
        chosen = replace(chosen, inference_factor=1)
    return base.with_changes(conventions=replace(chosen, **{field: number}))


def _with_decay(rules: Rules, number: float) -> Rules:
    return rules.with_changes(change=lambda at, k: rules.change(at, k) - number * at.net.W[k - 1])


def _with_factor_above(rules: Rules, number: float) -> Rules:
    return rules.with_changes(above=lambda at, k: number * rules.above(at, k))


def _with_factor_on_own(rules: Rules, number: float) -> Rules:
    return rules.with_changes(own=lambda at, k: number * rules.own(at, k))


def _with_factor_on_pull(rules: Rules, number: float) -> Rules:
    def gradient(at: At, k: int) -> Any:
        pulled = k == at.net.layers and at.net.target is not None
        more = (number - 1) * factor_of(at) * (at.h(k) - at.net.target) if pulled else 0.0
        return rules.gradient(at, k) + more

    return rules.with_changes(gradient=gradient)


def _with_falling_rate(rules: Rules, number: float) -> Rules:
    return rules.with_changes(rate=lambda at, k: rules.rate(at, k) * number**at.t)


_WITH_A_NUMBER: tuple[tuple[str, str, Callable[[Rules, float], Rules]], ...] = (
    ("update-decays", "weights decay: λ W is subtracted from ΔW, with λ =", _with_decay),
    ("infer-factor-above", "what comes from above has a factor of its own (two rates γ?):", _with_factor_above),
    ("rate: r^t", "the rate falls from step to step by a factor of", _with_falling_rate),
    ("infer-factor-on-own-error", "the own error has a factor of its own (two rates γ?):", _with_factor_on_own),
    ("infer-factor-on-pull", "the pull of the target has a factor of its own:", _with_factor_on_pull),
)


def _fitted(evidence: Evidence, base: Rules, with_number: Callable[[float], Rules]) -> float | None:
    """The number with which pieces give what came, if results are linear in it: from the smallest failure."""
    for at in evidence.failing[:3]:
        none, one = (evidence.evaluated(with_number(number), at) for number in (0.0, 1.0))
        if none is None or one is None:
            return None
        actual = evidence.observations[at].actual
        names = [name for name in actual if name in one and np.shape(one[name]) == np.shape(actual[name])]
        pairs = [(one[name] - none[name], actual[name] - none[name]) for name in names if name in none]
        if not pairs:
            return None
        slope = np.concatenate([np.ravel(a) for a, _ in pairs])
        came = np.concatenate([np.ravel(b) for _, b in pairs])
        square = float(slope @ slope)
        if not square or not np.isfinite(square):
            continue
        number = float(slope @ came) / square
        near = float(Fraction(number).limit_denominator(1000))
        for value in (near, number):
            if evidence.explained_by(with_number(value)):
                return value
    return None


# --- in some layers, and two at once ----------------------------------------------------------------------------------

_PLACES: tuple[tuple[str, str, Callable[[At, int], bool]], ...] = (
    ("at-output", "at the output alone", lambda at, k: k == at.net.layers),
    ("in-hidden", "in hidden layers alone", lambda at, k: k < at.net.layers),
    ("in-first", "in the first layer alone", lambda at, k: k == 1),
    ("above-first", "in all layers but the first", lambda at, k: k > 1),
    ("below-output", "in the last hidden layer alone", lambda at, k: k == at.net.layers - 1),
)
_BY_LAYER = (
    "input", "pre", "prediction", "error", "through", "own", "above", "gradient", "rate", "moved", "weight_input",
    "change", "bias_change", "begin",
)  # fmt: skip


def _in_places(candidates: list[Candidate]) -> Iterator[Candidate]:
    """Mistakes that are made in some layers alone."""
    for candidate in candidates:
        for ending, says, concerned in _PLACES:
            change = _placed(candidate.change, concerned)
            yield Candidate(f"{candidate.name}-{ending}", f"{candidate.says}, {says}", change)


def _placed(change: Change, concerned: Callable[[At, int], bool]) -> Change:
    def placed(rules: Any) -> Any:
        changed = change(rules)
        if changed is None:
            return None
        differing = [name for name in _BY_LAYER if getattr(changed, name) is not getattr(rules, name)]
        if not differing:
            return None
        return rules.with_changes(**{name: _either(rules, changed, name, concerned) for name in differing})

    return placed


def _either(right: Rules, wrong: Rules, name: str, concerned: Callable[[At, int], bool]) -> Callable[[At, int], Any]:
    return lambda at, k: getattr(wrong if concerned(at, k) else right, name)(at, k)


_MOST = 60
"""Candidates of which pairs are tried."""


def _two(evidence: Evidence, right: Rules, singles: list[Candidate]) -> Diagnosis | None:
    """Two at once, of those that alone change something of what is wrong, those first that give some of it."""
    few = evidence.failing[:2]
    tried: list[tuple[int, int, Candidate, Any]] = []
    for one in singles:
        rules = one.change(right)
        if rules is None:
            continue
        fit = evidence.fit(rules, few)
        if fit.changes & evidence.wrong:
            tried.append((-len(fit.explains & evidence.wrong) - len(fit.scaled), len(tried), one, rules))
    tried.sort(key=lambda entry: entry[:2])
    likely = tried[:_MOST]
    for _, _, first, rules in likely:
        for _, _, second, _ in likely:
            if second is first or (second.is_convention and not first.is_convention):  # it would replace the mistake
                continue
            both = second.change(rules)
            if both is not None and evidence.explained_by(both, [*few, *evidence.order]):
                return joined(first, second)
    for _, _, first, rules in likely:
        number = next(_measured(evidence, rules), None)
        if number is not None:
            return Diagnosis(f"{first.name} + {number.name}", f"{first}; and {number}", None)
    return None


def _located(evidence: Evidence) -> Iterator[str]:
    """Say which quantities are wrong, and which are not."""
    wrong = sorted({name for _, name in evidence.wrong})
    right = sorted({name for _, name in evidence.cells} - set(wrong))
    cases = {at for at, _ in evidence.wrong}
    yield f"wrong in {len(cases)} of {len(evidence.observations)} cases: {', '.join(wrong)}"
    if right:
        yield f"right everywhere: {', '.join(right)}"
    shown = sorted({evidence.observations[at].case.name for at in cases})
    if len(cases) < len(evidence.observations):
        yield f"the cases: {', '.join(shown[:4])}"

"""A factor that is a formula of sizes: what came is a multiple of what is right, another in each layer and batch.

Means where sums belong, and the other way round, are the commonest mistakes of all. So products of powers of the
numbers of samples, units, inputs and layers, of γ and of 2 are tried as a factor in each place.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import mistake
from copi_ref.oracle.inference.rules import At, Rules
from copi_ref.oracle.naming.evidence import Evidence
from copi_ref.oracle.naming.explaining import Candidate, Diagnosis

Size = Callable[[At, int], float]

_SIZES: dict[str, Size] = {
    "N": lambda at, k: at.net.samples,
    "units": lambda at, k: at.net.W[k - 1].shape[0],
    "inputs": lambda at, k: at.net.W[k - 1].shape[1],
    "features of y0": lambda at, k: at.net.W[0].shape[1],
    "outputs": lambda at, k: at.net.W[-1].shape[0],
    "layers": lambda at, k: at.net.layers,
    "units above": lambda at, k: at.net.W[min(k, at.net.layers - 1)].shape[0],
    "γ": lambda at, k: at.net.gamma_of(k),
    "2": lambda at, k: 2.0,
}
_POWERS = (-1, 1, -2, 2, -0.5, 0.5)

_PLACES: dict[str, tuple[str, ...]] = {
    "the gradient of states": ("gradient",),
    "what comes from above": ("above",),
    "the own error": ("own",),
    "ΔW and Δb": ("change", "bias_change"),
    "ΔW": ("change",),
    "Δb": ("bias_change",),
    "the prediction": ("prediction",),
    "ΔW of IL-prox": ("prox_change",),
}


def _formulas() -> Iterator[tuple[str, Size]]:
    for count in (1, 2, 3):
        for names in combinations(_SIZES, count):
            for powers in product(_POWERS[: 2 if count == 3 else 6], repeat=count):
                words = " ".join(_power(name, power) for name, power in zip(names, powers, strict=True))
                yield words, _product(names, powers)


def _power(name: str, power: float) -> str:
    shown = {
        "units": "(units)",
        "inputs": "(inputs)",
        "outputs": "(outputs)",
        "features of y0": "(features of y0)",
        "layers": "(layers)",
    }.get(name, name)
    return shown if power == 1 else f"{shown}^{power:g}"


def _product(names: tuple[str, ...], powers: tuple[float, ...]) -> Size:
    def size(at: At, k: int) -> float:
        return float(np.prod([float(_SIZES[name](at, k)) ** power for name, power in zip(names, powers, strict=True)]))

    return size


def scale_formulas(evidence: Evidence, right: Rules) -> Iterator[Diagnosis]:
    """Yield what explains everything as a factor in one place, or one on the own error and one on what is above."""
    order = evidence.telling_first(right)
    for place, pieces in _PLACES.items():
        for words, size in _formulas():
            if place == "the gradient of states" and "γ" in words and "γ^-1" not in words and words.count(" ") > 1:
                continue
            candidate = _candidate(place, pieces, words, size)
            rules = candidate.change(right)
            if evidence.explained_by(rules, order):
                yield candidate.diagnosis()
    for (own_words, own), (above_words, above) in product(_singles(), _singles()):
        if own_words == above_words and "units" not in own_words:  # that is a factor on the gradient
            continue
        rules = _two_factors(own, above, right)
        if evidence.explained_by(rules, order):
            says = f"the own error has a factor {own_words}, and the error from above {above_words} (of its own layer)"
            yield Diagnosis(f"scale: {own_words} and {above_words}", says, partial(_two_factors, own, above), True)


def _two_factors(own: Size, above: Size, rules: Rules) -> Rules:
    return rules.with_changes(
        own=lambda at, k: own(at, k) * rules.own(at, k), above=lambda at, k: above(at, k + 1) * rules.above(at, k)
    )


def _singles() -> list[tuple[str, Size]]:
    """Factors of up to two sizes, as means make them."""
    chosen = [("1", lambda at, k: 1.0)]
    for names in [("units",), ("N",), ("N", "units"), ("2", "units"), ("2", "N"), ("2",)]:
        for sign in (-1, 1):
            powers = tuple(1 if name == "2" else sign for name in names)
            chosen.append((" ".join(_power(n, p) for n, p in zip(names, powers, strict=True)), _product(names, powers)))
    both = _product(("2", "N", "units"), (1, -1, -1))
    return [*chosen, ("2 N^-1 (units)^-1", both)]


def _candidate(place: str, pieces: tuple[str, ...], words: str, size: Size) -> Candidate:
    wrong = {piece: _times(piece, size) for piece in pieces}
    one = mistake(f"scale: {words} on {place}", f"{place} has a factor {words}", **wrong)
    return Candidate(one.name, one.says, one.change)


def _times(piece: str, size: Size) -> Callable[..., object]:
    return lambda r, at, k: size(at, k) * getattr(r, piece)(at, k)

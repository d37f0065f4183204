"""Terms that were kept from an earlier call: what goes on, what is averaged, N, and rows of a larger batch.

Each is a sum of a few terms with factors that are fitted, the same for all that came wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.evidence import all_given
from copi_ref.oracle.rounding import Precision


class Pair(NamedTuple):
    """An earlier call, and what came wrong after it."""

    earlier: Inputs
    now: Observation


class _Layer(NamedTuple):
    """What the updates of a layer are made of; z is δ for the SGD update."""

    x: HostArray
    z: HostArray
    W: HostArray
    R: HostArray


class _Sum(NamedTuple):
    """A sum that a wrong quantity may be: its terms, of this call and of the earlier one, and what it is in words.

    The first `fixed` factors are 1; `says` gets the others.
    """

    terms: Callable[[_Layer, _Layer], list[HostArray]]
    fixed: int
    says: Callable[..., str]


_Found = list[tuple[Observation, str, list[HostArray]]]
"""What was observed, which quantity of it, and the terms of which it may be the sum."""


def kept_terms(
    function: Function, right: Pieces, precision: Precision, pairs: list[Pair], others: Sequence[Pair] = ()
) -> str:
    """Return in words what explains each kind of quantity that is wrong, or ""; `others` came right, and stay it."""
    said = []
    for kind in dict.fromkeys(name.split()[0] for pair in pairs for name in _wrong(pair.now, precision)):
        found = next(_explanations(function, right, precision, pairs, others, kind), "")
        if not found:
            return ""
        said.append(found)
    return " and ".join(dict.fromkeys(said))


def _wrong(now: Observation, precision: Precision) -> list[str]:
    return [
        name
        for name, actual in now.actual.items()
        if np.any(np.abs(actual - now.expected[name].value) > now.expected[name].allowance(precision))
    ]


def _explanations(
    function: Function, right: Pieces, precision: Precision, pairs: list[Pair], others: Sequence[Pair], kind: str
) -> Iterator[str]:
    """Yield what explains all quantities of a kind, as all ΔW."""
    if kind not in ("ΔW", "ΔR"):
        yield from _of_results(function, right, precision, pairs, others, kind)
        return
    layers = {
        id(pair): (
            _layers(function, right, pair.now.case.inputs, pair.now.actual), _layers(function, right, pair.earlier, {})
        )
        for pair in (*pairs, *others)
    }  # fmt: skip

    def made(one: _Sum, pair: Pair, names: Iterable[str]) -> _Found:
        now, last = layers[id(pair)]
        ends = [(name, name.removeprefix(kind)) for name in names if name.startswith(kind)]
        return [(pair.now, name, one.terms(now[end], last.get(end, last[min(last)]))) for name, end in ends]

    for one in _of_W(function, right) if kind == "ΔW" else _of_R(right):
        try:
            found = [row for pair in pairs for row in made(one, pair, _wrong(pair.now, precision))]
        except ValueError:  # other shapes
            continue
        factors = _factors(found, one.fixed, precision)
        if factors is not None and not _refuted(one, factors, made, others, precision):
            yield one.says(*factors)


def _refuted(
    one: _Sum, factors: list[float], made: Callable[..., _Found], others: Sequence[Pair], precision: Precision
) -> bool:
    """Whether it would have made something wrong that came right."""
    for pair in others:
        with suppress(ValueError):  # of other shapes nothing is kept
            rows = made(one, pair, pair.now.actual)
            if not all(_is_sum(now, name, terms, [1.0] * one.fixed + factors, precision) for now, name, terms in rows):
                return True
    return False


def _layers(function: Function, right: Pieces, inputs: Inputs, own: Quantities) -> dict[str, _Layer]:
    """Return layers by the end of the names of their quantities."""
    if function.name != "step":
        z = inputs["z"] if function.name == "copi_update" else inputs["delta"]
        return {"": _Layer(inputs["x"], z, inputs["W"], inputs["R"])}
    found = {**function.expected(right, inputs, own), **own}
    layers = {}
    for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
        x, a, y, delta = (found[f"{symbol} of layer {layer}"] for symbol in "xayδ")
        layers[f" of layer {layer}"] = _Layer(x, right.target_state(a, y, delta), W, R)
    return layers


# --- fitting ----------------------------------------------------------------------------------------------------------


def _factors(found: _Found, fixed: int, precision: Precision) -> list[float] | None:
    """Return the factors after the first `fixed` ones with which the sums are what was observed, if any are."""
    try:
        columns = [np.concatenate([_scaled(one, name, terms[at]) for one, name, terms in found])
                   for at in range(len(found[0][2]))]  # fmt: skip
        target = np.concatenate([_scaled(one, name, one.actual[name]) for one, name, _ in found])
    except (ValueError, IndexError):  # other shapes, or nothing
        return None
    free = columns[fixed:]
    fitted: list[float] = []
    if free:
        if len(target) < len(free) + 2:
            return None
        solved, _, rank, _ = np.linalg.lstsq(np.stack(free, axis=1), target - sum(columns[:fixed], 0 * target))
        fitted = [float(one) for one in solved]
        if rank < len(free) or abs(fitted[-1]) < 1e-3:  # the last is that of the earlier call: without it, no state
            return None
    for factors in ([float(f"{one:.3g}") for one in fitted], fitted):
        if all(_is_sum(one, name, terms, [1.0] * fixed + factors, precision) for one, name, terms in found):
            return factors
    return None


def _scaled(one: Observation, name: str, array: HostArray) -> HostArray:
    """All entries, in units of the largest that came: so that no case counts more than another."""
    actual = one.actual[name]
    if np.shape(array) != actual.shape:
        raise ValueError
    return np.asarray(np.ravel(array) / (np.max(np.abs(actual)) or 1.0))


def _is_sum(one: Observation, name: str, terms: list[HostArray], factors: list[float], precision: Precision) -> bool:
    total = sum((factor * term for factor, term in zip(factors, terms, strict=True)), np.zeros_like(one.actual[name]))
    return all_given({**one.actual, name: total}, one, precision)


# --- sums -------------------------------------------------------------------------------------------------------------


def _of_R(right: Pieces) -> list[_Sum]:
    def update(one: _Layer, R: HostArray) -> HostArray:
        return np.asarray(right.lateral(one.x, R))

    return [
        _Sum(lambda now, last: [update(now, now.R), update(last, last.R)], 0, _goes_on("ΔR")),
        _Sum(lambda now, last: [update(now, now.R), update(last, now.R)], 0, _average("E[x xᵀ]")),
        *_of_batch(lambda now: update(now, now.R), "N"),
        _Sum(lambda now, last: [update(now, now.R)], 0, lambda factor: f"ΔR has the factor {factor:.3g} then"),
    ]


def _of_W(function: Function, right: Pieces) -> list[_Sum]:
    def hebb(one: _Layer) -> HostArray:
        return np.asarray(right.sgd(one.x, one.z))

    def decay(one: _Layer, W: HostArray) -> HostArray:
        """−W diag(E[x²])."""
        return 0 * W if function.name == "sgd_update" else np.asarray(right.copi(one.x, 0 * one.z, W))

    def update(one: _Layer) -> HostArray:
        return hebb(one) + decay(one, one.W)

    goes_on = _Sum(lambda now, last: [update(now), update(last)], 0, _goes_on("ΔW"))
    factor = _Sum(lambda now, last: [update(now)], 0, lambda factor: f"ΔW has the factor {factor:.3g} then")
    if function.name == "sgd_update":
        return [goes_on, *_of_batch(update, "N"), factor]
    return [
        goes_on,
        _Sum(lambda now, last: [hebb(now), decay(now, now.W), decay(last, now.W)], 1, _average("E[x²]")),
        _Sum(lambda now, last: [decay(now, now.W), hebb(now), hebb(last)], 1, _average("E[z xᵀ]")),
        _Sum(lambda now, last: [update(now), hebb(last) + decay(last, now.W)], 0, _average("E[z xᵀ] and E[x²]")),
        *_of_batch(update, "N"),
        *_of_batch(hebb, "N in E[z xᵀ]", rest=lambda now: decay(now, now.W)),
        *_of_batch(lambda now: decay(now, now.W), "N in E[x²]", rest=hebb),
        factor,
    ]


def _of_batch(
    update: Callable[[_Layer], HostArray], what: str, rest: Callable[[_Layer], HostArray] = lambda now: np.zeros(())
) -> list[_Sum]:
    """Return what an update is with N, or with rows, of the earlier call."""

    def with_rows(now: _Layer, last: _Layer) -> HostArray:
        N = len(now.x)
        x, z = np.concatenate([now.x, last.x[N:]]), np.concatenate([now.z, last.z[N:]])
        return update(now._replace(x=x, z=z))

    def says(text: str) -> Callable[..., str]:
        return lambda *none: text

    where = what.removeprefix("N")
    return [
        _Sum(
            lambda now, last: [update(now) * (len(now.x) / len(last.x)) + rest(now)],
            1,
            says(f"{what} is that of an earlier call"),
        ),
        _Sum(
            lambda now, last: [with_rows(now, last) + rest(now)],
            1,
            says(f"rows of an earlier, larger batch are still there{where}"),
        ),
        _Sum(
            lambda now, last: [with_rows(now, last) * (max(len(last.x), len(now.x)) / len(now.x)) + rest(now)],
            1,
            says(f"rows of an earlier, larger batch are still there{where}"),
        ),
    ]


def _goes_on(what: str) -> Callable[..., str]:
    def says(now: float, last: float) -> str:
        return f"{last:.3g} times the last {what} is added (momentum)" if now == 1 else _average(what)(now, last)

    return says


def _average(what: str) -> Callable[..., str]:
    return lambda now, last: f"{what} is {last:.3g} of the earlier + {now:.3g} of this call's"


# --- x, a, y and δ ----------------------------------------------------------------------------------------------------


def _of_results(
    function: Function, right: Pieces, precision: Precision, pairs: list[Pair], others: Sequence[Pair], kind: str
) -> Iterator[str]:
    """Yield that results of the earlier call go on, or that something is added to all samples alike."""
    found: _Found = []
    differences = []
    for pair in pairs:
        now = function.expected(right, pair.now.case.inputs, pair.now.actual)
        last = function.expected(right, pair.earlier, {})
        for name in _wrong(pair.now, precision):
            if name.split()[0] == kind:
                found.append((pair.now, name, [now[name], last.get(name, np.zeros(()))]))
                differences.append((pair.now, name, now[name]))
    if (factors := _factors(found, 0, precision)) is not None and not others:
        yield _goes_on(kind)(*factors)
    if any(len(value) > 1 for _, _, value in differences) and all(
        _is_sum(one, name, [value, np.mean(one.actual[name] - value, axis=0) + 0 * value], [1.0, 1.0], precision)
        for one, name, value in differences
    ):
        yield f"something is added to {kind}, the same for all samples of a batch (a bias?)"

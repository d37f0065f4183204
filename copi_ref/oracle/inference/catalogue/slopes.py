"""Slopes: of what f′ is taken, how it is written, and where it stands."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import Wrong, down, mistake, slope_at
from copi_ref.oracle.inference.right import is_bent, weighted
from copi_ref.oracle.inference.rules import At, Rules
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.rounding import AnyArray

Slope = Callable[[At, int], AnyArray]


def _without_bias(at: At, k: int) -> AnyArray:
    return np.asarray(at.x(k) @ at.net.W[k - 1].T)


def _with_bias(at: At, k: int) -> AnyArray:
    return _without_bias(at, k) + (at.net.b[k - 1] if at.net.b is not None else 0.0)


_ARGUMENTS: dict[str, Slope] = {
    "h": lambda at, k: np.asarray(at.h(k)),
    "p": lambda at, k: np.asarray(at.p(k)),
    "a": lambda at, k: np.asarray(at.a(k)),
    "W x": _without_bias,
    "W x + b": _with_bias,
    "f(h)": lambda at, k: np.asarray(at.rules.f(np.asarray(at.h(k)))),
    "f(p)": lambda at, k: np.asarray(at.rules.f(np.asarray(at.p(k)))),
    "|h|": lambda at, k: np.abs(at.h(k)),
    "e": lambda at, k: np.asarray(at.e(k)),
    "h of the start": lambda at, k: np.asarray(at.origin.h(k)),
    "h of now": lambda at, k: np.asarray(at.states[k - 1]),
}


def _of_outputs(at: At, value: AnyArray) -> AnyArray:
    """f′ as a formula of outputs."""
    formulas: dict[str, Callable[[AnyArray], AnyArray]] = {
        "tanh": lambda y: 1 - y * y,
        "sigmoid": lambda y: y * (1 - y),
    }
    formula = formulas.get(at.rules.conventions.activation)
    return slope_at(at, value) if formula is None else formula(value)


def _zero_below(at: At, value: AnyArray) -> AnyArray:
    return (value >= 0).astype(float)


def _strictly_above(at: At, value: AnyArray) -> AnyArray:
    return (value > 0).astype(float)


_WRITTEN: dict[str, Callable[[At, AnyArray], AnyArray]] = {
    "f′({})": lambda at, value: slope_at(at, value),
    "f′ as a formula of outputs, given {}": _of_outputs,
    "1 above 0 and 0 below, by the sign of {}": _zero_below,
    "1 where it is above 0 and 0 else, of {}": _strictly_above,
    "f({})": lambda at, value: np.asarray(at.rules.f(value)),
}


def _slopes() -> dict[str, Slope]:
    found: dict[str, Slope] = {"1": lambda at, k: np.ones_like(at.h(k))}
    for (written, function), (argument, value) in product(_WRITTEN.items(), _ARGUMENTS.items()):
        found[written.format(argument)] = lambda at, k, f=function, v=value: f(at, v(at, k))  # type: ignore[misc]
    return found


SLOPES = _slopes()


def _where_bent(slope: Slope) -> Slope:
    """A slope where f comes after the weights, and 1 elsewhere."""
    return lambda at, k: slope(at, k) if is_bent(at, k) else np.ones_like(at.h(k))


def _placed(A: Slope, B: Slope) -> Wrong:
    return lambda r, at, k: B(at, k) * down(at, k, A(at, k + 1) * weighted(at, k + 1, at.e(k + 1)))


def _above_slopes() -> Iterator[Variant]:
    """Wᵀ(A ∘ e) ∘ B with A of the layer above and B of the layer itself: one of them right, or 1, and the other not."""
    simple = {"1": SLOPES["1"], "f′(h)": SLOPES["f′(h)"], "f′(a)": SLOPES["f′(a)"], "f′(p)": SLOPES["f′(p)"]}
    for (a, A), (b, B) in product(SLOPES.items(), SLOPES.items()):
        if a in simple or b in simple:
            outside = "" if b == "1" else f"({b}) ∘ "
            inside = "e" if a == "1" else f"({a}, of the layer above) ∘ e"
            says = f"what comes from above is {outside}Wᵀ({inside})"
            yield mistake(f"infer-slopes: {a} inside, {b} outside", says, above=_placed(A, B))
            yield mistake(
                f"infer-slopes: {a} inside but where f is not, {b} outside",
                f"{says}, without the inner slope where the layer above is linear",
                above=_placed(_where_bent(A), B),
            )


def _own_slopes() -> Iterator[Variant]:
    for name, slope in SLOPES.items():
        yield mistake(f"infer-own-times: {name}", f"a state's own error has a factor {name}", own=_own_times(slope))
        yield mistake(
            f"infer-gradient-times: {name}", f"the whole gradient has a factor {name}", gradient=_gradient_times(slope)
        )


def _own_times(slope: Slope) -> Wrong:
    return lambda r, at, k: slope(at, k) * r.own(at, k)


def _gradient_times(slope: Slope) -> Wrong:
    return lambda r, at, k: slope(at, k) * r.gradient(at, k)


def _weight_slopes() -> Iterator[Variant]:
    for name, slope in SLOPES.items():
        for words, S in (
            (f"f′ in ΔW is {name}", slope),
            (f"f′ in ΔW is {name}, but where f is not", _where_bent(slope)),
        ):
            yield mistake(f"update-slope: {words[12:]}", words, **_through(S))


def _through(S: Slope) -> dict[str, Wrong]:
    """ΔW and Δb with another slope."""

    def changed(r: Rules, at: At) -> At:
        return at.with_rules(at.rules.with_changes(through=lambda at, k: S(at, k) * weighted(at, k, at.e(k))))

    return {
        "change": lambda r, at, k: r.change(changed(r, at), k),
        "bias_change": lambda r, at, k: r.bias_change(changed(r, at), k),
    }


def slope_mistakes() -> Iterator[Variant]:
    """Yield slopes of something else in each place: on the own error, in ΔW, on what comes from above."""
    yield from _own_slopes()
    yield from _weight_slopes()
    yield from _above_slopes()

"""How a mistake is written down: the pieces of Inference Learning that it exchanges."""

from collections.abc import Callable
from typing import Any

import numpy as np

from copi_ref.oracle.inference.right import is_bent
from copi_ref.oracle.inference.rules import At, Rules
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.rounding import AnyArray

Wrong = Callable[..., Any]
"""``(right, *arguments of the piece)``, right being the pieces before the change."""


def mistake(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that exchanges pieces for functions which get all the pieces before the change, then the arguments."""
    return Variant(name, says, _change(wrong))


def of_last(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that only activation after weights has room for."""
    return only_if(lambda rules: not rules.conventions.weights_last, name, says, wrong)


def of_first(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that only weights after activation has room for."""
    return only_if(lambda rules: rules.conventions.weights_last, name, says, wrong)


def with_biases(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that takes biases."""
    return only_if(lambda rules: rules.conventions.biases != "none", name, says, wrong)


def with_bias_inside(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that takes biases on which f acts."""
    return only_if(
        lambda rules: rules.conventions.biases == "inside" and not rules.conventions.weights_last, name, says, wrong
    )


def with_precisions(name: str, says: str, **wrong: Wrong) -> Variant:
    """A mistake that takes precisions."""
    return only_if(lambda rules: bool(rules.conventions.precisions), name, says, wrong)


def only_if(holds: Callable[[Rules], bool], name: str, says: str, wrong: dict[str, Wrong]) -> Variant:
    """A mistake that some conventions have room for."""
    change: Callable[[Any], Any] = _change(wrong)
    holding: Callable[[Any], bool] = holds
    return Variant(name, says, lambda rules: change(rules) if holding(rules) else None)


def _change(wrong: dict[str, Wrong]) -> Callable[[Any], Any]:
    def change(rules: Rules) -> Rules:
        return rules.with_changes(**{piece: _bound(function, rules) for piece, function in wrong.items()})

    return change


def _bound(function: Wrong, rules: Rules) -> Callable[..., Any]:
    return lambda *arguments: function(rules, *arguments)


def down(at: At, layer: int, error: AnyArray) -> AnyArray:
    """W_{l+1}ᵀ error."""
    return np.asarray(error @ at.net.W[layer])


def slope_at(at: At, array: AnyArray) -> AnyArray:
    """f′ of an array."""
    return at.rules.f.derivative(np.asarray(array))


def slope_above(at: At, layer: int) -> AnyArray:
    """ψ′(a_{l+1})."""
    a = at.a(layer + 1)
    return slope_at(at, a) if is_bent(at, layer + 1) else np.ones_like(a)


def none(array: AnyArray) -> AnyArray:
    """Zeros of the shape of an array."""
    return np.zeros_like(array)


def places_so_far(at: At) -> list[At]:
    """The places of all steps so far, this one last, as far as the states are known: three."""
    places = [at.origin] if at.t > 0 else []
    if at.t > 1 and at.before is not None:
        places.append(At(at.rules, at.net, at.before, None, at.start, at.t - 1))
    return [*places, at]


def history(at: At, k: int) -> list[AnyArray]:
    """The gradients of all steps so far, this one last."""
    return [at.rules.gradient(place, k) for place in places_so_far(at)]

"""The pieces that conventions call right. A test holds that they are what `copi_ref.inference_learning` computes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.activations import Activation
from copi_ref.arrays.backend import namespace
from copi_ref.arrays.moments import mean_outer, mean_sample
from copi_ref.arrays.products import apply
from copi_ref.oracle.contract.pieces import scaled
from copi_ref.oracle.inference.composition import LEARNING
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.rules import At, Net, Rules, States
from copi_ref.oracle.rounding import AnyArray, Tracked


def right_rules(conventions: InferenceConventions, seen: list[Tracked] | None = None) -> Rules:
    """Return the pieces that the conventions call right; `seen` gets every array of which f′ is taken."""
    return Rules(
        conventions=conventions,
        f=_listing(conventions.f(), seen),
        input=_input,
        pre=_pre,
        prediction=_prediction,
        error=lambda at, k: at.h(k) - at.p(k),
        through=_through,
        own=lambda at, k: weighted(at, k, at.e(k)),
        above=_above,
        gradient=_gradient,
        rate=lambda at, k: at.net.gamma[k - 1] if conventions.inference_rate == "per-layer" else at.net.gamma,
        moved=_moved,
        moves=_moves,
        sweep=_sweep,
        steps_made=lambda T: T,
        energy=_energy,
        top=_TOPS[conventions.output],
        begin=_BEGINNINGS[conventions.start],
        start_order=lambda layers: range(layers - 1, 0, -1) if conventions.start == "from-above" else range(1, layers),
        enter=lambda at: at,
        weight_input=lambda at, k: at.x(k),
        change=_change,
        bias_change=_bias_change,
        prox_change=lambda at, k: mean_outer(at.e(k), over_square(at.x(k))),
        learn=LEARNING[conventions.learning],
    )


def _listing(f: Activation, seen: list[Tracked] | None) -> Activation:
    if seen is None:
        return f

    def listed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(a: AnyArray, xp: Any) -> Any:
            if isinstance(a, Tracked):
                seen.append(a)
            return function(a, xp)

        return call

    return replace(f, f_prime=listed(f.f_prime))


def _input(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    bends = chosen.input_activation if layer == 1 else chosen.weights_last
    return at.rules.f(at.h(layer - 1)) if bends else at.h(layer - 1)


def _pre(at: At, layer: int) -> AnyArray:
    a = apply(at.net.W[layer - 1], at.x(layer))
    inside = at.net.b is not None and at.rules.conventions.biases == "inside"
    return a + at.net.b[layer - 1] if inside and at.net.b is not None else a


def is_bent(at: At, layer: int) -> bool:
    """Whether f comes after the weights of a layer."""
    chosen = at.rules.conventions
    return not chosen.weights_last and not (layer == at.net.layers and chosen.output_activation == "identity")


def _prediction(at: At, layer: int) -> AnyArray:
    p = at.rules.f(at.a(layer)) if is_bent(at, layer) else at.a(layer)
    outside = at.net.b is not None and at.rules.conventions.biases == "outside"
    return p + at.net.b[layer - 1] if outside and at.net.b is not None else p


def weighted(at: At, layer: int, e: AnyArray) -> AnyArray:
    """π_l e."""
    precisions = at.rules.conventions.precisions
    return scaled(e, precisions[layer - 1]) if precisions else e


def _through(at: At, layer: int) -> AnyArray:
    e = weighted(at, layer, at.e(layer))
    return at.rules.f.derivative(at.a(layer)) * e if is_bent(at, layer) else e


def _above(at: At, layer: int) -> AnyArray:
    down = apply(at.net.W[layer].mT, at.rules.through(at, layer + 1))
    return at.rules.f.derivative(at.bent_state(layer)) * down if at.rules.conventions.weights_last else down


def factor_of(at: At) -> float:
    """The factor on the gradient by which states move."""
    factor = at.rules.conventions.inference_factor
    return 1 / at.net.samples if isinstance(factor, str) else factor


def _gradient(at: At, layer: int) -> AnyArray:
    chosen, total = at.rules.conventions, at.rules.own(at, layer)
    if layer < at.net.layers:
        total = total - at.rules.above(at, layer)
    elif at.net.target is not None:  # pulled
        total = total + (at.h(layer) - at.net.target)
    total = scaled(total, factor_of(at))
    return total + scaled(at.h(layer), chosen.state_decay) if chosen.state_decay else total


def _moved(at: At, layer: int) -> AnyArray:
    h, momentum = at.h(layer), at.rules.conventions.momentum
    new = h - at.rules.rate(at, layer) * at.rules.gradient(at, layer)
    if momentum and at.before is not None:  # v of the step before is (h before − h)/γ
        new = new + momentum * (h - at.before[layer - 1])
    return new


def _moves(at: At) -> Sequence[int]:
    layers = range(1, at.net.layers + (at.rules.conventions.output == "pulled"))
    return layers[::-1] if at.rules.conventions.schedule == "top-down" else layers


def _sweep(at: At) -> States:
    now, states = at, list(at.states)
    for layer in at.rules.moves(at):
        states[layer - 1] = at.rules.moved(now, layer)
        if at.rules.conventions.schedule != "all-at-once":
            now = now.with_state(layer, states[layer - 1])
    return tuple(states)


def squares(e: AnyArray) -> AnyArray:
    """‖e‖² of each sample, (N,)."""
    return namespace(e).sum(e * e, axis=-1)


def _energy(at: At) -> AnyArray:
    chosen, total = at.rules.conventions, None
    for layer in range(1, at.net.layers + 1):
        term = weighted(at, layer, squares(at.e(layer)))
        total = term if total is None else total + term
    return of_samples(scaled(total, chosen.energy_factor), chosen.energy_reduction)


def of_samples(energies: AnyArray, reduction: str) -> AnyArray:
    """Return energies as they are, or one number of all samples, as an array of one."""
    if reduction == "per-sample":
        return energies
    total = namespace(energies).sum(energies[None, :], axis=-1)
    return total / energies.shape[0] if reduction == "mean" else total


def _nudged(net: Net, rules: Rules, p: AnyArray) -> AnyArray:
    """p_L + δ_L, δ_L = −∂ℓ/∂p_L of ℓ = ½‖y_L − y*‖²."""
    chosen = rules.conventions
    if chosen.weights_last and chosen.output_activation == "same":
        return p + rules.f.derivative(p) * (net.target - rules.f(p))
    return p + (net.target - p)


_TOPS: dict[str, Callable[[Net, Rules, Callable[[], AnyArray]], AnyArray]] = {
    "clamped": lambda net, rules, predict: net.target,
    "nudged": lambda net, rules, predict: _nudged(net, rules, predict()),
    "pulled": lambda net, rules, predict: predict(),
}

_BEGINNINGS: dict[str, Callable[[At, int], AnyArray]] = {
    "forward": lambda at, layer: at.p(layer),
    "zeros": lambda at, layer: at.p(layer) * 0,
    "from-above": lambda at, layer: apply(at.net.W[layer].mT, at.h(layer + 1)),
}


def _change(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    update = mean_outer(at.rules.through(at, layer), at.rules.weight_input(at, layer))
    return _as_reduced(at, scaled(update, chosen.weight_factor))


def _bias_change(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    e = weighted(at, layer, at.e(layer)) if chosen.biases == "outside" else at.rules.through(at, layer)
    return _as_reduced(at, scaled(mean_sample(e, namespace(e)), chosen.weight_factor))


def _as_reduced(at: At, update: AnyArray) -> AnyArray:
    return scaled(update, at.net.samples if at.rules.conventions.reduction == "sum" else 1)


def over_square(x: AnyArray) -> AnyArray:
    """x/‖x‖² of each sample."""
    if not isinstance(x, Tracked):
        return np.asarray(x / np.sum(x * x, axis=-1, keepdims=True))
    s = np.sum(x.value * x.value, axis=-1, keepdims=True)
    # Of ‖x‖² the relative error is 2 Σ|x| M/s times that of x, and of its own sum.
    relative = 2 * np.sum(np.abs(x.value) * x.magnitude, axis=-1, keepdims=True) / s
    magnitude = (x.magnitude + np.abs(x.value) * relative) / s
    dyadic = bool(np.all(np.frexp(s)[0] == 0.5))
    quantum = x.quantum / float(np.max(s)) if dyadic else 0.0
    size = float(np.max(magnitude)) / quantum if quantum else np.inf
    squares = float(np.max(s)) / x.quantum**2 if x.quantum else np.inf
    return Tracked(
        x.value / s, magnitude, x.roundings + x.shape[-1] + 2, x.products + 2, quantum, max(size, squares, x.largest)
    )

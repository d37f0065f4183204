"""Mistakes in how states start and settle."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import (
    Wrong,
    down,
    history,
    mistake,
    none,
    of_first,
    of_last,
    only_if,
    places_so_far,
    slope_at,
    with_precisions,
)
from copi_ref.oracle.inference.right import factor_of, is_bent, squares, weighted
from copi_ref.oracle.inference.rules import At, Rules, States, stored
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.rounding import AnyArray


def _plus(r: Rules, at: At, k: int) -> AnyArray:
    return r.gradient(at, k) + 2 * factor_of(at) * r.above(at, k) if k < at.net.layers else r.gradient(at, k)


def _slope_on_own(r: Rules, at: At, k: int) -> AnyArray:
    """f′ over the whole gradient, where it belongs to what comes from above."""
    if k == at.net.layers:
        return r.gradient(at, k)
    if r.conventions.weights_last:
        return factor_of(at) * slope_at(at, at.h(k)) * (r.own(at, k) - down(at, k, r.through(at, k + 1)))
    return factor_of(at) * (slope_at(at, at.a(k)) * r.own(at, k) - r.above(at, k))


def _error_above(at: At, k: int) -> AnyArray:
    return weighted(at, k + 1, at.e(k + 1))


def _with_slope(slope: AnyArray, at: At, k: int) -> AnyArray:
    """What comes from above with another slope, in whatever place the form has it."""
    if at.rules.conventions.weights_last:
        return slope * down(at, k, _error_above(at, k))
    return down(at, k, slope * _error_above(at, k))


def _other_slope(name: str, says: str, of_state: str, of_pre: str) -> Variant:
    """f′ of something else: of_state in place of h_l, of_pre in place of a_{l+1}."""
    places = {
        "p": lambda at, k: at.p(k),
        "f(h)": lambda at, k: at.rules.f(np.asarray(at.h(k))),
        "|h|": lambda at, k: np.abs(at.bent_state(k)),
        "h": lambda at, k: at.h(k),
        "f(a)": lambda at, k: at.rules.f(np.asarray(at.a(k))),
        "|a|": lambda at, k: np.abs(at.a(k)),
        "e": lambda at, k: at.e(k),
    }

    def above(r: Rules, at: At, k: int) -> AnyArray:
        if r.conventions.weights_last:
            return _with_slope(slope_at(at, places[of_state](at, k)), at, k)
        if not is_bent(at, k + 1):
            return r.above(at, k)
        return _with_slope(slope_at(at, places[of_pre](at, k + 1)), at, k)

    def change(rules: Rules) -> Rules | None:
        if (of_state if rules.conventions.weights_last else of_pre) == "":
            return None
        return mistake(name, says, above=above).change(rules)  # type: ignore[arg-type, return-value]

    return Variant(name, says, change)  # type: ignore[arg-type]


def _if_fixed(name: str, says: str, **wrong: Wrong) -> Variant:
    return only_if(lambda rules: rules.conventions.predictions == "fixed", name, says, wrong)


def _slopes_of_now(r: Rules, at: At, k: int) -> AnyArray:
    if r.conventions.weights_last:
        return _with_slope(slope_at(at, at.states[k - 1]), at, k)
    now = At(at.rules, at.net, at.states)
    return _with_slope(slope_at(at, now.a(k + 1)), at, k) if is_bent(at, k + 1) else r.above(at, k)


def _errors_of_start(r: Rules, at: At, k: int) -> AnyArray:
    return r.error(at.origin, k)


def _activation_for_slope(r: Rules, at: At, k: int) -> AnyArray:
    if r.conventions.weights_last:
        return _with_slope(r.f(np.asarray(at.h(k))), at, k)
    return _with_slope(r.f(np.asarray(at.a(k + 1))), at, k) if is_bent(at, k + 1) else r.above(at, k)


def _negative_below(r: Rules, at: At, k: int) -> AnyArray:
    argument = at.bent_state(k) if r.conventions.weights_last else at.a(k + 1)
    slope = slope_at(at, argument) if r.conventions.weights_last or is_bent(at, k + 1) else np.ones_like(argument)
    return _with_slope(np.where(argument < 0, -slope, slope), at, k)


def _without_slope(r: Rules, at: At, k: int) -> AnyArray:
    return down(at, k, _error_above(at, k))


def _missing_at(at_output: bool) -> Wrong:
    def above(r: Rules, at: At, k: int) -> AnyArray:
        concerned = (k + 1 == at.net.layers) == at_output
        return _without_slope(r, at, k) if concerned else r.above(at, k)

    return above


def _moved_by(change: Callable[[AnyArray], AnyArray]) -> Wrong:
    """h − γ change(gradient): for what is done to the gradient before the step."""
    return lambda r, at, k: at.h(k) - r.rate(at, k) * change(r.gradient(at, k))


def _clipped(most: float) -> Wrong:
    return _moved_by(lambda g: np.clip(g, -most, most))


def _unit(g: AnyArray) -> AnyArray:
    length = np.sqrt(np.sum(g * g, axis=-1, keepdims=True))
    return g / np.where(length == 0, 1.0, length)


def _stale(r: Rules, at: At, k: int) -> AnyArray:
    """The gradient of the states one step before."""
    if at.before is None:
        return r.moved(at, k)
    old = At(at.rules, at.net, at.before, None, at.start, at.t - 1)
    return at.h(k) - r.rate(at, k) * at.rules.gradient(old, k)


def _adam(r: Rules, at: At, k: int) -> AnyArray:
    """Adam with β = .9, .999 and ε = 1e-8."""
    m = v = np.zeros_like(at.h(k))
    gradients = history(at, k)
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    steps = len(gradients)
    return at.h(k) - r.rate(at, k) * (m / (1 - 0.9**steps)) / (np.sqrt(v / (1 - 0.999**steps)) + 1e-8)


def _stops(r: Rules, at: At) -> States:
    """No step more once a step has not lowered the energy: after one that was left out it stays as it was."""
    if at.before is not None and _lowered(at) >= _lowered(At(at.rules, at.net, at.before, None, at.start, at.t - 1)):
        return at.states
    moved: States = r.sweep(at)
    return moved


def _lowered(at: At) -> float:
    """What inference lowers, twice: Σ π‖e‖² of the batch, and where the output is pulled ‖h_L − y*‖²."""
    total = sum(float(np.sum(weighted(at, k, squares(at.e(k))))) for k in range(1, at.net.layers + 1))
    pull = 0.0 if at.net.target is None else float(np.sum((at.h(at.net.layers) - at.net.target) ** 2))
    return total + pull


def _input_moves(r: Rules, at: At) -> States:
    """y0 takes part, from the start on."""
    y0 = at.net.y0
    for place in places_so_far(at)[:-1]:
        y0 = y0 - at.net.gamma_of(1) * _input_gradient(_on(place, y0))
    moved: States = r.sweep(_on(at, y0))
    return moved


def _input_gradient(at: At) -> AnyArray:
    g = -factor_of(at) * down(at, 0, at.rules.through(at, 1))
    return g * slope_at(at, at.net.y0) if at.rules.conventions.input_activation else g


def _on(at: At, y0: AnyArray) -> At:
    return At(at.rules, replace(at.net, y0=y0), at.states, at.before, at.start, at.t)


def _forward_pass(r: Rules, at: At) -> At:
    place = at
    for k in range(1, at.net.layers):
        place = place.with_state(k, np.asarray(place.p(k)))
    return At(at.rules, at.net, place.states)


def _zeros(r: Rules, at: At) -> At:
    return At(at.rules, at.net, (*(np.zeros_like(h) for h in at.states[:-1]), at.states[-1]))


def _in_float32(r: Rules, at: At, k: int) -> AnyArray:
    """f′ as a number of float32, in code of float64."""
    argument = at.bent_state(k) if r.conventions.weights_last else at.a(k + 1)
    slope = slope_at(at, argument) if r.conventions.weights_last or is_bent(at, k + 1) else np.ones_like(argument)
    return _with_slope(slope.astype(np.float32).astype(np.float64), at, k)


def _mean_from_above(r: Rules, at: At, k: int) -> AnyArray:
    above = r.above(at, k)
    return np.broadcast_to(np.mean(above, axis=0), above.shape)


_CLIPS = (1.0, 0.1, 0.5, 2.0, 5.0, 10.0, 50.0, 100.0)

INFERENCE_MISTAKES = (
    mistake(
        "infer-ascends",
        "states go up the energy: the step has the wrong sign",
        moved=lambda r, at, k: 2 * at.h(k) - r.moved(at, k),
    ),
    mistake(
        "infer-no-own-error", "a state's own error is left out of its gradient", own=lambda r, at, k: none(at.h(k))
    ),
    mistake(
        "infer-no-error-from-above", "what comes from the layer above is left out", above=lambda r, at, k: none(at.h(k))
    ),
    mistake("infer-plus-from-above", "what comes from above has the wrong sign", gradient=_plus),
    mistake("infer-own-minus", "a state's own error has the wrong sign", own=lambda r, at, k: -r.own(at, k)),
    mistake("infer-slope-on-own-error", "f′ is over the own error too", gradient=_slope_on_own),
    mistake("infer-no-slope", "f′ is left out of what comes from above", above=_without_slope),
    of_last("infer-slope-missing-above", "f′(a) of hidden layers above is left out", above=_missing_at(False)),
    of_last(
        "infer-slope-missing-at-output", "f′(a_L) is left out of what comes from the output", above=_missing_at(True)
    ),
    _other_slope("infer-slope-at-prediction", "f′ is taken at the prediction p_l for the state h_l", "p", ""),
    _other_slope("infer-slope-of-output", "f′ is taken at f(h) for h, or at f(a) for a", "f(h)", "f(a)"),
    _other_slope("infer-slope-of-absolute", "f′ is taken at |h| for h, or at |a| for a", "|h|", "|a|"),
    _other_slope("infer-slope-of-error", "f′ is taken at the error", "e", "e"),
    _other_slope("infer-slope-at-state-above", "f′ is taken at the state h above, for its a", "", "h"),
    _if_fixed(
        "infer-slopes-move", "predictions are fixed, and slopes are those of the states of now", above=_slopes_of_now
    ),
    _if_fixed(
        "infer-errors-fixed", "errors stay those of the start, and not predictions alone", error=_errors_of_start
    ),
    mistake("infer-activation-for-slope", "f stands for f′", above=_activation_for_slope),
    mistake("infer-slope-negative-below-0", "f′ is negative below 0", above=_negative_below),
    of_last(
        "infer-own-slope-for-above",
        "f′(a_l) Wᵀe stands for Wᵀ(f′(a_{l+1}) e)",
        above=lambda r, at, k: slope_at(at, at.a(k)) * _without_slope(r, at, k),
    ),
    of_last(
        "infer-slope-twice",
        "f′ of both layers is taken: f′(a_l) Wᵀ(f′(a_{l+1}) e)",
        above=lambda r, at, k: slope_at(at, at.a(k)) * r.above(at, k),
    ),
    of_first(
        "infer-slope-squared",
        "f′ is taken twice",
        above=lambda r, at, k: slope_at(at, at.bent_state(k)) * r.above(at, k),
    ),
    mistake("infer-factor-2", "the gradient is twice as large", gradient=lambda r, at, k: 2 * r.gradient(at, k)),
    mistake(
        "infer-over-n",
        "the gradient is divided by the number of samples",
        gradient=lambda r, at, k: r.gradient(at, k) / at.net.samples,
    ),
    mistake(
        "infer-over-units",
        "the gradient is divided by the number of units",
        gradient=lambda r, at, k: r.gradient(at, k) / at.h(k).shape[-1],
    ),
    mistake(
        "infer-over-all",
        "the gradient is divided by the number of samples times units",
        gradient=lambda r, at, k: r.gradient(at, k) / at.h(k).size,
    ),
    mistake(
        "infer-times-n",
        "the gradient is multiplied by the number of samples",
        gradient=lambda r, at, k: r.gradient(at, k) * at.net.samples,
    ),
    mistake("infer-mean-from-above", "what comes from above is its mean over the batch", above=_mean_from_above),
    mistake("infer-rate-decays", "the rate falls: γ/(1 + t)", rate=lambda r, at, k: r.rate(at, k) / (1 + at.t)),
    mistake("infer-rate-squared", "the rate is squared", rate=lambda r, at, k: r.rate(at, k) ** 2),
    mistake("infer-output-moves", "the clamped output moves", moves=lambda r, at: (*r.moves(at), at.net.layers)),
    mistake("infer-input-moves", "the input y0 moves", sweep=_input_moves),
    mistake(
        "infer-first-layer-fixed",
        "the first layer's states don't move",
        moves=lambda r, at: [k for k in r.moves(at) if k > 1],
    ),
    mistake(
        "infer-last-hidden-fixed",
        "the last hidden layer's states don't move",
        moves=lambda r, at: [k for k in r.moves(at) if k != at.net.layers - 1],
    ),
    *(mistake(f"infer-clips-{c:g}", f"what moves a state is clipped at {c:g}", moved=_clipped(c)) for c in _CLIPS),
    mistake("infer-sign-of-gradient", "states move by the sign of the gradient", moved=_moved_by(np.sign)),
    mistake("infer-normalised", "the gradient is divided by its length in each sample", moved=_moved_by(_unit)),
    mistake(
        "infer-output-error-twice",
        "the output's error counts twice",
        above=lambda r, at, k: (2 if k + 1 == at.net.layers else 1) * r.above(at, k),
    ),
    with_precisions(
        "infer-precision-on-own-only",
        "precisions are left out of what comes from above",
        above=lambda r, at, k: _without_precision(r, at, k),
    ),
    with_precisions(
        "infer-precision-from-above-only", "precisions are left out of the own error", own=lambda r, at, k: at.e(k)
    ),
    with_precisions(
        "infer-precision-of-sigma",
        "1/σ stands for 1/σ²: the root of the precision",
        own=lambda r, at, k: np.sqrt(r.conventions.precisions[k - 1]) * at.e(k),
        above=lambda r, at, k: _without_precision(r, at, k) * np.sqrt(r.conventions.precisions[k]),
    ),
    mistake("infer-one-step-less", "one step less is made", steps_made=lambda r, T: max(0, r.steps_made(T) - 1)),
    mistake("infer-one-step-more", "one step more is made", steps_made=lambda r, T: r.steps_made(T) + 1),
    mistake("infer-two-steps-for-one", "every step is made twice", steps_made=lambda r, T: 2 * r.steps_made(T)),
    mistake(
        "infer-one-step-only",
        "one step is made, however many are asked for",
        steps_made=lambda r, T: min(1, r.steps_made(T)),
    ),
    mistake("infer-none", "no step is made", steps_made=lambda r, T: 0),
    mistake("infer-stops-when-energy-rises", "inference stops at the first step that raises the energy", sweep=_stops),
    mistake("infer-errors-one-step-behind", "errors are those of one step before", moved=_stale),
    mistake("infer-adam", "states move by Adam (β .9, .999, ε 1e-8)", moved=_adam),
    mistake("infer-slope-in-float32", "f′ is a float32 number", above=_in_float32),
)


def _without_precision(r: Rules, at: At, k: int) -> AnyArray:
    return r.above(at, k) / r.conventions.precisions[k]


def _free_output(r: Rules, net: Any, rules: Rules, predict: Callable[[], AnyArray]) -> AnyArray:
    return stored(predict())


START_MISTAKES = (
    mistake("start-output-free", "the output starts at its prediction, and not at the target", top=_free_output),
    mistake(
        "start-linear",
        "f is left out of the forward pass that states start from",
        begin=lambda r, at, k: _linear(at, k),
    ),
    mistake(
        "start-activated",
        "states start at f of their prediction",
        begin=lambda r, at, k: r.f(np.asarray(r.begin(at, k))),
    ),
    mistake("start-ones", "hidden states start at 1", begin=lambda r, at, k: np.ones_like(at.p(k))),
)


def _linear(at: At, k: int) -> AnyArray:
    return np.asarray(at.h(k - 1) @ at.net.W[k - 1].mT)

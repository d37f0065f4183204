"""Mistakes in what weights learn, and in how a step is put together."""

from collections.abc import Callable

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import (
    Wrong,
    mistake,
    none,
    of_first,
    of_last,
    slope_at,
    with_bias_inside,
    with_biases,
    with_precisions,
)
from copi_ref.oracle.inference.composition import beginning, changes, ending, inferred, learning_from
from copi_ref.oracle.inference.right import is_bent, weighted
from copi_ref.oracle.inference.rules import At, Net, Quantities, Rules
from copi_ref.oracle.rounding import AnyArray


def _outer(e: AnyArray, x: AnyArray) -> AnyArray:
    return np.asarray(e).T @ np.asarray(x) / len(e)


def _of(r: Rules, at: At, k: int, e: AnyArray, x: AnyArray) -> AnyArray:
    """ΔW of another error and input, with the factors that were chosen."""
    chosen = r.conventions
    return chosen.weight_factor * (at.net.samples if at.rules.conventions.reduction == "sum" else 1) * _outer(e, x)


def _scaled(factor: Callable[[At, int], AnyArray]) -> dict[str, Wrong]:
    """ΔW and Δb, both with a factor."""
    return {
        "change": lambda r, at, k: r.change(at, k) * factor(at, k),
        "bias_change": lambda r, at, k: r.bias_change(at, k) * factor(at, k),
    }


def _only(layers: Callable[[At, int], bool]) -> dict[str, Wrong]:
    return {
        "change": lambda r, at, k: r.change(at, k) if layers(at, k) else none(at.net.W[k - 1]),
        "bias_change": lambda r, at, k: r.bias_change(at, k) if layers(at, k) else none(at.net.b[k - 1]),
    }


def _below(r: Rules, at: At, k: int) -> AnyArray:
    """The state for φ of it, or φ of the state where it is taken as it is."""
    if k == 1:
        return r.weight_input(at, k)
    return at.h(k - 1) if r.conventions.weights_last else r.f(np.asarray(at.h(k - 1)))


def _predicted_below(r: Rules, at: At, k: int) -> AnyArray:
    if k == 1:
        return r.weight_input(at, k)
    return r.f(np.asarray(at.p(k - 1))) if r.conventions.weights_last else at.p(k - 1)


def _nlms(r: Rules, at: At, k: int) -> AnyArray:
    x = np.asarray(r.weight_input(at, k))
    square = np.sum(x * x, axis=-1, keepdims=True)
    return _of(r, at, k, r.through(at, k), x / np.where(square == 0, 1.0, square))


def _with_slope_at(point: Callable[[At, int], AnyArray]) -> Wrong:
    """ΔW with f′ taken at another point, where f′ isn't the same everywhere."""

    def change(r: Rules, at: At, k: int) -> AnyArray:
        if not is_bent(at, k):
            return r.change(at, k)
        return _of(r, at, k, slope_at(at, point(at, k)) * weighted(at, k, at.e(k)), r.weight_input(at, k))

    return change


UPDATE_MISTAKES = (
    mistake("update-wrong-sign", "the update has the wrong sign", **_scaled(lambda at, k: -1.0)),
    mistake(
        "update-sum", "the update is a sum over samples, and not their mean", **_scaled(lambda at, k: at.net.samples)
    ),
    mistake(
        "update-over-n-squared",
        "the update is divided by the number of samples twice",
        **_scaled(lambda at, k: 1 / at.net.samples),
    ),
    mistake("update-factor-2", "the update is twice as large", **_scaled(lambda at, k: 2.0)),
    mistake(
        "update-over-units",
        "the update is divided by the number of units",
        **_scaled(lambda at, k: 1 / at.net.W[k - 1].shape[0]),
    ),
    mistake(
        "update-over-inputs",
        "the update is divided by the number of inputs",
        **_scaled(lambda at, k: 1 / at.net.W[k - 1].shape[1]),
    ),
    mistake("update-state-for-input", "the input of ΔW is the state h for f(h), or f(h) for h", weight_input=_below),
    mistake(
        "update-prediction-for-input",
        "the input of ΔW is made of the prediction below, and not of its state",
        weight_input=_predicted_below,
    ),
    of_last(
        "update-no-slope",
        "f′(a) is left out of ΔW",
        change=lambda r, at, k: _of(r, at, k, weighted(at, k, at.e(k)), r.weight_input(at, k)),
    ),
    of_first(
        "update-slope-at-state",
        "ΔW has a factor f′(h) that belongs to activation after weights",
        change=lambda r, at, k: _of(r, at, k, slope_at(at, at.h(k)) * r.through(at, k), r.weight_input(at, k)),
    ),
    of_last(
        "update-slope-at-state-aw",
        "f′ in ΔW is taken at the state h for a",
        change=_with_slope_at(lambda at, k: at.h(k)),
    ),
    of_last(
        "update-slope-at-prediction",
        "f′ in ΔW is taken at the prediction f(a) for a",
        change=_with_slope_at(lambda at, k: at.p(k)),
    ),
    of_last(
        "update-no-slope-at-output",
        "f′(a_L) is left out of ΔW_L",
        change=lambda r, at, k: (
            _of(r, at, k, weighted(at, k, at.e(k)), r.weight_input(at, k)) if k == at.net.layers else r.change(at, k)
        ),
    ),
    mistake(
        "update-state-for-error",
        "ΔW has the state in the place of its error",
        change=lambda r, at, k: _of(r, at, k, at.h(k), r.weight_input(at, k)),
    ),
    mistake("update-output-fixed", "the last layer's weights don't learn", **_only(lambda at, k: k < at.net.layers)),
    mistake("update-output-only", "only the last layer's weights learn", **_only(lambda at, k: k == at.net.layers)),
    mistake("update-first-fixed", "the first layer's weights don't learn", **_only(lambda at, k: k > 1)),
    mistake(
        "update-soft-bound",
        "ΔW is multiplied by 1 − |W|",
        change=lambda r, at, k: r.change(at, k) * (1 - np.abs(at.net.W[k - 1])),
    ),
    mistake("update-clipped", "ΔW is clipped at 1", change=lambda r, at, k: np.clip(r.change(at, k), -1, 1)),
    mistake("update-sign-only", "ΔW is the sign of the update", change=lambda r, at, k: np.sign(r.change(at, k))),
    mistake(
        "update-unit-norm",
        "ΔW is divided by its norm",
        change=lambda r, at, k: r.change(at, k) / max(float(np.linalg.norm(r.change(at, k))), 1e-300),
    ),
    mistake("update-input-normalised", "inputs are divided by ‖x‖² (IL-prox, NLMS)", change=_nlms),
    mistake(
        "update-of-means",
        "ΔW is E[e] E[x]ᵀ: means of the batch are multiplied",
        change=lambda r, at, k: _of(
            r,
            at,
            k,
            np.mean(r.through(at, k), axis=0, keepdims=True),
            np.mean(r.weight_input(at, k), axis=0, keepdims=True),
        ),
    ),
    mistake(
        "update-of-first-sample",
        "ΔW is that of the first sample alone",
        change=lambda r, at, k: _of(r, at, k, r.through(at, k)[:1], r.weight_input(at, k)[:1]),
    ),
    mistake(
        "update-of-last-sample",
        "ΔW is that of the last sample alone",
        change=lambda r, at, k: _of(r, at, k, r.through(at, k)[-1:], r.weight_input(at, k)[-1:]),
    ),
    with_precisions(
        "update-without-precisions",
        "precisions are left out of ΔW",
        change=lambda r, at, k: r.change(at, k) / r.conventions.precisions[k - 1],
    ),
    with_biases("bias-fixed", "biases don't learn", bias_change=lambda r, at, k: none(at.net.b[k - 1])),
    with_biases(
        "bias-sum",
        "Δb is a sum over samples, and not their mean",
        bias_change=lambda r, at, k: r.bias_change(at, k) * at.net.samples,
    ),
    with_bias_inside(
        "bias-no-slope",
        "f′(a) is left out of Δb",
        bias_change=lambda r, at, k: (
            np.mean(weighted(at, k, at.e(k)), axis=0)
            * (at.net.samples if at.rules.conventions.reduction == "sum" else 1)
            * r.conventions.weight_factor
        ),
    ),
    with_biases("bias-wrong-sign", "Δb has the wrong sign", bias_change=lambda r, at, k: -r.bias_change(at, k)),
)


def _learning(learnt: Callable[[Rules, list[At], Net], Quantities]) -> dict[str, Wrong]:
    """Another way from the places, before and after each step of inference, to what is learnt."""

    def learn(r: Rules, rules: Rules, net: Net, steps: int, own: Quantities) -> Quantities:
        if r.conventions.learning == "incremental":
            return r.learn(rules, net, steps, own)  # type: ignore[no-any-return]
        told, place = beginning(rules, net, own)
        places = [place]
        for _ in range(rules.steps_made(steps)):
            places.append(inferred(rules, places[-1], 1))
        told_at_end, places[-1] = ending(rules, places[-1], own)
        return {**told, **told_at_end, **learnt(rules, places, net)}

    return {"learn": learn}


def _total(places: list[At], share: float = 1.0) -> Quantities:
    found = [changes(place) for place in places]
    return {name: share * sum(one[name] for one in found) for name in found[0]}


def _old_errors(rules: Rules, places: list[At], net: Net) -> Quantities:
    """Errors of the states before the last step, with the inputs of after it."""
    end, before = places[-1], places[-2] if len(places) > 1 else places[-1]
    mixed = rules.with_changes(through=lambda at, k: rules.through(before, k), own=lambda at, k: rules.own(before, k))
    return changes(end.with_rules(mixed))


def _twice(rules: Rules, places: list[At], net: Net) -> Quantities:
    first = changes(places[-1])
    again = changes(learning_from(places[-1], first))
    return {name: first[name] + again[name] for name in first}


def _with_rate(rate: Callable[[Net], float]) -> Callable[[Rules, list[At], Net], Quantities]:
    return lambda rules, places, net: {name: one * rate(net) / net.eta for name, one in changes(places[-1]).items()}


def _backpropagated(rules: Rules, places: list[At], net: Net) -> Quantities:
    """The gradient of ½‖p_L − y*‖² of a forward pass."""
    place = At(rules, net, tuple(np.zeros((net.samples, W.shape[0])) for W in net.W))
    for layer in range(1, net.layers + 1):
        place = place.with_state(layer, place.p(layer))
    error = np.asarray(net.target) - place.p(net.layers)
    errors: dict[int, AnyArray] = {}
    for layer in range(net.layers, 0, -1):
        errors[layer] = slope_at(place, place.a(layer)) * error if is_bent(place, layer) else error
        if layer > 1:
            error = errors[layer] @ net.W[layer - 1]
            error = slope_at(place, place.h(layer - 1)) * error if rules.conventions.weights_last else error
    told = rules.with_changes(through=lambda at, k: errors[k])
    return changes(place.with_rules(told))


STEP_MISTAKES = (
    mistake(
        "step-before-inference",
        "weights learn from the states of the start",
        **_learning(lambda rules, places, net: changes(places[0])),
    ),
    mistake(
        "step-before-last-move",
        "weights learn from the states before the last step of inference",
        **_learning(lambda rules, places, net: changes(places[-2] if len(places) > 1 else places[-1])),
    ),
    mistake(
        "step-accumulates",
        "weight updates of all steps of inference add up, each before its step",
        **_learning(lambda rules, places, net: _total(places[:-1] or places)),
    ),
    mistake(
        "step-accumulates-after",
        "weight updates of all steps of inference add up, each after its step",
        **_learning(lambda rules, places, net: _total(places[1:] or places)),
    ),
    mistake(
        "step-accumulates-all",
        "weight updates of the start and of all steps add up",
        **_learning(lambda rules, places, net: _total(places)),
    ),
    mistake(
        "step-averages-over-steps",
        "weights learn from the mean of the updates after all steps",
        **_learning(lambda rules, places, net: _total(places[1:] or places, 1 / max(1, len(places) - 1))),
    ),
    mistake(
        "update-errors-before-last-move",
        "errors in ΔW are those before the last step, inputs those after it",
        **_learning(_old_errors),
    ),
    mistake("step-updates-twice", "weights are updated twice in a step", **_learning(_twice)),
    mistake("step-rate-missing", "η is left out", **_learning(_with_rate(lambda net: 1.0))),
    mistake("step-rate-of-states", "γ stands for η", **_learning(_with_rate(lambda net: net.gamma_of(1)))),
    mistake(
        "step-rate-times-gamma",
        "the update is multiplied by γ too",
        **_learning(_with_rate(lambda net: net.eta * net.gamma_of(1))),
    ),
    mistake(
        "step-backpropagates",
        "it is backpropagation: weights learn from the gradient of the loss",
        **_learning(_backpropagated),
    ),
    mistake(
        "step-target-as-prediction",
        "weights of the output learn from p_L − y* of the start",
        **_learning(
            lambda rules, places, net: {
                **changes(places[-1]),
                **{name: one for name, one in changes(places[0]).items() if name.endswith(f" {net.layers}")},
            }
        ),
    ),
)

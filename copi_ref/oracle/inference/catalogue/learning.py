"""Mistakes in when weights learn: in incremental learning, sample by sample, layer by layer."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import mistake
from copi_ref.oracle.inference.composition import INCREMENTS, changes, inferred, learning_from, started, without_target
from copi_ref.oracle.inference.rules import At, Net, Quantities, Rules
from copi_ref.oracle.naming.catalogue.variant import Variant

Learnt = Callable[[Rules, Net, int], Quantities]


def _begun(rules: Rules, net: Net) -> At:
    return At(rules, without_target(rules, net), started(rules, net))


def _summed(parts: list[Quantities]) -> Quantities:
    return {name: sum(one[name] for one in parts) for name in parts[0]}


def _layer_of(name: str) -> int:
    return int(name.rpartition(" ")[2])


def _scaled(learnt: Quantities, factor: float) -> Quantities:
    return {name: factor * one for name, one in learnt.items()}


def _moved(place: At) -> At:
    return place.after(place.rules.sweep(place))


def _collected(after: bool) -> Learnt:
    """Updates of all steps at the old weights, added once at the end."""

    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        places = [_begun(rules, net)]
        for _ in range(steps):
            places.append(_moved(places[-1]))
        return _summed([changes(place) for place in (places[1:] if after else places[:-1])])

    return learn


def _incremental(one: Callable[[At], tuple[At, Quantities]], more: bool = False, share: bool = False) -> Learnt:
    """Learning in every step, by some order of moving and learning; once more at the end; η divided by T."""

    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        place, parts = _begun(rules, net), []
        for _ in range(steps):
            place, learnt = one(place)
            parts.append(learnt)
        if more:
            parts.append(changes(place))
        return _scaled(_summed(parts), 1 / steps if share else 1.0)

    return learn


def _divided(rules: Rules, net: Net, steps: int) -> Quantities:
    """η is divided by T."""
    place, parts = _begun(rules, replace(net, eta=net.eta / steps)), []
    for _ in range(steps):
        place, learnt = _right_order(place)
        parts.append(learnt)
    return _scaled(_summed(parts), 1 / steps)


def _right_order(place: At) -> tuple[At, Quantities]:
    return INCREMENTS[place.rules.conventions.incremental_order](place)


def _old_inputs(place: At) -> tuple[At, Quantities]:
    """Errors after the move, and inputs of before it."""
    moved = _moved(place)
    mixed = moved.rules.with_changes(weight_input=lambda at, k: place.x(k))
    learnt = changes(moved.with_rules(mixed))
    return learning_from(moved, learnt), learnt


def _old_errors(place: At) -> tuple[At, Quantities]:
    """Errors of before the move, and inputs after it."""
    moved = _moved(place)
    mixed = moved.rules.with_changes(through=lambda at, k: place.rules.through(place, k))
    learnt = changes(moved.with_rules(mixed))
    return learning_from(moved, learnt), learnt


def _without_part(which: str, *, at_end: bool) -> Learnt:
    """One of W and b learns in every step; ``which``, the other, once after the last or never."""

    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        place, parts = _begun(rules, net), []
        for _ in range(steps):
            place = _moved(place)
            learnt = {name: one * (name[1] != which) for name, one in changes(place).items()}
            parts.append(learnt)
            place = learning_from(place, learnt)
        if at_end:
            parts.append({name: one * (name[1] == which) for name, one in changes(place).items()})
        return _summed(parts)

    return learn


def _last_only(rules: Rules, net: Net, steps: int) -> Quantities:
    """Weights learn in every step; what is returned has the last update alone."""
    place, learnt = _begun(rules, net), {}
    for _ in range(steps):
        place = _moved(place)
        learnt = changes(place)
        place = learning_from(place, learnt)
    return learnt


def _restarted(rules: Rules, net: Net, steps: int) -> Quantities:
    """States start anew from a forward pass of the new weights in every step."""
    parts: list[Quantities] = []
    for _ in range(steps):
        place = _moved(_begun(rules, net))
        learnt = changes(place)
        parts.append(learnt)
        net = replace(learning_from(place, learnt).net, target=net.target)
    return _summed(parts)


def _online(whole_rate: bool) -> Learnt:
    """Sample by sample: later ones see weights that have learnt from earlier ones."""

    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        share = 1.0 if whole_rate else 1 / net.samples
        now, parts = replace(net, eta=net.eta * share), []
        for n in range(net.samples):
            one = replace(now, y0=net.y0[n : n + 1], target=None if net.target is None else net.target[n : n + 1])
            learnt = changes(inferred(rules, _begun(rules, one), steps))
            parts.append(learnt)
            now = replace(learning_from(_begun(rules, one), learnt).net, y0=net.y0, target=net.target)
        return _scaled(_summed(parts), share)

    return learn


def _by_arrival(offset: int) -> Learnt:
    """Layer l learns at the step in which the output's error arrives there, counted from the top."""

    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        places = [_begun(rules, net)]
        for _ in range(steps):
            places.append(_moved(places[-1]))
        found = {}
        for name in changes(places[0]):
            layer = _layer_of(name)
            at = min(max(0, net.layers - layer + offset), steps)
            found[name] = changes(places[at])[name]
        return found

    return learn


def _arrival_at_once(offset: int) -> Learnt:
    def learn(rules: Rules, net: Net, steps: int) -> Quantities:
        place = _begun(rules, net)
        found = {name: one * 0 for name, one in changes(place).items()}
        for t in range(steps + 1):
            here = {
                name: one if net.layers - _layer_of(name) + offset == t else one * 0
                for name, one in changes(place).items()
            }
            found = _summed([found, here])
            place = learning_from(place, here)
            if t < steps:
                place = _moved(place)
        return found

    return learn


def _swapped(rules: Rules, net: Net, steps: int) -> Quantities:
    eta = (net.eta,) * net.layers if rules.conventions.inference_rate == "per-layer" else net.eta
    learnt = changes(inferred(rules, _begun(rules, replace(net, gamma=eta)), steps))
    return {name: one * net.gamma_of(_layer_of(name)) / net.eta for name, one in learnt.items()}


def _output_at_start(rules: Rules, net: Net, steps: int) -> Quantities:
    first = changes(_begun(rules, net))
    last = changes(inferred(rules, _begun(rules, net), steps))
    return {name: first[name] if name.endswith(f" {net.layers}") else one for name, one in last.items()}


def _current(rules: Rules, net: Net, steps: int) -> Quantities:
    """Predictions are fixed in inference; weights learn from those of the last states."""
    end = inferred(rules, _begun(rules, net), steps)
    return changes(At(rules, end.net, end.states))


def _fixed_errors_current_inputs(rules: Rules, net: Net, steps: int) -> Quantities:
    end = inferred(rules, _begun(rules, net), steps)
    fresh = At(rules, end.net, end.states)
    return changes(end.with_rules(rules.with_changes(weight_input=lambda at, k: fresh.x(k))))


def _refreshed_output(rules: Rules, net: Net, steps: int) -> Quantities:
    """The output's state is made anew from the prediction of now in every step."""
    place = _begun(rules, net)
    for _ in range(steps):
        place = _moved(place)
        top = rules.top(net, rules, lambda at=place: at.p(net.layers))
        place = At(rules, place.net, (*place.states[:-1], np.asarray(top)), place.before, place.start, place.t)
    return changes(place)


def _one_more(rules: Rules, net: Net, steps: int) -> Quantities:
    return changes(inferred(rules, _begun(rules, net), steps + 1))


_LEARNT: tuple[tuple[str, str, Learnt], ...] = (
    (
        "collected",
        "updates of all steps are collected at the old weights, after each move, and added once",
        _collected(True),
    ),
    ("collected-before", "updates of all steps are collected at the old weights, before each move", _collected(False)),
    (
        "once-too-often",
        "weights learn in every step, and once more after the last",
        _incremental(_right_order, more=True),
    ),
    ("old-inputs", "weights learn from errors after the move and inputs of before it", _incremental(_old_inputs)),
    ("old-errors", "weights learn from errors of before the move and inputs after it", _incremental(_old_errors)),
    ("rate-divided", "η is divided by the number of steps", _divided),
    ("update-divided", "the whole update is divided by the number of steps", _incremental(_right_order, share=True)),
    ("biases-at-end", "W learns in every step, b once after the last", _without_part("b", at_end=True)),
    ("weights-at-end", "b learns in every step, W once after the last", _without_part("W", at_end=True)),
    ("biases-never", "W learns in every step, b never", _without_part("b", at_end=False)),
    ("last-only", "weights learn in every step, and the last update alone is kept", _last_only),
    ("restarted", "states start anew in every step of learning", _restarted),
    ("online", "weights learn sample by sample: later samples see changed weights", _online(False)),
    (
        "online-whole",
        "weights learn sample by sample at the whole rate: later samples see changed weights",
        _online(True),
    ),
    ("rates-swapped", "states move with η and weights learn with γ", _swapped),
    (
        "by-arrival-at-once",
        "layer l learns at the step in which the output's error arrives, and inference goes on with the new weights",
        _arrival_at_once(0),
    ),
    ("by-arrival-at-once-later", "as by-arrival-at-once, one step later", _arrival_at_once(1)),
    ("by-arrival", "layer l learns at the step in which the output's error arrives (Z-IL)", _by_arrival(0)),
    ("by-arrival-later", "layer l learns one step after the output's error arrives", _by_arrival(1)),
    ("by-arrival-earlier", "layer l learns one step before the output's error arrives", _by_arrival(-1)),
    ("output-at-start", "the output layer learns from the error of the start", _output_at_start),
    (
        "current-predictions",
        "weights learn from predictions of the last states, which are fixed in inference",
        _current,
    ),
    (
        "current-inputs",
        "weights learn from inputs of the last states, which are fixed in inference",
        _fixed_errors_current_inputs,
    ),
    ("output-refreshed", "the output's state is made anew in every step", _refreshed_output),
    ("one-step-more", "weights learn from states one step later", _one_more),
)


def learning_mistakes() -> Iterator[Variant]:
    """Yield what may be wrong with when weights learn."""
    for name, says, learnt in _LEARNT:

        def learn(r: Rules, rules: Rules, net: Net, steps: int, own: Quantities, learnt: Learnt = learnt) -> Quantities:
            told: Quantities = r.learn(rules, net, steps, own)
            return {**told, **learnt(rules, net, steps)} if steps else told

        yield mistake(f"learning: {name}", says, learn=learn)

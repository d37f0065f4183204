"""How the pieces of Inference Learning come together: a start, steps of inference, what weights learn, a whole step."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from copi_ref.oracle.contract.pieces import scaled
from copi_ref.oracle.inference.rules import At, Net, Quantities, Rules, States, given_states, named_states, stored
from copi_ref.oracle.rounding import AnyArray


def started(rules: Rules, net: Net, own: Sequence[AnyArray | None] = ()) -> States:
    """Return the states of the start, each from the implementation's own below (or above) where `own` has it."""
    found: list[AnyArray] = [net.y0[:, :1] @ (W[:, :1].mT * 0) for W in net.W]  # zeros, as wide as each layer
    known: list[AnyArray] = list(found)
    at_output = net.layers

    def here() -> At:
        return At(rules, net, tuple(known))

    def put(layer: int, h: AnyArray) -> None:
        given = own[layer - 1] if own else None
        found[layer - 1], known[layer - 1] = h, h if given is None else given

    order = list(rules.start_order(at_output))
    above_first = (bool(order) and order[0] > order[-1]) or rules.conventions.start == "from-above"
    if above_first:
        forward = rules.with_changes(begin=lambda at, layer: at.p(layer), start_order=lambda layers: range(1, layers))
        put(at_output, rules.top(net, rules, lambda: _predicted(forward, net)))
    for layer in order:
        put(layer, rules.begin(here(), layer))
    if not above_first:
        put(at_output, rules.top(net, rules, lambda: here().p(at_output)))
    return tuple(found)


def _predicted(rules: Rules, net: Net) -> AnyArray:
    """p_L of a forward pass."""
    at = At(rules, net, (net.y0[:, :1] * 0,) * net.layers)
    for layer in range(1, net.layers):
        at = At(rules, net, (*at.states[: layer - 1], at.p(layer), *at.states[layer:]))
    return at.p(net.layers)


def without_target(rules: Rules, net: Net) -> Net:
    """A network as inference sees it: the target pulls only where it is not clamped."""
    return net if rules.conventions.output == "pulled" else replace(net, target=None)


def inferred(rules: Rules, place: At, steps: int) -> At:
    """Return the place after some steps more: those that are made of place.t + steps, less those made of place.t."""
    made_before = rules.steps_made(place.t) if place.t else 0
    for _ in range(rules.steps_made(place.t + steps) - made_before):
        place = place.after(rules.sweep(place))
    return place


def changes(at: At) -> dict[str, AnyArray]:
    """Return ΔW and Δb of every layer at some states."""
    found = {}
    for layer in range(1, at.net.layers + 1):
        found[f"ΔW of layer {layer}"] = at.rules.change(at, layer)
        if at.net.b is not None:
            found[f"Δb of layer {layer}"] = at.rules.bias_change(at, layer)
    return found


def _learn_after(rules: Rules, net: Net, steps: int, own: Quantities) -> Quantities:
    """Start, infer, and learn from the last states."""
    told, place = beginning(rules, net, own)
    told_at_end, there = ending(rules, inferred(rules, place, steps), own)
    return {**told, **told_at_end, **changes(there)}


def beginning(rules: Rules, net: Net, own: Quantities) -> tuple[Quantities, At]:
    """What a step has to tell of its start, and where inference begins: at the start that it told, where it did."""
    began = started(rules, net, [own.get(f"start of layer {layer}") for layer in range(1, net.layers + 1)])
    return named_states("start", began), At(rules, without_target(rules, net), given_states(own, "start", began))


def ending(rules: Rules, end: At, own: Quantities) -> tuple[Quantities, At]:
    """What a step has to tell of its end, and where weights learn: at the states that it told, where it did."""
    there = At(rules, end.net, given_states(own, "h", end.states), end.before, end.start, end.t)
    errors = [scaled(there.e(layer), rules.conventions.error_sign) for layer in range(1, end.net.layers + 1)]
    return {**named_states("h", end.states), **named_states("e", errors)}, there


def _learn_all_along(rules: Rules, net: Net, steps: int, own: Quantities) -> Quantities:
    """Incremental: W learns in every step of inference. What comes back is (W⁺ − W)/η."""
    began = started(rules, net, [own.get(f"start of layer {layer}") for layer in range(1, net.layers + 1)])
    place = At(rules, without_target(rules, net), given_states(own, "start", began))
    total: Quantities = {}
    for _ in range(rules.steps_made(steps)):
        place, learnt = INCREMENTS[rules.conventions.incremental_order](place)
        total = {name: total[name] + change if total else change for name, change in learnt.items()}
    if not total:
        total = {name: change * 0 for name, change in changes(place).items()}
    return {**named_states("start", began), **named_states("h", place.states), **total}


def learning_from(place: At, learnt: Quantities) -> At:
    """The same place in a network that has learnt: W + η ΔW."""
    net = place.net
    W = tuple(stored(w + net.eta * learnt[f"ΔW of layer {layer}"]) for layer, w in enumerate(net.W, start=1))
    b = None
    if net.b is not None:
        b = tuple(stored(one + net.eta * learnt[f"Δb of layer {layer}"]) for layer, one in enumerate(net.b, start=1))
    return At(place.rules, replace(net, W=W, b=b), place.states, place.before, place.start, place.t)


def _states_first(place: At) -> tuple[At, Quantities]:
    moved = place.after(place.rules.sweep(place))
    learnt = changes(moved)
    return learning_from(moved, learnt), learnt


def _simultaneous(place: At) -> tuple[At, Quantities]:
    learnt = changes(place)
    return learning_from(place.after(place.rules.sweep(place)), learnt), learnt


def _weights_first(place: At) -> tuple[At, Quantities]:
    learnt = changes(place)
    there = learning_from(place, learnt)
    return there.after(there.rules.sweep(there)), learnt


INCREMENTS: dict[str, Callable[[At], tuple[At, Quantities]]] = {
    "states-first": _states_first,
    "simultaneous": _simultaneous,
    "weights-first": _weights_first,
}
"""One step of incremental learning: the place after it, and what weights have learnt."""

LEARNING = {"after": _learn_after, "incremental": _learn_all_along}

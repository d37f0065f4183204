"""Wrong ways of putting a step together, ``(pieces, inputs, own) -> quantities``, for the table in `steps`.

The step of the pieces is the one before the change, so that two of these make two mistakes. What an implementation
returned of its own states (`own`) is passed on where a step is made of one forward and one backward pass.
"""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, reduced
from copi_ref.oracle.naming.catalogue.arrays import without_diagonal
from copi_ref.oracle.naming.catalogue.lateral import lateral_terms, times
from copi_ref.oracle.naming.catalogue.layers import By, with_others
from copi_ref.oracle.naming.catalogue.moments import mean_outer

Wrong = Callable[[Pieces, Inputs, Quantities], Quantities]


def stepped(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The step as it was before the change."""
    return p.step(p, inputs, own)


def seen_by(found: Quantities, own: Quantities) -> Quantities:
    """States as updates see them: the implementation's own where it returned them."""
    return found | {name: quantity for name, quantity in own.items() if name[0] != "Δ"}


def layers_of(inputs: Inputs) -> range:
    """Layers, counted from 1."""
    return range(1, len(inputs["W"]) + 1)


def _layer(name: str) -> int:
    return int(name.rpartition(" ")[2])


def rates_of(inputs: Inputs) -> dict[str, float]:
    """Learning rates, by letter."""
    return {"W": inputs["eta_w"], "R": inputs["eta_r"], "b": inputs["eta_w"]}


def new_inputs(inputs: Inputs, found: Quantities, letters: str) -> Inputs:
    """The inputs with weights after the step."""
    return inputs | {
        letter: tuple(
            A + rates_of(inputs)[letter] * found[f"Δ{letter} of layer {layer}"]
            for layer, A in enumerate(inputs[letter], start=1)
        )
        for letter in letters
    }


def recovered(inputs: Inputs, now: Inputs, letters: str) -> Quantities:
    """Updates as they are recovered from new weights."""
    return {
        f"Δ{letter} of layer {layer}": (after - before) / rates_of(inputs)[letter]
        for letter in letters
        for layer, (before, after) in enumerate(zip(inputs[letter], now[letter], strict=True), start=1)
    }


# --- updates, changed when they are made ------------------------------------------------------------------------------


def scaled_by(factor: Callable[[str, int, Inputs], float]) -> Wrong:
    """Updates times a factor, ``(letter, layer, inputs)``."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        return {
            name: quantity * factor(name[1], _layer(name), inputs) if name[0] == "Δ" else quantity
            for name, quantity in stepped(p, inputs, own).items()
        }

    return wrong


def with_rates(eta_w: Callable[[float, float], float], eta_r: Callable[[float, float], float]) -> Wrong:
    """Updates as a step shows them that uses other rates: recovered updates are divided by the right ones."""

    def factor(letter: str, layer: int, inputs: Inputs) -> float:
        rates = inputs["eta_w"], inputs["eta_r"]
        return (eta_r if letter == "R" else eta_w)(*rates) / rates_of(inputs)[letter]

    return scaled_by(factor)


def frozen(letters: str, which: Callable[[int, int], bool]) -> Wrong:
    """A step that leaves the weights of some layers as they are."""
    return scaled_by(lambda letter, layer, inputs: 0 if letter in letters and which(layer, len(inputs["W"])) else 1)


def replacing(letters: str, new: Callable[[HostArray, HostArray, float], HostArray]) -> Wrong:
    """A step whose new weights are ``new(before, update, rate)``, as the recovered update shows it."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        for letter in letters:
            rate = rates_of(inputs)[letter]
            for layer, A in enumerate(inputs[letter], start=1):
                name = f"Δ{letter} of layer {layer}"
                found[name] = (new(A, found[name], rate) - A) / rate
        return found

    return wrong


def made_of_new(letters: str, change: Callable[[HostArray], HostArray]) -> Wrong:
    """A step that changes the new weights."""
    return replacing(letters, lambda A, update, eta: change(A + eta * update))


# --- which x, which z -------------------------------------------------------------------------------------------------


def inputs_of_layers(inputs: Inputs, found: Quantities) -> list[HostArray]:
    """y_0 … y_{L−1}."""
    return [inputs["y0"], *(found[f"y of layer {layer}"] for layer in layers_of(inputs)[:-1])]


def z_of(p: Pieces, seen: Quantities, layer: int) -> HostArray:
    """The target state of a layer."""
    return np.asarray(p.target_state(*(seen[f"{name} of layer {layer}"] for name in ("a", "y", "δ"))))


def sources(hebb: str, decay: str, lateral: str) -> Wrong:
    """A step that computes E[z xᵀ], the decay of W and ΔR from "x", or from "y", the layer's input before R."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer, y in enumerate(inputs_of_layers(inputs, seen), start=1):
            W, R = inputs["W"][layer - 1], inputs["R"][layer - 1]
            source = {"x": seen[f"x of layer {layer}"], "y": y}
            z = z_of(p, seen, layer)
            if "y" in (hebb, decay):
                found[f"ΔW of layer {layer}"] = p.copi(source[hebb], z, 0 * W) + p.copi(source[decay], 0 * z, W)
            if lateral == "y":
                found[f"ΔR of layer {layer}"] = p.lateral(y, R)
        return found

    return wrong


Moments = Callable[[Pieces, HostArray, HostArray, HostArray], HostArray]
"""``(pieces, x, y, R) -> ΔR``, y the layer's input before R."""


def lateral_from(wrong: Moments) -> Wrong:
    """A step whose ΔR sees both x and the layer's input before R."""

    def step(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer, y in enumerate(inputs_of_layers(inputs, seen), start=1):
            found[f"ΔR of layer {layer}"] = wrong(p, seen[f"x of layer {layer}"], y, inputs["R"][layer - 1])
        return found

    return step


def mixed(term: str) -> Moments:
    """The "product" with R, or the "decay", of y and the other of x."""
    return lambda p, x, y, R: p.with_changes(**{term: lambda x, R: getattr(p, term)(y, R)}).lateral(x, R)


def crossed(p: Pieces, x: HostArray, y: HostArray, R: HostArray) -> HostArray:
    """E[x yᵀ] for E[x xᵀ], without its diagonal."""
    return -times(p, reduced(p.conventions, x, without_diagonal(mean_outer(x, y))), R)


def rate_on_one_term(letter: str, first: bool) -> Wrong:
    """The rate multiplies one of two terms of an update only."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen, eta = seen_by(found, own), rates_of(inputs)[letter]
        k = (1, 1 / eta) if first else (1 / eta, 1)
        for layer in layers_of(inputs):
            x, W, R = seen[f"x of layer {layer}"], inputs["W"][layer - 1], inputs["R"][layer - 1]
            if letter == "W":
                z = z_of(p, seen, layer)
                found[f"ΔW of layer {layer}"] = k[0] * p.copi(x, z, 0 * W) + k[1] * p.copi(x, 0 * z, W)
            else:
                found[f"ΔR of layer {layer}"] = lateral_terms(p, *k)(x, R)
        return found

    return wrong


def lateral_of_loss(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """R goes down the gradient of the loss, too: E[(Wᵀ δ) yᵀ] is added to ΔR."""
    found = {**stepped(p, inputs, own)}
    seen = seen_by(found, own)
    for layer, y in enumerate(inputs_of_layers(inputs, seen), start=1):
        name = f"ΔR of layer {layer}"
        found[name] = found[name] + p.sgd(y, seen[f"δ of layer {layer}"] @ inputs["W"][layer - 1])
    return found


def delta_times_rate(rate: str) -> Wrong:
    """z = a + η δ."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        eta = inputs[rate]
        return stepped(p.with_changes(target_state=lambda a, y, d: p.target_state(a, y, eta * d)), inputs, own)

    return wrong


def products(factor: Callable[[Inputs], float]) -> Wrong:
    """A step that divides the products z xᵀ and x xᵀ by something else than N, where the decay of W is a mean."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        k = factor(inputs)
        changed = p.with_changes(
            copi=lambda x, z, W: k * p.copi(x, z, 0 * W) + p.copi(x, 0 * z, W),
            joined=lambda q, x, R: k * p.joined(q, x, R),
        )
        return stepped(changed, inputs, own)

    return wrong


def by_gradient_descent(which: Callable[[int, int], bool]) -> Wrong:
    """ΔW = E[δ xᵀ] in place of Eq. 3, in some layers."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer in layers_of(inputs):
            if which(layer, len(inputs["W"])):
                found[f"ΔW of layer {layer}"] = p.sgd(seen[f"x of layer {layer}"], seen[f"δ of layer {layer}"])
        return found

    return wrong


def target_for_z(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """z = y* at the output."""
    found, last = {**stepped(p, inputs, own)}, len(inputs["W"])
    x = seen_by(found, own)[f"x of layer {last}"]
    found[f"ΔW of layer {last}"] = p.copi(x, inputs["target"], inputs["W"][-1])
    return found


def only_where_delta(of_samples: bool) -> Wrong:
    """Units whose δ is 0 for all samples keep their weights; or samples whose δ is 0 are left out of ΔW."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer in layers_of(inputs):
            name, delta = f"ΔW of layer {layer}", seen[f"δ of layer {layer}"]
            if of_samples:
                rows = np.any(delta != 0, axis=1)
                x, z = seen[f"x of layer {layer}"], z_of(p, seen, layer)
                found[name] = p.copi(x[rows], z[rows], inputs["W"][layer - 1]) if rows.any() else 0 * found[name]
            else:
                found[name] = found[name] * np.any(delta != 0, axis=0)[:, None]
        return found

    return wrong


def less_C(times_R: bool) -> Wrong:
    """The new R is (R − η C_off) R, or R (R − η C_off): R takes the place of the identity."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen, eta = seen_by(found, own), inputs["eta_r"]
        for layer, R in enumerate(inputs["R"], start=1):
            changed = R + eta * p.lateral(seen[f"x of layer {layer}"], np.eye(len(R)))
            found[f"ΔR of layer {layer}"] = ((changed @ R if times_R else R @ changed) - R) / eta
        return found

    return wrong


def without_first_delta(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """δ of the first layer stays 0, unless it is the last."""
    return _with_zero_deltas(p, inputs, own, [1] if len(inputs["W"]) > 1 else [])


def only_upper_deltas(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The loop down runs upwards: only the highest hidden layer gets a δ."""
    return _with_zero_deltas(p, inputs, own, list(range(1, len(inputs["W"]) - 1)))


def _with_zero_deltas(p: Pieces, inputs: Inputs, own: Quantities, layers: list[int]) -> Quantities:
    found = stepped(p, inputs, own)
    zeros = {f"δ of layer {layer}": 0 * found[f"δ of layer {layer}"] for layer in layers}
    return {**stepped(p, inputs, own | zeros), **zeros}


# --- layers and conventions -------------------------------------------------------------------------------------------


def with_shared(letters: str, by: By, *, only_in_passes: bool) -> Wrong:
    """Weights of another layer take part; and they are what is updated, unless `only_in_passes`."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        others = with_others(inputs, letters, by)
        found = stepped(p, others, own)
        return found if only_in_passes else found | recovered(inputs, new_inputs(others, found, letters), letters)

    return wrong


def with_input(change: Callable[[HostArray], HostArray], name: str = "y0") -> Wrong:
    """The batch is changed before anything else."""
    return lambda p, inputs, own: stepped(p, inputs | {name: change(inputs[name])}, own)


def scale_before_decay(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The error scale multiplies z, and not δ alone."""
    scale = p.conventions.error_scale
    changed = p.with_changes(target_state=lambda a, y, delta: p.target_state(scale * a, y, delta))
    return stepped(changed, inputs, own)

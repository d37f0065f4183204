"""Wrong steps in kinds: in ΔW and ΔR at once, of the new weights, in some layers, for a few samples at a time."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue import arrays, compositions, layers, order, sharing
from copi_ref.oracle.naming.catalogue.adjustments import ADJUSTMENTS, FORMATS
from copi_ref.oracle.naming.catalogue.arrays import normalised, without_diagonal
from copi_ref.oracle.naming.catalogue.compositions import Wrong, frozen, made_of_new, scaled_by
from copi_ref.oracle.naming.catalogue.lateral import LATERAL_VARIANTS
from copi_ref.oracle.naming.catalogue.layers import By
from copi_ref.oracle.naming.catalogue.variant import Variant, draws, limited
from copi_ref.oracle.naming.catalogue.weights import WEIGHT_VARIANTS


def step_variant(name: str, says: str, wrong: Wrong) -> Variant:
    """``(pieces, inputs, own) -> quantities``; the step of its pieces is the one before the change."""

    def change(p: Pieces) -> Pieces:
        def step(q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
            found = wrong(q.with_changes(step=p.step), inputs, own)
            return found if "b" not in inputs else _bias_updates(q, inputs, found) | found

        return p.with_changes(step=step)

    return Variant(name, says, change)


def _bias_updates(q: Pieces, inputs: Inputs, found: Quantities) -> Quantities:
    """Of a step that says nothing of biases: those that come of its δ."""
    layers = enumerate(inputs["b"], start=1)
    return {f"Δb of layer {layer}": q.bias(found[f"δ of layer {layer}"], b) for layer, b in layers}


# --- in ΔW and ΔR at once ---------------------------------------------------------------------------------------------

_BY_NAME = {variant.name: variant for variant in (*WEIGHT_VARIANTS, *LATERAL_VARIANTS)}


def _both(name: str, says: str, weight: str, lateral: str) -> Variant:
    """A mistake in ΔW and in ΔR."""

    def change(p: Pieces) -> Pieces | None:
        return _BY_NAME[lateral].change(_BY_NAME[weight].change(p) or p)

    return Variant(name, says, change)


_ELSEWHERE = {"sign", "zero", "times-n"}
"""Steps of their own already, under other names."""


def in_both() -> Iterator[Variant]:
    """Yield each adjustment of updates, made in ΔW and in ΔR."""
    for adjustment in ADJUSTMENTS:
        if adjustment.places >= {"weight", "lateral"} and adjustment.name not in _ELSEWHERE:
            end = "mean-over-inputs" if adjustment.name == "over-inputs" else adjustment.name
            weight, lateral = (
                next(name for name in (f"{place}-{end}", f"{place}-{_OTHERWISE.get(end, end)}") if name in _BY_NAME)
                for place in ("weight", "lateral")
            )
            says = adjustment.said_of("each of ΔW and ΔR")
            yield _both(f"step-{end}", says, weight, lateral)


_OTHERWISE = {"unit-power": "correlation"}


# --- new weights ------------------------------------------------------------------------------------------------------


def _unit_diagonal(R: HostArray) -> HostArray:
    return without_diagonal(R) + np.eye(len(R))


_NEW: tuple[tuple[str, str, str, Callable[[HostArray], HostArray]], ...] = (
    ("clipped", "clipped to ±1", "WR", lambda A: np.clip(A, -1, 1)),
    ("clipped-10", "clipped to ±10", "WR", lambda A: np.clip(A, -10, 10)),
    ("positive", "set to 0 where they are negative", "WR", lambda A: np.maximum(A, 0)),
    ("rows-clipped", "scaled down to rows of norm 1 where they are larger", "W",
     lambda A: arrays.clipped_by_norm(A, 1)),
    ("normalised-rows", "divided by the norms of their rows", "W", lambda A: normalised(A, 1)),
    ("normalised-columns", "divided by the norms of their columns", "WR", lambda A: normalised(A, 0)),
    ("normalised-whole", "divided by their norm", "WR", normalised),
    ("max-normalised", "divided by their largest entry", "WR", lambda A: A / arrays.nonzero(np.max(np.abs(A)))),
    ("columns-centred", "centred: each column has mean 0", "WR", lambda A: A - A.mean(axis=0)),
    ("rows-centred", "centred: each row has mean 0", "WR", lambda A: A - A.mean(axis=1, keepdims=True)),
    ("transposed", "transposed, where they are square", "WR", arrays.transposed_if_square),
    ("negated", "negated", "WR", lambda A: -A),
    ("over-trace", "divided by their trace", "R", lambda R: R / np.trace(R)),
    ("of-trace-k", "scaled to a trace of K", "R", lambda R: R / np.trace(R) * len(R)),
    ("of-unit-determinant", "scaled to a determinant of 1", "R",
     lambda R: R / np.abs(np.linalg.det(R)) ** (1 / len(R))),
    ("unit-diagonal", "given a diagonal of 1", "R", _unit_diagonal),
    ("divided-by-diagonal", "divided by their diagonal, row by row", "R", lambda R: R / np.diag(R)[:, None]),
    ("divided-by-diagonal-columns", "divided by their diagonal, column by column", "R", lambda R: R / np.diag(R)),
    ("without-diagonal", "given a diagonal of 0", "R", without_diagonal),
    ("lower", "set to 0 above their diagonal", "R", np.tril),
    ("upper", "set to 0 below their diagonal", "R", np.triu),
    ("upper-mirrored", "mirrored from above their diagonal to below it", "R",
     lambda R: arrays.mirrored(R, upper=True)),
    ("lower-mirrored", "mirrored from below their diagonal to above it", "R",
     lambda R: arrays.mirrored(R, upper=False)),
    *((f"in-{name}", f"rounded to {name}", "WR", arrays.rounded_to(name)) for name in FORMATS),
)  # fmt: skip


def of_new_weights() -> Iterator[Variant]:
    """Yield what people do to weights after a step."""
    for name, says, letters, change in _NEW:
        for which in (letters, *letters) if len(letters) > 1 else (letters,):
            what = "the new weights" if which == "WR" else f"the new weights {which}"
            prefix = "weights" if which == "WR" else which
            yield step_variant(f"step-{prefix}-{name}", f"{what} are {says}", made_of_new(which, change))


# --- which layers -----------------------------------------------------------------------------------------------------

_WHICH: tuple[tuple[str, str, Callable[[int, int], bool]], ...] = (
    ("first", "the first layer", lambda layer, layers: layer == 1),
    ("last", "the last layer", lambda layer, layers: layer == layers),
    ("hidden", "the hidden layers", lambda layer, layers: layer < layers),
    ("upper", "the layers above the first", lambda layer, layers: layer > 1),
    ("odd", "every second layer, the first among them,", lambda layer, layers: layer % 2 == 1),
)


def of_layers() -> Iterator[Variant]:
    """Yield steps that leave layers out, or learn in them by gradient descent."""
    for which, what, chosen in _WHICH:
        for letters, name, of in (("W", "W", "W of "), ("R", "R", "R of "), ("WR", "layer", "neither W nor R of ")):
            full = f"step-{which}-{name}-frozen"
            not_ = "" if letters == "WR" else "not "
            yield step_variant(_KNOWN_AS.get(full, full), f"{of}{what} is {not_}updated", frozen(letters, chosen))
        yield step_variant(f"step-sgd-in-{which}", f"ΔW = E[δ xᵀ], gradient descent, in {what}",
                    compositions.by_gradient_descent(chosen))  # fmt: skip


_KNOWN_AS = {"step-hidden-W-frozen": "step-only-last-W"}


def rates_of_layers() -> Iterator[Variant]:
    """Yield learning rates that differ between layers."""
    for letters, name in (("WR", "rates"), ("W", "eta-w"), ("R", "eta-r")):
        what = "learning rates are" if len(letters) > 1 else f"η_{letters} is"
        for end, says, factor in (
            ("over-layers", "divided by the number of layers", lambda layer, layers: 1 / layers),
            ("over-layer", "divided by the number of the layer", lambda layer, layers: 1 / layer),
            ("times-layer", "multiplied by the number of the layer", lambda layer, layers: layer),
        ):
            yield step_variant(f"step-{name}-{end}", f"{what} {says}", _in(letters, factor))


def _in(letters: str, factor: Callable[[int, int], float]) -> Wrong:
    return scaled_by(lambda letter, layer, inputs: factor(layer, len(inputs["W"])) if letter in letters else 1)


# --- what layers share, and who learns --------------------------------------------------------------------------------

_SHARED: tuple[tuple[str, str, By], ...] = (
    ("shared-with-last", "share memory: the highest's remains", layers.shared_with_last),
    ("shared-with-first", "share memory: the lowest's remains", layers.shared_with_first),
    ("summed-upwards", "are added up from the first layer on: nothing is cleared in between",
     sharing.sums_upwards),
    ("summed-downwards", "are added up from the last layer down: nothing is cleared in between",
     sharing.sums_downwards),
    ("summed", "are summed over all of them", sharing.sums_of_all),
    ("averaged", "are averaged over all of them", sharing.means_of_all),
    ("fading-upwards", "are added up from the first layer on, with 0.9 of those before: a momentum that goes on",
     sharing.fading(True, 0.9)),
    ("fading-downwards", "are added up from the last layer down, with 0.9 of those before: a momentum that goes on",
     sharing.fading(False, 0.9)),
    ("of-layer-below", "are those of the layer below", layers.of_layer_before),
    ("of-layer-above", "are those of the layer above", layers.of_layer_after),
)  # fmt: skip


def shared_by_layers() -> Iterator[Variant]:
    """Yield updates that layers of one shape share, or add up."""
    for end, says, by in _SHARED:
        for letters, name, what in (
            ("W", "W-updates", "ΔW of layers of one shape"),
            ("R", "R-updates", "ΔR of layers of one width"),
            ("WR", "updates", "ΔW and ΔR of layers of one shape"),
        ):
            yield step_variant(f"step-{name}-{end}", f"{what} {says}", sharing.with_updates(letters, by))
        if "sum" not in end and "fading" not in end:
            for letter, which in (("W", "shape"), ("R", "width")):
                yield step_variant(f"step-new-{letter}-{end}", f"new {letter} of layers of one {which} {says}",
                                   sharing.with_new_weights(letter, by))  # fmt: skip
        yield step_variant(f"step-moments-{end}", f"E[x xᵀ] of layers of one width, in ΔR, {says}",
                           sharing.with_moments(by))  # fmt: skip


def who_learns() -> Iterator[Variant]:
    """Yield steps in which samples or units are left out of updates, and N stays as it is."""
    for letters, name, where in (("W", "W", "ΔW"), ("WR", "updates", "ΔW and ΔR")):
        yield step_variant(
            f"step-{name}-without-samples-without-delta",
            f"samples whose δ is 0 in a layer are left out of {where} there",
            sharing.learning_where(lambda a, delta, last: np.any(delta != 0, axis=1, keepdims=True), letters),
        )
        yield step_variant(
            f"step-{name}-without-samples-without-error",
            f"samples whose δ_L is 0 are left out of {where} in all layers",
            sharing.learning_where(lambda a, delta, last: np.any(last != 0, axis=1, keepdims=True), letters),
        )
    for end, says, taken in (
        ("without-delta", "whose δ is 0", lambda a, delta, last: delta != 0),
        ("below-0", "whose a is not above 0", lambda a, delta, last: a > 0),
    ):
        yield step_variant(f"step-W-without-states-{end}", f"units do not learn from samples {says}, nor decay",
                           sharing.learning_where(taken, "W"))  # fmt: skip
    for letters, name, what in (("W", "W-", "ΔW"), ("R", "R-", "ΔR"), ("WR", "", "ΔW and ΔR")):
        yield step_variant(f"step-{name}updates-clipped-together",
                           f"{what} of all layers are scaled down to a norm of 1 over all of them, where it is larger",
                           sharing.clipped_together(letters))  # fmt: skip


# --- terms and lines one after the other ------------------------------------------------------------------------------


def terms_in_turn() -> Iterator[Variant]:
    """Yield updates whose parts are applied one after the other."""
    yield step_variant(
        "step-W-decays-after-hebb",
        "E[z xᵀ] is added to W first, and the decay is that of the new W",
        order.in_two_stages("W", decay_first=False),
    )
    yield step_variant(
        "step-R-decays-after-product",
        "E[x xᵀ] R is taken from R first, the decay is of the new R",
        order.in_two_stages("R", decay_first=False),
    )
    yield step_variant(
        "step-R-decays-before-product",
        "the decay is added to R first, E[x xᵀ] R is of the new R",
        order.in_two_stages("R", decay_first=True),
    )
    for rows, lines in ((True, "rows"), (False, "columns")):
        for backwards, ending, first in ((False, "", "first"), (True, "-backwards", "last")):
            yield step_variant(
                f"step-R-{lines}-in-turn{ending}",
                f"{lines} of R are updated in turn, the {first} one first, from a partly new R",
                order.lines_in_turn(rows=rows, backwards=backwards),
            )
    for letters, name, what in (("W", "W-", "ΔW sees"), ("R", "R-", "ΔR sees"), ("WR", "", "updates see")):
        for ending, of, goes_on in (("z", "f(z)", order.f_of_z), ("a", "a", order.a_alone)):
            yield step_variant(
                f"step-{name}x-from-{ending}",
                f"{what} x made of {of} of the layer below, not of f(a)",
                order.x_from(goes_on, letters),
            )


# --- samples one after the other --------------------------------------------------------------------------------------


def _takes_all(conventions: Conventions) -> bool:
    """Whether R learns from all samples: those that are drawn are drawn of the whole batch."""
    return not draws(conventions)


def one_after_the_other() -> Iterator[Variant]:
    """Yield steps of a few samples at a time, in place of one of the batch."""
    for name, says, wrong in (
        ("step-sample-by-sample", "a step is made for each sample, one after the other", order.in_turn("WR", 1)),
        ("step-W-sample-by-sample", "W has a step for each sample, one after the other, R one for the batch",
         order.in_turn("W", 1)),
        ("step-R-sample-by-sample", "R has a step for each sample, one after the other, W one for the batch",
         order.in_turn("R", 1)),
        ("step-sample-by-sample-backwards", "a step is made for each sample, the last one first",
         order.in_turn("WR", 1, backwards=True)),
        ("step-sample-by-sample-over-n", "a step is made for each sample, with learning rates divided by N",
         order.in_turn("WR", 1, mean=True)),
        *((f"step-in-batches-of-{size}", f"a step is made for every {size} samples, one after the other",
           order.in_turn("WR", size)) for size in (2, 4)),
    ):  # fmt: skip
        yield limited(_takes_all, step_variant(name, says, wrong))
    for letters, name, whose in (("W", "W-", "W"), ("R", "R-", "R"), ("WR", "", "W and R")):
        yield step_variant(
            f"step-{name}samples-added-in-turn",
            f"samples are added to {whose} one after the other, each with the decay of the weights then",
            order.added_in_turn(letters),
        )


# --- samples that are drawn -------------------------------------------------------------------------------------------


def of_drawn_samples() -> Iterator[Variant]:
    """Yield steps that take other samples than those which are drawn for R of each layer."""
    for name, says, wrong in (
        ("step-W-of-drawn-samples", "ΔW is of the samples that are drawn for R, not of all", _weights_of_drawn),
        ("step-drawn-of-first-layer", "all layers take the samples that are drawn for the first",
         _drawn_of(lambda indices: indices[:1] * len(indices))),
        ("step-drawn-of-last-layer", "all layers take the samples that are drawn for the last",
         _drawn_of(lambda indices: indices[-1:] * len(indices))),
        ("step-drawn-reversed", "layers take the samples that are drawn for R in the opposite order",
         _drawn_of(lambda indices: indices[::-1])),
    ):  # fmt: skip
        yield limited(draws, step_variant(name, says, wrong))


def _weights_of_drawn(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    found = {**compositions.stepped(p, inputs, own)}
    seen = compositions.seen_by(found, own)
    for layer in compositions.layers_of(inputs):
        drawn, z = inputs["indices"][layer - 1], compositions.z_of(p, seen, layer)
        found[f"ΔW of layer {layer}"] = p.copi(seen[f"x of layer {layer}"][drawn], z[drawn], inputs["W"][layer - 1])
    return found


def _drawn_of(change: Callable[[tuple[HostArray, ...]], tuple[HostArray, ...]]) -> Wrong:
    return lambda p, inputs, own: compositions.stepped(p, inputs | {"indices": change(inputs["indices"])}, own)

"""Wrong forward passes (Algorithm 1, lines 4 to 8)."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue import arrays
from copi_ref.oracle.naming.catalogue.adjustments import FORMATS
from copi_ref.oracle.naming.catalogue.arrays import centred, normalised, softmax, transposed_if_square, without_diagonal
from copi_ref.oracle.naming.catalogue.variant import Variant, known_as, placed, wrapping

Change = Callable[[HostArray], HostArray]


def with_backward_pass(p: Pieces) -> Pieces:
    """δ goes down through what stands for R in the forward pass, as automatic differentiation sends it."""
    if p.conventions.credit != "bp" or not p.conventions.has_R:
        return p

    def carried(above: HostArray, W: HostArray, R: HostArray, B: HostArray) -> HostArray:
        for_R = p.decorrelate(np.eye(len(R)), R, 2).mT  # of a layer that has one below
        return np.asarray(p.carried(above, W, for_R, B))

    return p.with_changes(carried=carried)


def _R(name: str, says: str, wrong: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for R."""
    return wrapping(name, says, decorrelate=lambda p, y, R, layer: p.decorrelate(y, wrong(R), layer))


def _W(name: str, says: str, wrong: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for W in a = W x."""
    return wrapping(name, says, preactivate=lambda p, x, y, W: p.preactivate(x, y, wrong(W)))


def _activation(name: str, says: str, wrong: Callable[[Pieces, HostArray, int, int], HostArray]) -> Variant:
    """``(pieces, a, layer, layers) -> y``."""
    return wrapping(name, says, activate=wrong)


_BATCHES: tuple[tuple[str, str, Change], ...] = (
    ("centred", "has its mean over the batch taken away", centred),
    ("standardised", "is centred and scaled to variance 1, as by a batch norm (ε = 1e-5)", arrays.standardised),
    ("layer-normed", "of each sample is centred and scaled to variance 1, as by a layer norm (ε = 1e-5)",
     lambda A: arrays.standardised(A, axis=1)),
    ("unit-power", "is scaled to E[x²] = 1", arrays.unit_power),
    ("unit-length", "of each sample is divided by its length", lambda A: normalised(A, 1)),
    ("max-normalised", "is divided by its largest entry", lambda A: A / arrays.nonzero(np.max(np.abs(A)))),
    ("absolute", "has its absolute value taken", np.abs),
    ("positive", "is set to 0 where it is negative", lambda A: np.maximum(A, 0)),
    ("clipped", "is clipped to ±1", lambda A: np.clip(A, -1, 1)),
    ("clipped-01", "is clipped to [0, 1]", lambda A: np.clip(A, 0, 1)),
    ("clipped-6", "is cut at 6", lambda A: np.minimum(A, 6)),
    ("signs", "has only its signs left", np.sign),
    ("softmaxed", "goes through a softmax", softmax),
    ("halved", "is multiplied by 0.5, as by a dropout that scales", lambda A: 0.5 * A),
    ("doubled", "is multiplied by 2, as by an inverted dropout of one half", lambda A: 2 * A),
    ("shifted", "is that of another sample", lambda A: np.roll(A, 1, axis=0)),
    ("reversed", "has its samples in the opposite order", lambda A: A[::-1]),
    ("features-reversed", "has its features in the opposite order", lambda A: A[:, ::-1]),
    ("transposed", "is transposed, where it is square", transposed_if_square),
    ("first-is-one", "has a 1 for its first feature, as for a bias", lambda A: _one_at(A, 0)),
    ("last-is-one", "has a 1 for its last feature, as for a bias", lambda A: _one_at(A, -1)),
    ("plus-one", "has 1 added", lambda A: A + 1),
    *((f"in-{name}", f"is rounded to {name}", arrays.rounded_to(name)) for name in FORMATS),
)  # fmt: skip


def _one_at(A: HostArray, column: int) -> HostArray:
    A = A.copy()
    A[:, column] = 1
    return A


def _f_of_clipped(most: float) -> Callable[[Pieces, HostArray, int, int], HostArray]:
    return lambda p, a, layer, layers: p.activate(np.clip(a, -most, most), layer, layers)


_MOVES = {"shifted", "reversed", "features-reversed", "transposed"}
_LINEAR = {"centred", "halved", "doubled", "shifted", "reversed"}
_ONES = {"first-is-one", "last-is-one"}
_ROUNDED = {f"in-{name}" for name in FORMATS}

_PLACES: tuple[tuple[str, str, Callable[[Pieces, Change], Pieces], set[str]], ...] = (
    ("input", "y₀, before the first layer,",
     lambda p, change: p.with_changes(
         decorrelate=lambda y, R, layer: p.decorrelate(change(y) if layer == 1 else y, R, layer)), set()),
    ("inputs", "y, before R of each layer,",
     lambda p, change: p.with_changes(decorrelate=lambda y, R, layer: p.decorrelate(change(y), R, layer)), set()),
    ("x", "x", lambda p, change: p.with_changes(decorrelate=lambda *args: change(p.decorrelate(*args))), _LINEAR),
    ("a", "a", lambda p, change: p.with_changes(preactivate=lambda *args: change(p.preactivate(*args))), set()),
    ("y", "y", lambda p, change: p.with_changes(activate=lambda *args: change(p.activate(*args))), {"absolute"}),
    ("hidden-y", "y of the hidden layers", lambda p, change: p.with_changes(
        activate=lambda a, layer, layers: (change if layer < layers else _same)(p.activate(a, layer, layers))),
        _ROUNDED),
    ("output", "y of the last layer", lambda p, change: p.with_changes(
        activate=lambda a, layer, layers: (change if layer == layers else _same)(p.activate(a, layer, layers))),
        _ROUNDED),
    ("a-in-f", "a, in f,", lambda p, change: p.with_changes(
        activate=lambda a, layer, layers: p.activate(change(a), layer, layers)), _MOVES | _ROUNDED | _ONES),
)  # fmt: skip
"""How variants go on, what they say, where, and which changes are the same there as in a place before."""


def _same(A: HostArray) -> HostArray:
    return A


_KNOWN_AS = {
    "forward-a-absolute": ("forward-absolute-a", ""),
    "forward-inputs-centred": ("forward-centred", "the mean over the batch is taken from y before R"),
    "forward-input-centred": (
        "forward-input-centred",
        "the mean over the batch is taken from y₀ before the first layer",
    ),
    "forward-a-in-f-absolute": ("forward-f-absolute", "f(|a|) for f(a)"),
    "forward-output-softmaxed": ("forward-softmax-output", ""),
}


def _changed() -> Iterator[Variant]:
    for what, says_what, place, known_already in _PLACES:
        for name, says, change in _BATCHES:
            if name not in known_already:
                named = known_as(_KNOWN_AS, f"forward-{what}-{name}", f"{says_what} {says}")
                yield Variant(*named, placed(place, change))


FORWARD_VARIANTS = (
    _R("forward-R-transposed", "x = Rᵀ y: R is transposed in the forward pass (y @ R in rows)", lambda R: R.mT),
    _R("forward-no-R", "x = y: R is left out of the forward pass", lambda R: np.eye(len(R))),
    _R("forward-R-twice", "x = R R y: R is applied twice", lambda R: R @ R),
    _R("forward-R-added", "x = y + R y", lambda R: np.eye(len(R)) + R),
    _R("forward-R-subtracted", "x = y − R y", lambda R: np.eye(len(R)) - R),
    _R("forward-R-diagonal", "only the diagonal of R is used in the forward pass", lambda R: np.diag(np.diag(R))),
    _R("forward-R-off-diagonal", "the diagonal of R is left out of the forward pass", without_diagonal),
    _R("forward-R-inverse", "x = R⁻¹ y", np.linalg.pinv),
    _R("forward-R-symmetrised", "the symmetric part of R is used in the forward pass", lambda R: (R + R.mT) / 2),
    _R("forward-R-absolute", "|R| for R in the forward pass", np.abs),
    _R("forward-R-lower-triangle", "only the lower triangle of R is used in the forward pass", np.tril),
    _R("forward-R-upper-triangle", "only the upper triangle of R is used in the forward pass", np.triu),
    _R("forward-R-unit-diagonal", "the diagonal of R is taken for 1 in the forward pass",
       lambda R: without_diagonal(R) + np.eye(len(R))),
    _R("forward-R-rows-normalised", "rows of R are divided by their norms in the forward pass",
       lambda R: normalised(R, 1)),
    _R("forward-R-minus-off-diagonal", "x = diag(R) y − R_off y: lateral weights inhibit",
       lambda R: 2 * np.diag(np.diag(R)) - R),
    wrapping("forward-R-first-layer-only", "R is left out above the first layer",
             decorrelate=lambda p, y, R, layer: p.decorrelate(y, R if layer == 1 else np.eye(len(R)), layer)),
    wrapping("forward-R-not-in-first-layer", "R is left out of the first layer",
             decorrelate=lambda p, y, R, layer: p.decorrelate(y, np.eye(len(R)) if layer == 1 else R, layer)),
    wrapping("forward-input-scaled", "y₀ is divided by 255",
             decorrelate=lambda p, y, R, layer: p.decorrelate(y / 255 if layer == 1 else y, R, layer)),
    wrapping("forward-f-of-input", "f is applied to y₀ too, before the first layer",
             decorrelate=lambda p, y, R, layer: p.decorrelate(p.activate(y, 0, 1) if layer == 1 else y, R, layer)),
    wrapping("forward-f-of-x", "f is applied to x too, after R",
             decorrelate=lambda p, y, R, layer: p.activate(p.decorrelate(y, R, layer), 0, 1)),
    wrapping("forward-x-negated", "x has the wrong sign", decorrelate=lambda p, *args: -p.decorrelate(*args)),
    wrapping("forward-a-from-y", "a = W y: computed from y and not from x",
             preactivate=lambda p, x, y, W: p.preactivate(y, y, W)),
    wrapping("forward-a-from-sum", "a = W (x + y): x is added to y and not put in its place",
             preactivate=lambda p, x, y, W: p.preactivate(x + y, y, W)),
    wrapping("forward-a-negated", "a has the wrong sign", preactivate=lambda p, *args: -p.preactivate(*args)),
    wrapping("forward-a-divided", "a is divided by the number of inputs",
             preactivate=lambda p, x, y, W: p.preactivate(x, y, W) / W.shape[1]),
    wrapping("forward-a-scaled", "a is divided by the root of the number of inputs",
             preactivate=lambda p, x, y, W: p.preactivate(x, y, W) / W.shape[1] ** 0.5),
    _W("forward-a-absolute", "a = |W| x", np.abs),
    _W("forward-W-transposed", "a = Wᵀ x, where W is square (x @ W in rows)", transposed_if_square),
    _W("forward-W-rows-normalised", "rows of W are divided by their norms in the forward pass",
       lambda W: normalised(W, 1)),
    _W("forward-W-signs", "the signs of W for W in the forward pass", np.sign),
    wrapping("forward-a-with-skip", "a = W x + x, where W is square: a skip connection",
             preactivate=lambda p, x, y, W: p.preactivate(x, y, W) + (x if len(W) == W.shape[1] else 0)),
    *_changed(),
    wrapping("forward-W-and-R-exchanged", "x = W y and a = R x, where W is square",
             upwards=lambda p, q, inputs, own: p.upwards(q, _exchanged(inputs), own)),
    wrapping("forward-W-times-R-elementwise", "a = (W ∘ R) y for W R y, where W is square",
             upwards=lambda p, q, inputs, own: _elementwise(p, q, inputs, own)),
    wrapping("forward-x-of-a", "a goes on to the next layer and not y, though y is kept",
             upwards=lambda p, q, inputs, own: _with_inputs(p, q, inputs, own, lambda y, a, y0: a)),
    wrapping("forward-x-of-y0", "x = R y₀ in every layer with as many inputs as the first",
             upwards=lambda p, q, inputs, own: _with_inputs(
                 p, q, inputs, own, lambda y, a, y0: y0 if y0.shape == y.shape else y)),
    wrapping("forward-y-with-skip", "y = f(a) + y of the layer below, where there are as many units: a skip connection",
             upwards=lambda p, q, inputs, own: _with_skip(p, q, inputs, own)),
    _activation("forward-linear-output", "y_L = a_L: f is left out of the last layer",
                lambda p, a, layer, layers: a if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-linear-hidden", "f is left out of the hidden layers",
                lambda p, a, layer, layers: a if layer < layers else p.activate(a, layer, layers)),
    _activation("forward-linear-first", "f is left out of the first layer",
                lambda p, a, layer, layers: a if layer == 1 else p.activate(a, layer, layers)),
    _activation("forward-sigmoid-output", "y_L = σ(a_L)",
                lambda p, a, layer, layers: 1 / (1 + np.exp(-a)) if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-tanh-output", "y_L = tanh(a_L)",
                lambda p, a, layer, layers: np.tanh(a) if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-relu-output", "y_L = max(a_L, 0)",
                lambda p, a, layer, layers: np.maximum(a, 0) if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-f-mirrored", "f(−a) for f(a): slopes of the two sides are exchanged",
                lambda p, a, layer, layers: -p.activate(-a, layer, layers)),
    _activation("forward-f-negated", "y has the wrong sign", lambda p, a, layer, layers: -p.activate(a, layer, layers)),
    _activation("forward-f-twice", "f is applied twice",
                lambda p, a, layer, layers: p.activate(p.activate(a, layer, layers), layer, layers)),
    _activation("forward-f-squared", "f(a)² for f(a)", lambda p, a, layer, layers: p.activate(a, layer, layers) ** 2),
    _activation("forward-f-times-a", "a f(a) for f(a)", lambda p, a, layer, layers: a * p.activate(a, layer, layers)),
    _activation("forward-f-plus-a", "f(a) + a for f(a)", lambda p, a, layer, layers: a + p.activate(a, layer, layers)),
    _activation("forward-f-elu", "f is an ELU",
                lambda p, a, layer, layers: np.where(a < 0, np.expm1(np.minimum(a, 0)), a)),
    _activation("forward-f-softplus", "f is a softplus", lambda p, a, layer, layers: np.logaddexp(0, a)),
    _activation("forward-f-silu", "f is a SiLU, a σ(a)", lambda p, a, layer, layers: a / (1 + np.exp(-a))),
    *(_activation(f"forward-a-clipped-{most}-in-f", f"a is clipped to ±{most} in f, as against overflow",
                  _f_of_clipped(most))
      for most in (5, 10, 15, 20, 30, 50, 80, 88, 100, 500, 700)),
    _activation("forward-f-kink-at-1", "the kink of f is at 1 and not at 0",
                lambda p, a, layer, layers: np.where(a < 1, _below(p) * a, a)),
    _activation("forward-f-kink-at-minus-1", "the kink of f is at −1 and not at 0",
                lambda p, a, layer, layers: np.where(a < -1, _below(p) * a, a)),
    _activation("forward-f-kink-at-slope", "the kink of f is at its lower slope and not at 0",
                lambda p, a, layer, layers: np.where(a < _below(p), _below(p) * a, a)),
    _activation("forward-f-slope-missing-a", "below 0, f is the slope itself and not slope · a",
                lambda p, a, layer, layers: np.where(a < 0, float(p.conventions.slope), p.activate(a, layer, layers))),
    _activation("forward-f-of-larger", "f is the larger of a and the slope, not of a and slope · a",
                lambda p, a, layer, layers: np.maximum(a, _below(p))),
    _activation("forward-f-whole-layer", "f takes the lower slope for all of a layer if any of its a is below 0",
                lambda p, a, layer, layers: a if np.all(a >= 0) else _below(p) * a),
    _activation("forward-f-slope-sign", "below 0, f has the wrong sign",
                lambda p, a, layer, layers: np.where(a < 0, -p.activate(a, layer, layers),
                                                     p.activate(a, layer, layers))),
    _activation("forward-f-slope-added", "below 0, f is a + slope for slope · a",
                lambda p, a, layer, layers: np.where(a < 0, a + p.conventions.slope, a)),
    _activation("forward-f-slope-divided", "below 0, f is a/slope for slope · a",
                lambda p, a, layer, layers: np.where(a < 0, a / (p.conventions.slope or 1), a)),
)  # fmt: skip


def _exchanged(inputs: Inputs) -> Inputs:
    pairs = [(R, W) if W.shape == R.shape else (W, R) for W, R in zip(inputs["W"], inputs["R"], strict=True)]
    return inputs | {"W": tuple(W for W, _ in pairs), "R": tuple(R for _, R in pairs)}


def _elementwise(p: Pieces, q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    Rs = iter(inputs["R"])

    def preactivate(x: HostArray, y: HostArray, W: HostArray) -> HostArray:
        R = next(Rs)
        return np.asarray(q.preactivate(y, y, W * R) if W.shape == R.shape else q.preactivate(x, y, W))

    return p.upwards(q.with_changes(preactivate=preactivate), inputs, own)


def _with_inputs(
    p: Pieces,
    q: Pieces,
    inputs: Inputs,
    own: Quantities,
    chosen: Callable[[HostArray, HostArray, HostArray], HostArray],
) -> Quantities:
    """Other inputs for the layers above the first, of ``(y, a, y₀)``, those of the layer below and of the network."""
    below: list[HostArray] = []

    def decorrelate(y: HostArray, R: HostArray, layer: int) -> HostArray:
        return np.asarray(q.decorrelate(y if layer == 1 else chosen(y, below[-1], inputs["y0"]), R, layer))

    def preactivate(*args: HostArray) -> HostArray:
        own_a = own.get(f"a of layer {len(below) + 1}")
        a = np.asarray(q.preactivate(*args))
        below.append(a if own_a is None else own_a)
        return a

    return p.upwards(q.with_changes(decorrelate=decorrelate, preactivate=preactivate), inputs, own)


def _with_skip(p: Pieces, q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The input of a layer is added to its output, in each layer with as many units as inputs."""
    below = [inputs["y0"]]

    def decorrelate(y: HostArray, R: HostArray, layer: int) -> HostArray:
        below[0] = y
        return np.asarray(q.decorrelate(y, R, layer))

    def activate(a: HostArray, layer: int, layers: int) -> HostArray:
        y = np.asarray(q.activate(a, layer, layers))
        return y + below[0] if y.shape == below[0].shape else y

    return p.upwards(q.with_changes(decorrelate=decorrelate, activate=activate), inputs, own)


def _below(p: Pieces) -> float:
    """The slope of f below 0."""
    return float(p.conventions.f().derivative(np.array([-1.0]))[0])

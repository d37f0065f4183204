"""Networks of whole numbers in which nothing is rounded, whatever the slope of leaky ReLU.

A tenth of a whole number is rarely whole. So each row of W is chosen among many, so that every pre-activation is either
positive or a multiple of q, for a slope p/q. Errors are multiples of q, and each sample has pre-activations below 0 in
one layer only: on its way down its error is multiplied with the slope once.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inputs.drawing import Drawing

_CANDIDATES = 400


@dataclass(frozen=True)
class Rows:
    """Which rows of W are good, given the inputs x of a layer: by the pre-activations (N, 1) that they make.

    Args:
        free: whether the slope is a dyadic fraction, so that any pre-activation but 0 is good.
        q: of the slope p/q.
        below: samples that may have a pre-activation below 0 even if it is no dyadic fraction.
        passes: whether anything comes through below 0.
    """

    free: bool
    q: int
    below: HostArray
    passes: bool

    def good(self, a: HostArray) -> HostArray:
        """Return which candidates, in columns of a, are good."""
        positive = a > 0
        if self.free:
            return np.asarray(np.all(a != 0, axis=0))
        return np.asarray(np.all(positive | (self.below[:, None] & (a < 0) & (a % self.q == 0)), axis=0))


def whole_network(
    d: Drawing,
    sizes: tuple[int, ...],
    N: int,
    below: bool = False,
    dead: bool = False,
    no_error: bool = False,
    error: float = 1.0,
) -> Inputs:
    """Draw W, R, y0 and a target.

    Args:
        sizes: of the layers, the inputs first.
        N: how many samples.
        below: whether pre-activations below 0 are asked for where the slope is no dyadic fraction; where it is one,
            they come by themselves.
        dead: whether one feature of y0, and one x in each layer above the first, is 0 in all samples.
        no_error: whether one sample and one output have the target that they reach.
        error: a factor on errors.
    """
    layers = len(sizes) - 1
    slope, free = d.conventions.slope_below, d.conventions.slope_is_dyadic or d.conventions.is_smooth
    slope = Fraction(1) if slope is None else slope  # smooth: one layer only is exact, whatever y is
    turn = np.arange(N) % layers  # the layer in which a sample may be below 0
    y = y0 = _inputs(d, N, sizes[0], dead)
    W, R, b = [], [], []
    for layer, (inputs, units) in enumerate(itertools.pairwise(sizes)):
        rows = Rows(free, slope.denominator, (turn == layer) & below, slope != 0)
        # In deep networks few sums, that numbers stay small and cancel little: R is the identity in most layers.
        beside = (1 if layer % 3 == 0 else 0) if layers > 3 else max(1, inputs - d.attempt // 6)
        R_l = _lateral(d, inputs, beside, dead and layer > 0) if d.conventions.has_R else np.eye(inputs)
        if layer == 0 and not free:
            y = y0 = _turned_to_one_side(d, y0, R_l, rows)
        x = y @ R_l.T
        W_l = _weights(d, x, units, rows, terms=1.4 if layers > 3 else 2.2)
        a = x @ W_l.T
        if d.conventions.biases:
            b.append(_biases(d, a, rows))
            a = a + b[-1]
        y = np.where(a < 0, a * slope.numerator / slope.denominator, a)
        W.append(W_l)
        R.append(R_l)
    prediction = d.conventions.predicted(a, y)
    # multiples of q, that remain whole when the slope and the factor of the loss multiply them
    unit = slope.denominator * Fraction(float(d.conventions.loss_factor)).denominator if below and not free else 1
    target = prediction + unit * error * _errors(d, N, sizes[-1], no_error)
    biases = {"b": tuple(b)} if d.conventions.biases else {}
    return {"W": tuple(W), "R": tuple(R), "y0": y0, "target": target, **biases}


def _inputs(d: Drawing, N: int, features: int, dead: bool) -> HostArray:
    y0 = d.matrix(N, features)
    y0[np.arange(N), d.rng.integers(0, features, size=N)] = d.rng.choice([-1.0, 1.0], size=N)  # no sample of zeros
    if dead:
        y0[:, 0] = 0
        y0[~y0.any(axis=1), 1] = 1
    return y0


def _lateral(d: Drawing, units: int, beside: int, dead: bool) -> HostArray:
    """Draw R: the identity with some whole numbers beside it, the first of them below 0."""
    R = np.eye(units)
    for number in range(beside if units > 1 else 0):
        i, j = d.rng.choice(units, size=2, replace=False)
        if d.conventions.assumes_symmetric_R:
            R[i, i] = 2  # else two units and −1 make a singular matrix
        R[max(i, j), min(i, j)] = -1 if number == 0 else d.rng.choice([-1, 1])
        if not d.conventions.assumes_symmetric_R and d.rng.random() < 1 / 2:
            R = R.T.copy()
    if dead:  # not the last: what is left has to say something
        R[0, :] = 0
        R[:, 0] = 0 if d.conventions.assumes_symmetric_R else R[:, 0]
    return d.symmetric_if_assumed(R)


def _candidates(d: Drawing, inputs: int, terms: float) -> HostArray:
    """Draw rows of W: with so many terms, and with more and larger ones in early tries."""
    top = max(1, 4 - d.attempt // 8)
    rows = d.rng.integers(-top, top + 1, size=(_CANDIDATES, inputs)).astype(float)
    share = max(min(1.0, terms / inputs), 1 - d.attempt / 15)
    rows = np.where(d.rng.random(rows.shape) < share, rows, 0.0)
    return rows[rows.any(axis=1)]


def _turned_to_one_side(d: Drawing, y0: HostArray, R: HostArray, rows: Rows) -> HostArray:
    """Change signs of samples so that there is a row of W, with both signs, for which they are above 0."""
    candidates = _candidates(d, y0.shape[1], 3)
    a = y0 @ R.T @ candidates.T
    usable = np.all(a != 0, axis=0)
    both = usable & (candidates.max(axis=1) > 0) & (candidates.min(axis=1) < 0)
    chosen = np.flatnonzero(both if both.any() else usable)
    return y0 * np.sign(a[:, chosen[:1]]) if chosen.size else y0


def _weights(d: Drawing, x: HostArray, units: int, rows: Rows, terms: float) -> HostArray:
    """Choose rows of W among good ones: small pre-activations first, each sample with some unit above 0."""
    candidates = _candidates(d, x.shape[1], terms)
    if rows.below.any():
        candidates = np.concatenate([candidates, _candidates(d, x.shape[1], terms) * rows.q])
    a = x @ candidates.T
    good = rows.good(a)
    if not good.any():
        return candidates[np.arange(units) % len(candidates)]  # no good: drawn again
    candidates, a = candidates[good], a[:, good]
    both = (candidates.max(axis=1) > 0) & (candidates.min(axis=1) < 0)
    # One row is worth what it shows: signs in itself, and a sample below 0; of equals the smallest, so that it fits.
    worth = 3 * both + 4 * (a < 0).any(axis=0) + 2 * ((a < 0).any(axis=0) & (a > 0).any(axis=0))
    worth = worth - np.abs(a).max(axis=0) / (rows.q * 8 if rows.below.any() else 8) + d.rng.random(len(candidates))
    taken: list[int] = []
    reached = np.zeros(len(x), dtype=bool)
    for unit in range(units):
        # the last unit is the one that is above 0 where no other is: else nothing would come through a ReLU
        last = unit == units - 1
        missed = ((a <= 0) & ~reached[:, None]).sum(axis=0) if last else 0
        again = 5 * np.isin(np.arange(len(worth)), taken)
        taken.append(int(np.argmax(worth - again - 10 * missed)))
        reached |= a[:, taken[-1]] > 0
    return candidates[taken]


def _biases(d: Drawing, a: HostArray, rows: Rows) -> HostArray:
    """Draw biases with which pre-activations are still good: small ones of both signs, or else 0."""
    found = np.zeros(a.shape[1])
    for unit in range(a.shape[1]):
        tried = d.rng.permutation([-2.0, -1.0, 1.0, 2.0, 3.0, -rows.q, rows.q])
        good = rows.good(a[:, unit : unit + 1] + tried)
        if good.any():
            found[unit] = tried[np.argmax(good)]
    return found


def _errors(d: Drawing, N: int, outputs: int, no_error: bool) -> HostArray:
    """Draw y* − y: none is 0 but where that is asked for."""
    top = max(1, 3 - d.attempt // 8)
    errors = d.rng.integers(1, top + 1, size=(N, outputs)) * d.rng.choice([-1.0, 1.0], size=(N, outputs))
    if no_error:
        errors[1], errors[:, 0] = 0, 0
    return np.asarray(errors)

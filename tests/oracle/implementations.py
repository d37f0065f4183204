"""Implementations made of pieces: the right ones, and each catalogued mistake."""

import numpy as np

from copi_ref.oracle.contract.pieces import forward, perturbations, right_pieces


class OfPieces:
    """The six functions of the contract in NumPy, from `copi_ref.oracle.contract.pieces`."""

    def __init__(self, pieces):
        self.pieces = pieces

    def copi_update(self, x, z, W):
        return self.pieces.copi(x, z, W)

    def sgd_update(self, x, delta):
        return self.pieces.sgd(x, delta)

    def decorrelation_update(self, x, R):
        return self.pieces.lateral(x, R)

    def forward(self, W, R, y0):
        found = forward(self.pieces, {"W": W, "R": R, "y0": y0}, {})
        return tuple([found[f"{name} of layer {at + 1}"] for at in range(len(W))] for name in "xay")

    def perturbations(self, W, R, x, a, y, target, B=None):
        inputs = {"W": W, "R": R, "a": a, "y": y, "target": target}
        found = perturbations(self.pieces, inputs if B is None else {**inputs, "B": B}, {})
        return [found[f"δ of layer {at + 1}"] for at in range(len(W))]

    def step(self, W, R, y0, target, eta_w, eta_r, B=None):
        inputs = {"W": W, "R": R, "y0": y0, "target": target, "eta_w": eta_w, "eta_r": eta_r}
        found = self.pieces.step(self.pieces, inputs if B is None else {**inputs, "B": B}, {})
        return (
            [A + eta_w * found[f"ΔW of layer {at + 1}"] for at, A in enumerate(W)],
            [A + eta_r * found[f"ΔR of layer {at + 1}"] for at, A in enumerate(R)],
        )


def right(conventions):
    return OfPieces(right_pieces(conventions))


def wrong(variant, conventions):
    """Return the implementation that makes this mistake, or None where the conventions leave it no meaning."""
    pieces = variant.change(right_pieces(conventions))
    return None if pieces is None else OfPieces(pieces)


def quietly(function, *arguments, **settings):
    """Call with NumPy's warnings off: wrong formulas divide by 0."""
    with np.errstate(all="ignore"):
        return function(*arguments, **settings)

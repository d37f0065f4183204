"""An implementation made of pieces: with the right ones COPI itself, with a variant's one that makes its mistake."""

from typing import Any

from copi_ref.oracle.contract.pieces import Pieces, forward, perturbations
from copi_ref.oracle.rounding import AnyArray

Layers = Any
"""A list of arrays, one a layer."""


class OfPieces:
    """The six functions of the contract on NumPy arrays, rows are samples."""

    def __init__(self, pieces: Pieces):
        self.pieces = pieces

    def copi_update(self, x: AnyArray, z: AnyArray, W: AnyArray) -> AnyArray:
        """Return ΔW."""
        return self.pieces.copi(x, z, W)

    def sgd_update(self, x: AnyArray, delta: AnyArray) -> AnyArray:
        """Return gradient descent's ΔW."""
        return self.pieces.sgd(x, delta)

    def decorrelation_update(self, x: AnyArray, R: AnyArray) -> AnyArray:
        """Return ΔR."""
        return self.pieces.lateral(x, R)

    def forward(self, W: Layers, R: Layers, y0: AnyArray) -> tuple[Layers, ...]:
        """Return x, a and y."""
        found = forward(self.pieces, {"W": W, "R": R, "y0": y0}, {})
        return tuple([found[f"{name} of layer {at + 1}"] for at in range(len(W))] for name in "xay")

    def perturbations(
        self, W: Layers, R: Layers, x: Layers, a: Layers, y: Layers, target: AnyArray, B: Layers = None
    ) -> Layers:
        """Return δ, the lowest layer's first."""
        inputs = {"W": W, "R": R, "a": a, "y": y, "target": target}
        found = perturbations(self.pieces, inputs if B is None else {**inputs, "B": B}, {})
        return [found[f"δ of layer {at + 1}"] for at in range(len(W))]

    def step(
        self, W: Layers, R: Layers, y0: AnyArray, target: AnyArray, eta_w: float, eta_r: float, B: Layers = None
    ) -> tuple[Layers, Layers]:
        """Return the new W and R."""
        inputs = {"W": W, "R": R, "y0": y0, "target": target, "eta_w": eta_w, "eta_r": eta_r}
        found = self.pieces.step(self.pieces, inputs if B is None else {**inputs, "B": B}, {})
        return (
            [A + eta_w * found[f"ΔW of layer {at + 1}"] for at, A in enumerate(W)],
            [A + eta_r * found[f"ΔR of layer {at + 1}"] for at, A in enumerate(R)],
        )

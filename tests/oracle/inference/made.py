"""Implementations of Inference Learning made of pieces: those of a mistake, or of other conventions."""

import numpy as np

from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.inference.right import right_rules


class Made:
    """What pieces give, as an implementation: in NumPy, with what its conventions say of arguments and results."""

    def __init__(self, rules, functions=()):
        self.rules = rules
        residual = [name for name, function in INFERENCE_FUNCTIONS.items() if function.by_residual]
        for name in functions or [name for name in INFERENCE_FUNCTIONS if name not in residual]:
            setattr(self, name, self._function(name))

    def _function(self, name):
        function = INFERENCE_FUNCTIONS[name]

        def call(*arguments):
            names = function.arguments
            if function.takes_pull and self.rules.conventions.output == "pulled":
                names = (*names, "target")
            if function.takes_biases and self.rules.conventions.biases != "none":
                names = (*names, "b")
            inputs = dict(zip(names, arguments, strict=True))
            dtype = np.asarray(inputs["y0"]).dtype
            found = function.expected(self.rules, inputs, {})
            return self._returned(name, {key: np.asarray(value, dtype=dtype) for key, value in found.items()}, inputs)

        return call

    def _returned(self, name, found, inputs):
        def of(symbol):
            return [value for key, value in found.items() if key.startswith(f"{symbol} of")]

        if name == "energy":
            F = found["F"]
            return F if self.rules.conventions.energy_reduction == "per-sample" else F[0]
        if name in ("weight_update", "prox_update"):
            return (of("ΔW"), of("Δb")) if "b" in inputs and name == "weight_update" else of("ΔW")
        if name == "step":
            eta = inputs["eta"]
            W = [w + w.dtype.type(eta) * change for w, change in zip(inputs["W"], of("ΔW"), strict=True)]
            if "b" not in inputs:
                return W
            return W, [b + b.dtype.type(eta) * change for b, change in zip(inputs["b"], of("Δb"), strict=True)]
        return of({"errors": "e", "predictions": "p"}.get(name, "h"))


def made(conventions, variant=None, functions=()):
    """An implementation of these conventions, or of a mistake besides; None where it has no room there."""
    rules = right_rules(conventions)
    if variant is not None:
        rules = variant.change(rules)
    return None if rules is None else Made(rules, functions)

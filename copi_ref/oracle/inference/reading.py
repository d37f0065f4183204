"""Reading what an implementation of Inference Learning returned."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray, to_numpy
from copi_ref.oracle.calling.reading import Reader, VerdictError, as_sequence, is_sequence, text_of
from copi_ref.oracle.contract.functions import AnyFunction
from copi_ref.oracle.contract.pieces import Inputs, Quantities

_LAYERS = "one array per layer"
_SYMBOLS = {"errors": "e", "predictions": "p", "start": "h", "infer": "h", "converge": "h"}
TOLD = {"start": "start", "states": "h", "errors": "e"}
"""What a `step` may tell in a dict behind the weights, and the symbol of each."""


class InferenceReader(Reader):
    """What results have to be; `conventions` are those of Inference Learning."""

    def read(self, function: AnyFunction, returned: Any, inputs: Inputs) -> Quantities:
        """Return results by name, as float64 arrays with samples in rows.

        Raises:
            VerdictError: it can't be compared.
        """
        try:
            return self._read(function.name, returned, inputs)
        except VerdictError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an object that pretends to be an array
            raise VerdictError(f"returned a {type(returned).__name__} that can't be read: {text_of(error)}") from error

    def _read(self, name: str, returned: Any, inputs: Inputs) -> Quantities:
        if name in _SYMBOLS:
            return self._states(f"{name} returned", _SYMBOLS[name], returned, inputs)
        if name == "energy":
            return {"F": self._energy(returned, inputs)}
        if name == "weight_update":
            return self._updates(returned, inputs)
        if name == "step":
            return self._step(returned, inputs)
        if name == "implicit_layer":
            return {"W⁺": self._array("W⁺", returned, inputs["W"].shape)}
        symbol = "ΔW" if name == "prox_update" else "W⁺"
        arrays = as_sequence(f"{name} returned", returned, len(inputs["W"]), _LAYERS)
        return self._weights(symbol, arrays, inputs["W"])

    def _states(self, what: str, symbol: str, returned: Any, inputs: Inputs) -> Quantities:
        arrays = as_sequence(what, returned, len(inputs["W"]), _LAYERS)
        names = [f"{symbol} of layer {layer}" for layer in range(1, len(arrays) + 1)]
        shapes = [(len(inputs["y0"]), len(W)) for W in inputs["W"]]
        found = zip(names, arrays, shapes, strict=True)
        return {name: self._array(name, array, shape, has_samples=True) for name, array, shape in found}

    def _weights(self, symbol: str, arrays: Any, like: Any) -> Quantities:
        pairs = enumerate(zip(arrays, like, strict=True), start=1)
        return {
            f"{symbol} of layer {layer}": self._array(f"{symbol} of layer {layer}", array, one.shape)
            for layer, (array, one) in pairs
        }

    def _energy(self, returned: Any, inputs: Inputs) -> HostArray:
        if self.conventions.as_dict()["energy_reduction"] == "per-sample":
            return self._array("F", returned, (len(inputs["y0"]),))
        if isinstance(returned, (int, float)):
            value = np.asarray([float(returned)])
        elif getattr(returned, "shape", None) == (1,):
            value = self._array("F", returned, (1,))
        else:
            self._array("F", returned, ())
            value = np.asarray(to_numpy(returned), dtype=np.float64).reshape(1)
        if not np.isfinite(value).all():
            raise VerdictError(f"returned {value[0]} for F, from finite arguments")
        return value

    def _updates(self, returned: Any, inputs: Inputs) -> Quantities:
        W, b = self._with_biases("weight_update returned", returned, inputs, "ΔW", "Δb")
        return self._ordered(self._weights("ΔW", W, inputs["W"]), self._weights("Δb", b, inputs["b"]) if b else {})

    @staticmethod
    def _ordered(W: Quantities, b: Quantities) -> Quantities:
        """Layer by layer, as they are expected."""
        return {name: one for pair in zip(W.items(), b.items(), strict=True) for name, one in pair} if b else W

    def _with_biases(self, what: str, returned: Any, inputs: Inputs, W: str, b: str) -> tuple[Any, Any]:
        """Return the weights and the biases of each layer; None for biases where the network has none."""
        layers = len(inputs["W"])
        if "b" not in inputs:
            return as_sequence(what, returned, layers, f"{W}, {_LAYERS}"), None
        parts = as_sequence(what, returned, 2, f"({W}, {b}), each with {_LAYERS}")
        first, second = (as_sequence(f"{s} is", part, layers, _LAYERS) for s, part in zip((W, b), parts, strict=True))
        return first, second

    def _step(self, returned: Any, inputs: Inputs) -> Quantities:
        """Return ΔW and Δb, recovered from the new weights; and the states that were told."""
        told: Quantities = {}
        if is_sequence(returned) and len(returned) and isinstance([*returned][-1], Mapping):
            *rest, states = returned
            returned = rest if "b" in inputs else rest[0]
            for name, symbol in TOLD.items():
                if name in states:
                    told |= self._states(f"{name} are", symbol, states[name], inputs)
        W, b = self._with_biases("step returned", returned, inputs, "W", "b")
        new_W = self._weights("W", W, inputs["W"])
        new_b = self._weights("b", b, inputs["b"]) if b else {}
        return told | self._ordered(_recovered(new_W, inputs), _recovered(new_b, inputs))


def _recovered(new: Quantities, inputs: Inputs) -> Quantities:
    """(W⁺ − W)/η of every layer."""
    return {
        f"Δ{name}": (array - inputs[name[0]][layer]) / inputs["eta"] for layer, (name, array) in enumerate(new.items())
    }

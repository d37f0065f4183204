"""Reading what somebody else's code returned: plain NumPy out, or a verdict that says what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.arrays.backend import Array, HostArray, Namespace, device_of, float_name, namespace, to_numpy
from copi_ref.oracle.calling.shown import shown
from copi_ref.oracle.contract.functions import AnyConventions, AnyFunction
from copi_ref.oracle.contract.pieces import Inputs, Quantities
from copi_ref.oracle.rounding import Precision


class VerdictError(Exception):
    """What is wrong with a call, in words: it raised, or returned something that can't be compared.

    `shape_or_raised` says whether samples on the other axis might explain it, `is_stub` whether the code itself says
    that it is not implemented.
    """

    def __init__(self, message: str, shape_or_raised: bool = False, is_stub: bool = False):
        super().__init__(message)
        self.shape_or_raised = shape_or_raised
        self.is_stub = is_stub


@dataclass(frozen=True)
class Reader:
    """What results have to be.

    Args:
        conventions: which say on which axis samples are, and what there is.
        precision: gives the dtype.
        xp: the array library.
        device: where they have to lie.
    """

    conventions: AnyConventions
    precision: Precision
    xp: Namespace
    device: Any

    def read(self, function: AnyFunction, returned: Any, inputs: Inputs) -> Quantities:
        """Return results by name, as float64 arrays with samples in rows.

        Raises:
            VerdictError: it can't be compared.
        """
        read = {"forward": self._forward, "perturbations": self._perturbations, "step": self._step}
        try:
            if function.name in read:
                return read[function.name](returned, inputs)
            return {function.result: self._array(function.result, returned, _shape(function, inputs))}
        except VerdictError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an object that pretends to be an array
            raise VerdictError(f"returned a {type(returned).__name__} that can't be read: {text_of(error)}") from error

    def _forward(self, returned: Any, inputs: Inputs) -> Quantities:
        symbols = "xay" if self.conventions.has_R else "ay"
        needed = f"({', '.join(symbols)}), each with one array per layer"
        parts = as_sequence("forward returned", returned, len(symbols), needed)
        return self._by_layer(dict(zip(symbols, parts, strict=True)), inputs)

    def _perturbations(self, returned: Any, inputs: Inputs) -> Quantities:
        found = self._by_layer({"δ": returned}, inputs)
        return dict(reversed(found.items()))  # the highest first, as they are computed

    def _step(self, returned: Any, inputs: Inputs) -> Quantities:
        """Return ΔW, ΔR and Δb, recovered from the new weights; and x, a, y, δ if a dict of them was returned last."""
        own: Quantities = {}
        letters = "W" + "R" * self.conventions.has_R + "b" * self.conventions.biases
        if is_sequence(returned) and len(returned) == len(letters) + 1 and isinstance([*returned][-1], Mapping):
            *returned, states = returned
            symbols = {"x": "x", "a": "a", "y": "y", "delta": "δ"}
            own = self._by_layer({symbols[name]: part for name, part in states.items() if name in symbols}, inputs)
        elif letters == "W" and not (is_sequence(returned) and all(map(is_sequence, returned))):
            returned = (returned,)  # W alone need not be in a tuple of its own
        parts = as_sequence("step returned", returned, len(letters), f"({', '.join(letters)})")
        new = {
            letter: as_sequence(f"{letter} is", part, len(inputs["W"]), "one array per layer")
            for letter, part in zip(letters, parts, strict=True)
        }
        for layer in range(len(inputs["W"]), 0, -1):
            for letter in letters:
                before = inputs[letter][layer - 1]
                after = self._array(f"{letter} of layer {layer}", new[letter][layer - 1], before.shape)
                own[f"Δ{letter} of layer {layer}"] = (after - before) / inputs["eta_r" if letter == "R" else "eta_w"]
        return own

    def _by_layer(self, lists: dict[str, Any], inputs: Inputs) -> Quantities:
        """Return arrays with a sample axis by symbol and layer, the lowest layer first."""
        samples, Ws = len(inputs["target"] if "target" in inputs else inputs["y0"]), inputs["W"]
        checked = {
            symbol: as_sequence(f"{symbol} is", part, len(Ws), "one array per layer") for symbol, part in lists.items()
        }
        return {
            name: self._array(name, arrays[at], (samples, W.shape[1 if symbol == "x" else 0]), has_samples=True)
            for at, W in enumerate(Ws)
            for symbol, arrays in checked.items()
            for name in (f"{symbol} of layer {at + 1}",)
        }

    def _array(self, name: str, value: Any, shape: tuple[int, ...], has_samples: bool = False) -> HostArray:
        """Check what was returned as one array, and return it as float64 with samples in rows."""
        turned = has_samples and self.conventions.samples == "columns"
        needed = shape[::-1] if turned else shape
        self._check_kind(name, value, needed)
        if tuple(value.shape) != needed:
            hint = "; that is the transpose" if tuple(value.shape) == needed[::-1] else ""
            raise VerdictError(f"returned {name} of shape {tuple(value.shape)}: needs {needed}{hint}", True)
        _check_dtype(name, value, self.precision)
        host = np.asarray(to_numpy(value), dtype=np.float64)
        if not np.isfinite(host).all():
            at = tuple(int(index) for index in np.argwhere(~np.isfinite(host))[0])
            raise VerdictError(f"returned {host[at]} in {name}{list(at)}, from finite arguments")
        return host.T if turned else host

    def _check_kind(self, name: str, value: Any, needed: tuple[int, ...]) -> None:
        """Check that it is an array of the library, where its arguments were."""
        library = self.xp.__name__.rpartition(".")[2]
        if value is None:
            raise VerdictError(f"returned None for {name}: needs an array of shape {needed}")
        try:
            found = namespace(value)
        except TypeError:
            kind = type(value).__name__
            raise VerdictError(
                f"returned a {kind} for {name}: needs an array of shape {needed}, of {library}"
            ) from None
        if isinstance(value, (np.ma.MaskedArray, np.matrix)):
            raise VerdictError(f"returned a {type(value).__name__} for {name}: needs a plain array")
        if found is not self.xp:
            other = type(value).__module__.partition(".")[0]
            raise VerdictError(f"returned a {other} array for {name}: arrays of {library} came in")
        if device_of(value) != self.device:
            raise VerdictError(f"returned {name} on {device_of(value)}: its arguments were on {self.device}")


def _shape(function: AnyFunction, inputs: Inputs) -> tuple[int, ...]:
    """The shape of ΔW, from z or δ and x, or that of ΔR."""
    inputs_of_layer = inputs["x"].shape[1]
    return (inputs_of_layer if function.result == "ΔR" else inputs["z"].shape[1], inputs_of_layer)


def is_sequence(value: Any) -> bool:
    """Whether it is things in an order that can be read again: a list, a tuple, a deque, an `nn.ParameterList` …

    PyTorch's lists are no `collections.abc.Sequence`: what counts is a length and an iterator. An array has both, and
    is one thing, unless it is there to hold others: one axis, of objects. Keys and sets are no results; a generator is
    gone after one reading.
    """
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.ndim == 1
    if isinstance(value, (str, bytes, bytearray, Mapping, Set)) or hasattr(value, "keys") or hasattr(value, "dtype"):
        return False
    return all(hasattr(type(value), name) for name in ("__len__", "__iter__"))


def as_sequence(what: str, value: Any, length: int, needed: str) -> Sequence[Any]:
    """Return the things in an order, as many as are needed; else it is a VerdictError."""
    if not is_sequence(value):
        hint = "; list() of it is one" if isinstance(value, Iterator) else ""
        raise VerdictError(f"{what} a {type(value).__name__}: needs {needed}, as a tuple or list{hint}")
    things = [*value]
    if len(things) != length:
        raise VerdictError(f"{what} {len(things)} things: needs {length}, {needed}")
    return things


def _check_dtype(name: str, array: Array, precision: Precision) -> None:
    try:
        dtype = float_name(array.dtype)
    except TypeError:
        dtype = str(array.dtype)
    if dtype != precision.dtype:
        raise VerdictError(f"returned {name} as {dtype}: its arguments were {precision.dtype}")


def text_of(error: BaseException) -> str:
    """The first line of what an error says, if it can be had."""
    return shown((whole_text_of(error).strip().splitlines() or [""])[0])


def whole_text_of(error: BaseException) -> str:
    """All that an error says, if it can be had."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # somebody else's __str__
        return "(no text)"

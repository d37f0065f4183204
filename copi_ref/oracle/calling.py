"""Calling somebody else's code: its own kind of arrays in, plain NumPy out, and a verdict instead of a traceback."""

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copi_ref.backend import Array, HostArray, Namespace, device_of, float_name, from_numpy, namespace, to_numpy
from copi_ref.oracle.conventions import Conventions
from copi_ref.oracle.functions import SAMPLES_FIRST, Function
from copi_ref.oracle.pieces import Inputs, Quantities
from copi_ref.oracle.program import ProgramError
from copi_ref.oracle.rounding import Precision

_HERE = Path(__file__).parent


class VerdictError(Exception):
    """What is wrong with a call, in words: it raised, or returned something that can't be compared.

    `shape_or_raised` says whether samples on the other axis might explain it.
    """

    def __init__(self, message: str, shape_or_raised: bool = False):
        super().__init__(message)
        self.shape_or_raised = shape_or_raised


def has(implementation: Any, name: str) -> bool:
    """Whether an implementation has a function of that name."""
    try:
        return callable(getattr(implementation, name, None))
    except KeyboardInterrupt:
        raise
    except BaseException:  # a property of somebody else's, which may do anything
        return False


class Answer(NamedTuple):
    """What a call returned, read and as it was."""

    quantities: Quantities
    returned: Any


@dataclass(frozen=True)
class Caller:
    """How to talk to an implementation.

    Args:
        implementation: any object with some of the functions.
        conventions: of which `samples` matters here.
        precision: gives the dtype.
        xp: its array library.
        device: where its arrays have to lie; None: that library's default.
    """

    implementation: Any
    conventions: Conventions
    precision: Precision
    xp: Namespace
    device: Any = None

    def has(self, name: str) -> bool:
        """Whether the implementation has a function of that name."""
        return has(self.implementation, name)

    def call(self, function: Function, inputs: Inputs, strided: bool = False) -> "Answer":
        """Call a function; its results by name are float64 arrays with samples in rows.

        Raises:
            VerdictError: it raised, changed an argument, or returned what can't be compared.
        """
        arguments = [self._there(name, inputs[name], strided) for name in function.arguments_given(inputs)]
        try:
            # As without pytest's or the user's settings: what overflows on the way may still be right.
            with np.errstate(all="ignore"):
                returned = getattr(self.implementation, function.name)(*arguments)
        except ProgramError as error:
            raise VerdictError(str(error)) from error
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit and pytest's skip among them
            raise VerdictError(_what_was_raised(error) + self._hint(error), shape_or_raised=True) from error
        quantities = self._read(function, returned, inputs)
        self._check_unchanged(function, inputs, arguments)
        return Answer(quantities, returned)

    def still_says(self, function: Function, inputs: Inputs, answer: "Answer") -> bool:
        """Whether what was returned earlier is still what it was: memory may have been used again."""
        try:
            again = self._read(function, answer.returned, inputs)
        except VerdictError:
            return False
        return all(bool(np.array_equal(again[name], value)) for name, value in answer.quantities.items())

    def _hint(self, error: BaseException) -> str:
        """Say what is forgotten first: which library arrays are of."""
        others = [name for name in ("torch", "jax", "cupy") if name in sys.modules]
        if isinstance(error, (TypeError, AttributeError)) and self.xp.__name__.endswith("numpy") and others:
            return f"; its arguments were NumPy arrays: pass xp={others[0]} if it takes others"
        return ""

    # --- there ---

    def _there(self, name: str, value: Any, strided: bool) -> Any:
        """Bring an argument into the implementation's library: a new copy at each call."""
        if isinstance(value, (tuple, list)):
            return [self._there(name, one, strided) for one in value]
        if not isinstance(value, np.ndarray):
            return value
        turned = self._turned(name, value)
        if strided:
            return from_numpy(np.ascontiguousarray(turned.T), self.xp, self.precision.dtype, self.device).mT
        return from_numpy(turned, self.xp, self.precision.dtype, self.device)

    def _turned(self, name: str, array: HostArray) -> HostArray:
        columns = self.conventions.samples == "columns" and name in SAMPLES_FIRST
        return np.ascontiguousarray(array.T) if columns else array

    def _check_unchanged(self, function: Function, inputs: Inputs, arguments: list[Any]) -> None:
        for name, argument in zip(function.arguments_given(inputs), arguments, strict=True):
            sent = inputs[name]
            pairs = (
                [(f"{name} of layer {at + 1}", *pair) for at, pair in enumerate(zip(sent, argument, strict=False))]
                if isinstance(sent, (tuple, list))
                else [(name, sent, argument)]
            )
            if isinstance(sent, (tuple, list)) and len(argument) != len(sent):
                raise VerdictError(f"changes its argument {name}: the list had {len(sent)} entries")
            for label, before, after in pairs:
                if isinstance(before, np.ndarray) and not _same(self._turned(name, before), after):
                    raise VerdictError(f"changes its argument {label} in place: work on a copy")

    # --- and back ---

    def _read(self, function: Function, returned: Any, inputs: Inputs) -> Quantities:
        read = {"forward": self._read_forward, "perturbations": self._read_perturbations, "step": self._read_step}
        try:
            if function.name in read:
                return read[function.name](function, returned, inputs)
            shape = inputs["R" if function.result == "ΔR" else "W"].shape if function.name != "sgd_update" else None
            shape = shape or (inputs["delta"].shape[1], inputs["x"].shape[1])
            return {function.result: self._array(function.result, returned, shape)}
        except VerdictError:
            raise
        except Exception as error:  # an object that pretends to be an array
            raise VerdictError(f"returned a {type(returned).__name__} that can't be read: {_text(error)}") from error

    def _read_forward(self, function: Function, returned: Any, inputs: Inputs) -> Quantities:
        parts = self._sequence(f"{function.name} returned", returned, 3, function.result)
        found: Quantities = {}
        lists = [
            self._sequence(f"{name} is", part, len(inputs["W"]), "one array per layer")
            for name, part in zip("xay", parts, strict=True)
        ]
        samples = inputs["y0"].shape[0]
        for layer, (W, *arrays) in enumerate(zip(inputs["W"], *lists, strict=True), start=1):
            units, features = W.shape
            for name, array, width in zip("xay", arrays, (features, units, units), strict=True):
                label = f"{name} of layer {layer}"
                found[label] = self._array(label, array, (samples, width), samples_first=True)
        return found

    def _read_perturbations(self, function: Function, returned: Any, inputs: Inputs) -> Quantities:
        layers = len(inputs["W"])
        deltas = self._sequence(f"{function.name} returned", returned, layers, function.result)
        samples = inputs["target"].shape[0]
        return {
            f"δ of layer {layer}": self._array(
                f"δ of layer {layer}", deltas[layer - 1], (samples, inputs["W"][layer - 1].shape[0]), samples_first=True
            )
            for layer in range(layers, 0, -1)
        }

    def _read_step(self, function: Function, returned: Any, inputs: Inputs) -> Quantities:
        """Return ΔW and ΔR, recovered from the new weights; and x, a, y, δ if a dict of them was returned third."""
        layers = len(inputs["W"])
        own: Quantities = {}
        if isinstance(returned, (tuple, list)) and len(returned) == 3 and isinstance(returned[2], dict):
            *returned, states = returned
            own = self._read_states(states, inputs)
        parts = self._sequence(f"{function.name} returned", returned, 2, function.result)
        lists = [
            self._sequence(f"{name} is", part, layers, "one array per layer")
            for name, part in zip("WR", parts, strict=True)
        ]
        for layer in range(layers, 0, -1):
            for letter, new, eta in zip("WR", lists, (inputs["eta_w"], inputs["eta_r"]), strict=True):
                before = inputs[letter][layer - 1]
                after = self._array(f"{letter} of layer {layer}", new[layer - 1], before.shape)
                own[f"Δ{letter} of layer {layer}"] = (after - before) / eta
        return own

    def _read_states(self, states: dict[Any, Any], inputs: Inputs) -> Quantities:
        own: Quantities = {}
        layers, samples = len(inputs["W"]), inputs["y0"].shape[0]
        for name, symbol in (("x", "x"), ("a", "a"), ("y", "y"), ("delta", "δ")):
            if name in states:
                arrays = self._sequence(f"{name} is", states[name], layers, "one array per layer")
                for layer, (W, array) in enumerate(zip(inputs["W"], arrays, strict=True), start=1):
                    label, width = f"{symbol} of layer {layer}", W.shape[1 if name == "x" else 0]
                    own[label] = self._array(label, array, (samples, width), samples_first=True)
        return own

    def _sequence(self, what: str, value: Any, length: int, needed: str) -> Sequence[Any]:
        if not isinstance(value, (tuple, list)):
            raise VerdictError(f"{what} a {type(value).__name__}: needs {needed}, as a tuple or list")
        if len(value) != length:
            raise VerdictError(f"{what} {len(value)} things: needs {length}, {needed}")
        return value

    def _array(self, name: str, value: Any, shape: tuple[int, ...], samples_first: bool = False) -> HostArray:
        """Check what was returned as one array, and return it as float64 with samples in rows."""
        needed = shape[::-1] if samples_first and self.conventions.samples == "columns" else shape
        if value is None:
            raise VerdictError(f"returned None for {name}: needs an array of shape {needed}")
        try:
            found = namespace(value)
        except TypeError:
            raise VerdictError(
                f"returned a {type(value).__name__} for {name}: needs an array of shape {needed}, "
                f"of {self.xp.__name__.rpartition('.')[2]}"
            ) from None
        if isinstance(value, (np.ma.MaskedArray, np.matrix)):
            raise VerdictError(f"returned a {type(value).__name__} for {name}: needs a plain array")
        if found is not self.xp:
            raise VerdictError(
                f"returned a {type(value).__module__.partition('.')[0]} array for {name}: "
                f"arrays of {self.xp.__name__.rpartition('.')[2]} came in"
            )
        if tuple(value.shape) != needed:
            hint = "; that is the transpose" if tuple(value.shape) == needed[::-1] else ""
            raise VerdictError(f"returned {name} of shape {tuple(value.shape)}: needs {needed}{hint}", True)
        _check_dtype(name, value, self.precision)
        device = device_of(from_numpy(np.ones(1), self.xp, self.precision.dtype, self.device))
        if device_of(value) != device:
            raise VerdictError(f"returned {name} on {device_of(value)}: its arguments were on {device}")
        host = np.asarray(to_numpy(value), dtype=np.float64)
        if not np.isfinite(host).all():
            at = tuple(int(index) for index in np.argwhere(~np.isfinite(host))[0])
            raise VerdictError(f"returned {host[at]} in {name}{list(at)}, from finite arguments")
        return host.T if needed != shape or (samples_first and self.conventions.samples == "columns") else host


def _check_dtype(name: str, array: Array, precision: Precision) -> None:
    try:
        dtype = float_name(array.dtype)
    except TypeError:
        dtype = str(array.dtype)
    if dtype != precision.dtype:
        raise VerdictError(f"returned {name} as {dtype}: its arguments were {precision.dtype}")


def _same(before: HostArray, after: Array) -> bool:
    try:
        return bool(np.array_equal(before, np.asarray(to_numpy(after), dtype=np.float64)))
    except Exception:  # deleted or resized: no longer what it was
        return False


def _what_was_raised(error: BaseException) -> str:
    text = _text(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != _HERE]
    # The last line of the user's own code says more than one deep inside an array library.
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"raised {type(error).__name__}: {text}{where}"


def _text(error: BaseException) -> str:
    """The first line of what an error says, if it can be had."""
    try:
        return (str(error).strip().splitlines() or [""])[0][:200]
    except Exception:  # somebody else's __str__
        return "(no text)"


@dataclass(frozen=True)
class Rearranged:
    """An implementation with the results of one function in another order."""

    implementation: Any
    name: str
    rearrange: Callable[[Any], Any]

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.implementation, name)
        if name != self.name:
            return function
        return lambda *arguments: self.rearrange(function(*arguments))


REARRANGED: dict[str, dict[str, Callable[[Any], Any]]] = {
    "forward": {
        "returns (a, x, y) for (x, a, y)": lambda result: (result[1], result[0], result[2]),
        "returns (y, a, x) for (x, a, y)": lambda result: (result[2], result[1], result[0]),
        "returns the highest layer first": lambda result: tuple(part[::-1] for part in result),
    },
    "perturbations": {"returns the highest layer first": lambda result: result[::-1]},
    "step": {
        "returns (R, W) for (W, R)": lambda result: (result[1], result[0]),
        "returns the highest layer first": lambda result: tuple(part[::-1] for part in result),
    },
}
"""What a result of the wrong shape may be, in words, and what puts it right."""

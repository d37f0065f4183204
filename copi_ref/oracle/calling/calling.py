"""Calling somebody else's code with its own kind of arrays: a verdict comes of it, and never a traceback."""

import dis
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from copi_ref.arrays.backend import Array, HostArray, Namespace, device_of, from_numpy, to_numpy
from copi_ref.oracle.calling.arguments import as_given
from copi_ref.oracle.calling.fresh import NO_COPIES, Fresh
from copi_ref.oracle.calling.program import Program, ProgramError
from copi_ref.oracle.calling.reading import Reader, VerdictError, text_of
from copi_ref.oracle.calling.running import running
from copi_ref.oracle.contract.functions import SAMPLES_FIRST, AnyConventions, AnyFunction
from copi_ref.oracle.contract.pieces import Inputs, Quantities
from copi_ref.oracle.rounding import Precision

_HERE = Path(__file__).parent


def has(implementation: Any, name: str) -> bool:
    """Whether an implementation has a function of that name."""
    try:
        with running(f"looking for {name}"):
            found = getattr(implementation, name, None)
            # PyTorch's modules have a `forward` that stands for none.
            return callable(found) and getattr(found, "__name__", "") != "_forward_unimplemented"
    except KeyboardInterrupt:
        raise
    except BaseException:  # a property of somebody else's, which may do anything
        return False


def takes_self(implementation: Any, name: str) -> bool:
    """Whether an implementation is a class, and a function of it takes an object of the class first."""
    function = inspect.getattr_static(implementation, name, None) if isinstance(implementation, type) else None
    return isinstance(function, FunctionType) and function.__code__.co_varnames[:1] == ("self",)


class Answer(NamedTuple):
    """What a call returned, read and as it was."""

    quantities: Quantities
    returned: Any


class Call(NamedTuple):
    """A call that was made."""

    function: AnyFunction
    inputs: Inputs
    strided: bool


@dataclass(frozen=True)
class Caller:
    """How to talk to an implementation.

    Args:
        implementation: any object with some of the functions.
        conventions: of which `samples` matters here.
        precision: gives the dtype.
        xp: its array library.
        device: where its arrays have to lie; None: that library's default.
        fresh: where new copies of the implementation come from.
        history: the calls that were made, whatever came of them.
        read_by: what reads its results.
    """

    implementation: Any
    conventions: AnyConventions
    precision: Precision
    xp: Namespace
    device: Any = None
    fresh: Fresh = NO_COPIES
    history: list[Call] = field(default_factory=list, compare=False)
    read_by: type[Reader] = Reader

    @cached_property
    def _reader(self) -> Reader:
        device = device_of(from_numpy(np.ones(1), self.xp, self.precision.dtype, self.device))
        return self.read_by(self.conventions, self.precision, self.xp, device)

    def has(self, name: str) -> bool:
        """Whether the implementation has a function of that name."""
        return has(self.implementation, name)

    @property
    def has_ended(self) -> bool:
        """Whether it is a program that answers no more."""
        return isinstance(self.implementation, Program) and self.implementation.has_ended

    def call(self, function: AnyFunction, inputs: Inputs, strided: bool = False) -> "Answer":
        """Call a function; its results by name are float64 arrays with samples in rows.

        Raises:
            VerdictError: it raised, changed an argument, or returned what can't be compared.
        """
        self.history.append(Call(function, inputs, strided))
        given = as_given(self.conventions, inputs)
        arguments = [self._there(name, given[name], strided) for name in function.arguments_given(self.conventions)]
        with running(function.name):
            returned = self._returned(function, arguments)
            quantities = self._reader.read(function, returned, inputs)
            self._check_unchanged(function, given, arguments)
        return Answer(quantities, returned)

    def _returned(self, function: AnyFunction, arguments: list[Any]) -> Any:
        try:
            return getattr(self.implementation, function.name)(*arguments)
        except ProgramError as error:
            raise VerdictError(str(error)) from error
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit and pytest's skip among them
            says = _what_was_raised(error) + self._hint(error, function.name)
            raise VerdictError(says, shape_or_raised=True, is_stub=_is_of_a_stub(error)) from error

    def still_says(self, function: AnyFunction, inputs: Inputs, answer: "Answer") -> bool:
        """Whether what was returned earlier is still what it was: memory may have been used again."""
        try:
            again = self._reader.read(function, answer.returned, inputs)
        except VerdictError:
            return False
        return all(bool(np.array_equal(again[name], value)) for name, value in answer.quantities.items())

    def _hint(self, error: BaseException, name: str) -> str:
        """Say what is forgotten first: to make an object of a class, or which library arrays are of."""
        if takes_self(self.implementation, name):
            of = self.implementation.__name__
            return f"; {of} is a class and {name} takes self: pass an instance, as in mine = {of}(…), or make it static"
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
        if value.dtype.kind == "i":  # indices
            return from_numpy(value, self.xp, device=self.device)
        turned = self._turned(name, value)
        if strided and value.ndim > 1:
            return from_numpy(np.ascontiguousarray(turned.T), self.xp, self.precision.dtype, self.device).mT
        return from_numpy(turned, self.xp, self.precision.dtype, self.device)

    def _turned(self, name: str, array: HostArray) -> HostArray:
        columns = self.conventions.samples == "columns" and name in SAMPLES_FIRST
        return np.ascontiguousarray(array.T) if columns else array

    def _check_unchanged(self, function: AnyFunction, inputs: Inputs, arguments: list[Any]) -> None:
        for name, argument in zip(function.arguments_given(self.conventions), arguments, strict=True):
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


def _same(before: HostArray, after: Array) -> bool:
    try:
        return bool(np.array_equal(before, np.asarray(to_numpy(after), dtype=np.float64)))
    except Exception:  # deleted or resized: no longer what it was
        return False


def _what_was_raised(error: BaseException) -> str:
    text = text_of(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != _HERE]
    # The last line of the user's own code says more than one deep inside an array library.
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"raised {type(error).__name__}: {text}{where}"


def _is_of_a_stub(error: BaseException) -> bool:
    """Whether the user's own code raises NotImplementedError: libraries do it too, where they lack a dtype."""
    if type(error) is not NotImplementedError:
        return False
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None:
        return False
    code = at.tb_frame.f_code
    return dis.opname[code.co_code[at.tb_lasti]] == "RAISE_VARARGS" and "site-packages" not in code.co_filename


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
        "returns the highest layer first": lambda result: tuple([*part][::-1] for part in result),
    },
    "perturbations": {"returns the highest layer first": lambda result: [*result][::-1]},
    "step": {
        "returns (R, W) for (W, R)": lambda result: (result[1], result[0]),
        "returns the highest layer first": lambda result: tuple([*part][::-1] for part in result),
    },
}
"""What a result of the wrong shape may be, in words, and what puts it right."""

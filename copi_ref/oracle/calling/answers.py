"""What goes to a program and comes back: arrays as lists of numbers."""

from typing import Any

import numpy as np

from copi_ref.arrays.backend import Array, device_of, from_numpy, namespace, to_numpy
from copi_ref.oracle.calling.shown import shown
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import AnyConventions, AnyFunction


class ProgramError(RuntimeError):
    """The program can't be started, died, does not answer, or does not speak the protocol."""


def first_array(arguments: tuple[Any, ...]) -> Array:
    """Return the array that results have to be like."""
    value = arguments[0]
    while isinstance(value, list) and hasattr(value[0], "dtype"):
        value = value[0]
    return value if hasattr(value, "dtype") else np.asarray(value)


def plain(value: Any) -> Any:
    """Return arrays as lists of Python floats, which json writes so that they read back the same."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not hasattr(value, "dtype"):
        return value
    host = to_numpy(value)
    return host.tolist() if host.dtype.kind == "i" else host.astype(np.float64).tolist()


def read_result(function: AnyFunction, conventions: AnyConventions, result: Any, like: Array) -> Any:
    """Return what a function of Python would have returned.

    Raises:
        ProgramError: it is something else than lists of numbers.
    """
    read = _of_copi if isinstance(conventions, Conventions) else _of_inference
    return read(function, conventions, result, like)


def _of_copi(function: AnyFunction, conventions: AnyConventions, result: Any, like: Array) -> Any:
    if function.name == "forward":
        return tuple(_arrays(_entry(result, name), like) for name in ("xay" if conventions.has_R else "ay"))
    if function.name == "perturbations":
        return _arrays(result, like)
    if function.name == "step":
        letters = "W" + "R" * conventions.has_R + "b" * conventions.biases
        new = [_arrays(_entry(result, letter), like) for letter in letters]
        states = {name: _arrays(result[name], like) for name in ("x", "a", "y", "delta") if name in result}
        return (*new, states)
    return _array(result, like)


def _of_inference(function: AnyFunction, conventions: AnyConventions, result: Any, like: Array) -> Any:
    """Results of Inference Learning: lists of arrays, as they came, but for objects."""
    if function.name == "step":
        told = {name: _arrays(result[name], like) for name in ("start", "states", "errors") if name in result}
        b = (_arrays(result["b"], like),) if "b" in result else ()
        return (_arrays(_entry(result, "W"), like), *b, told)
    if function.name == "weight_update" and isinstance(result, dict):
        return _arrays(_entry(result, "W"), like), _arrays(_entry(result, "b"), like)
    if function.name in ("energy", "implicit_layer"):
        return result if type(result) in (int, float) else _array(result, like)
    return _arrays(result, like)


def _entry(result: Any, name: str) -> Any:
    if not isinstance(result, dict) or name not in result:
        raise ProgramError(f"answered {shown(repr(result), 100)}: needs an object with {name!r}")
    return result[name]


def _arrays(value: Any, like: Array) -> list[Array]:
    if not isinstance(value, list):
        raise ProgramError(f"answered {shown(repr(value), 100)}: needs a list of matrices, one per layer")
    return [_array(one, like) for one in value]


def _array(value: Any, like: Array) -> Array:
    try:
        if not _is_of_numbers(value):
            raise TypeError(value)
        with np.errstate(over="ignore"):
            host = np.asarray(value, dtype=np.float64)  # null becomes NaN
            return from_numpy(host, namespace(like), like.dtype, device_of(like))
    except (TypeError, ValueError, OverflowError):
        came = shown(repr(value), 100)
        raise ProgramError(f"answered {came}: needs a matrix as a list of rows of numbers") from None


def _is_of_numbers(value: Any) -> bool:
    """Whether it is numbers, or null, in lists: NumPy reads texts and true as numbers too."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif one is not None and type(one) not in (int, float):
            return False
    return True

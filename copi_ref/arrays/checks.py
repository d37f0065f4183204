"""Argument checks in one style: the argument's name, what came, what is needed."""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np

from copi_ref.arrays import backend
from copi_ref.arrays.backend import Array, HostArray, Namespace

_MEANING = {"N": "samples", "K": "features", "M": "units"}


def arrays(**named: tuple[Array, str]) -> Namespace:
    """Check arrays against their shapes and return their namespace.

    Each keyword is an argument's name with ``(array, axes)``, where `axes` names the trailing axes by letters:
    ``arrays(x=(x, "NK"), W=(W, "MK"))``. The same letter has to have the same length everywhere; leading axes
    (the ensemble) have to broadcast; all dtypes have to be equal and floating, or objects that are Fractions.

    Raises:
        TypeError: something is no array, not floating, or of another library or dtype than the first.
        ValueError: a shape does not fit, or there are no samples.
    """
    if _plainly_fit(named):
        return backend.numpy_namespace()
    xp = _namespace(named)
    _check_dtypes(xp, named)
    _check_shapes(named)
    return xp


def _plainly_fit(named: dict[str, tuple[Array, str]]) -> bool:
    """Whether all are NumPy's, of one floating dtype, without an ensemble axis, and fit: in a step the commonest."""
    lengths: dict[str, int] = {}
    dtype = None
    for array, axes in named.values():
        if not _is_plain(array) or array.ndim != len(axes):
            return False
        if dtype is None:
            dtype = array.dtype
        if array.dtype != dtype:
            return False
        for axis, length in zip(axes, array.shape, strict=True):
            if length == 0 or lengths.setdefault(axis, length) != length:
                return False
    return True


def _is_plain(array: Array) -> bool:
    """Whether an array is NumPy's own, in half, single or double precision."""
    return type(array) is np.ndarray and array.dtype.char in "efd"


def same_length(**named: tuple[Any, int]) -> None:
    """Check that tuples with one entry a layer have the lengths that are needed.

    Raises:
        ValueError: a length is another one.
    """
    for name, (entries, needed) in named.items():
        if len(entries) != needed:
            raise ValueError(f"{name} has {len(entries)} entries: needs {needed} for this network")


def floating(name: str, array: Array) -> Namespace:
    """Check one array of any shape and return its namespace; the same errors as `arrays`."""
    if _is_plain(array):
        return backend.numpy_namespace()
    xp = _namespace({name: (array, "")})
    _check_dtypes(xp, {name: (array, "")})
    return xp


def not_exact(function: str, array: Array) -> None:
    """Refuse exact arrays where the function is not rational.

    Raises:
        TypeError: the array holds Fractions.
    """
    if is_exact(array):
        raise TypeError(
            f"{function} is not rational, so it has no exact result: it came with an array of Fractions, "
            "and needs a floating dtype"
        )


def is_exact(array: Array) -> TypeGuard[HostArray]:
    """Whether an array is a NumPy object array, which here always holds Fractions."""
    return isinstance(array, np.ndarray) and array.dtype == object


def instance(name: str, value: Any, kind: type, example: str = "") -> None:
    """Check that an argument is of a class of this library; `example` says how to come by one.

    Raises:
        TypeError: it is of another, or the class itself.
    """
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}: needs an instance{example and f', as {example}'}")
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        needed = f"{article} {kind.__name__}{example and f', as {example}'}"
        raise TypeError(f"{name} is a {type(value).__name__}: needs {needed}")


def choice(name: str, value: Any, table: Mapping[Any, Any]) -> Any:
    """Return ``table[value]``.

    Raises:
        ValueError: no such entry; the message lists those there are.
    """
    try:
        return table[value]
    except (KeyError, TypeError):
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(map(repr, table))}") from None


def number(name: str, value: Any, minimum: float | None = None) -> None:
    """Check that a setting is a finite number, or an array of numbers with an ensemble axis, and not too small.

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite or below `minimum`.
    """
    if hasattr(value, "shape") and value.shape != ():
        _ensemble_numbers(name, value, minimum)
        return
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {value!r}: needs a number")
    if not np.isfinite(float(value)):
        raise ValueError(f"{name} is {value}: needs a finite number")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} is {value}: needs at least {minimum}")


def one_number(name: str, value: Any, minimum: float | None = None, maximum: float | None = None) -> None:
    """Check that a setting is a single finite number, the same for a whole ensemble, and within its limits.

    Raises:
        TypeError: it is no number, or an array of them.
        ValueError: it is not finite, below `minimum` or above `maximum`.
    """
    if getattr(value, "shape", ()) != ():
        raise TypeError(f"{name} has shape {tuple(value.shape)}: needs one number")
    number(name, value, minimum)
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} is {value}: needs at most {maximum}")


def positive_number(name: str, value: Any) -> None:
    """Check that a setting is a single finite number above 0; errors as `one_number`."""
    one_number(name, value, minimum=0)
    if value == 0:
        raise ValueError(f"{name} is 0: needs a number above 0")


def _ensemble_numbers(name: str, values: Array, minimum: float | None) -> None:
    if tuple(values.shape[-2:]) != (1, 1):
        raise ValueError(f"{name} has shape {tuple(values.shape)}: needs (…, 1, 1), one number per ensemble member")
    if isinstance(values, np.ndarray):  # elsewhere perhaps on a device, which looking at them would stall
        for value in values.flat:
            number(name, value, minimum)


def whole_number(name: str, value: Any, minimum: int, maximum: int | None = None) -> None:
    """Check that a setting is an integer of at least `minimum`, and at most `maximum` if there is one.

    Raises:
        TypeError: it is no integer.
        ValueError: it is too small or too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}: needs a whole number")
    if value < minimum:
        raise ValueError(f"{name} is {value}: needs at least {minimum}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} is {value}: needs at most {maximum}")


def generator(name: str, value: Any) -> None:
    """Check that an argument is a NumPy random generator.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} is {value!r}: needs a numpy.random.Generator, as default_rng(0) gives")


def coefficient(name: str, value: Any, like: Array) -> Any:
    """Bring a factor such as η into a form that leaves the dtype of `like` as it is.

    A ``np.float64`` or a 0-d array would turn float32 into float64; a float would turn Fractions into floats. An
    array, an ensemble's η of shape (S, 1, 1), is moved to the dtype and device of `like`.

    Raises:
        TypeError: `like` is exact and the factor is a float.
    """
    if is_exact(like):
        if is_exact(value):
            return value
        if not isinstance(value, (int, Fraction)):
            raise TypeError(f"{name} is {value!r}, but the arrays are exact: needs an int or a Fraction")
        return Fraction(value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, np.ndarray):
        return backend.from_numpy(value, backend.namespace(like), like.dtype, backend.device_of(like))
    if hasattr(value, "dtype"):
        xp = backend.namespace(like)
        if backend.namespace(value) is not xp or backend.device_of(value) != backend.device_of(like):
            return coefficient(name, backend.to_numpy(value), like)
        return xp.astype(value, like.dtype, copy=False)
    return value if isinstance(value, int) else float(value)


def _namespace(named: dict[str, tuple[Array, str]]) -> Namespace:
    for name, (array, _) in named.items():
        if not hasattr(array, "shape") or not hasattr(array, "dtype") or isinstance(array, np.generic):
            raise TypeError(f"{name} is a {type(array).__name__}: needs an array (numpy, cupy, torch, jax …)")
    try:
        return backend.namespace(*(array for array, _ in named.values()))
    except TypeError:
        kinds = ", ".join(f"{name} is a {_kind(array)}" for name, (array, _) in named.items())
        raise TypeError(f"{kinds}: needs arrays of one library that follows the array-API standard") from None


def _kind(array: Array) -> str:
    return f"{type(array).__module__.partition('.')[0]} {type(array).__name__}"


def _check_dtypes(xp: Namespace, named: dict[str, tuple[Array, str]]) -> None:
    first, (leader, _) = next(iter(named.items()))
    for name, (array, _) in named.items():
        if array.dtype != leader.dtype:
            raise TypeError(f"{name} has dtype {array.dtype} but {first} has {leader.dtype}: cast one of them")
        if is_exact(array):
            for entry in array.flat:
                # Fraction(np.int64(…)) keeps the np.int64 inside, which overflows
                if not (isinstance(entry, Fraction) and type(entry.numerator) is type(entry.denominator) is int):
                    raise TypeError(
                        f"{name} is an object array that holds a {type(entry).__name__}: "
                        "exact mode needs fractions.Fraction of Python ints in every place"
                    )
    if not is_exact(leader) and not _is_floating(xp, leader.dtype):
        raise TypeError(f"{first} has dtype {leader.dtype}: needs a floating dtype (float32, float64 …)")


@lru_cache
def _is_floating(xp: Namespace, dtype: Any) -> bool:
    return bool(xp.isdtype(dtype, "real floating"))


def _check_shapes(named: dict[str, tuple[Array, str]]) -> None:
    lengths: dict[str, tuple[int, str]] = {}
    for name, (array, axes) in named.items():
        shape = tuple(array.shape)
        if len(shape) < len(axes):
            hint = "; one sample is x[None, :]" if axes.startswith("N") else ""
            raise ValueError(f"{name} has shape {shape}: needs (…, {', '.join(axes)}){hint}")
        for axis, length in zip(axes, shape[len(shape) - len(axes) :], strict=True):
            known, owner = lengths.setdefault(axis, (length, name))
            if length != known:
                has = "is not square" if owner == name else f"{owner} has {known} {_MEANING.get(axis, axis)}"
                needed = ", ".join(str(lengths[a][0]) if a in lengths else a for a in axes)
                raise ValueError(f"{name} has shape {shape} but {has}: {name} must be (…, {needed})")
            if length == 0:
                raise ValueError(f"{name} has shape {shape}: needs at least one of each")
    leading = {name: tuple(array.shape)[: array.ndim - len(axes)] for name, (array, axes) in named.items()}
    if any(leading.values()):
        try:
            np.broadcast_shapes(*leading.values())
        except ValueError:
            came = ", ".join(f"{name} has {shape}" for name, shape in leading.items())
            raise ValueError(f"the leading (ensemble) axes don't fit together: {came}") from None

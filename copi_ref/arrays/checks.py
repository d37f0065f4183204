"""Argument checks in one style: the argument's name, what came, what is needed."""

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from copi_ref.arrays import backend
from copi_ref.arrays.backend import Array, HostArray, Namespace
from copi_ref.arrays.said import said

LARGEST = 2**63 - 1
"""Of whole numbers: what an axis or a loop can have."""

_MEANING = {"N": "samples", "K": "features", "M": "units"}


def arrays(**named: tuple[Array, str]) -> Namespace:
    """Check arrays against their shapes and return their namespace.

    Each keyword is an argument's name with ``(array, axes)``, where `axes` names the trailing axes by letters:
    ``arrays(x=(x, "NK"), W=(W, "MK"))``. The same letter has to have the same length everywhere; leading axes
    (the ensemble) have to broadcast; all dtypes have to be equal and floating, or objects that are Fractions.

    Raises:
        TypeError: something is no array, masked, a matrix, not floating, of the other byte order, or of another library
            or dtype than the first.
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
        if not is_plain(array) or array.ndim != len(axes):
            return False
        if dtype is None:
            dtype = array.dtype
        if array.dtype is not dtype:
            return False
        for axis, length in zip(axes, array.shape, strict=True):
            if length == 0 or lengths.setdefault(axis, length) != length:
                return False
    return True


_HALF, _SINGLE, _DOUBLE = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")


def is_plain(array: Array) -> bool:
    """Whether an array is NumPy's own, in half, single or double precision and this machine's byte order."""
    if type(array) is not np.ndarray:
        return False
    dtype = array.dtype
    return dtype is _SINGLE or dtype is _DOUBLE or dtype is _HALF  # NumPy has one object of each


def behaved(name: str, array: Any) -> None:
    """Refuse NumPy's arrays that don't calculate as arrays do, and those of the other byte order.

    Raises:
        TypeError: a masked array, an ``np.matrix``, or a dtype such as ``>f4``.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost: needs one without, as .filled(0) gives")
    if isinstance(array, np.matrix):
        raise TypeError(
            f"{name} is an np.matrix, whose * is no product of entries: needs an array, as np.asarray gives"
        )
    if isinstance(array, np.ndarray) and not array.dtype.isnative:
        raise TypeError(
            f"{name} has dtype {array.dtype}, which is in the other byte order: "
            f"needs this machine's, as .astype({array.dtype.name!r}) gives"
        )


def layers(name: str, entries: Any) -> None:
    """Check that there is a tuple with an entry for each layer, and at least one.

    Raises:
        TypeError: it is no tuple.
        ValueError: it is empty.
    """
    if not isinstance(entries, (tuple, list)):
        raise TypeError(f"{name} is a {type(entries).__name__}: needs a tuple, an entry a layer")
    if not entries:
        raise ValueError(f"{name} is empty: needs at least one layer")


def as_row(name: str, vector: Array) -> Array:
    """Return a vector, (…, K), as a row, (…, 1, K).

    Raises:
        TypeError: it is no floating array.
        ValueError: it has no axes.
    """
    floating(name, vector)
    if vector.ndim == 0:
        raise ValueError(f"{name} has shape (): needs (…, K)")
    return vector[..., None, :]


def same_length(**named: tuple[Any, int]) -> None:
    """Check that tuples with one entry a layer have the lengths that are needed.

    Raises:
        TypeError: something is no tuple.
        ValueError: a length is another one.
    """
    for name, (entries, needed) in named.items():
        if not isinstance(entries, (tuple, list)):
            raise TypeError(f"{name} is a {type(entries).__name__}: needs a tuple, an entry a layer")
        if len(entries) != needed:
            raise ValueError(f"{name} has {len(entries)} entries: needs {needed} for this network")


def floating(name: str, array: Array) -> Namespace:
    """Check one array of any shape and return its namespace; the same errors as `arrays`."""
    if is_plain(array):
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


def solvable(function: str, name: str, array: Array) -> None:
    """Refuse arrays that libraries have no linear algebra for.

    Raises:
        TypeError: the array holds Fractions, or is in half precision or longer than double.
    """
    not_exact(function, array)
    dtype = backend.dtype_name(array.dtype)
    if dtype not in ("float32", "float64"):
        raise TypeError(f"{name} has dtype {dtype}: {function} needs float32 or float64")


def is_exact(array: Array) -> TypeGuard[HostArray]:
    """Whether an array is a NumPy object array, which here always holds Fractions."""
    return isinstance(array, np.ndarray) and array.dtype == object


def instance(name: str, value: Any, kind: type, example: str = "") -> None:
    """Check that an argument is of a class of this library; `example` says how to come by one.

    Raises:
        TypeError: it is of another, or the class itself.
    """
    if isinstance(value, kind):
        return
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}: needs an instance{example and f', as {example}'}")
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
        raise ValueError(f"{name} is {said(value)}: choose one of {', '.join(map(repr, table))}") from None


def function(name: str, value: Any) -> None:
    """Check that an argument can be called.

    Raises:
        TypeError: it can't.
    """
    if not callable(value):
        raise TypeError(f"{name} is {said(value)}: needs a function")


def name_of(name: Any) -> None:
    """Check that the name of something is text.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is {said(name)}: needs text")


def true_or_false(name: str, value: Any) -> None:
    """Check that an argument is a bool.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {said(value)}: needs True or False")


def path(name: str, value: Any) -> Path:
    """Return a path that was given as one, or as text.

    Raises:
        TypeError: it is neither.
        ValueError: no file can have such a name.
    """
    if not isinstance(value, (str, Path)):
        raise TypeError(f"{name} is {said(value)}: needs a path, or text")
    if not str(value) or "\0" in str(value):
        raise ValueError(f"{name} is {said(value)}: needs the name that a file can have")
    return Path(value)


# --- settings ---------------------------------------------------------------------------------------------------------


def number(name: str, value: Any, minimum: float | None = None) -> None:
    """Check that a setting is a finite number, or an array of numbers with an ensemble axis, and not too small.

    Raises:
        TypeError: it is no number.
        ValueError: it is not finite or below `minimum`.
    """
    if _has_axes(value):
        _ensemble_numbers(name, value, minimum)
        return
    if not _is_real(value):
        raise TypeError(f"{name} is {said(value)}: needs a number")
    if not math.isfinite(_as_float(name, value)):
        raise ValueError(f"{name} is {value}: needs a finite number")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} is {value}: needs at least {minimum}")


def one_number(name: str, value: Any, minimum: float | None = None, maximum: float | None = None) -> None:
    """Check that a setting is a single finite number, the same for a whole ensemble, and within its limits.

    Raises:
        TypeError: it is no number, or an array of them.
        ValueError: it is not finite, below `minimum` or above `maximum`.
    """
    if _has_axes(value):
        raise TypeError(f"{name} has shape {tuple(value.shape)}: needs one number")
    number(name, value, minimum)
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} is {value}: needs at most {maximum}")


def positive_number(name: str, value: Any) -> None:
    """Check that a setting is a single finite number above 0; errors as `one_number`."""
    one_number(name, value, minimum=0)
    if value == 0:
        raise ValueError(f"{name} is 0: needs a number above 0")


def _has_axes(value: Any) -> bool:
    return hasattr(value, "dtype") and isinstance(getattr(value, "shape", None), tuple) and value.shape != ()


def _is_real(value: Any) -> bool:
    """Whether something without axes is one real number: no bool, text, date or complex number, and not masked."""
    if isinstance(value, (np.generic, np.ndarray)):
        if isinstance(value, np.ma.MaskedArray) or value.dtype.kind not in "iufO":
            return False
        value = value.item()
    elif hasattr(value, "dtype") and hasattr(value, "__float__"):  # another library's, and perhaps on a device
        return any(kind in str(value.dtype) for kind in ("float", "int"))
    return isinstance(value, (Real, Decimal)) and not isinstance(value, bool)


def _as_float(name: str, value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):  # 10**400; Decimal("sNaN")
        raise ValueError(f"{name} is too large for a float: needs a finite number") from None


def _ensemble_numbers(name: str, values: Array, minimum: float | None) -> None:
    if tuple(values.shape[-2:]) != (1, 1):
        raise ValueError(f"{name} has shape {tuple(values.shape)}: needs (…, 1, 1), one number per ensemble member")
    behaved(name, values)
    if isinstance(values, np.ndarray):  # elsewhere perhaps on a device, which looking at them would stall
        for value in values.flat:
            number(name, value, minimum)
    elif not any(kind in str(values.dtype) for kind in ("float", "int")):
        raise TypeError(f"{name} has dtype {values.dtype}: needs numbers")


def whole_number(name: str, value: Any, minimum: int, maximum: int = LARGEST) -> None:
    """Check that a setting is an integer of at least `minimum`, and at most `maximum`.

    Raises:
        TypeError: it is no integer.
        ValueError: it is too small or too large.
    """
    # NumPy counts its spans of time among the integers
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {said(value)}: needs a whole number")
    if value < minimum:
        raise ValueError(f"{name} is {said(int(value))}: needs at least {minimum}")
    if value > maximum:
        raise ValueError(f"{name} is {said(int(value))}: needs at most {maximum}")


def generator(name: str, value: Any) -> None:
    """Check that an argument is a NumPy random generator.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} is {said(value)}: needs a numpy.random.Generator, as default_rng(0) gives")


def coefficient(name: str, value: Any, like: Array) -> Any:
    """Bring a factor such as η into a form that leaves the dtype of `like` as it is.

    A ``np.float64`` or a 0-d array would turn float32 into float64; a float would turn Fractions into floats. An
    array, an ensemble's η of shape (S, 1, 1), is moved to the dtype and device of `like`.

    Raises:
        TypeError: it is no number, or `like` is exact and the factor is a float.
        ValueError: it is too large for a float.
    """
    if is_exact(like):
        if is_exact(value):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, Fraction)):
            raise TypeError(f"{name} is {said(value)}, but the arrays are exact: needs an int or a Fraction")
        return Fraction(value)
    if type(value) is float:  # in a step the commonest
        return value
    if _has_axes(value):
        return _as_array_like(name, value, like)
    if not _is_real(value):
        raise TypeError(f"{name} is {said(value)}: needs a number")
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    elif hasattr(value, "dtype"):
        return _as_array_like(name, value, like)
    as_float = _as_float(name, value)
    return value if isinstance(value, int) else as_float


def _as_array_like(name: str, value: Array, like: Array) -> Array:
    behaved(name, value)
    shape = tuple(value.shape)
    try:
        if shape[-2:] != (1, 1):  # one for each network: how many there are, `fit` knows
            np.broadcast_shapes(shape, tuple(like.shape))
    except ValueError:
        raise ValueError(f"{name} has shape {shape}: needs one number, or (…, 1, 1) for an ensemble") from None
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iufO":
            raise TypeError(f"{name} has dtype {value.dtype}: needs numbers")
        return backend.from_numpy(value, backend.namespace(like), like.dtype, backend.device_of(like))
    xp = backend.namespace(like)
    if backend.namespace(value) is not xp or backend.device_of(value) != backend.device_of(like):
        return coefficient(name, backend.to_numpy(value), like)
    return xp.astype(value, like.dtype, copy=False)


def _namespace(named: dict[str, tuple[Array, str]]) -> Namespace:
    for name, (array, _) in named.items():
        if not hasattr(array, "shape") or not hasattr(array, "dtype") or isinstance(array, np.generic):
            raise TypeError(f"{name} is a {type(array).__name__}: needs an array (numpy, cupy, torch, jax …)")
        behaved(name, array)
    try:
        return backend.namespace(*(array for array, _ in named.values()))
    except TypeError:
        kinds = ", ".join(f"{name} is a {_kind(array)}" for name, (array, _) in named.items())
        raise TypeError(f"{kinds}: needs arrays of one library that follows the array-API standard") from None


def _kind(array: Array) -> str:
    return f"{type(array).__module__.partition('.')[0]} {type(array).__name__}"


def _check_dtypes(xp: Namespace, named: dict[str, tuple[Array, str]]) -> None:
    first, (leader, _) = next(iter(named.items()))
    if not is_exact(leader) and not _is_floating(xp, leader.dtype):
        raise TypeError(f"{first} has dtype {leader.dtype}: needs a floating dtype (float32, float64 …)")
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

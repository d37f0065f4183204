"""Where random generators stand, in JSON and back: what comes back has the form, the types and the bounds of a new one.

NumPy itself checks little: a place in MT19937's buffer beyond its end is read from whatever lies there.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.files.records import RecordError, record

KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")

_NUMBERS = {
    "state": range(1 << 128),
    "inc": range(1 << 128),
    "has_uint32": range(2),
    "uinteger": range(1 << 32),
    "pos": range(625),
    "buffer_pos": range(5),
}
"""Bounds of the numbers in a standing, by name."""


@dataclass(frozen=True, kw_only=True)
class _Array:
    """An array in JSON, as `plain` writes it."""

    dtype: str
    values: list[Annotated[int, range(1 << 64)]]


def plain(value: Any) -> Any:
    """Put what other generators than PCG64 keep into JSON's types; for ``json.dumps``."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "values": value.tolist()}
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"rng_state holds a {type(value).__name__}: a checkpoint holds arrays and numbers")


def standing(stored: Any, members: int | None) -> Any:
    """Return where generators stand, as a `State` has it: of an ensemble a tuple, which JSON made a list.

    Raises:
        RecordError: it is of another number of networks, or no standing of a generator of NumPy's.
    """
    if isinstance(stored, list) != (members is not None) or members not in (None, len(stored)):
        found = f"an ensemble of {len(stored)}" if isinstance(stored, list) else "a single network"
        needed = "a single network" if members is None else f"an ensemble of {members}"
        raise RecordError(f"rng_state is of {found}: needs that of {needed}")
    return tuple(map(_one, stored)) if isinstance(stored, list) else _one(stored)


def _one(stored: dict[str, Any]) -> dict[str, Any]:
    kind = stored.get("bit_generator")
    if kind not in KINDS:
        raise RecordError(f"rng_state.bit_generator is {kind!r:.60}: choose one of {', '.join(KINDS)}")
    found: dict[str, Any] = _like(getattr(np.random, kind)(0).state, stored, "rng_state")
    return found


def _like(new: Any, stored: Any, place: str) -> Any:
    """Return what is stored, where it is of the form of a new generator's standing."""
    if isinstance(new, np.ndarray):
        return _array(new, record(_Array, stored), place)
    if isinstance(new, dict):
        if not isinstance(stored, dict) or set(stored) != set(new):
            raise RecordError(f"{place} is {stored!r:.60}: needs an object of {', '.join(new)}")
        return {name: _like(value, stored[name], f"{place}.{name}") for name, value in new.items()}
    bounds = _NUMBERS.get(place.rpartition(".")[2])
    if bounds is not None and (type(stored) is not int or stored not in bounds):
        raise RecordError(f"{place} is {stored!r:.60}: needs a whole number from 0 to {bounds.stop - 1}")
    return stored


def _array(new: HostArray, stored: _Array, place: str) -> HostArray:
    if stored.dtype != new.dtype.name or len(stored.values) != new.size:
        raise RecordError(
            f"{place} has {len(stored.values)} numbers of {stored.dtype!r:.20}: needs {new.size} of {new.dtype.name}"
        )
    if max(stored.values) > np.iinfo(new.dtype).max:
        raise RecordError(f"{place} has the number {max(stored.values)}: needs {new.dtype.name}")
    return np.array(stored.values, new.dtype)

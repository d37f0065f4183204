"""Checkpoints: a state of training on disk, exactly, in an ``.npz`` without pickle.

The arrays lie in the file under the names of their places, ``params.W.0`` or ``optimizer.2.m``, so that anything that
reads ``.npz`` can read them. Numbers and the generators' standing are JSON, in the entry ``header``.
"""

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray, device_of, float_name, from_numpy, namespace, to_numpy
from copi_ref.files import write_atomically
from copi_ref.network import Params
from copi_ref.state import Place, State, check_state, rebuilt
from copi_ref.training.epoch import Begun

FORMAT, VERSION = "copi_ref checkpoint", 1


class CheckpointError(ValueError):
    """A file is no checkpoint, damaged, or of another network; the message names the file and the fault."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where training stood: the state and, in the middle of an epoch, how far that had got.

    `fit(recipe, state, dataset, epochs, begun=begun)` goes on from there.
    """

    state: State
    begun: Begun | None = None


def save_checkpoint(path: str | Path, state: State, begun: Begun | None = None) -> None:
    """Write a state to an ``.npz`` file, so that `load_checkpoint` gives back every byte of it.

    A crash leaves the file that was there before. States of any library and ensembles can be written.

    Args:
        path: the file.
        state: what `fit` gives to its callback, or to `after_batch`.
        begun: what `after_batch` was given beside it.

    Raises:
        TypeError: an argument of another class, or a state with exact arrays, or with entries that are neither arrays
            nor numbers.
        OSError: the file can't be written.
    """
    path = checks.path("path", path)
    check_state(state)
    if begun is not None:
        checks.instance("begun", begun, Begun, "after_batch was given it")
    arrays: dict[str, HostArray] = {}
    numbers: dict[str, Any] = {}

    def keep(place: Place, entries: list[Any]) -> Any:
        (value,), name = entries, _key(place)
        if hasattr(value, "shape"):
            arrays[name] = to_numpy(value)
            if arrays[name].dtype == object:
                raise TypeError(f"{name} is exact: a checkpoint holds floating arrays only")
        elif value is None or isinstance(value, (bool, int, float, str)):
            numbers[name] = value
        else:
            raise TypeError(f"{name} is a {type(value).__name__}: a checkpoint holds arrays and numbers")
        return value

    rebuilt([replace(state, rng_state=None)], keep)  # type: ignore[arg-type]  # it has a place of its own
    header = {
        "format": FORMAT,
        "version": VERSION,
        "numbers": numbers,
        "rng_state": state.rng_state,
        "begun": None if begun is None else begun._asdict(),
    }
    text = json.dumps(header, default=_plain)
    write_atomically(path, _npz({"header": np.array(text), **arrays}))


def load_checkpoint(path: str | Path, like: State) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Args:
        path: the file.
        like: a state of the same recipe and sizes, as `init_state` makes it: the arrays go to its library and device.

    Raises:
        CheckpointError: the file is missing, damaged, of another format, or does not fit `like`.
    """
    check_state(like, "like")
    header, arrays = _read(checks.path("path", path))
    numbers, unused = header["numbers"], set(arrays) | set(header["numbers"])

    def found(place: Place, entries: list[Any]) -> Any:
        (value,), name = entries, _key(place)
        unused.discard(name)
        if not hasattr(value, "shape"):
            if name not in numbers:
                raise CheckpointError(f"{path}: has no {name}: needs the state of another recipe")
            return numbers[name]
        if name not in arrays:
            raise CheckpointError(f"{path}: has no {name}: needs the state of another recipe")
        array, shape = arrays[name], tuple(value.shape)
        if array.shape != shape:
            raise CheckpointError(f"{path}: {name} has shape {array.shape}, but the network needs {shape}")
        if array.dtype.name != _stored(value):
            raise CheckpointError(f"{path}: {name} has dtype {array.dtype}, but the network needs {_stored(value)}")
        return from_numpy(array, namespace(value), value.dtype, device_of(value))

    state: State = rebuilt([replace(like, rng_state=None)], found)  # type: ignore[arg-type]
    unused.discard("rng_state")
    if unused:
        raise CheckpointError(f"{path}: has {', '.join(sorted(unused))}, which the network has not")
    begun = header["begun"]
    if begun is not None:
        begun = Begun(_standing(begun["rng_state"]), begun["batches"], begun["seconds"])
    return Checkpoint(replace(state, rng_state=_standing(header["rng_state"])), begun)


def load_params(path: str | Path) -> Params:
    """Read the network alone, as NumPy arrays.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    _, arrays = _read(checks.path("path", path))

    def layers(name: str) -> tuple[HostArray, ...]:
        count = sum(one.startswith(f"params.{name}.") for one in arrays)
        return tuple(arrays[f"params.{name}.{layer}"] for layer in range(count))

    return Params(layers("W"), layers("R"), layers("mean") or None)


def _key(place: Place) -> str:
    """Return the name that an entry has in a file: ``params.W.0`` for ("params", "W", 0)."""
    return ".".join(map(str, place))


def _stored(array: Any) -> str:
    """Name the dtype that an array has in a file: bfloat16, which NumPy lacks, becomes float32 there."""
    name = float_name(array.dtype)
    return "float32" if name == "bfloat16" else name


def _npz(arrays: dict[str, HostArray]) -> bytes:
    """Return the bytes of an .npz; ``numpy.savez`` would pickle what it can't write otherwise."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            # A ZipInfo has a fixed date: the same state gives the same bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return stream.getvalue()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, HostArray]]:
    """Return header and arrays of a file that has been checked to be a whole checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # before a damaged length makes NumPy allocate terabytes
                raise CheckpointError(f"{path}: is damaged in {damaged}")
            arrays = {name.removesuffix(".npy"): _entry(archive, name) for name in archive.namelist()}
        header = json.loads(str(arrays.pop("header", "null")), object_hook=_array)
    except CheckpointError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path}: can't be read as a checkpoint ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is an .npz, but no checkpoint of copi_ref")
    if header["version"] != VERSION:
        raise CheckpointError(f"{path}: is of version {header['version']} of the format: this reads {VERSION}")
    return header, arrays


def _entry(archive: zipfile.ZipFile, name: str) -> HostArray:
    with archive.open(name) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _standing(rng_state: Any) -> Any:
    """Return a generator's standing as a `State` has it: of an ensemble a tuple, which JSON made a list."""
    return tuple(rng_state) if isinstance(rng_state, list) else rng_state


def _plain(value: Any) -> Any:
    """Put what other generators than PCG64 keep into JSON."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "values": value.tolist()}
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"rng_state holds a {type(value).__name__}: a checkpoint holds arrays and numbers")


def _array(entries: dict[str, Any]) -> Any:
    return np.array(entries["values"], entries["dtype"]) if set(entries) == {"dtype", "values"} else entries

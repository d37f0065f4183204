"""Checkpoints: a state of training on disk, exactly, in an ``.npz`` without pickle.

The arrays lie in the file under the names of their places, ``params.W.0`` or ``optimizer.2.m``, so that anything that
reads ``.npz`` can read them. Numbers, the generators' standing and what the run is are JSON, in the entry ``header``.
"""

import io
import itertools
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray, device_of, float_name, from_numpy, namespace, to_numpy
from copi_ref.files import write_atomically
from copi_ref.files.records import RecordError, parsed, reading, record
from copi_ref.network import Params
from copi_ref.state import Place, State, check_state, rebuilt
from copi_ref.training.epoch import Begun
from copi_ref.training.generators import plain, standing

FORMAT, VERSION = "copi_ref checkpoint", 1


class CheckpointError(ValueError):
    """A file is no checkpoint, damaged, or of another network; the message names the file and the fault."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where training stood: the state, in the middle of an epoch how far that had got, and what the run is.

    `fit(recipe, state, dataset, epochs, begun=begun)` goes on from there.
    """

    state: State
    begun: Begun | None = None
    run: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Begun:
    rng_state: dict[str, Any] | list[dict[str, Any]]
    batches: Annotated[int, range(1, 1 << 63)]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The entry ``header``; files from before it had `run` lack that."""

    format: str
    version: int
    numbers: dict[str, Any]  # of the kinds that the state in question has
    rng_state: dict[str, Any] | list[dict[str, Any]]
    begun: _Begun | None
    run: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: str | Path, state: State, begun: Begun | None = None, run: Mapping[str, Any] | None = None
) -> None:
    """Write a state to an ``.npz`` file, so that `load_checkpoint` gives back every byte of it.

    A crash leaves the file that was there before. States of any library and ensembles can be written.

    Args:
        path: the file.
        state: what `fit` gives to its callback, or to `after_batch`.
        begun: what `after_batch` was given beside it.
        run: what is to be known of the run, in JSON's types.

    Raises:
        TypeError: an argument of another class, or a state with exact arrays, or with entries that are neither arrays
            nor numbers.
        OSError: the file can't be written.
    """
    path = checks.path("path", path)
    check_state(state)
    if begun is not None:
        checks.instance("begun", begun, Begun, "after_batch was given it")
    _check_run(run)
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
        **({} if run is None else {"run": run}),
    }
    text = json.dumps(header, default=plain)
    write_atomically(path, _npz({"header": np.array(text), **arrays}))


def _check_run(run: object) -> None:
    if run is not None:
        checks.instance("run", run, Mapping, "{'seed': 0}")


def load_checkpoint(path: str | Path, like: State, run: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Args:
        path: the file.
        like: a state of the same recipe and sizes, as `init_state` makes it: the arrays go to its library and device.
        run: what the file has to say of its run, where it says something under the same key.

    Raises:
        CheckpointError: the file is missing, damaged, of another format or another run, or does not fit `like`.
    """
    check_state(like, "like")
    _check_run(run)
    path = checks.path("path", path)
    header, arrays = _read(path, run)
    try:
        state = _state(header.numbers, arrays, like)
        rng_state, begun = standing(header.rng_state, like.members), None
        if header.begun is not None:
            order = standing(header.begun.rng_state, like.members)
            begun = Begun(order, header.begun.batches, header.begun.seconds)
    except RecordError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return Checkpoint(replace(state, rng_state=rng_state), begun, header.run)


def _state(numbers: dict[str, Any], arrays: dict[str, HostArray], like: State) -> State:
    """Return the state that is like another one, but for its generators."""
    unused = set(arrays) | set(numbers)

    def found(place: Place, entries: list[Any]) -> Any:
        (value,), name = entries, _key(place)
        unused.discard(name)
        if not hasattr(value, "shape"):
            return _number(numbers, name, value)
        if name not in arrays:
            raise RecordError(f"has no {name}: needs the state of another recipe")
        array, shape = arrays[name], tuple(value.shape)
        if array.shape != shape:
            raise RecordError(f"{name} has shape {array.shape}, but the network needs {shape}")
        if array.dtype.name != _stored(value):
            raise RecordError(f"{name} has dtype {array.dtype}, but the network needs {_stored(value)}")
        return from_numpy(array, namespace(value), value.dtype, device_of(value))

    state: State = rebuilt([replace(like, rng_state=None)], found)  # type: ignore[arg-type]
    unused.discard("rng_state")
    if unused:
        raise RecordError(f"has {', '.join(sorted(unused))}, which the network has not")
    return state


def _number(numbers: dict[str, Any], name: str, like: Any) -> Any:
    if name not in numbers:
        raise RecordError(f"has no {name}: needs the state of another recipe")
    value: Any = numbers[name]
    if _kind(value) is not _kind(like):
        raise RecordError(f"{name} is {value!r:.70}, but the network needs one of type {type(like).__name__}")
    if name in ("epoch", "step") and not 0 <= value < 1 << 63:
        raise RecordError(f"{name} is {value}: needs at least 0 and at most {(1 << 63) - 1}")
    return value


def _kind(value: Any) -> type:
    """Return the type that a number has in JSON: NumPy's float64 is a float."""
    return next((kind for kind in (bool, int, float, str) if isinstance(value, kind)), type(value))


def load_params(path: str | Path, run: Mapping[str, Any] | None = None) -> Params:
    """Read the network alone, as NumPy arrays.

    Args:
        path: the file.
        run: as for `load_checkpoint`.

    Raises:
        CheckpointError: the file is missing, damaged, of another format or another run, or holds no network.
    """
    _check_run(run)
    path = checks.path("path", path)
    _, arrays = _read(path, run)

    def layers(name: str) -> tuple[HostArray, ...]:
        names = (f"params.{name}.{layer}" for layer in itertools.count())
        return tuple(arrays[one] for one in itertools.takewhile(arrays.__contains__, names))

    params = Params(layers("W"), layers("R"), layers("mean") or None)
    try:
        _check_network(params)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: holds no network: {error}") from error
    return params


def _check_network(params: Params) -> None:
    """Check that the weights of all layers fit each other."""
    if not params.W or len(params.R) != len(params.W):
        raise ValueError(f"has {len(params.W)} matrices W and {len(params.R)} R: needs as many, and one or more")
    for layer, (W, R) in enumerate(zip(params.W, params.R, strict=True), start=1):
        checks.arrays(**{f"W of layer {layer}": (W, "MK"), f"R of layer {layer}": (R, "KL")})
        units = W.shape[-2] if layer == len(params.W) else params.R[layer].shape[-2]
        if R.shape[-1] != R.shape[-2] or W.shape[-2] != units:
            raise ValueError(
                f"W of layer {layer} has shape {W.shape}, and R {R.shape}: needs a square R, and {units} rows of W"
            )


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


def _read(path: Path, run: Mapping[str, Any] | None) -> tuple[_Header, dict[str, HostArray]]:
    """Return header and arrays of a file that has been checked to be a whole checkpoint, and of the run in question."""
    with reading(path, "a checkpoint", CheckpointError):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # before a damaged length makes NumPy allocate terabytes
                raise CheckpointError(f"{path}: is damaged in {damaged}")
            arrays = {name.removesuffix(".npy"): _entry(archive, name) for name in archive.namelist()}
        header = parsed(json.loads, str(arrays.pop("header", "null")).encode())
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is an .npz, but no checkpoint of copi_ref")
    if "version" in header and header["version"] != VERSION:
        raise CheckpointError(f"{path}: is of version {header['version']!r:.20} of the format: this reads {VERSION}")
    try:
        read = record(_Header, header)
    except RecordError as error:
        raise CheckpointError(f"{path}: its header {error}") from error
    asked = json.loads(json.dumps(run or {}))
    others = {key: value for key, value in asked.items() if read.run.get(key, value) != value}
    if others:
        told = "; ".join(f"{key} is {read.run[key]!r:.70} there, not {value!r:.70}" for key, value in others.items())
        raise CheckpointError(f"{path}: is of another run: {told}")
    return read, arrays


def _entry(archive: zipfile.ZipFile, name: str) -> HostArray:
    with archive.open(name) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))

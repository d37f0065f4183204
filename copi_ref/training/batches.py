"""The data where the network is: moved there once, shuffled and cut into batches in every epoch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from copi_ref.arrays.backend import Array, device_of, float_name, free_memory, from_numpy, namespace
from copi_ref.arrays.pieces import copied, pieces
from copi_ref.arrays.shown import shown
from copi_ref.data.dataset import Dataset
from copi_ref.network import Params
from copi_ref.task import Generators
from copi_ref.training.finiteness import finite


class Samples(NamedTuple):
    """Inputs x (N, K_0) and targets (N, K_L), row by row."""

    x: Array
    target: Array

    def __repr__(self) -> str:
        return shown(self)


def move(params: Params, dataset: Dataset) -> tuple[Samples, Samples]:
    """Copy training and test data to the library, device and dtype of a network, labels as one-hot rows.

    Data that would take more than half of a device's free memory stay with the host; `there` moves what is looked at.

    Raises:
        ValueError: the data don't fit the network or its dtype, or the network has more than one ensemble axis.
    """
    W = params.W[-1]
    if W.ndim > 3:
        raise ValueError(f"W of the last layer has shape {tuple(W.shape)}: fit takes one network, or (S, M, K)")
    inputs, outputs = params.R[0].shape[-1], W.shape[-2]
    if dataset.features != inputs:
        raise ValueError(f"x_train has {dataset.features} features but the network has {inputs} inputs: need the same")
    if dataset.classes > outputs:
        raise ValueError(f"y_train or y_test has the label {dataset.classes - 1} but the network has {outputs} outputs")

    samples = len(dataset.x_train) + len(dataset.x_test)
    size = {"float64": 8, "float32": 4}.get(float_name(W.dtype), 2)
    free, needed = free_memory(W), samples * (inputs + outputs) * size
    like = W if free is None or needed <= free / 2 else np.empty(0, dtype=float_name(W.dtype))
    one_hot = np.eye(outputs)
    with np.errstate(over="ignore"):
        train = Samples(copied(dataset.x_train, like), copied(one_hot[dataset.y_train], like))
        test = Samples(copied(dataset.x_test, like), copied(one_hot[dataset.y_test], like))
    for name, part in (("x_train", train), ("x_test", test)):
        if not finite(part.x):
            raise ValueError(f"{name} has entries too large for {W.dtype}: scale it down")
    return train, test


def shuffled(samples: Samples, size: int, rng: Generators) -> Iterator[Samples]:
    """Draw an order on the host, and return the batches of one epoch in it, the last perhaps smaller.

    Several generators draw an order each, and the batches are (S, N, K): row s is of member s.
    """
    xp, total = namespace(samples.x), samples.x.shape[0]
    host = np.stack([one.permutation(total) for one in rng]) if isinstance(rng, tuple) else rng.permutation(total)
    order = from_numpy(host, xp, device=device_of(samples.x))
    return (Samples(*(_rows(array, order[..., piece]) for array in samples)) for piece in pieces(total, size))


def _rows(array: Array, places: Array) -> Array:
    """Return rows of (N, K): (n,) places give (n, K), (S, n) give (S, n, K)."""
    xp = namespace(array)
    taken = xp.take(array, xp.reshape(places, (-1,)), axis=0)
    return xp.reshape(taken, (*places.shape, array.shape[-1]))

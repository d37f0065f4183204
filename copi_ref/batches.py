"""The data where the network is: moved there once, shuffled and cut into batches in every epoch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from copi_ref.backend import Array, HostArray, device_of, from_numpy, namespace
from copi_ref.data.dataset import Dataset
from copi_ref.finiteness import finite
from copi_ref.network import Params


class Samples(NamedTuple):
    """Inputs x (N, K_0) and targets (N, K_L), row by row."""

    x: Array
    target: Array


def move(params: Params, dataset: Dataset) -> tuple[Samples, Samples]:
    """Copy training and test data to the library, device and dtype of a network, labels as one-hot rows.

    Raises:
        ValueError: the data don't fit the network or its dtype, or the network has ensemble axes.
    """
    W = params.W[-1]
    if W.ndim != 2:
        raise ValueError(f"W of the last layer has shape {tuple(W.shape)}: fit trains one network")
    inputs, outputs = params.R[0].shape[-1], W.shape[-2]
    if dataset.features != inputs:
        raise ValueError(f"x_train has {dataset.features} features but the network has {inputs} inputs: need the same")
    if dataset.classes > outputs:
        raise ValueError(f"y_train or y_test has the label {dataset.classes - 1} but the network has {outputs} outputs")

    def there(host: HostArray) -> Array:
        return from_numpy(host, namespace(W), W.dtype, device_of(W))

    one_hot = np.eye(outputs)
    with np.errstate(over="ignore"):
        train = Samples(there(dataset.x_train), there(one_hot[dataset.y_train]))
        test = Samples(there(dataset.x_test), there(one_hot[dataset.y_test]))
    for name, samples in (("x_train", train), ("x_test", test)):
        if not finite(samples.x):
            raise ValueError(f"{name} has entries too large for {W.dtype}: scale it down")
    return train, test


def shuffled(samples: Samples, size: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Draw an order on the host, and return the batches of one epoch in it, the last perhaps smaller."""
    xp = namespace(samples.x)
    order = from_numpy(rng.permutation(samples.x.shape[0]), xp, device=device_of(samples.x))
    return (
        Samples(*(xp.take(array, order[piece], axis=0) for array in samples)) for piece in pieces(order.shape[0], size)
    )


def pieces(total: int, size: int) -> Iterator[slice]:
    """Cut `total` rows into slices of `size`, the last perhaps smaller."""
    # The standard does not say what a slice beyond the end gives.
    return (slice(first, min(first + size, total)) for first in range(0, total, size))

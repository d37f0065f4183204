"""Noise for methods that draw it: on the host, so that one seed gives the same numbers on every backend."""

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, device_of, from_numpy, namespace
from copi_ref.task import Generators


def check_generators(rng: Generators | None) -> None:
    """Check that there is a generator, or of an ensemble a tuple of them.

    Raises:
        TypeError: it is something else, or None.
    """
    for one in rng if isinstance(rng, tuple) else (rng,):
        checks.generator("rng", one)


def normal_noise(like: Array, sigma: float, rng: Generators) -> Array:
    """Draw N(0, σ²) in the shape, the library and the dtype of an array; of an ensemble each network from its own."""
    if isinstance(rng, tuple):  # each network of an ensemble draws what it would draw alone
        host = np.stack([one.normal(0.0, float(sigma), size=tuple(like.shape[1:])) for one in rng])
    else:
        host = rng.normal(0.0, float(sigma), size=tuple(like.shape))
    return from_numpy(host, namespace(like), like.dtype, device_of(like))

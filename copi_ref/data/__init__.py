"""Data sets: a bundled one, files in the formats in which people download them, and synthetic samples."""

from copi_ref.data.cifar10 import load_cifar10
from copi_ref.data.dataset import Dataset, hold_out, split
from copi_ref.data.digits import load_digits
from copi_ref.data.errors import DataError
from copi_ref.data.mnist import load_mnist, read_idx
from copi_ref.data.named import load_named
from copi_ref.data.npz import load_npz
from copi_ref.data.synthetic import correlated_gaussian

__all__ = [
    "DataError",
    "Dataset",
    "correlated_gaussian",
    "hold_out",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "load_named",
    "load_npz",
    "read_idx",
    "split",
]

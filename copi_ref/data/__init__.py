"""Data sets: a bundled one, files in the formats in which people download them, and synthetic samples."""

from copi_ref.data.dataset import Dataset
from copi_ref.data.digits import load_digits
from copi_ref.data.errors import DataError
from copi_ref.data.mnist import load_mnist, read_idx
from copi_ref.data.npz import load_npz
from copi_ref.data.synthetic import correlated_gaussian

__all__ = [
    "DataError",
    "Dataset",
    "correlated_gaussian",
    "load_digits",
    "load_mnist",
    "load_npz",
    "read_idx",
]

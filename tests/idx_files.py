"""MNIST's four files in miniature."""

import struct

import numpy as np

FILES = {
    "train-images-idx3-ubyte": np.arange(6 * 3 * 2, dtype=np.uint8).reshape(6, 3, 2),
    "train-labels-idx1-ubyte": np.array([0, 1, 9, 3, 4, 5], dtype=np.uint8),
    "t10k-images-idx3-ubyte": np.full((4, 3, 2), 255, dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.array([7, 0, 1, 2], dtype=np.uint8),
}


def idx(array, magic=None, shape=None):
    """An IDX file's bytes, by hand from its specification."""
    magic = 0x800 + array.ndim if magic is None else magic
    shape = array.shape if shape is None else shape
    return struct.pack(f">I{len(shape)}I", magic, *shape) + array.tobytes()

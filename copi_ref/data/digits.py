"""The 8×8 digits that scikit-learn ships: real data without a download."""

import numpy as np

from copi_ref.data.dataset import Dataset


def load_digits() -> Dataset:
    """Return 1437 training and 360 test images of 64 pixels in [0, 1], labels 0 to 9.

    Every fifth image, from the first, is a test image: the same split for everyone.

    Raises:
        ImportError: scikit-learn is not installed; the message says how to.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError('digits needs scikit-learn, which is not installed: pip install "copi_ref[demo]"') from error
    x, y = datasets.load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32), y.astype(np.int64)  # exact: pixels are whole numbers from 0 to 16
    test = np.arange(len(x)) % 5 == 0
    return Dataset(x[~test], y[~test], x[test], y[test])

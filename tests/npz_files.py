"""A user's own data set in miniature."""

import numpy as np


def three_clusters(path, train, test=15):
    """Write an .npz of three tight clusters in six dimensions, alike but for their numbers of samples."""
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(3, 6)), np.arange(train + test) % 3
    x = centres[labels] + 0.2 * rng.normal(size=(train + test, 6))
    np.savez(path, x_train=x[:train], y_train=labels[:train], x_test=x[train:], y_test=labels[train:])
    return path

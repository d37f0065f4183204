"""Synthetic samples whose correlations are known."""

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray

_TOLERANCE = 1e-8  # relative to the largest entry; rounding of a covariance that was computed is far below


def correlated_gaussian(covariance: HostArray, samples: int, rng: np.random.Generator) -> HostArray:
    """Draw from N(0, covariance): a (samples, K) array of float64, rows are samples.

    Args:
        covariance: (K, K), symmetric and positive semi-definite; it may be singular.
        samples: how many.
        rng: the generator that is drawn from.

    Raises:
        TypeError: `covariance` is no floating array, `rng` no Generator or `samples` no whole number.
        ValueError: `covariance` is not square, symmetric and positive semi-definite, or `samples` is below 1.
    """
    checks.generator("rng", rng)
    checks.whole_number("samples", samples, minimum=1)
    if not isinstance(covariance, np.ndarray):
        raise TypeError(f"covariance is a {type(covariance).__name__}: needs a NumPy array")
    checks.floating("covariance", covariance)
    covariance = covariance.astype(np.float64)
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not covariance.size:
        raise ValueError(f"covariance has shape {covariance.shape}: needs (K, K)")
    size = np.abs(covariance).max()
    if not np.isfinite(size) or np.abs(covariance - covariance.T).max() > _TOLERANCE * size:
        raise ValueError("covariance is not symmetric and finite: needs both")
    smallest = np.linalg.eigvalsh(covariance)[0]
    if smallest < -_TOLERANCE * size:
        raise ValueError(f"covariance has the eigenvalue {smallest:.3g}: needs none below 0")
    # NumPy's own check has an absolute tolerance, which lets every covariance of a small scale pass.
    return rng.multivariate_normal(
        np.zeros(len(covariance)), covariance, size=samples, check_valid="ignore", method="eigh"
    )

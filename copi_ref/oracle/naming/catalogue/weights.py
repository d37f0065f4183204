"""Wrong forward updates: of COPI (Eq. 3) and of gradient descent."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces, reduced
from copi_ref.oracle.naming.catalogue.moments import (
    C_off,
    centred,
    mean_outer,
    mean_square,
    n_minus_1,
    per,
    without_last,
)
from copi_ref.oracle.naming.catalogue.variant import Variant


def _weight(name: str, says: str, wrong: Callable[[HostArray, HostArray, HostArray], HostArray]) -> Variant:
    """A wrong ``(x, z, W) -> ΔW`` in place of Eq. 3."""

    def change(p: Pieces) -> Pieces:
        return p.with_changes(copi=lambda x, z, W: reduced(p.conventions, x, wrong(x, z, W)))

    return Variant(name, says, change)


def _copi(x: HostArray, z: HostArray, W: HostArray) -> HostArray:
    return np.asarray(mean_outer(z, x) - W * mean_square(x))


WEIGHT_VARIANTS = (
    _weight("weight-sign", "ΔW has the wrong sign", lambda x, z, W: -_copi(x, z, W)),
    _weight("weight-n-minus-1", "ΔW divides by N − 1 instead of N", lambda x, z, W: _copi(x, z, W) * n_minus_1(x)),
    _weight("weight-no-decay", "the decay −W diag(E[x²]) is missing", lambda x, z, W: mean_outer(z, x)),
    _weight("weight-decay-only", "the term E[z xᵀ] is missing", lambda x, z, W: -W * mean_square(x)),
    _weight("weight-decay-sign", "the decay has a plus sign", lambda x, z, W: mean_outer(z, x) + W * mean_square(x)),
    _weight(
        "weight-decay-by-output",
        "the decay has the output's power E[z_i²], row by row, as in Oja's rule",
        lambda x, z, W: mean_outer(z, x) - mean_square(z)[:, None] * W,
    ),
    _weight(
        "weight-decay-full-matrix",
        "the decay takes the whole of E[x xᵀ], not its diagonal",
        lambda x, z, W: mean_outer(z, x) - W @ mean_outer(x, x),
    ),
    _weight(
        "weight-decay-off-diagonal",
        "the decay takes the off-diagonal of E[x xᵀ], not its diagonal",
        lambda x, z, W: mean_outer(z, x) - W @ C_off(x),
    ),
    _weight(
        "weight-decay-square-of-mean",
        "the decay has E[x]² for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * x.mean(axis=0) ** 2,
    ),
    _weight(
        "weight-decay-variance",
        "the decay has the variance of x for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(centred(x)),
    ),
    _weight(
        "weight-decay-sample-variance",
        "the decay has the sample variance of x, over N − 1, for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(centred(x)) * n_minus_1(x),
    ),
    _weight(
        "weight-covariance",
        "x and z are centred: covariances for second moments",
        lambda x, z, W: _copi(centred(x), centred(z), W),
    ),
    _weight(
        "weight-sample-covariance",
        "x and z are centred, and ΔW divides by N − 1: sample covariances for second moments",
        lambda x, z, W: _copi(centred(x), centred(z), W) * n_minus_1(x),
    ),
    _weight(
        "weight-decay-not-squared",
        "the decay has E[x] for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * x.mean(axis=0),
    ),
    _weight(
        "weight-decay-absolute",
        "the decay has E|x| for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * np.abs(x).mean(axis=0),
    ),
    _weight(
        "weight-decay-root",
        "the decay has √E[x²] for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * np.sqrt(mean_square(x)),
    ),
    _weight(
        "weight-decay-standard-deviation",
        "the decay has the standard deviation of x for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * np.std(x, axis=0),
    ),
    _weight(
        "weight-decay-norm",
        "the decay has √Σx², the norm over the batch, for E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * np.sqrt(np.sum(x * x, axis=0)),
    ),
    _weight(
        "weight-decay-row-mean",
        "the decay has the mean of a row of E[x xᵀ] for its diagonal",
        lambda x, z, W: mean_outer(z, x) - W * mean_outer(x, x).mean(axis=0),
    ),
    _weight(
        "weight-decay-of-squared-weights",
        "the decay has W² for W E[x²]",
        lambda x, z, W: mean_outer(z, x) - W * np.mean(W * W, axis=0),
    ),
    _weight(
        "weight-decay-added",
        "W + E[x²] for W E[x²]",
        lambda x, z, W: mean_outer(z, x) - (W + mean_square(x)),
    ),
    _weight(
        "weight-decay-subtracted",
        "W − E[x²] for W E[x²]",
        lambda x, z, W: mean_outer(z, x) - (W - mean_square(x)),
    ),
    _weight(
        "weight-decay-divided",
        "W/E[x²] for W E[x²]",
        lambda x, z, W: mean_outer(z, x) - W / mean_square(x),
    ),
    _weight(
        "weight-terms-multiplied",
        "E[z xᵀ] and the decay are multiplied",
        lambda x, z, W: mean_outer(z, x) * (W * mean_square(x)),
    ),
    _weight(
        "weight-terms-divided",
        "E[z xᵀ] is divided by the decay",
        lambda x, z, W: mean_outer(z, x) / (W * mean_square(x)),
    ),
    _weight(
        "weight-decay-total-power",
        "the decay has ΣE[x_j²], one number for all inputs",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(x).sum(),
    ),
    _weight(
        "weight-decay-mean-power",
        "the decay has the mean of E[x_j²] over inputs, one number for all",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(x).mean(),
    ),
    _weight("weight-decay-plain", "the decay is −W, as for whitened inputs", lambda x, z, W: mean_outer(z, x) - W),
    _weight(
        "weight-decay-sum",
        "the decay is summed over samples, where E[z xᵀ] is a mean",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(x) * len(x),
    ),
    _weight(
        "weight-decay-over-n-again",
        "the decay is divided by N twice",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(x) / len(x),
    ),
    _weight(
        "weight-hebb-sum",
        "z xᵀ is summed over samples, where the decay is a mean",
        lambda x, z, W: mean_outer(z, x) * len(x) - W * mean_square(x),
    ),
    _weight(
        "weight-hebb-over-n-again",
        "E[z xᵀ] is divided by N twice",
        lambda x, z, W: mean_outer(z, x) / len(x) - W * mean_square(x),
    ),
    _weight(
        "weight-hebb-over-inputs",
        "z xᵀ is divided by K instead of N",
        lambda x, z, W: per(x, x, mean_outer(z, x)) - W * mean_square(x),
    ),
    _weight(
        "weight-hebb-over-units",
        "z xᵀ is divided by M instead of N",
        lambda x, z, W: per(x, z, mean_outer(z, x)) - W * mean_square(x),
    ),
    _weight(
        "weight-decay-over-inputs",
        "x² is divided by K instead of N in the decay",
        lambda x, z, W: mean_outer(z, x) - W * per(x, x, mean_square(x)),
    ),
    _weight(
        "weight-hebb-times-n",
        "z xᵀ is multiplied by N, not divided",
        lambda x, z, W: mean_outer(z, x) * len(x) ** 2 - W * mean_square(x),
    ),
    _weight(
        "weight-decay-times-n",
        "x² is multiplied by N, not divided, in the decay",
        lambda x, z, W: mean_outer(z, x) - W * mean_square(x) * len(x) ** 2,
    ),
    _weight("weight-times-n", "ΔW is multiplied by N, not divided", lambda x, z, W: _copi(x, z, W) * len(x) ** 2),
    _weight("weight-over-n-again", "ΔW is divided by N twice", lambda x, z, W: _copi(x, z, W) / len(x)),
    _weight("weight-mean-over-inputs", "ΔW is divided by K instead of N", lambda x, z, W: per(x, x, _copi(x, z, W))),
    _weight("weight-mean-over-units", "ΔW is divided by M instead of N", lambda x, z, W: per(x, z, _copi(x, z, W))),
    _weight(
        "weight-fixed-point",
        "ΔW is divided by E[x²], column by column",
        lambda x, z, W: _copi(x, z, W) / np.where(mean_square(x) == 0, 1, mean_square(x)),
    ),
    _weight(
        "weight-outer-of-means",
        "E[z] E[x]ᵀ for E[z xᵀ]: the mean is taken before the product",
        lambda x, z, W: np.outer(z.mean(axis=0), x.mean(axis=0)) - W * mean_square(x),
    ),
    _weight("weight-last-sample", "only the last sample is used", lambda x, z, W: _copi(x[-1:], z[-1:], W)),
    _weight("weight-first-sample", "only the first sample is used", lambda x, z, W: _copi(x[:1], z[:1], W)),
    _weight(
        "weight-misses-last-sample",
        "the last sample is left out of the sum",
        lambda x, z, W: _copi(without_last(x), without_last(z), W),
    ),
    _weight(
        "weight-misses-first-sample",
        "the first sample is left out of the sum",
        lambda x, z, W: _copi(without_last(x[::-1]), without_last(z[::-1]), W),
    ),
    _weight(
        "weight-samples-shifted",
        "z and x of different samples are multiplied",
        lambda x, z, W: mean_outer(np.roll(z, 1, axis=0), x) - W * mean_square(x),
    ),
    _weight(
        "weight-z-for-x-in-w",
        "W x for z: the target has no effect",
        lambda x, z, W: _copi(x, x @ W.mT, W),
    ),
)


def _sgd(name: str, says: str, wrong: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """A wrong ``(x, δ) -> ΔW`` in place of E[δ xᵀ]."""
    return Variant(
        name, says, lambda p: p.with_changes(sgd=lambda x, delta: reduced(p.conventions, x, wrong(x, delta)))
    )


SGD_VARIANTS = (
    _sgd("sgd-sign", "ΔW has the wrong sign: δ is −dℓ/da already", lambda x, d: -mean_outer(d, x)),
    _sgd("sgd-n-minus-1", "ΔW divides by N − 1 instead of N", lambda x, d: mean_outer(d, x) * n_minus_1(x)),
    _sgd("sgd-times-n", "ΔW is multiplied by N, not divided", lambda x, d: mean_outer(d, x) * len(x) ** 2),
    _sgd("sgd-over-n-again", "ΔW is divided by N twice", lambda x, d: mean_outer(d, x) / len(x)),
    _sgd("sgd-mean-over-inputs", "ΔW is divided by K instead of N", lambda x, d: per(x, x, mean_outer(d, x))),
    _sgd("sgd-mean-over-units", "ΔW is divided by M instead of N", lambda x, d: per(x, d, mean_outer(d, x))),
    _sgd(
        "sgd-outer-of-means",
        "E[δ] E[x]ᵀ for E[δ xᵀ]: the mean is taken before the product",
        lambda x, d: np.outer(d.mean(axis=0), x.mean(axis=0)),
    ),
    _sgd("sgd-covariance", "x is centred", lambda x, d: mean_outer(d, centred(x))),
    _sgd("sgd-last-sample", "only the last sample is used", lambda x, d: mean_outer(d[-1:], x[-1:])),
    _sgd("sgd-first-sample", "only the first sample is used", lambda x, d: mean_outer(d[:1], x[:1])),
    _sgd(
        "sgd-misses-last-sample", "the last sample is left out of the sum", lambda x, d: mean_outer(without_last(d), x)
    ),
    _sgd(
        "sgd-misses-first-sample",
        "the first sample is left out of the sum",
        lambda x, d: mean_outer(without_last(d[::-1]), x[::-1]),
    ),
    _sgd(
        "sgd-samples-shifted",
        "δ and x of different samples are multiplied",
        lambda x, d: mean_outer(np.roll(d, 1, axis=0), x),
    ),
    _sgd(
        "sgd-normalised",
        "ΔW is divided by E[x²], column by column",
        lambda x, d: mean_outer(d, x) / np.where(mean_square(x) == 0, 1, mean_square(x)),
    ),
)

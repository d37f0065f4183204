"""What people do wrongly to any sum over samples: a table, each row of which is a mistake in every update and term."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.naming.catalogue import arrays
from copi_ref.oracle.naming.catalogue.adjustment import (
    DECAYS,
    EVERYWHERE,
    FORWARD,
    LATERAL,
    OF_TWO,
    TERMS,
    WHOLE,
    Adjustment,
    Update,
)
from copi_ref.oracle.naming.catalogue.batches import BATCHES
from copi_ref.oracle.naming.catalogue.variant import known_as


def named(place: str, adjustment: Adjustment, what: str) -> tuple[str, str]:
    """Return the name of a variant and what it says, for what is done, and to what."""
    return known_as(KNOWN_AS, f"{place}-{adjustment.name}", adjustment.said_of(what))


def _divided(
    name: str, by: str, divisor: Callable[[int, int, int], float], places: frozenset[str] = EVERYWHERE
) -> Adjustment:
    """Divided by something else than N, where sums are not divided at all."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        N = len(x)
        by = divisor(N, x.shape[1], other.shape[1])
        return update(x, other) * ((1 if summed else N) / by if by else np.inf)

    return Adjustment(name, f"{{}} is divided by {by}", wrong, places)


def _result(
    name: str, says: str, wrong: Callable[[HostArray], HostArray], places: frozenset[str] = EVERYWHERE
) -> Adjustment:
    return Adjustment(name, says, lambda update, x, other, summed: wrong(update(x, other)), places)


def _samples(
    name: str,
    says: str,
    batch: Callable[[HostArray, HostArray], tuple[HostArray, HostArray]],
    places: frozenset[str] = EVERYWHERE,
) -> Adjustment:
    return Adjustment(name, says, lambda update, x, other, summed: update(*batch(x, other)), places)


def _x(
    name: str, says: str, change: Callable[[HostArray], HostArray], places: frozenset[str] = EVERYWHERE
) -> Adjustment:
    return _samples(name, says, lambda x, other: (change(x), other), places)


def _other(name: str, says: str, change: Callable[[HostArray], HostArray]) -> Adjustment:
    return _samples(name, says, lambda x, other: (x, change(other)), OF_TWO)


def _over_trace(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
    return np.asarray(update(x, other) / np.sum(x * x) * len(x))


def _over_mean_power(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
    return np.asarray(update(x, other) / np.mean(x * x))


def _fixed(size: int) -> Callable[[int, int, int], float]:
    return lambda N, K, M: size


def _rounded_up(size: int) -> Callable[[int, int, int], float]:
    return lambda N, K, M: -(-N // size) * size


def _over_pairs(divisor: Callable[[int], float]) -> Callable[[HostArray], HostArray]:
    return lambda A: A / (divisor(len(A)) or 1)


def _in_tiles(size: int, rows: bool) -> Callable[[HostArray], HostArray]:
    return lambda A: arrays.whole_tiles(A, size, rows)


FORMATS = ("float32", "float16", "bfloat16")


def _trace(share: float) -> Callable[[HostArray], HostArray]:
    def traced(x: HostArray) -> HostArray:
        found = x.copy()
        for n in range(1, len(x)):
            found[n] = share * found[n - 1] + (1 - share) * x[n]
        return found

    return traced


DIVISORS = (
    Adjustment("sum", "{} is summed over samples, where the other term is a mean",
               lambda update, x, other, summed: update(x, other) * len(x), TERMS, of_means_only=True),
    Adjustment("times-n", "{} is multiplied by N, not divided",
               lambda update, x, other, summed: update(x, other) * (len(x) if summed else len(x) ** 2)),
    Adjustment("over-n-again", "{} is divided by N once too often",
               lambda update, x, other, summed: update(x, other) / len(x)),
    _divided("n-minus-1", "N − 1 instead of N", lambda N, K, M: N - 1),
    _divided("n-minus-1-guarded", "max(N − 1, 1) instead of N", lambda N, K, M: max(N - 1, 1)),
    _divided("n-plus-1", "N + 1 instead of N", lambda N, K, M: N + 1),
    _divided("over-inputs", "K, the number of inputs, instead of N", lambda N, K, M: K),
    _divided("over-units", "M, the number of units, instead of N", lambda N, K, M: M, FORWARD),
    _divided("over-x-size", "N K, the size of x, instead of N", lambda N, K, M: N * K),
    _divided("over-z-size", "N M, the size of z or δ, instead of N", lambda N, K, M: N * M, FORWARD),
    _divided("over-z-size-by-inputs", "N M/K instead of N: the size of z or δ by the number of inputs",
             lambda N, K, M: N * M / K, FORWARD),
    _divided("over-x-size-by-units", "N K/M instead of N: the size of x by the number of units",
             lambda N, K, M: N * K / M, FORWARD),
    _divided("over-larger-size-of-x", "max(N, K), the larger size of x, instead of N", lambda N, K, M: max(N, K)),
    *(_divided(f"over-multiple-of-{size}", f"N, rounded up to a multiple of {size}, instead of N", _rounded_up(size))
      for size in (4, 8, 16, 32)),
    _divided("over-root-n", "√N instead of N", lambda N, K, M: N**0.5),
    *(_divided(f"over-{size}", f"a fixed batch size of {size} instead of N", _fixed(size), WHOLE)
      for size in (10, 32, 50, 64, 100, 128)),
    Adjustment("over-trace", "{} is divided by the trace of E[x xᵀ]", _over_trace),
    Adjustment("over-mean-power", "{} is divided by the mean of x² over samples and inputs", _over_mean_power),
)  # fmt: skip

RESULTS = (
    _result("sign", "{} has the wrong sign", lambda A: -A),
    _result("zero", "{} is 0", lambda A: 0 * A, EVERYWHERE - {"sgd"}),
    _result("absolute-result", "{} has its absolute value taken", np.abs),
    _result("positive", "{} is set to 0 where it is negative", lambda A: np.maximum(A, 0)),
    _result("signs", "{}: only the signs are left", np.sign),
    _result("clipped", "{} is clipped to ±1", lambda A: np.clip(A, -1, 1)),
    _result("clipped-01", "{} is clipped to [0, 1]", lambda A: np.clip(A, 0, 1)),
    _result("clipped-by-norm", "{} is scaled down to a norm of 1 where it is larger", arrays.clipped_by_norm),
    _result("frobenius-normalised", "{} is divided by its norm", arrays.normalised),
    _result("rows-normalised", "{}: its rows are divided by their norms", lambda A: arrays.normalised(A, 1)),
    _result("columns-normalised", "{}: its columns are divided by their norms", lambda A: arrays.normalised(A, 0)),
    _result("max-normalised", "{} is divided by its largest entry",
            lambda A: A / arrays.nonzero(np.max(np.abs(A)))),
    _result("transposed", "{} is transposed, where it is square", arrays.transposed_if_square),
    _result("symmetrised", "{}: its symmetric part is taken", lambda A: (A + A.mT) / 2, LATERAL),
    _result("antisymmetric", "{}: its antisymmetric part is taken", lambda A: (A - A.mT) / 2, LATERAL),
    _result("lower-triangle-of-result", "{}: its lower triangle is all that is taken", np.tril, LATERAL),
    _result("upper-triangle-of-result", "{}: its upper triangle is all that is taken", np.triu, LATERAL),
    _result("strictly-lower", "{}: what lies below its diagonal is all that is taken",
            lambda A: np.tril(A, -1), LATERAL),
    _result("strictly-upper", "{}: what lies above its diagonal is all that is taken",
            lambda A: np.triu(A, 1), LATERAL),
    _result("no-diagonal", "{}: its diagonal is set to 0", arrays.without_diagonal, LATERAL),
    _result("diagonal-of-result", "{}: its diagonal is all that is taken", lambda A: np.diag(np.diag(A)), LATERAL),
    _result("misses-first-row", "{}: its first row is left out", lambda A: arrays.cleared(A, 0, slice(None))),
    _result("misses-last-row", "{}: its last row is left out", lambda A: arrays.cleared(A, -1, slice(None))),
    _result("misses-first-column", "{}: its first column is left out", lambda A: arrays.cleared(A, slice(None), 0)),
    _result("misses-last-column", "{}: its last column is left out", lambda A: arrays.cleared(A, slice(None), -1)),
    _result("upper-mirrored", "{}: what lies above its diagonal is mirrored below it",
            lambda A: arrays.mirrored(A, upper=True), LATERAL),
    _result("lower-mirrored", "{}: what lies below its diagonal is mirrored above it",
            lambda A: arrays.mirrored(A, upper=False), LATERAL),
    _result("reshaped", "{}: its entries, row by row, are read as those of the transpose", arrays.reshaped, FORWARD),
    _result("of-column-major", "{}: its entries in column-major order are read row by row", arrays.of_column_major,
            FORWARD),  # of a square matrix it is the transpose
    _result("averaged-over-entries", "{}: every entry is the mean of all", lambda A: A.mean() + 0 * A),
    _result("columns-summed-up", "{}: columns are added up from the first on, as nothing is cleared between inputs",
            lambda A: np.cumsum(A, axis=1)),
    _result("rows-summed-up", "{}: rows are added up from the first on, as nothing is cleared between units",
            lambda A: np.cumsum(A, axis=0)),
    _result("square-part", "{}: rows and columns beyond the smaller of both numbers stay 0",
            lambda A: A * (np.arange(A.shape[1]) < len(A)) * (np.arange(len(A)) < A.shape[1])[:, None], FORWARD),
    *(_result(f"over-{name}", f"{{}} is divided by {says}, as if it were a mean over pairs of inputs",
              _over_pairs(divisor), LATERAL)
      for name, says, divisor in (("pairs", "K (K − 1)", lambda K: K * (K - 1)), ("half-pairs", "K (K − 1)/2",
                                  lambda K: K * (K - 1) / 2), ("others", "K − 1", lambda K: K - 1),
                                  ("square", "K²", lambda K: K * K))),
    _result("columns-centred", "{}: the mean over its rows is taken away from each", arrays.centred),
    _result("rows-centred", "{}: the mean over its columns is taken away from each",
            lambda A: A - A.mean(axis=1, keepdims=True)),
    *(_result(f"{lines}-in-tiles-of-{size}", f"{{}}: {lines} beyond a multiple of {size} stay 0",
              _in_tiles(size, rows=lines == "rows")) for lines in ("columns", "rows") for size in (2, 4, 8, 16)),
    *(_result(f"in-{name}", f"{{}} is rounded to {name}", arrays.rounded_to(name), WHOLE) for name in FORMATS),
)  # fmt: skip

SAMPLES = (
    *BATCHES,
    _x("covariance", "x is centred", arrays.centred),
    _x("unit-power", "x is scaled to E[x²] = 1 first", arrays.unit_power, EVERYWHERE - DECAYS),
    _x("standardised", "x is centred and scaled to variance 1, as by a batch norm (ε = 1e-5)",
       arrays.standardised, EVERYWHERE - DECAYS),
    _x("layer-normed", "x of each sample is centred and scaled to variance 1, as by a layer norm (ε = 1e-5)",
       lambda x: arrays.standardised(x, axis=1)),
    _x("unit-length", "x of each sample is divided by its length", lambda x: arrays.normalised(x, 1)),
    _x("absolute-x", "|x| for x", np.abs, WHOLE),  # |x|² is x²
    _x("positive-x", "x is set to 0 where it is negative", lambda x: np.maximum(x, 0)),
    _x("clipped-x", "x is clipped to ±1", lambda x: np.clip(x, -1, 1)),
    _x("clipped-x-01", "x is clipped to [0, 1]", lambda x: np.clip(x, 0, 1)),
    *(_x(f"x-in-{name}", f"x is rounded to {name}", arrays.rounded_to(name)) for name in FORMATS),
    _samples("square-batch-transposed", "a batch with as many samples as units is taken for columns",
             lambda x, other: (arrays.transposed_if_square(x), arrays.transposed_if_square(other)
                               if other.shape == x.shape else other), FORWARD - {"weight-decay"}),
    _samples("square-x-transposed", "x with as many samples as inputs is taken for columns",
             lambda x, other: (arrays.transposed_if_square(x), other)),
    _samples("square-x-or-z-transposed",
             "x with as many samples as inputs, and z or δ with as many as units, are taken for columns",
             lambda x, other: (arrays.transposed_if_square(x), arrays.transposed_if_square(other)),
             OF_TWO | {"weight"}),
    _x("reshaped-x", "x is reshaped where it has to be transposed", arrays.reshaped, EVERYWHERE - {"weight-decay"}),
    _other("reshaped-z", "z or δ is reshaped where it has to be transposed", arrays.reshaped),
    _other("square-z-transposed", "z or δ with as many samples as units is taken for columns",
           arrays.transposed_if_square),
    _other("samples-shifted", "x is multiplied with the sample before its own", lambda z: np.roll(z, 1, axis=0)),
    _other("samples-shifted-back", "x is multiplied with the sample after its own", lambda z: np.roll(z, -1, axis=0)),
    _other("samples-reversed", "samples of x and of what it is multiplied with run in opposite orders",
           lambda z: z[::-1]),
    _other("outer-of-means", "the mean is taken before the product", lambda z: z.mean(axis=0) + 0 * z),
    _other("units-averaged", "all units get the mean over units", lambda z: z.mean(axis=1, keepdims=True) + 0 * z),
    _other("units-reversed", "units are in the opposite order", lambda z: z[:, ::-1]),
    _other("clipped-z", "z or δ is clipped to ±1", lambda z: np.clip(z, -1, 1)),
    _other("absolute-z", "the absolute value of z or δ is taken", np.abs),
    _other("positive-z", "z or δ is set to 0 where it is negative", lambda z: np.maximum(z, 0)),
    _other("squashed-z", "z or δ goes through tanh", np.tanh),
    _other("signs-z", "the sign of z or δ is taken", np.sign),
    _other("squared-z", "z or δ is squared", lambda z: z * z),
    _other("winner-z", "z or δ is 0 but in the unit in which it is largest: the winner takes all",
           lambda z: z * (np.arange(z.shape[1]) == np.argmax(z, axis=1)[:, None])),
    _other("thresholded-z", "z (z − E[z²]) for z: the threshold of BCM", lambda z: z * (z - np.mean(z * z, axis=0))),
    *(_x(f"{name}-x-in-product", f"{says} for x", change, OF_TWO)
      for name, says, change in (("squared", "x²", np.square), ("squashed", "tanh(x)", np.tanh),
                                 ("signs-of", "the sign of x", np.sign))),
    *(_x(f"traced-x-{share:g}", f"a trace x̄ = {share:g} x̄ + {1 - share:g} x along the batch for x", _trace(share),
         OF_TWO) for share in (0.5, 0.9)),
    _samples("as-many-as-inputs", "no more samples than inputs are in the sum, which is divided by N",
             lambda x, other: (arrays.up_to(x, x.shape[1]), arrays.up_to(other, x.shape[1]))),
    _samples("stops-at-zero", "the sum ends at the first sample that is 0 in z or δ",
             lambda x, other: (x, other * np.logical_and.accumulate(np.any(other != 0, axis=1))[:, None]), OF_TWO),
    _samples("per-length", "each sample is divided by ‖x‖²",
             lambda x, other: (x, other / arrays.nonzero(np.sum(x * x, axis=1, keepdims=True))), OF_TWO),
    _samples("nonzero-samples", "the mean is over samples that are not all 0",
             lambda x, other: (x[arrays.rows_with_any(other)], other[arrays.rows_with_any(other)]), OF_TWO),
)  # fmt: skip

ADJUSTMENTS = (*RESULTS, *DIVISORS, *SAMPLES)
"""In the order in which they are tried."""

KNOWN_AS = {
    "weight-over-inputs": ("weight-mean-over-inputs", ""),
    "weight-over-units": ("weight-mean-over-units", ""),
    "weight-hebb-zero": ("weight-decay-only", "the term E[z xᵀ] is missing"),
    "weight-hebb-samples-shifted": ("weight-samples-shifted", "z and x of different samples are multiplied"),
    "weight-hebb-outer-of-means": (
        "weight-outer-of-means",
        "E[z] E[x]ᵀ for E[z xᵀ]: the mean is taken before the product",
    ),
    "weight-decay-zero": ("weight-no-decay", "the decay −W diag(E[x²]) is missing"),
    "weight-decay-covariance": ("weight-decay-variance", "the decay has the variance of x for E[x²]"),
    "weight-decay-sign": ("weight-decay-sign", "the decay has a plus sign"),
    "sgd-over-inputs": ("sgd-mean-over-inputs", ""),
    "sgd-over-units": ("sgd-mean-over-units", ""),
    "sgd-sign": ("sgd-sign", "ΔW has the wrong sign: δ is −dℓ/da already"),
    "lateral-over-inputs": ("lateral-mean-over-inputs", ""),
    "lateral-unit-power": ("lateral-correlation", ""),
    "lateral-no-diagonal": ("lateral-no-self-update", ""),
    "lateral-decay-zero": ("lateral-diagonal", "the diagonal of E[x xᵀ] is left in"),
    "lateral-decay-sign": ("lateral-diagonal-sign", "diag(E[x²]) is added and not taken away"),
    "lateral-decay-covariance": ("lateral-decay-variance", "the decay has the variance of x for E[x²]"),
    "lateral-covariance": ("lateral-covariance", "x is centred: covariance for E[x xᵀ]"),
    "weight-covariance": ("weight-covariance", "x and z are centred: covariances for second moments"),
}
"""Names and sentences that say more than the table's."""

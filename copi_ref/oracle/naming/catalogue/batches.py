"""Wrong batches: samples are left out, counted twice, weighted, or summed in parts that are put together wrongly."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.naming.catalogue import arrays
from copi_ref.oracle.naming.catalogue.adjustment import Adjustment, Update

SIZES = (8, 16, 32)
"""Of tiles, blocks and micro-batches: smaller than the largest batch that is drawn, or they would never show."""


def _some(name: str, says: str, some: Callable[[HostArray], HostArray]) -> Adjustment:
    """Samples that are chosen, or set to 0: of x and of z or δ alike; R is no batch, and stays."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        return update(some(x), some(other) if len(other) == len(x) else other)

    return Adjustment(name, says, wrong)


def _counted_twice(which: str, at: int) -> Adjustment:
    """A sample is added twice, as by a loop that starts or ends one too far; N stays as it is."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        one = slice(at, at + 1 or None)
        more = np.concatenate([x, x[one]]), np.concatenate([other, other[one]]) if len(other) == len(x) else other
        return update(*more) * (1 if summed else len(more[0]) / len(x))

    return Adjustment(f"{which}-sample-twice", f"the {which} sample counts twice", wrong)


def _fading(share: float) -> Callable[[int], HostArray]:
    return lambda N: np.asarray((1 - share) * share ** np.arange(N)[::-1])


def _trapezoidal(N: int) -> HostArray:
    weights = np.full(N, 1 / N)
    weights[0] -= 1 / (2 * N)
    weights[-1] -= 1 / (2 * N)
    return weights


def _weighted(name: str, says: str, weights: Callable[[int], HostArray], whole: bool = True) -> Adjustment:
    """Samples with weights, that add up to 1 if `whole`: of second order as updates are, they get the roots."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        N, share = len(x), weights(len(x))
        roots = np.sqrt(share / (share.sum() if whole else 1) * (1 if summed else N))[:, None]
        return update(x * roots, other * roots if len(other) == N else other)

    return Adjustment(name, says, wrong)


def _of_each(change: Callable[[HostArray], HostArray]) -> Callable[[Update, HostArray, HostArray, bool], HostArray]:
    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        parts = [
            change(update(x[n : n + 1], other[n : n + 1] if len(other) == len(x) else other)) for n in range(len(x))
        ]
        return np.asarray((np.sum if summed else np.mean)(parts, axis=0))

    return wrong


def _in_batches(
    size: int, joined: Callable[..., HostArray]
) -> Callable[[Update, HostArray, HostArray, bool], HostArray]:
    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        """The ragged last one weighs as much as the others."""
        parts = [
            update(x[start : start + size], other[start : start + size] if len(other) == len(x) else other)
            for start in range(0, len(x), size)
        ]
        return np.asarray(joined(parts, axis=0))

    return wrong


def _first(size: int) -> Callable[[HostArray], HostArray]:
    return lambda x: x[:size]


def _last(size: int) -> Callable[[HostArray], HostArray]:
    return lambda x: x[(len(x) - 1) // size * size :]


def _only_whole(size: int) -> Callable[[HostArray], HostArray]:
    return lambda x: x[: len(x) // size * size or len(x)]


def _stopping(size: int) -> Callable[[HostArray], HostArray]:
    return lambda x: arrays.up_to(x, size)


def _overlapping(size: int) -> Callable[[Update, HostArray, HostArray, bool], HostArray]:
    """As slices do that are moved back into the array where they would not fit; N stays as it is."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        N, rest = len(x), len(x) % size
        if size >= N or not rest:
            return update(x, other)
        twice = slice(N - size, N - rest)
        more = np.concatenate([x, x[twice]]), np.concatenate([other, other[twice]]) if len(other) == N else other
        return update(*more) * (1 if summed else len(more[0]) / N)

    return wrong


def _whole(size: int) -> Callable[[HostArray], HostArray]:
    return lambda x: arrays.up_to(x, len(x) // size * size)


BATCHES = (
    _some("first-sample", "only the first sample is used", lambda x: x[:1]),
    _some("last-sample", "only the last sample is used", lambda x: x[-1:]),
    _some("misses-first-sample", "the first sample is left out of the sum",
          lambda x: arrays.without_last(x[::-1])[::-1]),
    _some("misses-last-sample", "the last sample is left out of the sum", arrays.without_last),
    _counted_twice("first", 0),
    _counted_twice("last", -1),
    _some("every-second-sample", "only every second sample is used", lambda x: x[::2]),
    _some("first-half", "only the first half of the batch is used", lambda x: x[: (len(x) + 1) // 2]),
    *(_some(f"first-{size}", f"only the first {size} samples are used", _first(size)) for size in SIZES),
    *(_some(f"stops-at-{size}", f"the sum stops after {size} samples, and is divided by N", _stopping(size))
      for size in SIZES),
    *(_some(f"drops-rest-{size}", f"samples beyond a multiple of {size} are left out of the sum", _whole(size))
      for size in (2, 4, *SIZES, 50)),
    *(Adjustment(f"batches-of-{size}",
                 f"means of micro-batches of {size} are averaged; a smaller last one counts as much",
                 _in_batches(size, np.mean)) for size in (4, *SIZES)),
    *(Adjustment(f"sums-of-batches-of-{size}", f"means of micro-batches of {size} are added up, and not averaged",
                 _in_batches(size, np.sum)) for size in (4, *SIZES)),
    *(_some(f"last-batch-of-{size}", f"only the last micro-batch of {size} is used: each writes over the one before",
            _last(size)) for size in (4, *SIZES)),
    *(_some(f"drops-last-batch-of-{size}",
            f"only whole micro-batches of {size} are used where there are any, and N is that of these",
            _only_whole(size)) for size in (4, *SIZES)),
    _weighted("trapezoidal", "the first and the last sample count half, as in an integral", _trapezoidal, whole=False),
    *(_weighted(f"fades-{share:g}", f"E is a running mean along the batch, {share:g} of the one before: the "
                "later a sample the more it weighs", _fading(share)) for share in (0.5, 0.9, 0.99)),
    *(_weighted(f"fades-from-zero-{share:g}", f"E is a running mean along the batch that starts at 0, {share:g} of the "
                "one before", _fading(share), whole=False) for share in (0.5, 0.9, 0.99)),
    *(Adjustment(f"samples-{name}", f"what each sample adds is {says} before the mean", _of_each(change))
      for name, says, change in (("clipped-by-norm", "scaled down to a norm of 1 where it is larger",
                                  arrays.clipped_by_norm),
                                 ("normalised", "divided by its norm", arrays.normalised),
                                 ("clipped", "clipped to ±1", lambda A: np.clip(A, -1, 1)))),
    *(Adjustment(f"overlaps-{size}",
                 f"the last block of {size} samples overlaps the one before: samples in both count twice",
                 _overlapping(size)) for size in SIZES),
)  # fmt: skip

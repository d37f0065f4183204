"""Wrong batches: samples are left out, counted twice, weighted, or summed in parts that are put together wrongly."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.naming.catalogue import arrays
from copi_ref.oracle.naming.catalogue.adjustment import Adjustment, Update

SIZES = (8, 16, 32)
"""Of tiles, blocks and micro-batches: smaller than the largest batch that is drawn, or they would never show."""


def _some(name: str, says: str, some: Callable[[HostArray], HostArray]) -> Adjustment:
    """Samples that are chosen, or set to 0: of x and of z or δ alike."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        return update(some(x), some(other))

    return Adjustment(name, says, wrong)


def _counted_twice(which: str, at: int) -> Adjustment:
    """A sample is added twice, as by a loop that starts or ends one too far; N stays as it is."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        one = slice(at, at + 1 or None)
        more = np.concatenate([x, x[one]]), np.concatenate([other, other[one]])
        return update(*more) * (1 if summed else len(more[0]) / len(x))

    return Adjustment(f"{which}-sample-twice", f"the {which} sample counts twice", wrong)


def _fading(share: float) -> Callable[[int], HostArray]:
    return lambda N: np.asarray((1 - share) * share ** np.arange(N)[::-1])


def _trapezoidal(N: int) -> HostArray:
    weights = np.full(N, 1 / N)
    weights[0] -= 1 / (2 * N)
    weights[-1] -= 1 / (2 * N)
    return weights


def _numbers(N: int) -> HostArray:
    return np.arange(1.0, N + 1)


def _halving(N: int) -> HostArray:
    """Sums by halves, n and n + N // 2, which lose the odd one out."""
    taken = np.arange(N)
    places = [[at] for at in taken]
    while len(places) > 1:
        half = len(places) // 2
        places = [places[at] + places[at + half] for at in range(half)]
    return np.isin(taken, places[0]) / N


_WEIGHTS: tuple[tuple[str, str, Callable[[int], HostArray]], ...] = (
    ("trapezoidal", "the first and the last sample count half, as in an integral", _trapezoidal),
    ("running-sums", "sums so far are added up: earlier samples count more often", lambda N: _numbers(N)[::-1] / N),
    ("running-sums-backwards", "later samples count more often, the n-th n times", lambda N: _numbers(N) / N),
    ("over-number-so-far", "each sample is divided by the number of samples so far", lambda N: 1 / _numbers(N)),
    ("divided-in-the-loop", "what was summed so far is divided by N at each sample",
     lambda N: float(N) ** -_numbers(N)[::-1]),
    ("running-mean-unweighted", "m ← (m + sample)/n for a running mean: what came before has no weight",
     lambda N: 1 / np.cumprod(_numbers(N)[::-1])[::-1]),
    ("running-mean-of-rate-1/N", "m ← m + (sample − m)/N for a running mean, from m = 0",
     lambda N: (1 - 1 / N) ** (N - _numbers(N)) / N),
    ("halving", "sums are made by halves, and lose the odd one out", _halving),
)  # fmt: skip
"""Weights of samples, which are 1/N each where they are right."""


def _growing(size: int) -> Callable[[int], HostArray]:
    return lambda N: (1 + np.arange(N) // size) / N


def _shrinking(size: int) -> Callable[[int], HostArray]:
    return lambda N: ((N - 1) // size + 1 - np.arange(N) // size) / N


def _too_long(size: int) -> Callable[[int], HostArray]:
    return lambda N: (1 + ((np.arange(N) % size == 0) & (np.arange(N) > 0))) / N


def _split(parts: int) -> Callable[[int], HostArray]:
    def weights(N: int) -> HostArray:
        count = min(parts, N)
        return np.concatenate(
            [np.full(len(one), 1 / (count * len(one))) for one in np.array_split(np.arange(N), count)]
        )

    return weights


def _filled_up(size: int) -> Callable[[int], HostArray]:
    def weights(N: int) -> HostArray:
        filled = np.arange(-(-N // size) * size) % N
        return np.bincount(filled, minlength=N) / len(filled)

    return weights


def _over_whole(size: int) -> Callable[..., HostArray]:
    """Of parts that are all `size` long but the last: that is not counted."""
    return lambda parts, axis: np.sum(parts, axis=axis) / max(len(parts) - 1, 1)


def _weighted(name: str, says: str, weights: Callable[[int], HostArray], whole: bool = True) -> Adjustment:
    """Samples with weights, that add up to 1 if `whole`: of second order as updates are, they get the roots."""

    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        N, share = len(x), weights(len(x))
        roots = np.sqrt(share / (share.sum() if whole else 1) * (1 if summed else N))[:, None]
        return update(x * roots, other * roots)

    return Adjustment(name, says, wrong)


def _of_each(change: Callable[[HostArray], HostArray]) -> Callable[[Update, HostArray, HostArray, bool], HostArray]:
    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        parts = [change(update(x[n : n + 1], other[n : n + 1])) for n in range(len(x))]
        return np.asarray((np.sum if summed else np.mean)(parts, axis=0))

    return wrong


def _in_batches(
    size: int, joined: Callable[..., HostArray]
) -> Callable[[Update, HostArray, HostArray, bool], HostArray]:
    def wrong(update: Update, x: HostArray, other: HostArray, summed: bool) -> HostArray:
        """The ragged last one weighs as much as the others."""
        parts = [update(x[start : start + size], other[start : start + size]) for start in range(0, len(x), size)]
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
        more = np.concatenate([x, x[twice]]), np.concatenate([other, other[twice]])
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
    *(_weighted(name, says, weights, whole=False) for name, says, weights in _WEIGHTS),
    *(_weighted(f"blocks-to-the-end-{size}", f"blocks of {size} go on to the end: samples of the k-th count k times",
                _growing(size), whole=False) for size in (4, *SIZES)),
    *(_weighted(f"blocks-not-cleared-{size}",
                f"sums of blocks of {size} are not cleared: samples of the k-th last count "
                "k times", _shrinking(size), whole=False) for size in (4, *SIZES)),
    *(_weighted(f"blocks-too-long-{size}",
                f"blocks of {size} are one sample too long: the next one's first counts twice",
                _too_long(size), whole=False) for size in (4, *SIZES)),
    *(_weighted(f"split-in-{parts}", f"the batch is split in {parts}, and means of the parts are averaged as equals",
                _split(parts), whole=False) for parts in (2, 3, 4, 8)),
    *(_weighted(f"filled-up-to-{size}", f"the batch is filled up to a multiple of {size} with its first samples",
                _filled_up(size), whole=False) for size in SIZES),
    *(Adjustment(f"over-whole-batches-of-{size}",
                 f"means of micro-batches of {size} are added, and divided by N // {size}",
                 _in_batches(size, _over_whole(size))) for size in (4, *SIZES)),
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

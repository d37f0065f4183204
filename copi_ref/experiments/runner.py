"""Train one method with one seed, and sum up what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.algorithm import init_state
from copi_ref.analysis.diagnostics import relative_off_diagonal_of_moment
from copi_ref.arrays.backend import HostArray, to_numpy
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.presets import Experiment
from copi_ref.network import Params
from copi_ref.training.fit import fit


@dataclass(frozen=True, eq=False)
class Run:
    """What a training run left: metrics per epoch, and what the first layer saw before and after.

    `moment_before` is E[y yᵀ] of the input y_0, `moment_after` E[x xᵀ] of the decorrelated input at the end (with
    centring x = R (y − μ)); both of all training samples, (K, K), float64.
    """

    method: str
    seed: int
    metrics: tuple[dict[str, float], ...]
    moment_before: HostArray
    moment_after: HostArray

    @property
    def off_diagonal_before(self) -> float:
        """‖C_off‖_F / ‖diag C‖_F of the input."""
        return float(relative_off_diagonal_of_moment(self.moment_before))

    @property
    def off_diagonal_after(self) -> float:
        """‖C_off‖_F / ‖diag C‖_F of the first layer's decorrelated input at the end."""
        return float(relative_off_diagonal_of_moment(self.moment_after))


def run(
    experiment: Experiment,
    method: str,
    seed: int,
    dataset: Dataset,
    epochs: int,
    **options: Any,
) -> Run:
    """Train a fresh network on the chosen backend.

    Args:
        experiment: recipe and hidden layers.
        method: its name, for the record.
        seed: of ``numpy.random.default_rng``.
        dataset: what to train and test on.
        epochs: how many.
        options: `callback` and `diagnostics`, as for `fit`.

    Raises:
        NonFiniteError: a weight or a loss became infinite or NaN.
        ValueError, BackendError: as `fit`.
    """
    state = init_state(experiment.recipe, experiment.sizes(dataset), np.random.default_rng(seed))
    result = fit(experiment.recipe, state, dataset, epochs, **options)
    return run_of(method, seed, result.metrics, result.state.params, dataset)


def run_of(method: str, seed: int, metrics: tuple[dict[str, float], ...], params: Params, dataset: Dataset) -> Run:
    """Return the record of a run that has been trained, from what it left."""
    return Run(method, seed, metrics, dataset.input_moment, _moment_of_x(params, dataset))


def _moment_of_x(params: Params, dataset: Dataset) -> HostArray:
    """Return E[x xᵀ] of the first layer's x = R (y − μ) from E[y yᵀ] and m = E[y], without forming x."""
    C, R = dataset.input_moment, to_numpy(params.R[0]).astype(np.float64)
    if params.mean is not None:
        m, mu = dataset.x_train.mean(axis=0, dtype=np.float64), to_numpy(params.mean[0]).astype(np.float64)
        C = C - np.outer(m, mu) - np.outer(mu, m) + np.outer(mu, mu)  # E[(y − μ)(y − μ)ᵀ]
    return np.asarray(R @ C @ R.mT)


def peak(metrics: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the largest value of a metric over epochs."""
    return max(row[name] for row in metrics)


def epoch_of_99_percent(metrics: Sequence[Mapping[str, float]]) -> int:
    """Return the first epoch, from 0, after which a run has 99 % of its peak train accuracy."""
    enough = 0.99 * peak(metrics, "train_accuracy")
    return next(epoch for epoch, row in enumerate(metrics) if row["train_accuracy"] >= enough)


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; a single seed has no deviation."""

    mean: float
    std: float | None

    def text(self, digits: int = 4, sign: str = "±") -> str:
        """Return mean and deviation for a reader, so many digits after the point."""
        mean = f"{self.mean:.{digits}f}"
        return mean if self.std is None else f"{mean} {sign}{self.std:.{digits}f}"


def spread(values: Sequence[float]) -> Spread:
    """Return mean and deviation of one number per seed."""
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)


def summarize(runs: list[Run]) -> dict[str, Spread]:
    """Sum up the runs of one method, one per seed: accuracies of the last epoch, speed, energies."""
    columns: dict[str, list[float]] = {
        "train_accuracy": [run.metrics[-1]["train_accuracy"] for run in runs],
        "test_accuracy": [run.metrics[-1]["test_accuracy"] for run in runs],
        "epoch_of_99_percent": [epoch_of_99_percent(run.metrics) for run in runs],
        "off_diagonal_before": [run.off_diagonal_before for run in runs],
        "off_diagonal_after": [run.off_diagonal_after for run in runs],
    }
    return {name: spread(values) for name, values in columns.items()}

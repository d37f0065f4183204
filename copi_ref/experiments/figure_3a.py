"""Fig. 3A: samples as they are, after COPI's R, and after ZCA whitening; and how far R is from it."""

import numpy as np

from copi_ref.analysis.whitening import distance_from_zca, distance_of_units_from_zca, input_moment, zca
from copi_ref.arrays.backend import HostArray
from copi_ref.arrays.products import apply
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.chosen_runs import FigureError, Row, samples_for
from copi_ref.experiments.folder import FinishedRun
from copi_ref.experiments.runner import spread
from copi_ref.network import centred, decorrelated

SAMPLES = 10


def transformed(run: FinishedRun, dataset: Dataset) -> tuple[HostArray, dict[str, HostArray]]:
    """Return the places of ten random training samples (always the same ones), and them: raw, after R, after ZCA.

    ZCA is computed from all training samples. Each array is (10, side, side).

    Raises:
        FigureError: the samples are no square images.
    """
    params, x = run.params, samples_for(run, dataset.x_train)
    places = np.sort(np.random.default_rng(0).choice(len(x), min(SAMPLES, len(x)), replace=False))
    y = x[places]
    Z = np.asarray(zca(input_moment(params, x)), dtype=y.dtype)
    rows = {
        "raw": y,
        "decorrelated by R": decorrelated(params, 0, y),
        "whitened by ZCA": apply(Z, centred(params, 0, y)),
    }
    return places, {name: as_images(np.asarray(row)) for name, row in rows.items()}


def distances(runs: list[FinishedRun], dataset: Dataset) -> list[Row]:
    """Return how far the samples are from whitened ones, as they are (R = I) and after each run's R; over seeds."""
    found: dict[str, list[tuple[float, float]]] = {"none (R = I)": [], "R": []}
    for run in runs:
        C = input_moment(run.params, samples_for(run, dataset.x_train))
        R = np.asarray(run.params.R[0], dtype=np.float64)
        for name, transform in zip(found, (np.eye(len(R)), R), strict=True):
            found[name].append(
                (float(distance_from_zca(transform, C)), float(distance_of_units_from_zca(transform, C)))
            )
    return [
        {
            "transform": name,
            "seeds": len(runs),
            "distance_from_zca": spread([one for one, _ in pairs]),
            "distance_of_units_from_zca": spread([of_units for _, of_units in pairs]),
        }
        for name, pairs in found.items()
    ]


def as_images(rows: HostArray) -> HostArray:
    """Return (n, K) rows as (n, side, side) images.

    Raises:
        FigureError: K is no square.
    """
    side = round(rows.shape[1] ** 0.5)
    if side * side != rows.shape[1]:
        raise FigureError(f"samples have {rows.shape[1]} features: needs grey images as high as wide, such as MNIST's")
    return rows.reshape(len(rows), side, side)

"""Fig. 3B: receptive fields of a hundred random units of each layer of one network."""

from dataclasses import dataclass

import numpy as np

from copi_ref.analysis.receptive_fields import receptive_fields
from copi_ref.arrays.backend import HostArray
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.chosen_runs import Row, samples_for
from copi_ref.experiments.figure_3a import as_images
from copi_ref.experiments.folder import FinishedRun

UNITS = 100


@dataclass(frozen=True, eq=False)
class Fields:
    """Receptive fields of some units of a layer: their numbers, from 0, and (n, side, side) correlations with x_1."""

    layer: int
    units: HostArray
    images: HostArray


def fields(run: FinishedRun, dataset: Dataset) -> list[Fields]:
    """Return for each layer the fields of up to a hundred units, drawn at random (always the same ones).

    Over all training samples, as in the paper.

    Raises:
        FigureError: the samples are no square images.
    """
    rng = np.random.default_rng(0)
    found = []
    of_layers = receptive_fields(run.params, samples_for(run, dataset.x_train), run.recipe.activation)
    for layer, of_units in enumerate(map(np.asarray, of_layers), start=1):
        units = np.sort(rng.choice(len(of_units), min(UNITS, len(of_units)), replace=False))
        found.append(Fields(layer, units, as_images(of_units[units])))
    return found


def strongest(found: list[Fields]) -> list[Row]:
    """Return for each unit drawn its largest correlation in size, with its sign, and the pixel that has it."""
    rows = []
    for of_layer in found:
        for unit, image in zip(of_layer.units, of_layer.images, strict=True):
            pixel = int(np.abs(image).argmax())
            row, column = divmod(pixel, image.shape[1])
            value = float(image[row, column])
            place = {"layer": of_layer.layer, "unit": int(unit), "row": row, "column": column}
            rows.append({**place, "correlation": value})
    return rows


def summary(found: list[Fields]) -> list[Row]:
    """Return for each layer how many units were drawn, and the mean of their largest correlations in size."""
    return [
        {
            "layer": one.layer,
            "units": len(one.units),
            "mean_largest_correlation": float(np.abs(one.images).max(axis=(1, 2)).mean()),
        }
        for one in found
    ]

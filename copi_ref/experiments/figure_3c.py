"""Fig. 3C: test accuracy with hidden layers replaced by one linear map, by the three formulas of App. B."""

import numpy as np

from copi_ref.analysis.compression import compress, responses
from copi_ref.analysis.linear_maps import LINEAR_MAPS
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.chosen_runs import Row, samples_for
from copi_ref.experiments.folder import FinishedRun
from copi_ref.experiments.runner import spread
from copi_ref.training.evaluation import evaluate


def accuracies(runs: list[FinishedRun], dataset: Dataset) -> list[Row]:
    """Return the test accuracy for each formula and number of replaced hidden layers: mean and deviation over seeds.

    Hidden layers go from the second on; the maps are made from all training samples.

    Raises:
        ValueError: a network has fewer than two hidden layers, or no exact inverse.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for run in runs:
        for key, accuracy in _of_run(run, dataset).items():
            found.setdefault(key, []).append(accuracy)
    return [
        {"formula": formula, "replaced": replaced, "seeds": len(values), "test_accuracy": spread(values)}
        for (formula, replaced), values in found.items()
    ]


def _of_run(run: FinishedRun, dataset: Dataset) -> dict[tuple[str, int], float]:
    recipe, params = run.recipe, run.params
    target = np.eye(params.W[-1].shape[0], dtype=params.W[-1].dtype)[dataset.y_test]
    x_train, x_test = (samples_for(run, x) for x in (dataset.x_train, dataset.x_test))
    moments = responses(params, x_train, recipe.activation)
    return {
        (formula, replaced): evaluate(recipe, compress(params, moments, replaced, formula), x_test, target).accuracy
        for formula in LINEAR_MAPS
        for replaced in range(len(params.W) - 1)
    }

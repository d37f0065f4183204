"""What is said before training starts: of data and settings that can be used, and perhaps are not what was meant."""

from collections.abc import Iterator, Sequence

import numpy as np

from copi_ref.data.dataset import Dataset
from copi_ref.data.named import FILE_NAMES
from copi_ref.experiments.config import Plan
from copi_ref.recipe import Recipe
from copi_ref.training.scale import PROVED, Scale, scale_of


def remarks(plans: Sequence[Plan], dataset: Dataset) -> Iterator[str]:
    """Yield warnings, and notes on what is done to the data, a line each."""
    yield from _on_labels(dataset)
    yield from _on_dtype(dataset, plans[0].experiment().recipe)
    idle = epochs_of_R_alone(plans)
    if idle >= plans[0].epochs:
        yield (
            f"warning: W never learns: lateral_only_epochs of the preset {plans[0].preset} is {idle}, and epochs is "
            f"{plans[0].epochs}: in these R alone learns; needs {idle + 1} or more"
        )


def remarks_on_scale(plans: Sequence[Plan], dataset: Dataset) -> Iterator[str]:
    """Warn of samples that are too large for a rate of R: it is known to be safe up to 2/(3 E‖x‖²).

    Of a preset's own rate on a set that the package reads and scales nothing is said: both are as published.
    """
    if plans[0].dataset in ("digits", *FILE_NAMES) and "eta_r" not in plans[0].overrides:
        return
    eta_r, scale = max(_highest_eta_r(plan) for plan in plans), scale_of(dataset.x_train)
    if 0 < scale.safe_eta_r < eta_r:  # 0: all samples are 0, and no rate is too high
        scaling = f"the samples by {scale.factor(eta_r):.2g}"
        auto = f"--eta-r auto, which is {automatic_eta_r(scale):g}"
        advice = f"the rate of R is high, and training may diverge: pass {auto}, or multiply {scaling}"
        if scale.is_large:  # then W's rate is too high as well, and no rate makes up for it: W would hardly learn
            advice = (
                f"the samples are too large, and training may diverge: multiply {scaling}; or pass {auto}, and lower "
                "--eta-w, with which W learns slowly"
            )
        yield (
            f"warning: {advice}. (E‖x‖² is {scale.power:.3g}, and --eta-r {eta_r:.3g} is above 2/(3 E‖x‖²) = "
            f"{scale.safe_eta_r:.3g}, {PROVED})"
        )


def epochs_of_R_alone(plans: Sequence[Plan]) -> int:
    """Return in how many epochs at the start W stays, of the plan that has most."""
    return max(plan.experiment().recipe.lateral_only_epochs for plan in plans)


def automatic_eta_r(scale: Scale) -> float:
    """Return the safe rate with three digits, which stay the same whatever the order of sums; never rounded up."""
    return float(f"{0.995 * scale.safe_eta_r:.3g}")


def _highest_eta_r(plan: Plan) -> float:
    recipe = plan.experiment().recipe
    if recipe.lateral_rule == "none":
        return 0.0
    return max(map(recipe.eta_r, range(plan.epochs))) if callable(recipe.eta_r) else float(recipe.eta_r)


def _on_labels(dataset: Dataset) -> Iterator[str]:
    missing = np.setdiff1d(np.arange(dataset.classes), dataset.y_train).tolist()
    if missing:
        listed = ", ".join(map(str, missing if len(missing) < 8 else [*missing[:3], "…", missing[-1]]))
        yield (
            f"warning: no training sample has the label {listed} ({len(missing)} of {dataset.classes} classes): labels "
            f"count from 0, and the network has an output for each up to the largest, {dataset.classes - 1}"
        )


def _on_dtype(dataset: Dataset, recipe: Recipe) -> Iterator[str]:
    dtypes = dict.fromkeys(str(x.dtype) for x in (dataset.x_train, dataset.x_test))
    if others := [dtype for dtype in dtypes if dtype != recipe.dtype]:
        yield f"note: the samples are {' and '.join(others)}, and are cast to {recipe.dtype}, in which the network is"

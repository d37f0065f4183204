"""The settings of the published experiments, and of the demo, by method and data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from copi_ref.arrays import checks
from copi_ref.credit import CREDIT, NodePerturbation, ProximalInferenceLearning, find_credit
from copi_ref.data.dataset import Dataset
from copi_ref.decorrelation import LATERAL_RULES
from copi_ref.experiments.own_functions import find_own
from copi_ref.kept_diagonal import BatchCentring
from copi_ref.losses import half_quadratic, quadratic, softmax_cross_entropy
from copi_ref.optimizers import Adam, adam, adam_tmlr, plain
from copi_ref.recipe import Recipe
from copi_ref.subsampling import Subsampled

LATERAL = {
    **{name: name for name in LATERAL_RULES},
    "left-subsampled": Subsampled("left"),
    "whitening-subsampled": Subsampled("whitening"),
}
"""Lateral rules that a run can be given: the names of the table, and those that draw a tenth of each batch."""

PAPER_METHODS = ("copi-bp", "copi-fa", "bp-decorrelated", "bp-adam")
"""What COPI's paper compares."""

_NO_LATERAL: dict[str, Any] = {"lateral_rule": "none", "eta_r": 0, "error_scale": 1}

_INFERENCE_LEARNING = {"states": "inferred", "optimizer": adam, "eta_w": 1e-3, **_NO_LATERAL}

_ALONSO = {"states": "inferred", "output": "linear", "loss": softmax_cross_entropy, "optimizer": plain, **_NO_LATERAL}

_OTHERS = [credit for credit in CREDIT if not credit.startswith("bp")]

METHODS: dict[str, dict[str, Any]] = {
    "copi-bp": {"credit": "bp", "weight_rule": "copi"},
    "copi-fa": {"credit": "fa", "weight_rule": "copi"},
    "bp-decorrelated": {"credit": "bp", "weight_rule": "sgd"},
    "bp-adam": {"credit": "bp", "weight_rule": "sgd", **_NO_LATERAL},
    **{f"copi-{credit}": {"credit": credit, "weight_rule": "copi"} for credit in _OTHERS if credit != "fa"},
    **{f"sgd-{credit}": {"credit": credit, "weight_rule": "sgd"} for credit in _OTHERS},
    "il": {"credit": "il", "weight_rule": "sgd", **_INFERENCE_LEARNING},
    "il-proximal": {"credit": "il-proximal", "weight_rule": "nlms", **_INFERENCE_LEARNING},
    "il-alonso": {"credit": "il-alonso", "weight_rule": "sgd", **_ALONSO},
    "il-prox": {"credit": "il-prox", "weight_rule": "nlms-batch", **_ALONSO, "eta_w": 1},
    "il-prox-fast": {"credit": "il-prox-fast", "weight_rule": "nlms-batch", **_ALONSO, "eta_w": 1},
    "bp-kept-diagonal": {
        "credit": "bp-batch-mean", "weight_rule": "sgd", "lateral_rule": "kept-diagonal", "lateral_gain": "norms",
        "centring": BatchCentring(), "eta_r": 1e-5,
    },
    "bp-plain": {"credit": "bp", "weight_rule": "sgd", **_NO_LATERAL},
    "il-plain": {"credit": "il", "weight_rule": "sgd", "states": "inferred", "optimizer": plain, **_NO_LATERAL},
    "il-proximal-plain": {
        "credit": ProximalInferenceLearning(), "weight_rule": "nlms", "states": "inferred", "optimizer": plain,
        "eta_w": 1, **_NO_LATERAL,
    },
}  # fmt: skip
"""What each method changes in a preset's recipe; `bp-adam` has the preset's own Adam besides.

`copi-X` and `sgd-X` take δ from the credit method X, and learn with COPI's rule or gradient descent on decorrelated
inputs (`sgd-bp` is called `bp-decorrelated`). `il-alonso`, `il-prox` and `il-prox-fast` are what the authors of Alonso
et al. 2022 run, with their own updates, output and loss, plain steps and no R. `il` and `il-proximal` are the forms of
this library: their own updates, from the inferred states, without R, and with Adam, as the paper does for batches of
more than one sample. Like `bp-adam` they all wait while in other methods only R learns, so that W learns equally
long in all.
`bp-kept-diagonal` is the rule of Ahmad 2024 with its gain, its centring and its own η_R (`copi_ref.KeptDiagonal`). The
three `…-plain` take plain steps without R: the explicit one of gradient descent, `il`'s, and the implicit one, to which
`il-proximal` comes close; the learning rate of `il-proximal-plain` is α (see `changed`).
"""

WITHOUT_R = tuple(method for method, changes in METHODS.items() if changes.get("lateral_rule") == "none")
"""Methods that have no lateral weights: they make no use of η_R."""

WITH_OWN_RULE = tuple(method for method, changes in METHODS.items() if changes.get("lateral_rule", "none") != "none")
"""Methods that have a lateral rule of their own: no other can be given."""


@dataclass(frozen=True)
class Experiment:
    """A recipe and the hidden layers of the network that it is meant for."""

    hidden: tuple[int, ...]
    recipe: Recipe

    def sizes(self, dataset: Dataset) -> tuple[int, ...]:
        """Return the units of each layer, the input first, for `init_state`."""
        return (dataset.features, *self.hidden, dataset.classes)


def experiment(preset: "PresetName", method: str, dataset: str) -> Experiment:
    """Return the settings of a method under a preset.

    Args:
        preset: "paper" (the text of arXiv 2203.13203), "tmlr" (the experiments of the later version), "il" (Inference
            Learning's, one sample at a time) or "demo" (this project's own, chosen for digits).
        method: a name in `METHODS`, or ``copi-pkg.mod:obj`` or ``sgd-pkg.mod:obj`` for a credit method of one's own.
        dataset: "mnist" or "cifar10"; for any other name the published settings are those of MNIST.

    Raises:
        ValueError: an unknown preset or method.
        TargetError, TypeError: one's own credit method is not there, or can't be called.
    """
    make = checks.choice("preset", preset, PRESETS)
    changes = _changes_of(method)
    settings, baseline = make(dataset)
    recipe = replace(settings.recipe, **{**_with_loss(changes["credit"], settings.recipe), **changes})
    if method == "bp-adam":
        recipe = replace(recipe, **baseline)
    return Experiment(settings.hidden, recipe)


def _changes_of(method: str) -> dict[str, Any]:
    """Return what a method changes in a preset's recipe; ``copi-X`` and ``sgd-X`` also for an X of one's own."""
    rule, _, own = method.partition("-")
    if ":" not in own:
        changes: dict[str, Any] = checks.choice("method", method, METHODS)
        return changes
    return {"credit": find_own("credit", own), "weight_rule": checks.choice("rule of " + method, rule, OWN_RULES)}


OWN_RULES = {"copi": "copi", "sgd": "sgd"}
"""Weight rules that a credit method of one's own can learn with, by what its method's name begins with."""


def _with_loss(credit: Any, settings: Recipe) -> dict[str, Any]:
    """Return the output for methods that go by a loss: under a preset's "pre-activation" it is that of a linear one."""
    goes_by_loss = isinstance(find_credit(credit), NodePerturbation | ProximalInferenceLearning)
    return {"output": "linear"} if goes_by_loss and settings.output == "pre-activation" else {}


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other settings, where the learning rate of `il-proximal-plain` is α and not η_W.

    Its step is W + 1 · ΔW, with α in the energy that its states come from: a rate `eta_w` goes to ``credit.alpha``. A
    `lateral_rule` is a name in `LATERAL`, or ``pkg.mod:obj``.

    Raises:
        TypeError, ValueError: settings that the recipe refuses.
        TargetError: a lateral rule of one's own is not there.
    """
    changes = dict(changes)
    if "lateral_rule" in changes:
        name = changes["lateral_rule"]
        own = isinstance(name, str) and ":" in name
        changes["lateral_rule"] = (
            find_own("lateral_rule", name) if own else checks.choice("lateral_rule", name, LATERAL)
        )
    if isinstance(recipe.credit, ProximalInferenceLearning) and "eta_w" in changes:
        alpha = changes.pop("eta_w")
        checks.positive_number("eta_w, here α of proximal IL,", alpha)
        changes["credit"] = replace(recipe.credit, alpha=alpha)
    return replace(recipe, **changes)


def check_lateral(setting: str, methods: Sequence[str]) -> None:
    """Check that one method at least makes use of a setting of the lateral weights that was given.

    Raises:
        ValueError: none does, or one has a lateral rule of its own.
    """
    own = [method for method in methods if method in WITH_OWN_RULE]
    if setting == "lateral_rule" and own:
        raise ValueError(f"lateral_rule is given, but {', '.join(own)} has a rule of its own: leave one of them out")
    if all(method in WITHOUT_R for method in methods):
        raise ValueError(f"{setting} is given, but there is no R in {', '.join(methods)}: leave it out")


@dataclass(frozen=True)
class RaisedAfterEpoch0:
    """A rate that is raised after the first epoch: a function of the epoch, that can be pickled with its recipe."""

    first: float
    later: float

    def __call__(self, epoch: int) -> float:
        """Return the rate of an epoch, from 0."""
        return self.first if epoch == 0 else self.later


def _paper(dataset: str) -> tuple[Experiment, dict[str, Any]]:
    """§3.1: both rates are raised tenfold after the first epoch, once decorrelation has set in."""
    first, later = (1e-3, 1e-2) if dataset == "cifar10" else (1e-2, 1e-1)
    rate = RaisedAfterEpoch0(first, later)
    recipe = Recipe(eta_w=rate, eta_r=rate, loss=quadratic, lateral_rule="right")
    hidden = (1000, 1000) if dataset == "cifar10" else (500, 500, 500)
    return Experiment(hidden, recipe), {"optimizer": Adam(0.9, 0.99), "eta_w": 1e-4}


def _tmlr(dataset: str) -> tuple[Experiment, dict[str, Any]]:
    """R alone learns in epoch 0; then W too, with every δ a thousand times as large."""
    recipe = Recipe(
        eta_w=1e-3,
        eta_r=1e-3,
        loss=half_quadratic,
        output="pre-activation",
        lateral_rule="left",
        lateral_only_epochs=1,
        error_scale=1000,
    )
    hidden = (1000,) * 4 if dataset == "cifar10" else (500,) * 6
    return Experiment(hidden, recipe), {"optimizer": adam_tmlr, "eta_w": 1e-4}


def _demo(dataset: str) -> tuple[Experiment, dict[str, Any]]:
    """Chosen for digits, where a constant 0.1 is above 1/λmax(C) ≈ 0.095, and `right` overflows for some seeds."""
    recipe = Recipe(eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20)
    return Experiment((100, 100), recipe), {"optimizer": adam, "eta_w": 1e-3}


def _il(dataset: str) -> tuple[Experiment, dict[str, Any]]:
    """Alonso et al. 2022, stability: one sample at a time; what their abstract leaves open is this project's choice."""
    recipe = Recipe(eta_w=0.01, eta_r=0.01, loss=half_quadratic, output="pre-activation", batch_size=1)
    return Experiment((1024,) * 3 if dataset == "cifar10" else (256, 256), recipe), {"optimizer": adam, "eta_w": 1e-3}


PresetName = Literal["demo", "il", "paper", "tmlr"]
PRESETS: dict[PresetName, Callable[[str], tuple[Experiment, dict[str, Any]]]] = {
    "demo": _demo,
    "il": _il,
    "paper": _paper,
    "tmlr": _tmlr,
}

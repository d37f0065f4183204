"""What a run is: its settings, and all that its numbers depend on, in plain words, as ``config.json`` has them."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import environment
from copi_ref.credit import find_credit
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.own_functions import is_own, name_and_code, name_of
from copi_ref.experiments.presets import WITHOUT_R, Experiment, PresetName, changed, experiment
from copi_ref.recipe import Recipe

FORMAT = "copi_ref run"

LARGEST = 10**6
"""Epochs, seeds or units of a layer that can be asked for: above it a list of them alone would take minutes."""


Count = Annotated[int, range(1, LARGEST + 1)]
"""Such a number in a file."""


def check_count(name: str, value: Any) -> None:
    """Check that a setting can be a number of epochs, seeds or units.

    Raises:
        TypeError: it is no integer.
        ValueError: it is below 1 or above `LARGEST`.
    """
    checks.whole_number(name, value, minimum=1, maximum=LARGEST)


IDENTITY = ("dataset", "held_out", "preset", "method", "seed", "hidden", "overrides", "data")
"""Keys of a configuration that stay the same as long as a run goes on, in every version of the library."""

OVERRIDES = ("eta_w", "eta_r", "error_scale", "lateral_rule", "lateral_every")
"""What of a preset's recipe a run may change."""

OF_R = ("eta_r", "lateral_rule", "lateral_every")
"""Of these what has no use without R."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run: one method with one seed. `hidden` and `overrides` change what the preset says.

    A credit method or a lateral rule of one's own has the name ``pkg.mod:obj``: the method is ``copi-pkg.mod:obj``.

    One of the `overrides` that the method makes no use of, of R without R, counts as not there: runs that differ in it
    alone are the same run.
    """

    dataset: str
    preset: PresetName
    method: str
    seed: int
    epochs: int
    held_out: int | None = None
    hidden: tuple[int, ...] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: bool = False
    ensemble: bool = False

    @property
    def folder(self) -> Path:
        """Where the run goes among others: METHOD/seed-N, without a colon, which not all systems have in names."""
        return Path(self.method.replace(":", "."), f"seed-{self.seed}")

    @property
    def changes(self) -> dict[str, Any]:
        """The overrides that the method makes use of."""
        unused = OF_R if self.method in WITHOUT_R else ()
        return {name: value for name, value in self.overrides.items() if name not in unused}

    def experiment(self) -> Experiment:
        """Return recipe and hidden layers; errors as `copi_ref.experiments.presets.experiment`."""
        settings = experiment(self.preset, self.method, self.dataset)
        return Experiment(self.hidden or settings.hidden, changed(settings.recipe, self.changes))

    def config(self, surroundings: Mapping[str, Any]) -> dict[str, Any]:
        """Return everything needed to repeat the run; `surroundings` comes from the function of that name."""
        settings = self.experiment()
        return {
            "format": FORMAT,
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "hidden": list(settings.hidden),
            "overrides": self.changes,
            "recipe": described(settings.recipe, self.epochs),
            "rules": rules(settings.recipe),
            **surroundings,
        }


def plan_of(config: Mapping[str, Any]) -> Plan:
    """Return the plan whose `Plan.config` a ``config.json`` holds."""
    recorded = {one.name: config[one.name] for one in fields(Plan) if one.name in config}
    return Plan(**{**recorded, "hidden": tuple(config["hidden"])})


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """Make the recipe of a ``config.json`` again, from its preset, method and overrides.

    Raises:
        ValueError: it comes out as another than was recorded; the message says in what.
        TypeError, TargetError: a function of one's own is not there, or can't be called.
    """
    recipe = plan_of(config).experiment().recipe
    words = json.loads(json.dumps({"recipe": described(recipe, config["epochs"]), "rules": rules(recipe)}))
    there = {key: config[key] for key in words if key in config}
    if found := different_settings(there, words, now="is meant by its name now"):
        raise ValueError("; ".join(found))
    return recipe


def surroundings(dataset: Dataset) -> dict[str, Any]:
    """Return what numbers depend on besides the settings: the samples, the libraries, the revision of this package."""
    return {"data": fingerprint(dataset), "environment": environment(), "revision": revision()}


def described(recipe: Recipe, epochs: int) -> dict[str, Any]:
    """Put a recipe in plain words: rates that depend on the epoch as a list, functions by their name."""
    words: dict[str, Any] = {}
    for one in fields(recipe):
        value = getattr(recipe, one.name)
        if one.name in ("eta_w", "eta_r") and callable(value):
            value = [value(epoch) for epoch in range(epochs)]
        elif one.name in ("activation", "loss"):
            value = value.name
        elif is_own(value):
            value = name_of(value)
        words[one.name] = value if isinstance(value, (int, float, str, list)) else repr(value)
    return words


def rules(recipe: Recipe) -> dict[str, str]:
    """Say which credit method the name in a recipe stands for, with its settings: a name may come to mean another.

    Of one's own functions, a lateral rule too, it is name and code.
    """
    credit: Any = find_credit(recipe.credit)
    own = {"lateral_rule": name_and_code(recipe.lateral_rule)} if is_own(recipe.lateral_rule) else {}
    if is_own(credit):
        return {"credit": name_and_code(credit), **own}
    return {"credit": repr(credit) if is_dataclass(credit) else str(getattr(credit, "__qualname__", credit)), **own}


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of a data set's arrays, their dtypes and shapes."""
    digest = hashlib.sha256()
    for one in fields(dataset):
        array = np.ascontiguousarray(getattr(dataset, one.name))
        digest.update(f"{one.name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.data)
    return f"sha256:{digest.hexdigest()}"


@cache
def revision() -> str | None:
    """Return the git revision of the package, "… with changes" if its files differ from it; None if not from git."""
    package = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # and not another project's, with an environment in it
        changes = " with changes" if git("status", "--porcelain", "--", ".") else ""
        return git("rev-parse", "HEAD") + changes
    except (OSError, subprocess.CalledProcessError):
        return None


def first_epochs(config: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """Return the configuration of a run that stops after so many epochs: rates that depend on the epoch are lists."""
    recipe = {
        name: value[:epochs] if name in ("eta_w", "eta_r") and isinstance(value, list) else value
        for name, value in config["recipe"].items()
    }
    return {**config, "epochs": epochs, "recipe": recipe}


def different_settings(there: Mapping[str, Any], asked: Mapping[str, Any], *, now: str = "was asked for") -> list[str]:
    """Name the settings, and the data, in which two configurations differ, and how; none: it is the same run."""
    ignored = ("environment", "revision", "resumed_by", *(() if "rules" in there else ("rules",)))
    one, other = ({key: value for key, value in each.items() if key not in ignored} for each in (there, asked))
    found = differences(one, _as_recorded(one, other), now=now)
    return found + ([] if "rules" in there else _renamed(there, asked))


def _as_recorded(there: Mapping[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Leave settings out that recipes did not have when a run was recorded, where their defaults were asked for."""
    before = there.get("recipe", {})
    defaults = {one.name: one.default for one in fields(Recipe)}
    recipe = {name: value for name, value in asked["recipe"].items() if name in before or value != defaults[name]}
    return {**asked, "recipe": recipe}


RENAMED = {
    "credit": {
        "gait": "RenormalizedGaitProp, now 'gait-renormalized'",
        "dtp": "PreActivationDifferenceTargetPropagation, now 'dtp-pre-activation'",
        "il-prox": "ProximalInferenceLearning, now 'il-proximal'",
    },
    "lateral_rule": {"whitening": "RowWhitening, now 'whitening-rows'"},
}
"""What names in recipes meant before runs recorded their `rules`."""


def _renamed(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Name the rules that a run without recorded `rules` may have been made with, where names mean others by now."""
    return [
        f"{field} {name!r} may have meant {RENAMED[field][name]}, as the run does not record its rules"
        for field in RENAMED
        if (name := there.get("recipe", {}).get(field)) in RENAMED[field] and "rules" in asked
    ]


def different_bits(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Name what changes the last bits of results: versions, array library, BLAS, its threads, the GPU and its graph."""
    before, now = there["environment"], asked["environment"]
    names = ["copi_ref", "backend", "numpy", now["backend"], "blas", "blas threads", "gpu", "gpu TF32"]
    one, other = (
        {**{name: _once(each.get(name)) for name in names}, "gpu graph": _recorded_by(each)} for each in (before, now)
    )
    return differences(one, other)


def _recorded_by(environment: Mapping[str, str]) -> str | None:
    """Name what steps are recorded with, if they are: products are its own then."""
    on = environment.get("gpu graph", "off").startswith("on")
    return f"PyTorch {environment.get('torch')}" if on else None


def _once(text: str | None) -> str | None:
    """Name a library once that a process has loaded twice, as NumPy and SciPy do with BLAS."""
    return text and ", ".join(sorted(set(text.split(", "))))


def differences(
    there: Mapping[str, Any], asked: Mapping[str, Any], above: str = "", now: str = "was asked for"
) -> list[str]:
    """Name the keys, with those of objects in them, whose values differ, and both values."""
    found: list[str] = []
    for key in dict.fromkeys([*there, *asked]):
        one, other = there.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{above}{key}.", now)
        elif one != other:
            found.append(f"{above}{key} is {one!r} there, and {other!r} {now}")
    return found

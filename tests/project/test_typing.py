"""What a type checker says to users: which lines it refuses; and names in types are those in tables."""

import re
from pathlib import Path
from typing import get_args

import pytest

import copi_ref as copi
from copi_ref import (
    activations,
    credit,
    decorrelation,
    inference_learning,
    learning_rules,
    losses,
    optimizers,
    recipe,
    task,
)
from copi_ref.analysis import linear_maps, receptive_fields
from copi_ref.arrays import backend
from copi_ref.credit import gait_prop
from copi_ref.data import fetch
from copi_ref.experiments import presets
from copi_ref.oracle import FUNCTIONS, PRECISIONS, rounding
from copi_ref.oracle.contract import functions
from copi_ref.oracle.inputs import strategies

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all scripts: most of the time goes into NumPy's types."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.needs("mypy")
@pytest.mark.parametrize(
    "script",
    [
        "typed_user",
        pytest.param("typed_torch", marks=pytest.mark.needs("torch")),
        pytest.param("typed_jax", marks=pytest.mark.needs("jax")),
    ],
)
def test_mypy_refuses_what_must_fail_and_nothing_else(script, cache):
    from mypy import api

    path = HERE / f"{script}.py"
    said, errors, _ = api.run(["--strict", "--config-file=", f"--cache-dir={cache}", str(path)])
    refused = {int(line) for line in re.findall(rf"{script}\.py:(\d+): error", said)}
    lines = path.read_text().splitlines()
    assert refused == {number for number, line in enumerate(lines, start=1) if line.endswith("# must fail")}, said
    assert not errors


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (activations.ActivationName, copi.ACTIVATIONS),
        (backend.BackendName, backend._MODULES),
        (backend.FloatName, backend.FLOAT_DTYPES),
        (credit.CreditName, copi.CREDIT),
        (decorrelation.LateralGainName, copi.LATERAL_GAINS),
        (decorrelation.LateralRuleName, copi.LATERAL_RULES),
        (functions.FunctionName, FUNCTIONS),
        (gait_prop.InverseName, gait_prop.INVERSES),
        (inference_learning.OrderName, inference_learning.ORDERS),
        (inference_learning.OutputActivationName, inference_learning.OUTPUT_ACTIVATIONS),
        (inference_learning.BiasesName, inference_learning.BIASES),
        (inference_learning.OutputStateName, inference_learning.OUTPUT_STATES),
        (inference_learning.ScheduleName, inference_learning.SCHEDULES),
        (inference_learning.PredictionName, inference_learning.PREDICTIONS),
        (inference_learning.ProxScheduleName, inference_learning.PROX_SCHEDULES),
        (inference_learning.IncrementalOrderName, inference_learning.INCREMENTAL_ORDERS),
        (linear_maps.LinearMapName, linear_maps.LINEAR_MAPS),
        (receptive_fields.MeasureName, receptive_fields.MEASURES),
        (strategies.KindName, strategies.KINDS),
        (presets.PresetName, presets.PRESETS),
        (fetch.SourceName, fetch.SOURCES),
        (learning_rules.WeightRuleName, copi.WEIGHT_RULES),
        (losses.LossName, copi.LOSSES),
        (optimizers.BiasCorrection, optimizers.BIAS_CORRECTIONS),
        (optimizers.OptimizerName, copi.OPTIMIZERS),
        (recipe.StatesName, recipe.STATES),
        (rounding.PrecisionName, PRECISIONS),
        (task.OutputName, task.OUTPUTS),
    ],
    ids=lambda value: "table" if isinstance(value, (dict, tuple)) else "",
)
def test_the_names_in_a_type_are_those_in_its_table(names, table):
    assert get_args(names) == tuple(table)

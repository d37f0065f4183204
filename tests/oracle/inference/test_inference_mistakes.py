"""Whatever mistake is tried, under whatever conventions: it gives numbers, or says that it has no meaning there."""

from dataclasses import fields
from itertools import islice, pairwise

import numpy as np

from copi_ref.arrays.backend import load_backend
from copi_ref.oracle import INFERENCE_FUNCTIONS, INFERENCE_VARIANTS, PRECISIONS, InferenceConventions
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.inference.catalogue.families import FAMILIES
from copi_ref.oracle.inference.catalogue.slopes import slope_mistakes
from copi_ref.oracle.inference.judging import run_case
from copi_ref.oracle.inference.naming import _in_places, _mistakes
from copi_ref.oracle.inference.reading import InferenceReader
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.inputs.drawing import ROUNDING
from copi_ref.oracle.naming.evidence import Evidence
from inference.made import Made

FLOAT64 = PRECISIONS["float64"]
FUNCTIONS = [INFERENCE_FUNCTIONS[name] for name in ("energy", "start", "infer", "weight_update", "step", "prox_update")]
"""All that are compared with numbers, but for errors and predictions, which are in each of these."""

FORMS = ("weights-after-activation", "activation-after-weights")
OTHERS = {
    "activation": ("leaky_relu", "relu", "identity", "sigmoid"),
    "slope": (0.5,),
    "derivative_at_zero": (0, "slope"),
    "input_activation": (True,),
    "output_activation": ("identity",),
    "biases": ("inside", "outside"),
    "inference_factor": (2, "1/N"),
    "inference_rate": ("per-layer",),
    "precisions": ((1, 2, 0.5), (2,)),
    "state_decay": (0.1,),
    "momentum": (0.5,),
    "schedule": ("bottom-up", "top-down"),
    "predictions": ("fixed",),
    "output": ("nudged", "pulled"),
    "start": ("zeros", "from-above"),
    "energy_factor": (1,),
    "energy_reduction": ("sum", "mean"),
    "reduction": ("sum",),
    "weight_factor": (2,),
    "step_reduction": ("mean", "sum"),
    "learning": ("incremental",),
    "incremental_order": ("simultaneous", "weights-first"),
    "returns": ("gradient",),
    "error_sign": (-1,),
}
"""What else each field may be, where it is neither the form nor how arrays lie in memory."""

TOGETHER = (
    {"learning": "incremental", "inference_rate": "per-layer", "biases": "inside"},
    {"learning": "incremental", "incremental_order": "simultaneous", "predictions": "fixed"},
    {"output": "pulled", "inference_rate": "per-layer", "momentum": 0.5, "schedule": "top-down"},
    {"precisions": (1, 2, 0.5), "biases": "outside", "state_decay": 0.1, "inference_factor": "1/N"},
    {"precisions": (2,), "output": "pulled", "biases": "inside", "inference_rate": "per-layer"},
)


def chosen():
    """Each field changed alone, and some together, in both forms."""
    alone = [{field: value} for field, values in OTHERS.items() for value in values]
    for form in FORMS:
        for changed in ({}, *alone, *TOGETHER):
            yield InferenceConventions(**{"form": form, "activation": "tanh", **changed})


def tried(number):
    """Each mistake of a name and of a small family; of slopes and of places, which are many, a few by turns."""
    yield from INFERENCE_VARIANTS.values()
    yield from (one for family in FAMILIES if family is not slope_mistakes for one in family())
    yield from islice(slope_mistakes(), number % 60, None, 60)
    yield from islice(_in_places(_mistakes()), number % 40, None, 40)


def evidence_of(function, conventions):
    """What a right implementation returns: for as many layers as there are precisions, or three."""
    widths = {1: (3, 2), 3: (3, 5, 4, 2)}[conventions.depth or 3]
    layers, rng = len(widths) - 1, np.random.default_rng(0)
    inputs = {
        "y0": rng.uniform(0.25, 2, (7, 3)),
        "W": tuple(rng.uniform(-1, 1, (units, below)) for below, units in pairwise(widths)),
        "states": tuple(rng.uniform(0.25, 2, (7, units)) for units in widths[1:]),
        "target": rng.uniform(-2, 2, (7, 2)),
        "gamma": [0.5] * layers if conventions.inference_rate == "per-layer" else 0.5,
        "steps": 2,
        "eta": 4.0,
        "b": tuple(rng.uniform(-1, 1, units) for units in widths[1:]),
    }
    case = Case("", ROUNDING, {name: inputs[name] for name in function.arguments_given(conventions)})
    implementation, numpy = Made(right_rules(conventions)), load_backend("numpy")
    caller = Caller(implementation, conventions, FLOAT64, numpy, read_by=InferenceReader)
    outcome = run_case(caller, conventions, function, case)
    assert not outcome.failed
    return Evidence(function, FLOAT64, [outcome.observation])


def test_every_field_is_changed():
    assert {*OTHERS, "form", "samples"} == {field.name for field in fields(InferenceConventions)}


def test_every_mistake_gives_numbers_or_has_no_meaning():
    faults = {}
    for number, conventions in enumerate(chosen()):
        right = right_rules(conventions)
        changed = [rules for one in tried(number) if (rules := one.change(right)) is not None]
        for function in FUNCTIONS:
            evidence = evidence_of(function, conventions)
            with np.errstate(all="ignore"):
                for rules in changed:
                    evidence.evaluated(rules, 0)
            faults |= dict.fromkeys(evidence.faults, f"{function.name}, {conventions}")
    assert faults == {}

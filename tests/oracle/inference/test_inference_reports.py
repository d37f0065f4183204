"""What a report says of a mistake that shows in several functions, or in few cases."""

from itertools import pairwise

import numpy as np
import pytest

from copi_ref.oracle import INFERENCE_VARIANTS, InferenceConventions, check
from copi_ref.oracle.inference.catalogue.families import generated
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.inference.right import right_rules
from inference.loops import Loops
from inference.made import made

AFTER = {"form": "activation-after-weights"}
MEMBERS = {one.name: one for one in generated()}


def test_a_step_that_starts_wrong_is_not_called_by_what_it_happens_to_be():
    """Where predictions are fixed, an output that starts twice as far off doubles every update."""
    conventions = InferenceConventions(**AFTER, activation="sigmoid", predictions="fixed", output="nudged")
    name, functions = "start-output: p + 2 (y* − p)", ("start", "step")
    report = check(made(conventions, MEMBERS[name], functions), conventions=conventions, only=functions, xp=np)
    start, step = ({one.variant for one in report.results if one.check == function} for function in functions)
    assert report.variant == name
    assert start == step == {name}
    assert all("comes of what is above" in one.diagnosis for one in report.results if one.check == "step")


@pytest.mark.parametrize(
    ("name", "choice", "function"),
    [
        ("decay-of-moved", {"state_decay": 0.125, "inference_rate": "per-layer"}, "infer"),
        ("optimizer: gradients add up", {"momentum": 0.5, "output": "pulled"}, "infer"),
        ("precision: 1 in the biases' update", {"precisions": (1, 2, 0.5), "biases": "outside"}, "weight_update"),
    ],
)
def test_a_member_of_a_family_is_named(name, choice, function):
    conventions = InferenceConventions(activation="tanh", **choice)
    report = check(made(conventions, MEMBERS[name], (function,)), conventions=conventions, only=(function,), xp=np)
    assert report.variant == name


class Pulling(Loops):
    """The output is pulled by ‖h_L − y*‖², without its ½."""

    def gradient(self, layer, W, h, seen, bent, target, N):
        g = super().gradient(layer, W, h, seen, bent, target, N)
        return g if layer + 1 < len(W) else g + (h[layer] - target)


@pytest.mark.parametrize("form", ["weights-after-activation", "activation-after-weights"])
def test_a_pull_without_its_half_is_named(form):
    conventions = InferenceConventions(form=form, activation="tanh", output="pulled", momentum=0.5)
    report = check(Pulling(conventions), conventions=conventions, only=("start", "infer", "step"), xp=np)
    assert report.variant == "infer-factor-on-pull"
    assert report.diagnosis.endswith(" 2")


class Stopping(Loops):
    """Inference ends at the first step that has raised the energy."""

    def infer(self, W, y0, h, gamma, steps, b=None):
        biases, lowest = [] if b is None else [b], np.inf
        for _ in range(steps):
            now = np.sum(self.energy(W, y0, h, *biases))
            if now > lowest:
                break
            h, lowest = super().infer(W, y0, h, gamma, 1, *biases), now
        return h


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"activation": "tanh"},
        {"precisions": (1, 2, 0.5), "inference_rate": "per-layer", "inference_factor": "1/N"},
        {**AFTER, "activation": "sigmoid", "biases": "inside"},
        {**AFTER, "samples": "columns", "schedule": "top-down"},
    ],
    ids=lambda choice: ", ".join(map(str, choice.values())) or "defaults",
)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_inference_that_stops_early_is_named(choice, precision):
    conventions = InferenceConventions(**choice)
    report = check(Stopping(conventions), conventions=conventions, precision=precision, only=("infer",), xp=np)
    assert not report.ok
    assert report.variant == "infer-stops-when-energy-rises"


@pytest.mark.parametrize("learning", ["after", "incremental"])
def test_no_mistake_repeats_the_states_that_a_step_told(learning, rng):
    """Else it would explain any states that are wrong: weights learn from the states that were told."""
    right = right_rules(InferenceConventions(learning=learning))
    sizes = (3, 4, 2, 2)
    inputs = {
        "W": tuple(rng.normal(size=(units, before)) for before, units in pairwise(sizes)),
        "y0": rng.normal(size=(5, 3)), "target": rng.normal(size=(5, 2)), "gamma": 0.125, "steps": 2, "eta": 4.0,
    }  # fmt: skip
    own = {f"{what} of layer {at}": rng.normal(size=(5, sizes[at])) for what in ("start", "h") for at in (1, 2)}
    tried = 0
    for one in INFERENCE_VARIANTS.values():
        rules = one.change(right)
        if rules is not None:
            found = INFERENCE_FUNCTIONS["step"].expected(rules, inputs, own)
            tried += 1
            for name, told in own.items():
                assert name not in found or not np.allclose(found[name], told), (one.name, name)
    assert tried > 50

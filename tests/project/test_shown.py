"""What records print, and that a recipe goes to another process and comes back as it was."""

import multiprocessing
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from compare import fractions
from small_training import RECIPE, blobs, fresh, state_of

import copi_ref as copi
from copi_ref.experiments.presets import METHODS, PRESETS, experiment


def test_a_state_prints_its_sizes_and_where_it_stands():
    state = fresh(RECIPE, sizes=(6, 5, 3))
    assert repr(replace(state, epoch=3, step=12)) == "State(6-5-3, float64 of numpy, epoch 3, step 12)"


def test_an_ensemble_prints_how_many_it_is():
    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    state = copi.init_state(replace(RECIPE, dtype="float32"), (6, 5, 3), rngs, np)
    assert repr(state) == "State(2 networks 6-5-3, float32 of numpy, epoch 0, step 0)"


def test_records_print_shapes_in_the_place_of_numbers(rng):
    state = fresh(RECIPE, sizes=(6, 5, 3))
    assert repr(state.params) == "Params(W=(5×6, 3×5), R=(6×6, 5×5), mean=None; float64 of numpy)"
    trace = copi.forward(state.params, rng.normal(size=(7, 6)))
    assert repr(trace) == "Trace(x=(7×6, 7×5), a=(7×5, 7×3), y=(7×5, 7×3), y0=7×6; float64 of numpy)"
    assert repr(copi.adam.init(np.ones((2, 3), np.float32))) == "AdamMemory(m=2×3, v=2×3, t=0; float32 of numpy)"
    task = copi.Task(rng.normal(size=(7, 3)), feedback=(np.ones((5, 3)),))
    assert repr(task) == (
        "Task(target=7×3, loss=quadratic, activation=leaky_relu, feedback=(5×3,), rng=None, output='activation'; "
        "float64 of numpy)"
    )


def test_exact_arrays_are_called_fractions(rng):
    params = state_of((fractions(rng, 2, 3),), (fractions(rng, 3, 3),)).params
    assert repr(params) == "Params(W=(2×3,), R=(3×3,), mean=None; Fraction of numpy)"


def test_the_library_is_named(xp):
    params = copi.init_params((2, 1), np.random.default_rng(0), "float32", xp.xp)
    assert repr(params).endswith(f"float32 of {xp.name})")


def test_a_result_prints_the_last_accuracy(rng):
    result = copi.fit(RECIPE, fresh(RECIPE), blobs(rng), 2)
    accuracy = f"{result.metrics[-1]['test_accuracy']:.4f}"
    assert repr(result) == f"FitResult({result.state}, 2 epochs, test_accuracy {accuracy})"
    assert repr(copi.fit(RECIPE, fresh(RECIPE), blobs(rng), 0)) == f"FitResult({fresh(RECIPE)}, 0 epochs)"


def test_nothing_public_prints_more_than_a_line(rng):
    state, data = fresh(RECIPE, sizes=(60, 50, 3)), blobs(rng, train=500)
    result = copi.fit(RECIPE, fresh(RECIPE), data, 3)
    for record in (data, state, state.params, copi.adam.init(state.params.W[0]), RECIPE, result):
        assert len(repr(record)) < 400
        assert "\n" not in repr(record)


def test_a_recipe_prints_names():
    recipe = replace(RECIPE, credit=copi.backpropagation, activation=copi.leaky_relu_with(0.01))
    for name in ("activation=leaky_relu(0.01)", "loss=quadratic", "credit=backpropagation", "optimizer=Plain()"):
        assert name in repr(recipe)
    assert " at 0x" not in repr(recipe)
    assert [repr(activation) for activation in copi.ACTIVATIONS.values()] == list(copi.ACTIVATIONS)


# --- pickles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_recipe_of_the_presets_comes_back_from_a_pickle(preset, method):
    recipe = experiment(preset, method, "mnist").recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_activations_and_losses_come_back_as_themselves():
    leaks = copi.leaky_relu_with(0.01), copi.leaky_relu_with(Fraction(1, 2)), copi.leaky_relu_with(0.5)
    for one in (*copi.ACTIVATIONS.values(), *copi.LOSSES.values(), *leaks):
        assert pickle.loads(pickle.dumps(one)) is one
    assert leaks[1].rational
    assert not leaks[2].rational, "the float 0.5 and the Fraction 1/2 are two slopes"


def cube(a, xp):
    return a**3


def three_squares(a, xp):
    return 3 * a**2


def test_an_activation_of_ones_own_is_pickled_by_its_functions():
    mine = copi.Activation("cube", cube, three_squares)
    assert pickle.loads(pickle.dumps(mine)) == mine


def accuracy_of(recipe):
    """Train in another process."""
    dataset = blobs(np.random.default_rng(0))
    return copi.fit(recipe, fresh(recipe), dataset, 2).metrics[-1]["test_accuracy"]


def test_recipes_can_be_trained_in_a_pool():
    recipes = [replace(RECIPE, eta_w=rate, activation=copi.tanh) for rate in (0.01, 0.1)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(accuracy_of, recipes) == [accuracy_of(recipe) for recipe in recipes]

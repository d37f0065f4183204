"""What a recipe takes by name; and what the entry points say to somebody who mixes up their arguments."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from small_training import RECIPE, assert_same_bits, blobs, fresh

import copi_ref as copi

TABLES = {"activation": copi.ACTIVATIONS, "loss": copi.LOSSES, "optimizer": copi.OPTIMIZERS}


@pytest.mark.parametrize("field", TABLES)
def test_a_name_is_what_it_stands_for(field):
    for name, thing in TABLES[field].items():
        recipe = replace(RECIPE, **{field: name})
        assert getattr(recipe, field) is thing
        assert recipe == replace(RECIPE, **{field: thing})
        assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_the_defaults_are_the_papers():
    recipe = copi.Recipe(eta_w=0.1, eta_r=0.1)
    assert (recipe.activation, recipe.loss, recipe.optimizer) == (copi.leaky_relu, copi.quadratic, copi.plain)


def test_named_or_not_training_has_the_same_bits(rng):
    dataset = blobs(rng)
    names = replace(RECIPE, eta_w=0.01, activation="relu", loss="half_quadratic", optimizer="adam")
    things = replace(names, activation=copi.relu, loss=copi.half_quadratic, optimizer=copi.adam)
    one, other = (copi.fit(recipe, fresh(recipe), dataset, 2).state for recipe in (names, things))
    assert_same_bits(one, other)


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("activation", "gelu", ValueError, "activation is 'gelu': choose one of 'identity', 'relu', 'leaky_relu', "),
        ("loss", "mse", ValueError, "loss is 'mse': choose one of 'quadratic', 'half_quadratic', 'softmax_cross"),
        ("optimizer", "sgd", ValueError, "optimizer is 'sgd': choose one of 'plain', 'momentum', 'adam', 'adam_tmlr'"),
        ("activation", np.tanh, TypeError, "activation is <ufunc 'tanh'>: needs a name in ACTIVATIONS, or an Activati"),
        ("loss", None, TypeError, "loss is None: needs a name in LOSSES, or a Loss"),
        ("optimizer", 3, TypeError, "optimizer is 3: needs a name in OPTIMIZERS, or one such as copi.plain"),
        ("optimizer", copi.Adam, TypeError, "optimizer is the class Adam: needs an instance, as Adam()"),
    ],
)
def test_what_is_no_name_and_no_thing_is_refused(field, value, error, message):
    with pytest.raises(error) as caught:
        replace(RECIPE, **{field: value})
    assert str(caught.value).startswith(message)

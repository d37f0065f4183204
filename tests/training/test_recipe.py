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
        ("optimizer", 3, TypeError, "optimizer is 3: needs a name in OPTIMIZERS, or one such as copi_ref.plain"),
        ("optimizer", copi.Adam, TypeError, "optimizer is the class Adam: needs an instance, as Adam()"),
    ],
)
def test_what_is_no_name_and_no_thing_is_refused(field, value, error, message):
    with pytest.raises(error) as caught:
        replace(RECIPE, **{field: value})
    assert str(caught.value).startswith(message)


# --- arguments mixed up ----------------------------------------------------------------------------------------------


def own(**methods):
    """A credit method with the methods of one that infers states or learns feedback; by default backpropagation."""
    return type("Own", (), {"__call__": lambda _, *three: copi.backpropagation(*three), **methods})()


def optimizer_that(returns):
    """An optimizer that returns this, and not a direction with a memory."""
    return type("Own", (), {"init": lambda _, W: (), "__call__": lambda *_: returns})()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"credit": lambda *_: None}, "credit returned None: needs a tuple of arrays, δ of each layer"),
        ({"credit": lambda *_: np.ones((9, 5))}, "credit returned a ndarray: needs a tuple of arrays, δ of each layer"),
        ({"credit": lambda *_: (None, None)}, "δ of layer 1 is a NoneType: needs an array"),
        ({"credit": own(infer=lambda *_: None), "states": "inferred"},
         "credit.infer returned None: needs a tuple, (states, deltas)"),
        ({"credit": own(infer=lambda *_: (1, 2, 3)), "states": "inferred"},
         "credit.infer returned a tuple of 3: needs a tuple, (states, deltas)"),
        ({"credit": own(infer=lambda _, params, trace, task: (trace, None)), "states": "inferred"},
         "credit returned None: needs a tuple of arrays, δ of each layer"),
        ({"credit": own(infer=lambda *_: ((), ())), "states": "inferred"},
         "states of credit.infer is a tuple: needs a Trace, as it was given"),
        ({"credit": own(learn_feedback=lambda *_: None)},
         "credit.learn_feedback returned None: needs a tuple of arrays, the feedback weights"),
        ({"optimizer": optimizer_that(None)}, "optimizer returned None: needs a tuple, (direction, memory)"),
        ({"weight_rule": lambda *_: None}, "ΔW of layer 2 is a NoneType: needs an array"),
        ({"lateral_rule": lambda *_: None}, "ΔR of layer 2 is a NoneType: needs an array"),
        ({"lateral_gain": lambda *_: None}, "the gain of R of layer 2 is a NoneType: needs an array"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "entry",
    [
        lambda recipe, state, data: copi.fit(recipe, state, data, 1),
        lambda recipe, state, data: copi.step(recipe, state, data.x_train, np.eye(3)[data.y_train]),
    ],
    ids=["fit", "step"],
)
def test_what_a_users_function_returns_is_named(entry, changes, message, rng):
    recipe, dataset = replace(RECIPE, **changes), blobs(rng)
    state = copi.init_state(recipe, (6, 5, 3), rng, np)
    with pytest.raises(TypeError) as caught:
        entry(recipe, state, dataset)
    assert str(caught.value).startswith(message)


STATE = "state is a Params: needs a State, as init_state makes it"
PARAMS = "params is a State: needs a Params, as state.params"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, d: copi.fit(RECIPE, s.params, d, 1), TypeError, STATE),
        (lambda s, d: copi.fit(RECIPE, copi.fit(RECIPE, s, d, 0), d, 1), TypeError,
         "state is a FitResult: needs a State, as result.state"),
        (lambda s, d: copi.fit(RECIPE, s, (d.x_train, d.y_train), 1), TypeError,
         "dataset is a tuple: needs a Dataset, as Dataset(x_train, y_train, x_test, y_test)"),
        (lambda s, d: copi.fit(s, RECIPE, d, 1), TypeError, "recipe is a State: needs a Recipe"),
        (lambda s, d: copi.fit(copi.Recipe, s, d, 1), TypeError, "recipe is the class Recipe: needs an instance"),
        (lambda s, d: copi.fit(RECIPE, s, d, 1, diagnostics=True), TypeError, "diagnostics is True: needs a function"),
        (lambda s, d: copi.fit(RECIPE, s, d, 1, "print"), TypeError, "callback is 'print': needs a function"),
        (lambda s, d: copi.fit(RECIPE, s, d, 1, diagnostics=lambda *_: None), TypeError,
         "diagnostics returned None: needs a dict of numbers by name"),
        (lambda s, d: copi.step(RECIPE, s.params, d.x_train, d.x_train), TypeError, STATE),
        (lambda s, d: copi.step("tmlr", s, d.x_train, d.x_train), TypeError, "recipe is a str: needs a Recipe"),
        (lambda s, d: copi.step(RECIPE, s, d.x_train, d.y_train), ValueError,
         "target has shape (45,): needs a row a sample, (…, N, K_L), as np.eye(classes)[labels]"),
        (lambda s, d: copi.evaluate(RECIPE, s, d.x_train, d.x_train), TypeError, PARAMS),
        (lambda s, d: copi.evaluate(RECIPE, s.params, d.x_train, d.y_train), ValueError, "target has shape (45,): nee"),
        (lambda s, d: copi.init_state(s, (6, 5, 3), np.random.default_rng(0)), TypeError, "recipe is a State: needs a"),
        (lambda s, d: copi.forward(s, d.x_train), TypeError, PARAMS),
        (lambda s, d: copi.forward(s.params.W, d.x_train), TypeError, "params is a tuple: needs a Params"),
        (lambda s, d: copi.forward(s.params, d.x_train, "relu"), TypeError,
         "activation is a str: needs an Activation, as ACTIVATIONS['relu']"),
        (lambda s, d: copi.fuse(s), TypeError, PARAMS),
        (lambda s, d: copi.stack(s), TypeError, "states is a State: needs a sequence of them"),
        (lambda s, d: copi.member(s.params, 0), TypeError, STATE),
        (lambda s, d: copi.backpropagation(s, copi.forward(s.params, d.x_train), copi.Task(d.x_train)), TypeError,
         PARAMS),
        (lambda s, d: copi.backpropagation(s.params, d.x_train, copi.Task(d.x_train)), TypeError,
         "trace is a ndarray: needs a Trace, as forward makes it"),
        (lambda s, d: copi.backpropagation(s.params, copi.forward(s.params, d.x_train), d.x_train), TypeError,
         "task is a ndarray: needs a Task, as Task(target)"),
    ],
)  # fmt: skip
def test_arguments_that_are_mixed_up_are_named(call, error, message, rng):
    with pytest.raises(error) as caught:
        call(fresh(RECIPE), blobs(rng))
    assert str(caught.value).startswith(message)

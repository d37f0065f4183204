"""The pure functions are traced with jax.jit: tracing raises on any hidden float() or bool() of an array."""

import importlib

import numpy as np
import pytest
from compare import ALLOWED, K, M, N, assert_close, draw
from networks import SIZES, network, scaled
from small_training import CREDIT
from test_equations import EQUATIONS, arguments_of

import copi_ref as copi
from copi_ref.analysis.diagnostics import (
    angle,
    asymmetry,
    condition_number,
    dead_share,
    log_abs_det,
    relative_off_diagonal,
)

pytestmark = pytest.mark.needs("jax")


@pytest.fixture
def jax():
    return importlib.import_module("jax")


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_can_be_traced(name, rng, jax):
    function = EQUATIONS[name][0]
    arguments = [jax.numpy.asarray(argument) for argument in arguments_of(name, rng)]
    assert_close(jax.jit(function)(*arguments), function(*arguments))


@pytest.mark.parametrize("name", copi.ACTIVATIONS)
@pytest.mark.parametrize("loss", copi.LOSSES)
def test_activations_and_losses_can_be_traced(name, loss, rng, jax):
    f, a, target = copi.ACTIVATIONS[name], jax.numpy.asarray(draw(rng, N, M)), jax.numpy.asarray(draw(rng, N, M))

    def both(a, target):
        return copi.LOSSES[loss](f(a), target), copi.LOSSES[loss].perturbation(f(a), a, target, f)

    for traced, plain in zip(jax.jit(both)(a, target), both(a, target), strict=True):
        assert_close(traced, plain)


# Either by itself: neither sees the other.
@pytest.mark.parametrize(
    ("credit", "optimizer"),
    [
        *((credit, "adam") for credit in CREDIT),
        *(("bp", optimizer) for optimizer in copi.OPTIMIZERS if optimizer != "adam"),
    ],
)
def test_a_whole_step_can_be_traced(credit, optimizer, rng, jax):
    W, R, _, y0, target = (jax.tree.map(jax.numpy.asarray, part) for part in network(rng, scaled))
    B = jax.tree.map(jax.numpy.asarray, copi.init_feedback(credit, SIZES, rng, "float64", np))
    recipe = copi.Recipe(eta_w=0.25, eta_r=0.125, credit=credit, optimizer=copi.OPTIMIZERS[optimizer])

    def step(W, R, B, y0, target):
        memory = tuple(recipe.optimizer.init(w) for w in W)
        state = copi.State(copi.Params(W, R), memory, B, dict(np.random.default_rng(0).bit_generator.state))
        after = copi.step(recipe, state, y0, target)
        return after.params.W, after.params.R

    traced, plain = jax.jit(step)(W, R, B, y0, target), step(W, R, B, y0, target)
    # A perturbation that is divided by σ² = 10⁻⁴ or γ = 10⁻³, or an inverse, carries so much more rounding.
    allowed = ALLOWED * {"node": 10.0**4, "gait": 10.0**7, "gait-renormalized": 10.0**4, "il-proximal": 10.0**2}.get(
        credit, 1
    )
    for one, other in zip(jax.tree.leaves(traced), jax.tree.leaves(plain), strict=True):
        assert_close(one, other, allowed)


@pytest.mark.parametrize("weight_rule", copi.WEIGHT_RULES)
def test_a_step_with_everything_around_it_can_be_traced(weight_rule, rng, jax):
    W, R, _, y0, target = (jax.tree.map(jax.numpy.asarray, part) for part in network(rng, scaled))
    settings = {"lateral_gain": "power", "centring": 0.25, "weight_decay": 0.5}
    recipe = copi.Recipe(
        eta_w=0.25, eta_r=0.125, weight_rule=weight_rule, lateral_rule=copi.Whitening(0.25), **settings
    )

    def step(W, R, y0, target):
        params = copi.Params(W, R, tuple(R_l[0, :] for R_l in R))
        state = copi.State(params, ((),) * len(W), None, dict(np.random.default_rng(0).bit_generator.state))
        after = copi.step(recipe, state, y0, target).params
        return after.W, after.R, after.mean

    traced, plain = jax.jit(step)(W, R, y0, target), step(W, R, y0, target)
    for one, other in zip(jax.tree.leaves(traced), jax.tree.leaves(plain), strict=True):
        assert_close(one, other)


def test_the_diagnostics_can_be_traced(rng, jax):
    x, delta, reference = (jax.numpy.asarray(draw(rng, *shape)) for shape in ((N, K), (N, M), (N, M)))
    for function in (relative_off_diagonal, dead_share):
        assert_close(jax.jit(function)(x), function(x))
    # The condition number multiplies rounding by itself.
    np.testing.assert_allclose(jax.jit(condition_number)(x), condition_number(x), rtol=1e-9)
    for function in (asymmetry, log_abs_det):
        assert_close(jax.jit(function)(x[:K, :]), function(x[:K, :]))
    assert_close(jax.jit(angle)(delta, reference), angle(delta, reference))

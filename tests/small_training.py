"""A recipe, a state and a data set small enough to train in a test, and what of two states has to agree."""

import numpy as np

import copi_ref as copi
from copi_ref.arrays import backend

CREDIT = [name for name in copi.CREDIT if name != "bp-batch-mean"]  # which needs a centring of its own
RATIONAL_LATERAL_RULES = [rule for rule in copi.LATERAL_RULES if rule != "whitening-triangular"]

RECIPE = copi.Recipe(eta_w=0.25, eta_r=0.125, dtype="float64", lateral_rule="right")


def state_of(W, R, recipe=RECIPE, feedback=None):
    rng_state = dict(np.random.default_rng(0).bit_generator.state)
    params = copi.Params(W=W, R=R)
    return copi.State(params, tuple(recipe.optimizer.init(w) for w in W), feedback, rng_state)


def blobs(rng, train=45, test=11, features=6, classes=3):
    """Three noisy clusters: a small problem that every method learns."""
    centres = rng.normal(size=(classes, features))
    parts = []
    for count in (train, test):
        labels = rng.integers(0, classes, count)
        parts += [(centres[labels] + 0.3 * rng.normal(size=(count, features))), labels]
    return copi.Dataset(*parts)


def fresh(recipe, seed=0, sizes=(6, 5, 3)):
    return copi.init_state(recipe, sizes, np.random.default_rng(seed), np)


def arrays_of(state):
    memory = [array for entries in state.optimizer for array in entries if hasattr(array, "shape")]
    means = state.params.mean or ()
    return [backend.to_numpy(array) for array in (*state.params.W, *state.params.R, *means, *memory)]


def assert_same_bits(one, other):
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        assert a.tobytes() == b.tobytes()

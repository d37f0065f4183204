"""Scores and classes of a trained network: as the loss sees them, in pieces, on every library."""

from dataclasses import replace

import numpy as np
import pytest
from compare import fractions
from small_training import RECIPE, blobs, fresh

import copi_ref as copi
from copi_ref.arrays.backend import to_numpy
from copi_ref.training import prediction


def layer_by_layer(params, x, f):
    """The network written out, sample by sample: a_L and f(a_L)."""
    a, y = [], []
    for sample in x:
        for layer, (W, R) in enumerate(zip(params.W, params.R, strict=True)):
            centred = sample if params.mean is None else sample - params.mean[layer]
            above = W @ (R @ centred)
            sample = f(above)
        a.append(above)
        y.append(sample)
    return np.array(a), np.array(y)


def leaky(a):
    return np.where(a < 0, a / 10, a)


def trained(rng, sizes=(6, 5, 3), **changes):
    recipe = replace(RECIPE, eta_w=0.01, eta_r=0.01, batch_size=10, **changes)
    return recipe, copi.fit(recipe, fresh(recipe, sizes=sizes), blobs(rng), 1).state.params


@pytest.mark.parametrize("output", ["activation", "pre-activation", "linear"])
@pytest.mark.parametrize("centring", [0, 0.1, copi.BatchCentring()])
def test_scores_are_what_the_loss_sees(output, centring, rng):
    recipe, params = trained(rng, output=output, centring=centring)
    x = rng.normal(size=(7, 6))
    a, y = layer_by_layer(params, x, leaky)
    expected = y if output == "activation" else a
    np.testing.assert_allclose(copi.scores(recipe, params, x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(copi.predict(recipe, params, x), [row.argmax() for row in expected])
    labels = np.arange(7) % 3
    agreed = (copi.predict(recipe, params, x) == labels).mean()
    assert copi.evaluate(recipe, params, x, np.eye(3)[labels]).accuracy == agreed


def test_each_member_of_an_ensemble_has_its_own(rng):
    recipe, x = RECIPE, rng.normal(size=(7, 6))
    state = copi.stack([fresh(recipe, seed) for seed in (0, 1)])
    found = copi.scores(recipe, state.params, x)
    assert found.shape == (2, 7, 3)
    for index in (0, 1):
        np.testing.assert_allclose(found[index], copi.scores(recipe, copi.member(state, index).params, x), rtol=1e-12)
    np.testing.assert_array_equal(copi.predict(recipe, state.params, x), found.argmax(axis=-1))
    each = np.stack([x, -x])  # samples of their own
    np.testing.assert_allclose(copi.scores(recipe, state.params, each)[1], copi.scores(recipe, state.params, -x)[1])


@pytest.mark.parametrize("members", [1, 2])
def test_memory_is_for_some_samples_at_a_time(members, monkeypatch, rng):
    """What the pieces give is what the whole gives, in its order."""
    seen, forward = [], prediction.forward

    def watched(params, x, activation):
        seen.append(x.shape[-2])
        return forward(params, x, activation)

    state = fresh(RECIPE) if members == 1 else copi.stack([fresh(RECIPE, seed) for seed in (0, 1)])
    x = rng.normal(size=(23, 6))
    whole = copi.scores(RECIPE, state.params, x)
    monkeypatch.setattr(prediction, "ROWS", 10)
    monkeypatch.setattr(prediction, "forward", watched)
    np.testing.assert_allclose(copi.scores(RECIPE, state.params, x), whole, rtol=1e-12)
    np.testing.assert_array_equal(copi.predict(RECIPE, state.params, x), whole.argmax(axis=-1))
    assert max(seen) == 10
    assert sum(seen) == 2 * 23


def test_on_every_library(xp, rng):
    """Samples of the network's library, and NumPy's of another dtype, which go where it is, as `fit` moves them."""
    params, x = fresh(RECIPE).params, rng.normal(size=(7, 6))
    expected = copi.scores(RECIPE, params, x)
    there = copi.Params(xp.asarray(params.W), xp.asarray(params.R))
    for samples in (xp.asarray(x), x):
        found = copi.scores(RECIPE, there, samples)
        np.testing.assert_allclose(xp.numpy(found), expected, rtol=1e-12)
        np.testing.assert_array_equal(xp.numpy(copi.predict(RECIPE, there, samples)), expected.argmax(axis=-1))
    single = copi.Params(xp.asarray(params.W, "float32"), xp.asarray(params.R, "float32"))
    assert str(copi.scores(RECIPE, single, x).dtype).endswith("float32")
    np.testing.assert_allclose(to_numpy(copi.scores(RECIPE, single, x)), expected, rtol=1e-5, atol=1e-6)


def test_fractions_stay_exact(rng):
    params = copi.Params((fractions(rng, 3, 6),), (fractions(rng, 6, 6),))
    x = fractions(rng, 4, 6)
    found = copi.scores(RECIPE, params, x)
    np.testing.assert_array_equal(found, copi.forward(params, x).y[-1])
    np.testing.assert_array_equal(copi.predict(RECIPE, params, x), [row.argmax() for row in found.astype(float)])


def test_a_network_that_left_the_finite_numbers_has_no_classes(rng):
    """As one that has stopped in an ensemble: an argmax of NaN would be class 0."""
    state = copi.stack([fresh(RECIPE, seed) for seed in (0, 1)])
    broken = state.params.W[1].copy()
    broken[1] = np.nan
    params = replace(state.params, W=(state.params.W[0], broken))
    x = rng.normal(size=(7, 6))
    assert np.isnan(copi.scores(RECIPE, params, x)[1]).all()
    with pytest.raises(ValueError, match="scores of x are not finite, and so no classes: see scores; of an ensemble"):
        copi.predict(RECIPE, params, x)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((7, 5)), ValueError, r"x has shape \(7, 5\) but W of layer 1 has 6 features: x must be \(…, 7, 6\)"),
        (np.ones(6), ValueError, r"x has shape \(6,\): needs \(…, N, K\); one sample is x\[None, :\]"),
        (np.ones((7, 6), np.uint8), TypeError, "x has dtype uint8: needs a floating dtype"),
        ([[1.0] * 6], TypeError, "x is a list: needs an array"),
        (np.full((7, 6), np.nan), ValueError, "x has entries that are not finite: needs none"),
        (np.full((7, 6), 1e39), ValueError, "x has entries too large for float32: scale it down"),
        (np.ones((0, 6)), ValueError, r"x has shape \(0, 6\): needs at least one of each"),
    ],
)
def test_samples_that_do_not_fit_are_named(x, error, message):
    recipe = replace(RECIPE, dtype="float32")
    for function in (copi.scores, copi.predict):
        with pytest.raises(error, match=message):
            function(recipe, fresh(recipe).params, x)


def test_a_network_that_does_not_fit_its_recipe_is_named(rng):
    x = rng.normal(size=(7, 6))
    with pytest.raises(TypeError, match=r"params is a State: needs a Params, as state\.params"):
        copi.predict(RECIPE, fresh(RECIPE), x)
    with pytest.raises(TypeError, match="recipe is a Params: needs a Recipe"):
        copi.predict(fresh(RECIPE).params, RECIPE, x)
    with pytest.raises(ValueError, match=r"centring is 0\.1, but params has no means"):
        copi.predict(replace(RECIPE, centring=0.1), fresh(RECIPE).params, x)

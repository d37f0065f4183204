"""A lateral rule on a part of the batch: what is drawn, and that a run with it can be repeated and resumed."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from compare import K, N, assert_close, draw, fractions
from networks import network, scaled
from small_training import RECIPE, assert_same_bits, blobs, fresh, state_of

import copi_ref as copi
from copi_ref.state import generator_of


def test_it_is_the_rule_on_what_is_drawn(xp, rng):
    """With replacement: numbers from 0 to N − 1, as many as the share says, and the mean over these."""
    x, R = draw(rng, N, K), draw(rng, K, K)
    index = np.random.default_rng(3).integers(N, size=3)  # 0.4 · 7 = 2.8
    ours = copi.Subsampled("left", 0.4)(xp.asarray(x), xp.asarray(R), np.random.default_rng(3))
    assert_close(xp.numpy(ours), copi.decorrelation_update(x[index], R, "left"))


def test_at_least_one_sample_is_drawn(rng):
    x, R = draw(rng, 2, K), draw(rng, K, K)
    index = np.random.default_rng(3).integers(2, size=1)
    ours = copi.Subsampled(copi.Whitening(0.5), 0.01)(x, R, np.random.default_rng(3))
    assert_close(ours, copi.Whitening(0.5)(x[index], R))


def test_a_network_of_an_ensemble_draws_what_it_would_draw_alone(xp, rng):
    x, R = draw(rng, 2, N, K), draw(rng, 2, K, K)
    rule = copi.Subsampled("right", 0.5)
    stacked = rule(xp.asarray(x), xp.asarray(R), tuple(np.random.default_rng(seed) for seed in (1, 2)))
    for member, seed in enumerate((1, 2)):
        alone = rule(x[member], R[member], np.random.default_rng(seed))
        assert_close(xp.numpy(stacked)[member], alone)


def test_its_mean_over_draws_is_the_rule(rng):
    """Each sample is drawn equally often: over all N draws of one the mean is ΔR of the batch. In exact arithmetic."""

    class InTurn(np.random.Generator):
        turn = 0

        def integers(self, samples, size):
            self.turn += 1
            return np.array([self.turn - 1])

    x, R = fractions(rng, N, K), fractions(rng, K, K)
    rule, each = copi.Subsampled("right", Fraction(1, N)), InTurn(np.random.PCG64())
    mean = sum(rule(x, R, each) for _ in range(N)) / N
    assert (mean == copi.decorrelation_update(x, R, "right")).all()


def test_a_step_draws_from_the_state_the_last_layer_first(rng):
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, lateral_rule=copi.Subsampled("left", 0.5))
    state = state_of(W, R, recipe)
    after = copi.step(recipe, state, y0, target)
    trace, generator = copi.forward(state.params, y0), generator_of(state)
    for layer in reversed(range(len(R))):
        dR = copi.Subsampled("left", 0.5)(trace.x[layer], R[layer], generator)
        assert_close(after.params.R[layer], R[layer] + recipe.eta_r * dR)
    assert after.rng_state == dict(generator.bit_generator.state)


def test_training_is_the_same_when_it_is_repeated_and_when_it_goes_on(rng):
    recipe = replace(RECIPE, lateral_rule=copi.Subsampled("left", 0.25), eta_w=0.01, eta_r=0.01, batch_size=8)
    dataset = blobs(rng)
    whole = copi.fit(recipe, fresh(recipe), dataset, epochs=4)
    half = copi.fit(recipe, fresh(recipe), dataset, epochs=2)
    assert_same_bits(whole.state, copi.fit(recipe, half.state, dataset, epochs=2).state)
    other = copi.fit(replace(recipe, lateral_rule="left"), fresh(recipe), dataset, epochs=4)
    assert (whole.state.params.R[0] != other.state.params.R[0]).any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: copi.Subsampled("middle"), ValueError, "rule is 'middle': choose one of 'symmetric'"),
        (lambda: copi.Subsampled(copi.Whitening), TypeError, "rule is the class Whitening: needs an instance"),
        (lambda: copi.Subsampled("left", 0), ValueError, "share is 0: needs"),
        (lambda: copi.Subsampled("left", 1.5), ValueError, "share is 1.5: needs at most 1"),
        (lambda: copi.Subsampled()(np.ones((4, 3)), np.eye(3), 7), TypeError, "rng is 7: needs"),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()

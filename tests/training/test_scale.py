"""How large samples are, and what is said of it when training diverges."""

from dataclasses import replace

import numpy as np
import pytest
from small_training import RECIPE, blobs, fresh

import copi_ref as copi
from copi_ref.training.scale import Scale, advice, scale_of


def scaled(dataset, factor):
    return copi.Dataset(dataset.x_train * factor, dataset.y_train, dataset.x_test * factor, dataset.y_test)


def test_the_scale_of_samples_is_by_hand_that_of_all_pieces(xp):
    """2049 samples are three pieces; ‖(3, 3, −4)‖² = 34 and ‖(8, 8, 3)‖² = 137."""
    x = np.tile([3.0, 3.0, -4.0], (2049, 1))
    assert scale_of(xp.asarray(x)) == Scale(3, 34, pytest.approx(2 / 102))
    x[-1] = 8, 8, 3
    assert scale_of(xp.asarray(x)).power == pytest.approx(34 + (137 - 34) / 2049)


def test_the_safe_rate_is_that_of_the_equation(rng):
    x = rng.normal(size=(45, 6)).astype("float32")
    assert scale_of(x).safe_eta_r == pytest.approx(float(copi.safe_eta_r(x.astype("float64"))))


def test_samples_multiplied_with_the_factor_have_half_the_safe_rate():
    scale = Scale(64, 3840, 2 / (3 * 3840))
    assert scale.factor(0.02) ** 2 * 3840 * 0.02 == pytest.approx(1 / 3)


def diverging(dataset, epochs=30, **changes):
    recipe = replace(RECIPE, batch_size=8, **changes)
    with pytest.raises(copi.NonFiniteError) as caught:
        copi.fit(recipe, fresh(recipe), dataset, epochs)
    return str(caught.value)


def test_samples_that_are_too_large_are_named_and_the_advice_works(rng):
    dataset = scaled(blobs(rng), 40)
    message = diverging(dataset, eta_r=0.02, eta_w=0.02, lateral_rule="left")
    power = np.square(dataset.x_train).sum(axis=1).mean()
    assert ": the samples are too large: multiply them by " in message
    assert f"E‖x‖² is {power:.3g}, {power / 6:.3g} for each of 6 features" in message
    assert f"eta_r 0.02 is above 2/(3 E‖x‖²) = {2 / (3 * power):.3g}" in message
    factor = float(message.partition("multiply them by ")[2].partition(",")[0])
    recipe = replace(RECIPE, eta_r=0.02, eta_w=0.02, lateral_rule="left", batch_size=8)
    copi.fit(recipe, fresh(recipe), scaled(dataset, factor), 30)


def test_a_rate_that_is_too_high_is_named_and_not_the_samples(rng):
    message = diverging(blobs(rng), eta_r=1e5, eta_w=0.01)
    assert ": the rate is too high: lower eta_r, and eta_w likewise (eta_r 1e+05 is above 2/(3 E‖x‖²) = " in message
    message = diverging(blobs(rng), eta_r=1e-3, eta_w=1e5)
    assert ": the rate is too high: lower eta_w first, then eta_r (eta_r 0.001 is within 2/(3 E‖x‖²) = " in message
    assert (
        "proved safe for the rule left in layer 1, on the same samples in every step; not for layers above" in message
    )
    message = diverging(blobs(rng), eta_r=1e5, eta_w=1e5, lateral_rule="none")
    assert message.endswith(": the rate is too high: lower eta_w first (R does not learn)")


def test_the_rate_is_that_of_the_epoch_and_of_the_network(rng):
    message = diverging(blobs(rng), eta_w=0.01, eta_r=lambda epoch: 0.01 if epoch < 2 else 1e5)
    assert "eta_r 1e+05 is above" in message
    rates = np.array([0.001, 1e5])[:, None, None]
    recipe = replace(RECIPE, eta_w=0.01, eta_r=rates)
    state = copi.init_state(recipe, (6, 5, 3), [np.random.default_rng(seed) for seed in (0, 1)], np)
    result = copi.fit(recipe, state, blobs(rng), 3)
    assert list(result.stopped) == [1]
    assert "eta_r 1e+05 is above" in str(result.stopped[1])


def test_what_has_no_finite_scale_is_too_large():
    assert advice(RECIPE, Scale(3, np.inf, np.nan)).startswith("the samples are too large: scale them down")

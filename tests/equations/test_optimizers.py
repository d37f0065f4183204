"""Each optimizer against its running means written out as weighted sums."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from compare import assert_close, draw, fractions

import copi_ref as copi

STEPS = 6
EXPECTED = {
    "plain": lambda updates: updates,
    "momentum": lambda updates: naive.momentum(updates, 0.9),
    "adam": lambda updates: naive.adam(updates, 0.9, 0.999, 1e-8),
    "adam_tmlr": lambda updates: naive.adam(updates, 0.9, 0.999, 1e-8, bias_power=False),
    "large epsilon": lambda updates: naive.adam(updates, 0.5, 0.75, 0.125),
}
OPTIMIZERS = {**copi.OPTIMIZERS, "large epsilon": copi.Adam(0.5, 0.75, 0.125)}


def directions(optimizer, W, updates):
    memory, found = optimizer.init(W), []
    for update in updates:
        direction, memory = optimizer(update, memory)
        found.append(direction)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_the_weighted_sums(name, xp, rng):
    updates = draw(rng, STEPS, 3, 2)
    found = directions(OPTIMIZERS[name], xp.asarray(draw(rng, 3, 2)), [xp.asarray(u) for u in updates])
    for i, j in np.ndindex(3, 2):
        ours = [xp.numpy(direction)[i, j] for direction in found]
        assert_close(ours, EXPECTED[name](updates[:, i, j].tolist()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_keeps_float32_and_takes_a_stack(name, xp, rng):
    updates = draw(rng, STEPS, 4, 3, 2)
    W = xp.asarray(draw(rng, 4, 3, 2), "float32")
    stacked = directions(OPTIMIZERS[name], W, [xp.asarray(u, "float32") for u in updates])
    single = directions(
        OPTIMIZERS[name], xp.asarray(draw(rng, 3, 2), "float32"), [xp.asarray(u[1], "float32") for u in updates]
    )
    for stack, alone in zip(stacked, single, strict=True):
        assert xp.numpy(stack).dtype == "float32"
        np.testing.assert_array_equal(xp.numpy(stack)[1], xp.numpy(alone))  # elementwise: no sums to reorder


def test_first_adam_step_is_the_sign(rng):
    update = draw(rng, 3, 2)
    for optimizer in (copi.adam, copi.adam_tmlr):
        (direction,) = directions(optimizer, update, [update])
        np.testing.assert_allclose(direction, np.sign(update), rtol=1e-6)


def test_late_steps_of_the_tmlr_variant_are_a_third_of_adams():
    """Under a constant update Adam's step is 1 and the variant's tends to √(1 − β₂)/(1 − β₁) = 0.316."""
    ones = [np.ones((1, 1))] * 20_000
    assert abs(directions(copi.adam, ones[0], ones)[-1].item() - 1) < 1e-6
    assert abs(directions(copi.adam_tmlr, ones[0], ones)[-1].item() - np.sqrt(0.001) / 0.1) < 1e-6


@pytest.mark.parametrize(
    "optimizer",
    [
        copi.Momentum(np.float64(0.9)),
        copi.Momentum(naive.Fraction(9, 10)),
        copi.Adam(beta1=np.float64(0.9)),
        copi.Adam(beta2=np.array(0.999)),
        copi.Adam(epsilon=np.float64(1e-8)),
    ],
)
def test_settings_of_any_type_leave_the_dtype_alone(optimizer, xp, rng):
    update = xp.asarray(draw(rng, 3, 2), "float32")
    for direction in directions(optimizer, update, [update] * 2):
        assert xp.numpy(direction).dtype == "float32"


def test_momentum_and_plain_are_exact_and_adam_is_not(rng):
    updates = [fractions(rng, 3, 2) for _ in range(2)]
    exact = copi.Momentum(naive.Fraction(1, 3))
    _, second = directions(exact, updates[0], updates)
    assert (second == updates[0] / 3 + updates[1]).all()
    with pytest.raises(TypeError, match=r"beta is 0.9, but the arrays are exact: needs an int or a Fraction"):
        directions(copi.momentum, updates[0], updates)
    with pytest.raises(TypeError, match="Adam is not rational"):
        directions(copi.adam, updates[0], updates)


@pytest.mark.parametrize(
    ("optimizer", "field", "value", "message"),
    [
        (copi.momentum, "beta", 1, "beta is 1: needs less than 1"),
        (copi.adam, "beta1", -0.1, "beta1 is -0.1: needs at least 0"),
        (copi.adam, "beta2", 1.5, "beta2 is 1.5: needs less than 1"),
        (copi.adam, "bias_correction", "none", "bias_correction is 'none': choose one of 'power', 'constant'"),
        (copi.adam, "epsilon", -1, "epsilon is -1: needs at least 0"),
    ],
)
def test_settings_out_of_range_are_named(optimizer, field, value, message):
    with pytest.raises(ValueError, match=message):
        replace(optimizer, **{field: value})

"""Ensembles: several networks trained as one, each as it would be alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_training import RECIPE, arrays_of, assert_same_bits, blobs

import copi_ref as copi
from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.arrays.backend import to_numpy
from copi_ref.state import recipe_of_member
from copi_ref.training import in_place

SIZES = (6, 5, 3)
SMALL = replace(RECIPE, eta_w=0.01, eta_r=0.01, batch_size=8)


def rngs(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def alone(recipe, seed, dataset, epochs, index=0):
    recipe = recipe_of_member(recipe, index)
    return copi.fit(recipe, copi.init_state(recipe, SIZES, np.random.default_rng(seed), np), dataset, epochs)


def assert_same_metrics(one, other, samples=45):
    """Accuracies are equal; a mean of n losses, added up in another order, differs by at most 2 n units roundoff."""
    assert [row["epoch"] for row in one] == [row["epoch"] for row in other]
    for row, expected in zip(one, other, strict=True):
        for name in ("train_accuracy", "test_accuracy"):
            assert row[name] == expected[name]
        for name in ("train_loss", "test_loss"):
            assert math.isclose(row[name], expected[name], rel_tol=2 * samples * 2.0**-53)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lateral_rule": "left", "lateral_only_epochs": 1, "error_scale": 20},
        {"lateral_rule": "symmetric", "weight_rule": "sgd"},
        {"credit": "fa"},
        {"credit": "dfa"},
        {"credit": "dtp-pre-activation"},
        {"credit": "dtp", "lateral_rule": copi.Subsampled("left", 0.25)},
        {
            "credit": "bp-batch-mean",
            "lateral_rule": "kept-diagonal",
            "lateral_gain": "norms",
            "centring": copi.BatchCentring(),
        },
        {"credit": "gait"},
        {"credit": "node"},
        {"optimizer": copi.adam, "lateral_rule": "none", "weight_rule": "sgd"},
        {"optimizer": copi.momentum, "weight_decay": 0.1},
        {"centring": 0.1, "lateral_gain": "power", "lateral_rule": "left"},
        {"credit": "il", "states": "inferred", "weight_rule": "sgd"},
        {"credit": "il-proximal", "states": "inferred", "weight_rule": "nlms"},
        {"credit": "il-alonso", "states": "inferred", "weight_rule": "sgd"},
        {"credit": "il-prox", "states": "inferred", "weight_rule": "nlms-batch"},
        {"eta_w": lambda epoch: 0.01 / (1 + epoch)},
    ],
    ids=lambda changes: "-".join(map(str, changes)) or "plain",
)
def test_each_network_is_what_it_is_alone_to_the_last_bit(changes, rng):
    recipe, dataset = replace(SMALL, **changes), blobs(rng)
    together = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(3, 1, 4), np), dataset, epochs=2)
    for index, seed in enumerate((3, 1, 4)):
        member, single = together.member(index), alone(recipe, seed, dataset, 2)
        assert_same_bits(member.state, single.state)
        assert member.state.rng_state == single.state.rng_state
        assert (member.state.epoch, member.state.step) == (single.state.epoch, single.state.step)
        for ours, own in zip(member.state.feedback or (), single.state.feedback or (), strict=True):
            np.testing.assert_array_equal(ours, own)
        assert_same_metrics(member.metrics, single.metrics)


def test_networks_differ_by_seed(rng):
    state = copi.fit(SMALL, copi.init_state(SMALL, SIZES, rngs(3, 1), np), blobs(rng), epochs=1).state
    assert all((W[0] != W[1]).all() for W in state.params.W)


@pytest.mark.parametrize("schedule", [False, True])
def test_each_network_has_its_own_rate(schedule, rng):
    """Two seeds by two rates; a schedule may give an array too."""
    rates = np.array([0.01, 0.01, 0.002, 0.002])[:, None, None]
    recipe = replace(SMALL, eta_w=(lambda epoch: rates / (1 + epoch)) if schedule else rates, eta_r=rates / 2)
    dataset = blobs(rng)
    together = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1, 0, 1), np), dataset, epochs=2)
    for index, seed in enumerate((0, 1, 0, 1)):
        rate = float(rates[index, 0, 0])
        own = replace(SMALL, eta_w=(lambda epoch, rate=rate: rate / (1 + epoch)) if schedule else rate, eta_r=rate / 2)
        single = copi.fit(own, copi.init_state(own, SIZES, np.random.default_rng(seed), np), dataset, 2)
        assert_same_bits(together.member(index).state, single.state)
    assert (together.state.params.W[0][0] != together.state.params.W[0][2]).all()


def test_an_ensemble_of_one_is_an_ensemble(rng):
    dataset = blobs(rng)
    result = copi.fit(SMALL, copi.init_state(SMALL, SIZES, rngs(5), np), dataset, epochs=1)
    assert result.metrics[0]["train_accuracy"].shape == (1,)
    assert_same_bits(result.member(0).state, alone(SMALL, 5, dataset, 1).state)


def test_training_goes_on_where_it_stood(rng):
    dataset, start = blobs(rng), copi.init_state(SMALL, SIZES, rngs(0, 1), np)
    whole = copi.fit(SMALL, start, dataset, epochs=3)
    halves = copi.fit(SMALL, copi.fit(SMALL, start, dataset, epochs=1).state, dataset, epochs=2)
    assert_same_bits(whole.state, halves.state)
    # and one network of it, alone
    member = copi.fit(SMALL, copi.member(copi.fit(SMALL, start, dataset, epochs=1).state, 1), dataset, epochs=2)
    assert_same_bits(copi.member(whole.state, 1), member.state)


def test_an_ensemble_on_every_library(xp, rng):
    """Its weights are held against repeated `step` in test_in_place; here its metrics, against `evaluate`."""
    dataset = blobs(rng)
    start = copi.init_state(SMALL, SIZES, rngs(0, 1), np)
    there = replace(start, params=copi.Params(W=xp.asarray(start.params.W), R=xp.asarray(start.params.R)))
    found = copi.fit(SMALL, there, dataset, epochs=2)
    target = xp.asarray(np.eye(3)[dataset.y_test])
    accuracy, loss = copi.evaluate(SMALL, found.state.params, xp.asarray(dataset.x_test), target)
    for name, expected in (("test_accuracy", accuracy), ("test_loss", loss)):
        assert isinstance(found.metrics[-1][name], np.ndarray)
        np.testing.assert_array_equal(found.metrics[-1][name], expected)


def test_evaluation_of_an_ensemble_is_that_of_its_networks(xp, rng, monkeypatch):
    """To the last bit, as it is in the same pieces, of six rows too."""
    from copi_ref.training import evaluation

    state, dataset = copi.init_state(SMALL, SIZES, rngs(0, 1, 2), np), blobs(rng)
    params = copi.Params(W=xp.asarray(state.params.W), R=xp.asarray(state.params.R))
    x, target = xp.asarray(dataset.x_train), xp.asarray(np.eye(3)[dataset.y_train])
    for rows in (5000, 6):
        monkeypatch.setattr(evaluation, "ROWS", rows)
        found = copi.evaluate(SMALL, params, x, target)
        for index in range(3):
            own = copi.member(state, index).params
            single = copi.evaluate(SMALL, copi.Params(W=xp.asarray(own.W), R=xp.asarray(own.R)), x, target)
            assert found.accuracy[index] == single.accuracy
            assert found.loss[index] == single.loss


# --- networks that leave the finite numbers ------------------------------------------------------------------------


def diverging(rates=(0.01, 1e200, 0.005)):
    """The middle one leaves the finite numbers in epoch 1."""
    rates = np.array(rates)[:, None, None]
    return replace(SMALL, eta_r=lambda epoch: np.minimum(rates, 0.01) if epoch == 0 else rates)


def test_one_that_diverges_stops_and_the_others_go_on(rng):
    recipe, dataset, seen = diverging(), blobs(rng), []
    result = copi.fit(
        recipe,
        copi.init_state(recipe, SIZES, rngs(0, 1, 2), np),
        dataset,
        epochs=4,
        callback=lambda state, row: seen.append(row),
    )
    assert list(result.stopped) == [1]
    with pytest.raises(copi.NonFiniteError) as single:
        alone(recipe, 1, dataset, 4, index=1)
    with pytest.raises(
        copi.NonFiniteError, match=r"epoch 1, batch \d+ \(both from 0\), first in \w of layer \d"
    ) as caught:
        result.member(1)
    assert str(caught.value) == str(single.value)
    assert_same_bits(caught.value.state, single.value.state)
    assert all(np.isnan(array[1]).all() and np.isfinite(array[::2]).all() for array in arrays_of(result.state))
    with pytest.raises(copi.NonFiniteError):
        result.member(-2)
    assert_same_metrics(caught.value.metrics, single.value.metrics)
    for index, seed in ((0, 0), (2, 2)):
        assert_same_bits(result.member(index).state, alone(recipe, seed, dataset, 4, index=index).state)
    shown = [np.isnan(row["test_accuracy"]).tolist() for row in result.metrics]
    assert shown == [[False] * 3] + [[False, True, False]] * 3
    assert len(seen) == 4


@pytest.mark.parametrize("optimizer", [copi.adam, copi.momentum])
def test_one_stops_whatever_the_optimizer_remembers(optimizer, rng):
    recipe, dataset = replace(diverging(), optimizer=optimizer), blobs(rng)
    result = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1, 2), np), dataset, epochs=4)
    assert list(result.stopped) == [1]
    assert_same_bits(result.member(2).state, alone(recipe, 2, dataset, 4, index=2).state)


def test_one_stops_whatever_feedback_it_learns(rng):
    recipe, dataset = replace(diverging(), credit="dtp-pre-activation"), blobs(rng)
    result = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1, 2), np), dataset, epochs=3)
    assert list(result.stopped) == [1]
    single = alone(recipe, 2, dataset, 3, index=2).state
    for ours, own in zip(result.member(2).state.feedback, single.feedback, strict=True):
        np.testing.assert_array_equal(ours, own)


def test_one_that_stopped_stays_so_when_its_rate_is_good_again(rng):
    rates = np.array([0.01, 1e200])[:, None, None]
    recipe, dataset = replace(SMALL, eta_r=lambda epoch: rates if epoch == 1 else 0.01), blobs(rng)
    result = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1), np), dataset, epochs=4)
    assert list(result.stopped) == [1]
    assert [np.isnan(row["train_loss"]).tolist() for row in result.metrics] == [[False] * 2] + [[False, True]] * 3


def test_training_that_is_continued_does_not_take_up_what_has_stopped(rng):
    recipe, dataset = diverging(), blobs(rng)
    start = copi.init_state(recipe, SIZES, rngs(0, 1, 2), np)
    first = copi.fit(recipe, start, dataset, epochs=2)
    again = copi.fit(replace(recipe, eta_r=0.01), first.state, dataset, epochs=1)
    assert list(again.stopped) == [1]
    assert "training can't start in epoch 2: W of layer 1 is not finite already" in str(again.stopped[1])
    assert np.isfinite(again.metrics[0]["test_loss"]).tolist() == [True, False, True]
    with pytest.raises(copi.NonFiniteError, match="is not finite already"):
        copi.fit(replace(SMALL, eta_r=0.01), copi.member(first.state, 1), dataset, epochs=1)


def test_a_rate_for_all_stops_one_too(rng):
    recipe = replace(SMALL, eta_r=np.full((1, 1, 1), 1e200))
    result = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1), np), blobs(rng), epochs=1)
    assert sorted(result.stopped) == [0, 1]


@pytest.mark.parametrize("lateral_rule", ["left", "right", "symmetric"])
def test_networks_of_several_blocks_in_float32_with_rates_are_the_same_to_the_last_bit(lateral_rule, monkeypatch, rng):
    """Blocks must not depend on the number of networks, nor a product on whether its rate is an array."""
    monkeypatch.setattr(in_place, "BLOCK", 20)
    rates = np.array([0.013, 0.007, 0.003])[:, None, None]
    recipe, dataset = replace(SMALL, eta_w=rates, eta_r=rates, dtype="float32", lateral_rule=lateral_rule), blobs(rng)
    together = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1, 2), np), dataset, epochs=2)
    for index in range(3):
        rate = float(rates[index, 0, 0])
        own = replace(recipe, eta_w=rate, eta_r=rate)
        single = copi.fit(own, copi.init_state(own, SIZES, np.random.default_rng(index), np), dataset, 2)
        assert_same_bits(together.member(index).state, single.state)


def test_one_whose_loss_alone_overflows_stops_too(rng):
    dataset, recipe = blobs(rng), replace(SMALL, eta_w=0, eta_r=0, lateral_only_epochs=9)
    states = [copi.init_state(recipe, SIZES, one, np) for one in rngs(0, 1)]
    huge = (states[1].params.W[0], states[1].params.W[1] * 1e200)
    states[1] = replace(states[1], params=copi.Params(huge, states[1].params.R))
    result = copi.fit(recipe, copi.stack(states), dataset, epochs=2)
    assert "though all weights are finite" in str(result.stopped[1])
    assert np.isfinite(result.metrics[-1]["train_loss"]).tolist() == [True, False]
    assert all(np.isnan(array[1]).all() for array in arrays_of(result.state))  # or it would go on unnoticed


def test_when_all_have_stopped_training_ends(rng):
    recipe, dataset = diverging((1e200, 1e200)), blobs(rng)
    result = copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1), np), dataset, epochs=5)
    assert sorted(result.stopped) == [0, 1]
    assert [row["epoch"] for row in result.metrics] == [0]
    assert all(np.isnan(array).all() for array in arrays_of(result.state))


def test_diagnostics_of_an_ensemble_are_those_of_its_networks(rng):
    recipe, dataset = diverging(), blobs(rng)
    state = copi.init_state(recipe, SIZES, rngs(0, 1, 2), np)
    result = copi.fit(recipe, state, dataset, epochs=2, diagnostics=layer_diagnostics)
    single = copi.fit(
        recipe_of_member(recipe, 2),
        copi.init_state(recipe, SIZES, np.random.default_rng(2), np),
        dataset,
        epochs=2,
        diagnostics=layer_diagnostics,
    )
    assert result.metrics[1]["off_diagonal_2"][2] == single.metrics[1]["off_diagonal_2"]
    assert np.isnan(result.metrics[1]["off_diagonal_2"]).tolist() == [False, True, False]
    assert set(result.member(0).metrics[0]) == set(single.metrics[0])


# --- putting together and taking apart -----------------------------------------------------------------------------


def test_stack_and_member_undo_each_other():
    recipe = replace(SMALL, credit="fa", optimizer=copi.adam, centring=0.5)
    states = [copi.init_state(recipe, SIZES, one, np) for one in rngs(0, 1, 2)]
    stacked = copi.stack(states)
    assert stacked.members == 3
    assert states[0].members is None
    assert {array.shape[0] for array in arrays_of(stacked)} == {3}
    for index, state in enumerate(states):
        member = copi.member(stacked, index)
        assert_same_bits(member, state)
        assert member.rng_state == state.rng_state
        assert [to_numpy(B).tolist() for B in member.feedback] == [B.tolist() for B in state.feedback]


def test_a_sequence_of_generators_makes_the_stack():
    assert_same_bits(
        copi.init_state(SMALL, SIZES, rngs(0, 1), np),
        copi.stack([copi.init_state(SMALL, SIZES, one, np) for one in rngs(0, 1)]),
    )


def test_what_can_not_be_stacked_is_named():
    one = copi.init_state(SMALL, SIZES, np.random.default_rng(0), np)
    wider = copi.init_state(SMALL, (6, 7, 3), np.random.default_rng(0), np)
    deeper = copi.init_state(SMALL, (6, 5, 5, 3), np.random.default_rng(0), np)
    with_adam = copi.init_state(replace(SMALL, optimizer=copi.adam), SIZES, np.random.default_rng(0), np)
    with_feedback = copi.init_state(replace(SMALL, credit="fa"), SIZES, np.random.default_rng(0), np)
    for other, message in (
        (wider, r"the shape of W\[0\] is \(5, 6\) in one state and \(7, 6\) in another"),
        (deeper, "the length of W is 2 in one state and 3 in another"),
        (with_adam, r"the type of optimizer\[0\] is tuple in one state and AdamMemory in another"),
        (with_feedback, "the type of feedback is NoneType in one state and tuple in another"),
        (replace(one, epoch=3), "epoch is 0 in one state and 3 in another: needs the same in all"),
        (copi.stack([one, one]), r"states\[1\] is an ensemble of 2: needs the State of one network"),
    ):
        with pytest.raises(ValueError, match=message):
            copi.stack([one, other])
    with pytest.raises(ValueError, match="states is empty: an ensemble needs at least one"):
        copi.stack([])
    with pytest.raises(TypeError, match=r"states\[0\] is a Params: needs a State"):
        copi.stack([one.params])
    with pytest.raises(TypeError, match="state is of a single network: needs an ensemble"):
        copi.member(one, 0)
    pair = copi.stack([one, wider_seed()])
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"index is {index}, but the ensemble has 2 networks"):
            copi.member(pair, index)
    for index in (slice(2), 0.0, True, np.array([0, 1])):
        with pytest.raises(TypeError, match="needs a whole number"):
            copi.member(pair, index)
    assert_same_bits(copi.member(pair, -1), wider_seed())


def wider_seed():
    return copi.init_state(SMALL, SIZES, np.random.default_rng(1), np)


def test_generators_that_are_none_are_named():
    with pytest.raises(ValueError, match="rng is empty: an ensemble needs at least one generator"):
        copi.init_state(SMALL, SIZES, [], np)
    with pytest.raises(TypeError, match=r"rng\[1\] is 3: needs a numpy.random.Generator"):
        copi.init_state(SMALL, SIZES, [np.random.default_rng(0), 3], np)


def test_arrays_and_generators_have_to_be_of_as_many_networks(rng):
    one, two = wider_seed(), copi.init_state(SMALL, SIZES, rngs(0, 1), np)
    for state, message in (
        (replace(two, rng_state=one.rng_state), r"\(2, 5, 6\), but rng_state is of a single network: needs \(M, K\)"),
        (replace(one, rng_state=two.rng_state), r"\(5, 6\), but rng_state is of 2: needs \(2, M, K\)"),
        (replace(two, rng_state=two.rng_state[:1]), r"\(2, 5, 6\), but rng_state is of 1: needs \(1, M, K\)"),
    ):
        with pytest.raises(ValueError, match=r"W of layer 1 has shape " + message):
            copi.fit(SMALL, state, blobs(rng), epochs=1)


def test_an_optimizer_whose_memory_is_no_record_of_arrays_is_named(rng):
    class Forgetful:
        def init(self, W):
            return {"m": W * 0}

        def __call__(self, update, memory):
            return update, memory

    recipe = replace(SMALL, optimizer=Forgetful())
    state = copi.init_state(recipe, SIZES, np.random.default_rng(0), np)
    with pytest.raises(TypeError, match=r"optimizer\[0\] is a dict: needs arrays, numbers, or tuples or dataclasses"):
        copi.fit(recipe, state, blobs(rng), epochs=1)


def test_rates_of_another_number_of_networks_are_refused(rng):
    recipe = replace(SMALL, eta_w=np.full((3, 1, 1), 0.1))
    with pytest.raises(ValueError, match=r"eta_w has shape \(3, 1, 1\), and the state is of 2: needs \(2, 1, 1\)"):
        copi.fit(recipe, copi.init_state(recipe, SIZES, rngs(0, 1), np), blobs(rng), epochs=1)
    with pytest.raises(ValueError, match=r"eta_w has shape \(3, 1, 1\), and the state is of 1: needs one number"):
        copi.fit(recipe, copi.init_state(recipe, SIZES, np.random.default_rng(0), np), blobs(rng), epochs=1)

"""The step that `fit` takes in its own arrays: the same as `step`, exactly in exact arithmetic, else up to rounding."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from compare import fractions
from networks import network, scaled
from small_training import RATIONAL_LATERAL_RULES, RECIPE, arrays_of, assert_same_bits, blobs, fresh, state_of

import copi_ref as copi
from copi_ref.arrays import backend
from copi_ref.oracle import Conventions, check
from copi_ref.oracle.rounding import PRECISIONS, tracked
from copi_ref.state import own
from copi_ref.training import batches, in_place
from copi_ref.training.batches import move
from copi_ref.training.epoch import shuffle, with_rates
from copi_ref.training.in_place import Scratch, step_in_place


@pytest.fixture(params=[1, 10, 2**19], ids=["rows one by one", "blocks", "whole"])
def block(request, monkeypatch):
    """Matrices of 3×6 to 6×6 are cut into blocks of one row, of a few, or not at all."""
    monkeypatch.setattr(in_place, "BLOCK", request.param)


def in_its_own_arrays(recipe, state, y0, target):
    return step_in_place(recipe, own(state), y0, target, Scratch())


# --- the same step -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leading", [(), (2,)], ids=["network", "ensemble"])
@pytest.mark.parametrize("weight_rule", copi.WEIGHT_RULES)
@pytest.mark.parametrize("lateral_rule", [*RATIONAL_LATERAL_RULES, "none", copi.Subsampled("left", 0.4)])
def test_it_is_the_same_step_exactly(lateral_rule, weight_rule, leading, block, rng):
    W, R, _, y0, target = network(rng, fractions, leading)
    rates = np.array([Fraction(1, 3), Fraction(2, 5)])[:, None, None] if leading else Fraction(1, 3)
    recipe = replace(
        RECIPE, eta_w=rates, eta_r=Fraction(1, 7), lateral_rule=lateral_rule, weight_rule=weight_rule, error_scale=3
    )
    expected = copi.step(recipe, state_of(W, R), y0, target)
    found = in_its_own_arrays(recipe, state_of(W, R), y0, target)
    for ours, pure in zip(arrays_of(found), arrays_of(expected), strict=True):
        assert (ours == pure).all()
        assert all(type(entry) is Fraction for entry in ours.flat)
    assert any((new != old).any() for new, old in zip(expected.params.W, W, strict=True))


@pytest.mark.parametrize(
    ("lateral_rule", "precision"),
    [("left", "float64"), ("right", "float64"), ("symmetric", "float64"), ("symmetric", "float32")],
)
def test_the_oracle_accepts_it(lateral_rule, precision, xp):
    """As it accepts any other implementation: the bound for the rounding of every entry is derived there."""
    if not backend.is_writable(xp.asarray([1.0])):
        pytest.skip("arrays of this library can't be written to: this is `step` itself, which has been judged")

    class InPlace:
        @staticmethod
        def step(W, R, y0, target, eta_w, eta_r):
            recipe = replace(RECIPE, eta_w=eta_w, eta_r=eta_r, lateral_rule=lateral_rule)
            params = in_its_own_arrays(recipe, state_of(tuple(W), tuple(R)), y0, target).params
            return list(params.W), list(params.R)

    report = check(
        InPlace, conventions=Conventions(lateral_rule=lateral_rule), precision=precision, xp=xp.xp, device=xp.device
    )
    assert report.ok, report.summary()


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": copi.adam},
        {"optimizer": copi.momentum},
        {"weight_decay": 0.5},
        {"weight_rule": "nlms", "lateral_rule": "whitening"},
        {"weight_rule": "copi-scaled", "lateral_rule": copi.Whitening(0.25)},
        {"weight_rule": "nlms", "lateral_rule": "kept-diagonal", "lateral_gain": "norms"},
        {"weight_rule": lambda x, a, delta, W: copi.copi_update(x, a, W) / 2},
    ],
    ids=["adam", "momentum", "decay", "nlms", "scaled", "kept diagonal", "own"],
)
def test_what_has_no_line_of_its_own_is_the_same_to_the_last_bit(changes, rng):
    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, **{"lateral_rule": "none", **changes})
    state = state_of(W, R, recipe)
    expected, found = copi.step(recipe, state, y0, target), in_its_own_arrays(recipe, state, y0, target)
    assert_same_bits(found, expected)


@pytest.mark.parametrize(
    "changes",
    [{"lateral_gain": "power"}, {"centring": 0.1}, {"credit": copi.PreActivationDifferenceTargetPropagation()}],
)
def test_gain_centring_and_learnt_feedback_are_kept(changes, rng):
    """Whitening has no line of its own, so all is the same to the last bit."""
    recipe = replace(RECIPE, optimizer=copi.momentum, lateral_rule="whitening", **changes)
    state = copi.init_state(recipe, (5, 4, 6, 3), np.random.default_rng(1), np)
    _, _, _, y0, target = network(rng, scaled)
    expected, found = copi.step(recipe, state, y0, target), in_its_own_arrays(recipe, state, y0, target)
    assert_same_bits(found, expected)
    for ours, pure in zip(found.feedback or (), expected.feedback or (), strict=True):
        np.testing.assert_array_equal(ours, pure)


def test_a_symmetric_R_stays_symmetric_to_the_last_bit(block, rng):
    W, R, _, y0, target = network(rng, scaled)
    state = own(state_of(W, tuple(r + r.mT for r in R)))
    for _ in range(3):
        state = step_in_place(replace(RECIPE, lateral_rule="symmetric"), state, y0, target, Scratch())
    assert all((r == r.mT).all() for r in state.params.R)


def test_it_writes_into_the_arrays_it_was_given(xp, rng):
    if not backend.is_writable(xp.asarray([1.0])):
        pytest.skip("arrays of this library can't be written to")
    W, R, _, y0, target = network(rng, scaled)
    state = own(state_of(xp.asarray(W), xp.asarray(R)))
    after = step_in_place(RECIPE, state, xp.asarray(y0), xp.asarray(target), Scratch())
    for new, given in zip((*after.params.W, *after.params.R), (*state.params.W, *state.params.R), strict=True):
        assert new is given
    assert any((xp.numpy(new) != old).any() for new, old in zip(after.params.W, W, strict=True))


# --- what a user's own parts may do -------------------------------------------------------------------------------


def test_feedback_that_is_a_view_of_a_weight_is_not_written_to(rng):
    """Weight symmetry learnt in one step: B becomes Wᵀ as it was before the step."""

    class Mirror:
        def __call__(self, params, trace, task):
            return copi.CREDIT["fa"](params, trace, task)

        def learn_feedback(self, params, trace, task):
            return tuple(W.mT for W in params.W[1:])

    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, credit=Mirror(), optimizer=copi.momentum, lateral_rule="whitening")
    state = replace(state_of(W, R, recipe), feedback=tuple(w.mT for w in W[1:]))
    expected = copi.step(recipe, state, y0, target)
    found = in_its_own_arrays(recipe, state, y0, target)
    for ours, pure, before in zip(found.feedback, expected.feedback, W[1:], strict=True):
        np.testing.assert_array_equal(pure, before.mT)
        np.testing.assert_array_equal(ours, pure)


def test_what_a_credit_method_keeps_of_the_activities_is_not_written_to(rng):
    kept, copies = [], []

    def keeping(params, trace, task):
        deltas = copi.CREDIT["bp"](params, trace, task)
        arrays = [*trace.x, *trace.a, *trace.y, *deltas]
        kept.extend(arrays)
        copies.extend(array.copy() for array in arrays)
        return deltas

    for weight_rule in ("copi", "sgd"):
        recipe = replace(RECIPE, credit=keeping, batch_size=8, eta_w=0.01, eta_r=0.01, weight_rule=weight_rule)
        copi.fit(recipe, fresh(recipe), blobs(rng), epochs=2)
    assert kept
    for now, then in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(now, then)


def test_states_that_come_in_the_same_arrays_every_time_are_read_anew(rng):
    """As a method that infers states in memory of its own would return them."""

    class OwnMemory:
        held = None

        def infer(self, params, trace, task):
            if self.held is None:
                self.held = copi.Trace(*(tuple(map(np.empty_like, part)) for part in (trace.x, trace.a, trace.y)))
            for mine, arrays in ((self.held.x, trace.x), (self.held.a, trace.a), (self.held.y, trace.y)):
                for own_array, array in zip(mine, arrays, strict=True):
                    own_array[...] = array
            return self.held, copi.CREDIT["bp"](params, trace, task)

        def __call__(self, params, trace, task):
            return self.infer(params, trace, task)[1]

    dataset, usual = blobs(rng), replace(RECIPE, batch_size=15, eta_w=0.01, eta_r=0.01)
    recipe = replace(usual, credit=OwnMemory(), states="inferred")
    start = fresh(usual, sizes=(6, 3))  # one layer: no other x comes in between
    found = copi.fit(recipe, start, dataset, epochs=2).state
    assert_same_bits(found, copi.fit(usual, start, dataset, epochs=2).state)


@pytest.mark.parametrize("take", [copi.step, in_its_own_arrays], ids=["step", "in place"])
def test_parts_that_give_arrays_of_another_shape_or_dtype_are_refused(take, rng):
    class Transposed:
        def infer(self, params, trace, task):
            x = (trace.x[0], trace.x[1][:, :1], *trace.x[2:])
            return replace(trace, x=x), copi.CREDIT["bp"](params, trace, task)

        def __call__(self, params, trace, task):
            return self.infer(params, trace, task)[1]

    class Single(type(copi.plain)):
        def __call__(self, update, memory):
            return update.astype(np.float32), memory

    W, R, _, y0, target = network(rng, scaled)
    recipe = replace(RECIPE, credit=Transposed(), states="inferred")
    with pytest.raises(ValueError, match=r"x of layer 2 has shape \(\d, 1\) but W of layer 2 has \d features"):
        take(recipe, state_of(W, R, recipe), y0, target)
    recipe = replace(RECIPE, optimizer=Single())
    with pytest.raises(TypeError, match="optimizer's direction for W of layer 3 has dtype float32 but W"):
        take(recipe, state_of(W, R, recipe), y0, target)


def test_one_scratch_serves_two_dtypes(rng):
    W, R, _, y0, target = network(rng, scaled)
    scratch = Scratch()
    for dtype in (np.float32, np.float64, np.float32):
        there = [tuple(array.astype(dtype) for array in arrays) for arrays in (W, R, (y0, target))]
        state = state_of(there[0], there[1])
        found = step_in_place(RECIPE, own(state), *there[2], scratch)
        assert_same_bits(found, in_its_own_arrays(RECIPE, state, *there[2]))
        assert all(array.dtype == dtype for array in arrays_of(found))


# --- fit -----------------------------------------------------------------------------------------------------------


def batches_of(recipe, state, dataset):
    train, _ = move(state.params, dataset)
    return shuffle(recipe, state, train)


def small_problem(lateral_rule, members, rng):
    """A recipe, a state on NumPy and data for an epoch of three batches, small so that their bound stays small."""
    recipe = replace(RECIPE, lateral_rule=lateral_rule, eta_w=2.0**-4, eta_r=2.0**-5, batch_size=15)
    start, drawn = fresh(recipe), blobs(rng)
    if members:
        start = copi.stack([start, fresh(recipe, seed=1)])
    return recipe, start, replace(drawn, x_train=drawn.x_train / 8, x_test=drawn.x_test / 8)


def assert_is_repeated_step(recipe, start, dataset, found):
    """Three batches of an epoch; the bound follows each entry through the three steps, as the oracle's does.

    `tracked` carries a magnitude and a count of roundings through the library's own lines. It holds where no
    pre-activation is so near to 0 that rounding decides on which side it is: asserted.
    """
    shuffled, parts = batches_of(recipe, start, dataset)
    state = replace(
        shuffled,
        params=copi.Params(W=tuple(map(tracked, start.params.W)), R=tuple(map(tracked, start.params.R))),
    )
    for y0, target in parts:
        trace = copi.forward(state.params, tracked(y0))
        assert all((abs(a.value) > a.allowance(PRECISIONS["float64"])).all() for a in trace.a)
        state = copi.step(recipe, state, tracked(y0), tracked(target))
    for ours, expected in zip((*found.W, *found.R), (*state.params.W, *state.params.R), strict=True):
        allowed = expected.allowance(PRECISIONS["float64"])
        assert allowed.max() < 1e-10
        assert (abs(backend.to_numpy(ours) - expected.value) <= allowed).all()


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("lateral_rule", ["left", "right", "symmetric"])
def test_fit_is_repeated_step_up_to_rounding(lateral_rule, members, xp, rng):
    recipe, start, dataset = small_problem(lateral_rule, members, rng)
    there = replace(start, params=copi.Params(W=xp.asarray(start.params.W), R=xp.asarray(start.params.R)))
    fitted = copi.fit(recipe, there, dataset, epochs=1).state.params
    assert all(backend.namespace(array) is xp.xp for array in (*fitted.W, *fitted.R))
    assert_is_repeated_step(recipe, start, dataset, fitted)


@pytest.mark.parametrize("optimizer", ["plain", "adam"])
def test_fit_is_repeated_steps_in_place_to_the_last_bit(optimizer, rng):
    recipe = replace(
        RECIPE, batch_size=8, optimizer=copi.OPTIMIZERS[optimizer], eta_w=0.01, eta_r=lambda e: 0.02 / (e + 1)
    )
    state, dataset = fresh(recipe), blobs(rng)
    fitted = copi.fit(recipe, state, dataset, epochs=2).state
    for number in range(2):
        state, parts = batches_of(recipe, state, dataset)
        for y0, target in parts:
            state = step_in_place(with_rates(recipe, state), own(state), y0, target, Scratch())
        state = replace(state, epoch=number + 1)
    assert_same_bits(fitted, state)
    assert (fitted.step, fitted.epoch) == (state.step, state.epoch) == (12, 2)


def test_what_a_callback_keeps_is_not_written_to_later(rng):
    recipe = replace(RECIPE, batch_size=8, eta_w=0.01, eta_r=0.01)
    kept, copies = [], []

    def keep(state, row):
        kept.append(state)
        copies.append([array.copy() for array in arrays_of(state)])

    state = fresh(recipe)
    first = [array.copy() for array in arrays_of(state)]
    copi.fit(recipe, state, blobs(rng), epochs=3, callback=keep)
    for given, arrays in zip((state, *kept), (first, *copies), strict=True):
        for now, then in zip(arrays_of(given), arrays, strict=True):
            np.testing.assert_array_equal(now, then)


def test_samples_that_do_not_fit_a_device_stay_with_the_host(xp, monkeypatch, rng):
    """Batch by batch they give what they would give if they were there."""
    recipe = replace(RECIPE, batch_size=8, eta_w=0.01, eta_r=0.01)
    start, dataset = fresh(recipe), blobs(rng)
    there = replace(start, params=copi.Params(W=xp.asarray(start.params.W), R=xp.asarray(start.params.R)))
    resident = copi.fit(recipe, there, dataset, epochs=2)
    samples, numbers = len(dataset.x_train) + len(dataset.x_test), 6 + 3
    enough = 2 * samples * numbers * 8  # half of it is the data, in float64
    monkeypatch.setattr(batches, "free_memory", lambda array: enough)
    assert type(move(there.params, dataset)[0].x) is type(there.params.W[0])
    monkeypatch.setattr(batches, "free_memory", lambda array: enough - 1)
    assert isinstance(move(there.params, dataset)[0].x, np.ndarray)
    moved = copi.fit(recipe, there, dataset, epochs=2)
    for one, other in zip(moved.state.params.W, resident.state.params.W, strict=True):
        np.testing.assert_array_equal(xp.numpy(one), xp.numpy(other))
    assert moved.metrics[-1]["test_loss"] == resident.metrics[-1]["test_loss"]

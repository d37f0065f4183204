"""Steps replayed from a recording: without a GPU by a recorder that runs the same lines again, with one for real.

What a CUDA graph does with the lines it has recorded is to run the launches again on the same memory, without Python.
`recorded` does that much: the lines run on the arrays, batch and state that they were recorded with.
"""

from dataclasses import replace

import numpy as np
import pytest
from small_training import RECIPE, arrays_of, assert_same_bits, blobs, fresh
from test_ensemble import rngs
from test_in_place import assert_is_repeated_step, small_problem

import copi_ref as copi
from copi_ref.arrays import backend
from copi_ref.state import own
from copi_ref.training import cuda_graph, epoch

SMALL = replace(RECIPE, eta_w=0.01, eta_r=0.01, batch_size=8)  # 45 samples: five batches, and one of 5


@pytest.fixture
def replays(monkeypatch):
    """Switches the recording on, with arrays left where they are; how often each recording was replayed."""
    counts = []

    def record(work):
        number = len(counts)
        counts.append(0)

        def replay():
            counts[number] += 1
            work()

        return replay

    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", "1")
    monkeypatch.setattr(cuda_graph, "for_graph", lambda array: array)
    monkeypatch.setattr(cuda_graph, "capture", record)
    return counts


def eagerly(recipe, state, dataset, epochs, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.delenv("COPI_REF_CUDA_GRAPH", raising=False)
        return copi.fit(recipe, state, dataset, epochs, **options)


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lateral_rule": "left", "lateral_only_epochs": 1, "error_scale": 20},
        {"lateral_rule": "symmetric", "weight_rule": "sgd"},
        {"lateral_rule": "whitening", "weight_rule": "nlms"},
        {"credit": "fa"},
        {"credit": "dtp-pre-activation"},
        {"optimizer": copi.momentum, "weight_decay": 0.1},
        {"centring": 0.1, "lateral_gain": "power", "lateral_rule": "left"},
        {"credit": "il", "states": "inferred", "weight_rule": "sgd"},
        {"eta_w": lambda epoch: 0.01 / (1 + epoch)},
    ],
    ids=lambda changes: "-".join(map(str, changes)) or "plain",
)
def test_replayed_steps_are_the_steps_to_the_last_bit(changes, members, replays, rng, monkeypatch):
    recipe, dataset = replace(SMALL, **changes), blobs(rng)
    start = copi.init_state(recipe, (6, 5, 3), rngs(*range(members)) if members else np.random.default_rng(0), np)
    before = [array.copy() for array in arrays_of(start)]
    expected = eagerly(recipe, start, dataset, 3, monkeypatch)
    assert replays == []
    found = copi.fit(recipe, start, dataset, 3)
    assert replays == [4, 4, 4]  # of six batches the first warms up, and the last is shorter
    assert_same_bits(found.state, expected.state)
    for ours, eager in zip(found.state.feedback or (), expected.state.feedback or (), strict=True):
        np.testing.assert_array_equal(ours, eager)
    assert (found.state.step, found.state.epoch, found.state.rng_state) == (18, 3, expected.state.rng_state)
    for now, then in zip(arrays_of(start), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_steps_with_and_without_R_are_recorded_each(replays, rng, monkeypatch):
    recipe, dataset = replace(SMALL, lateral_every=2), blobs(rng)
    expected = eagerly(recipe, fresh(recipe), dataset, 1, monkeypatch)
    assert_same_bits(copi.fit(recipe, fresh(recipe), dataset, 1).state, expected.state)
    assert replays == [2, 1]  # steps 2 and 4, and 3: the first of each kind shows that it can be; the last is shorter


def test_rates_of_an_ensemble_are_recorded_with_it(replays, rng, monkeypatch):
    rates = np.array([0.01, 0.002])[:, None, None]
    recipe, dataset = replace(SMALL, eta_w=rates, eta_r=lambda number: rates / (1 + number)), blobs(rng)
    start = copi.init_state(recipe, (6, 5, 3), rngs(0, 0), np)
    found = copi.fit(recipe, start, dataset, 2)
    assert_same_bits(found.state, eagerly(recipe, start, dataset, 2, monkeypatch).state)
    assert (found.state.params.W[0][0] != found.state.params.W[0][1]).all()


def test_each_batch_is_seen_once(replays, rng):
    """A recording that kept reading the batch it was made with would pass on the others."""
    seen = []

    def watch(params, trace, task):
        seen.append(task.target.copy())
        return copi.CREDIT["bp"](params, trace, task)

    dataset = replace(blobs(rng), y_train=np.arange(45), y_test=np.arange(11))
    recipe = replace(SMALL, credit=watch)
    copi.fit(recipe, fresh(recipe, sizes=(6, 5, 45)), dataset, 1)
    np.testing.assert_array_equal(sum(target.sum(axis=0) for target in seen), np.ones(45))


def test_an_epoch_goes_on_from_the_middle(replays, rng):
    dataset, kept = blobs(rng), []

    def keep(state, begun):
        if begun.batches == 3:
            kept.append((own(state), begun))

    whole = copi.fit(SMALL, fresh(SMALL), dataset, 1, after_batch=keep)
    ((state, begun),) = kept
    assert_same_bits(copi.fit(SMALL, state, dataset, 1, begun=begun).state, whole.state)


@pytest.mark.parametrize(
    "change",
    [{"optimizer": copi.adam}, {"credit": "node"}, {"lateral_rule": copi.Subsampled("left")}],
    ids=["adam", "node", "subsampled"],
)
def test_what_a_recording_would_not_repeat_is_refused(change, replays, rng):
    recipe = replace(SMALL, **change)
    message = {
        "optimizer": r"a step changes more than arrays, which a recording would not \(optimizer\[0\]\.t is 0 in one "
        r"state and 1 in another.*\): unset COPI_REF_CUDA_GRAPH, or choose the optimizer plain or momentum",
        "credit": "COPI_REF_CUDA_GRAPH is 1, but the credit method, or the lateral rule, draws on the host in each",
    }["optimizer" if "optimizer" in change else "credit"]
    with pytest.raises(ValueError, match=message):
        copi.fit(recipe, fresh(recipe), blobs(rng), 1)


@pytest.mark.parametrize("step", [0, 1])
def test_each_kind_of_step_is_looked_at_before_it_is_recorded(step, replays, rng):
    """R's steps draw, the others don't: also where an epoch goes on with one of those."""
    recipe = replace(SMALL, lateral_rule=copi.Subsampled("left"), lateral_every=2)
    start = replace(fresh(recipe), step=step)
    with pytest.raises(ValueError, match="COPI_REF_CUDA_GRAPH is 1, but the credit method, or the lateral rule, draws"):
        copi.fit(recipe, start, blobs(rng), 1)


def test_arrays_that_are_not_on_a_gpu_are_refused(xp, monkeypatch, rng):
    start = fresh(SMALL)
    there = replace(start, params=copi.Params(W=xp.asarray(start.params.W), R=xp.asarray(start.params.R)))
    if xp.name == "cupy":
        pytest.skip("these are on a GPU")
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", "1")
    with pytest.raises(copi.BackendError, match="COPI_REF_CUDA_GRAPH is 1, but the arrays are .*: needs CuPy's, or"):
        copi.fit(SMALL, there, blobs(rng), 1)


@pytest.mark.parametrize("value", ["yes", "true", "2"])
def test_another_value_is_refused(value, monkeypatch, rng):
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", value)
    with pytest.raises(copi.BackendError, match=f"COPI_REF_CUDA_GRAPH is '{value}': needs 1 or 0"):
        copi.fit(SMALL, fresh(SMALL), blobs(rng), 1)


@pytest.mark.parametrize("value", ["", "0"])
def test_off_is_off(value, monkeypatch, rng):
    dataset, start = blobs(rng), fresh(SMALL)
    expected = eagerly(SMALL, start, dataset, 1, monkeypatch)
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", value)
    monkeypatch.setattr(epoch, "GraphSteps", None)
    assert_same_bits(copi.fit(SMALL, start, dataset, 1).state, expected.state)


@pytest.mark.needs("torch")
def test_arrays_come_back_in_the_library_that_they_were_given_in(replays, monkeypatch, rng):
    """As on a GPU, with NumPy in the place of CuPy and the host's memory shared by both."""
    import torch

    monkeypatch.setattr(cuda_graph, "for_graph", torch.from_numpy)
    monkeypatch.setattr(cuda_graph, "from_graph", lambda array, like: array.numpy())
    monkeypatch.setattr(cuda_graph, "is_host", lambda array: False)
    kept = []
    recipe, dataset = replace(SMALL, optimizer=copi.momentum), blobs(rng)
    found = copi.fit(recipe, fresh(recipe), dataset, 2, after_batch=lambda state, begun: kept.append(state))
    assert replays == [4, 4]
    assert all(isinstance(array, np.ndarray) for state in (found.state, *kept) for array in state.params.W)
    expected = eagerly(recipe, fresh(recipe), dataset, 2, monkeypatch)
    for ours, eager in zip(arrays_of(found.state), arrays_of(expected.state), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=1e-9, atol=1e-12)  # two libraries' products


# --- on a GPU ------------------------------------------------------------------------------------------------------


on_a_gpu = pytest.mark.needs("cupy", "torch")


@pytest.fixture
def cupy():
    xp = backend.load_backend("cupy")
    try:
        backend.for_graph(xp.ones(1))
    except backend.BackendError as error:
        pytest.skip(str(error))
    return xp


@on_a_gpu
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("lateral_rule", ["left", "right", "symmetric"])
def test_a_real_recording_is_repeated_step_up_to_rounding(lateral_rule, members, cupy, monkeypatch, rng):
    """Three batches, of which the last two are replayed, within the bound that is derived for the steps."""
    recipe, start, dataset = small_problem(lateral_rule, members, rng)
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", "1")
    there = replace(
        start, params=copi.Params(*(tuple(map(cupy.asarray, of)) for of in (start.params.W, start.params.R)))
    )
    found = copi.fit(recipe, there, dataset, epochs=1).state.params
    assert all(backend.namespace(array) is cupy for array in (*found.W, *found.R))
    assert_is_repeated_step(recipe, start, dataset, found)


@on_a_gpu
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": copi.momentum, "weight_decay": 0.1},
        {"credit": "dtp-pre-activation", "centring": 0.1},
        {"credit": "il"},
    ],
)
def test_a_real_recording_gives_what_pytorch_gives_without_one(changes, cupy, monkeypatch, rng):
    """To the last bit: the same launches, on the same library's arrays."""
    recipe, dataset = replace(SMALL, **changes), blobs(rng)
    start = copi.init_state(recipe, (6, 5, 3), np.random.default_rng(0), cupy)
    expected = eagerly(recipe, cuda_graph.state_for_graph(start), dataset, 3, monkeypatch)
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", "1")
    found = copi.fit(recipe, start, dataset, 3)
    assert_same_bits(found.state, expected.state)
    for ours, first in zip(arrays_of(found.state), arrays_of(start), strict=True):
        assert (ours != first).any()


@on_a_gpu
def test_it_is_recorded_in_the_environment_of_a_run(cupy, monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "cupy")
    monkeypatch.setenv("COPI_REF_CUDA_GRAPH", "1")
    assert backend.environment()["gpu graph"] == "on (COPI_REF_CUDA_GRAPH)"

"""Checkpoints: every byte comes back, training goes on from the middle of an epoch, and damaged files are refused."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from small_training import RECIPE, blobs

import copi_ref as copi
from copi_ref import state as states
from copi_ref.arrays.backend import to_numpy
from copi_ref.training.checkpoint import CheckpointError, load_checkpoint, load_params, save_checkpoint

SIZES = (6, 5, 3)
SMALL = replace(RECIPE, eta_w=0.01, eta_r=0.01, batch_size=8)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Hundreds of files are written here, and a busy disk takes seconds for one."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


def fresh(recipe, xp=np, seed=3):
    return copi.init_state(recipe, SIZES, np.random.default_rng(seed), xp)


def assert_identical(one, other):
    """The same types, dtypes, numbers and bytes."""
    arrays, others = states.arrays_of(one), states.arrays_of(other)
    assert len(arrays) == len(others)
    for array, expected in zip(arrays, others, strict=True):
        assert type(array) is type(expected)
        assert array.dtype == expected.dtype
        assert to_numpy(array).shape == to_numpy(expected).shape
        assert to_numpy(array).tobytes() == to_numpy(expected).tobytes()
    assert (one.epoch, one.step, one.rng_state) == (other.epoch, other.step, other.rng_state)
    for memory, expected in zip(one.optimizer, other.optimizer, strict=True):
        assert type(memory) is type(expected)
        assert getattr(memory, "t", None) == getattr(expected, "t", None)


BATCH = copi.BatchCentring()
CHANGES = [
    {},
    {"optimizer": copi.adam, "lateral_rule": "none", "weight_rule": "sgd"},
    {"optimizer": copi.momentum, "centring": 0.1},
    {"credit": "fa"},
    {"credit": "dtp-pre-activation"},  # learns its feedback weights
    {"credit": "dtp", "lateral_rule": copi.Subsampled("left", 0.25)},  # learns and draws, as does R
    {
        "credit": "bp-batch-mean",
        "lateral_rule": "kept-diagonal",
        "lateral_gain": "norms",
        "centring": copi.BatchCentring(),
    },
    {"credit": "node"},  # draws from the state's generator in every step
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(map(str, changes)) or "plain")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_byte_comes_back(changes, dtype, xp, rng, tmp_path):
    recipe, path = replace(SMALL, dtype=dtype, **changes), tmp_path / "checkpoint.npz"
    state = copi.fit(recipe, fresh(recipe, xp.xp), blobs(rng), epochs=1).state
    save_checkpoint(path, state)
    loaded = load_checkpoint(path, fresh(recipe, xp.xp, seed=4))
    assert loaded.begun is None
    assert_identical(loaded.state, state)
    params = load_params(path)
    for name in ("W", "R"):
        for ours, array in zip(getattr(params, name), getattr(state.params, name), strict=True):
            assert type(ours) is np.ndarray
            assert ours.tobytes() == to_numpy(array).tobytes()
    assert (params.mean is None) == (state.params.mean is None)


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(map(str, changes)) or "plain")
def test_training_goes_on_from_any_batch(changes, xp, rng, tmp_path):
    """The file is written after each of the six batches of epochs 1 and 2; from each, the end is the same."""
    recipe, dataset, path = replace(SMALL, **changes), blobs(rng), tmp_path / "checkpoint.npz"
    kept = []

    def keep(state, begun):
        if state.epoch:
            save_checkpoint(path, state, begun)
            kept.append(path.read_bytes())

    whole = copi.fit(recipe, fresh(recipe, xp.xp), dataset, epochs=3, after_batch=keep)
    assert len(kept) == 12
    for number in (0, 3, 5, 8, 11):
        path.write_bytes(kept[number])
        state, begun = (loaded := load_checkpoint(path, fresh(recipe, xp.xp))).state, loaded.begun
        assert (state.epoch, begun.batches) == (1 + number // 6, 1 + number % 6)
        rest = copi.fit(recipe, state, dataset, epochs=3 - state.epoch, begun=begun)
        assert_identical(rest.state, whole.state)
        for row, expected in zip(rest.metrics, whole.metrics[state.epoch :], strict=True):
            assert {**row, "seconds": 0} == {**expected, "seconds": 0}
        assert rest.metrics[0]["seconds"] > begun.seconds > 0


def test_an_ensemble_goes_on_from_any_batch(rng, tmp_path):
    dataset, path, kept = blobs(rng), tmp_path / "checkpoint.npz", []

    def start():
        return copi.init_state(SMALL, SIZES, [np.random.default_rng(seed) for seed in (1, 2)], np)

    def keep(state, begun):
        save_checkpoint(path, state, begun)
        kept.append(path.read_bytes())

    whole = copi.fit(SMALL, start(), dataset, epochs=1, after_batch=keep)
    path.write_bytes(kept[3])
    loaded = load_checkpoint(path, start())
    assert loaded.state.members == 2
    assert_identical(copi.fit(SMALL, loaded.state, dataset, 1, begun=loaded.begun).state, whole.state)


def test_an_epoch_that_goes_on_and_explodes_says_in_which_batch(rng):
    """With the same batch number as one that was not interrupted."""
    recipe, dataset, kept = replace(SMALL, eta_w=3.0, eta_r=0.5, error_scale=100), blobs(rng), []

    def keep(state, begun):
        if begun.batches == 1:
            kept.append((states.own(state), begun))

    with pytest.raises(copi.NonFiniteError) as whole:
        copi.fit(recipe, fresh(recipe), dataset, 1, after_batch=keep)
    state, begun = kept[0]
    with pytest.raises(copi.NonFiniteError) as rest:
        copi.fit(recipe, state, dataset, 1, begun=begun)
    assert str(rest.value) == str(whole.value)
    assert "batch" in str(whole.value)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_the_standing_of_every_generator_comes_back(kind, tmp_path):
    recipe, path = replace(SMALL, credit="node"), tmp_path / "checkpoint.npz"
    rng = np.random.Generator(getattr(np.random, kind)(5))
    state = copi.init_state(recipe, SIZES, rng, np)
    states.generator_of(state).integers(9)
    save_checkpoint(path, state)
    loaded = load_checkpoint(path, state).state
    one, other = states.generator_of(loaded), states.generator_of(state)
    assert one.integers(2**60, size=9).tolist() == other.integers(2**60, size=9).tolist()
    assert type(one.bit_generator) is type(other.bit_generator)


def test_nothing_is_pickled(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.npz", fresh(SMALL))
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        assert set(file) == {"header", *(f"params.{name}.{layer}" for name in "WR" for layer in (0, 1))}
        header = json.loads(str(file["header"]))
    assert (header["format"], header["version"]) == ("copi_ref checkpoint", 1)


def test_the_same_state_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save_checkpoint(tmp_path / name, fresh(SMALL))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- files that are no checkpoints of this network -------------------------------------------------------------------


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, fresh(SMALL))
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"checkpoint\.npz: "):
            load_checkpoint(path, fresh(SMALL))


def test_a_damaged_byte_is_found_or_changes_nothing(tmp_path):
    """A zip has bytes without a meaning, such as dates; what is loaded is either refused or the same."""
    path, state, refused = tmp_path / "checkpoint.npz", fresh(SMALL), 0
    save_checkpoint(path, state)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            loaded = load_checkpoint(path, fresh(SMALL, seed=4))
        except CheckpointError:
            refused += 1
        else:
            assert_identical(loaded.state, state)
    assert refused > len(whole) / 7 / 2


def rewritten(path, **changes):
    """The same file with entries of its header changed."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    np.savez(path, header=np.array(json.dumps({**header, **changes})), **arrays)


def test_other_files_are_refused(tmp_path):
    path, like = tmp_path / "checkpoint.npz", fresh(SMALL)
    with pytest.raises(CheckpointError, match=r"can't be read as a checkpoint \(.*No such file"):
        load_checkpoint(path, like)
    path.write_text("epoch,train_accuracy\n")
    with pytest.raises(CheckpointError, match="can't be read as a checkpoint"):
        load_checkpoint(path, like)
    np.savez(path, x_train=np.zeros(3))
    with pytest.raises(CheckpointError, match="is an .npz, but no checkpoint of copi_ref"):
        load_checkpoint(path, like)
    save_checkpoint(path, like)
    rewritten(path, version=2)
    with pytest.raises(CheckpointError, match="is of version 2 of the format: this reads 1"):
        load_checkpoint(path, like)


def test_a_pickle_is_never_loaded(tmp_path):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, header=np.array([{"format": "copi_ref checkpoint"}], dtype=object))
    with pytest.raises(CheckpointError, match="can't be read as a checkpoint"):
        load_checkpoint(path, fresh(SMALL))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"sizes": (6, 4, 3)}, r"params\.W\.0 has shape \(5, 6\), but the network needs \(4, 6\)"),
        ({"sizes": (6, 5, 5, 3)}, r"params\.W\.1 has shape \(3, 5\), but the network needs \(5, 5\)"),
        ({"sizes": (6, 5)}, r"has params\.R\.1, params\.W\.1, which the network has not"),
        ({"dtype": "float32"}, r"params\.W\.0 has dtype float64, but the network needs float32"),
        ({"optimizer": copi.adam}, r"has no optimizer\.0\.m: needs the state of another recipe"),
        ({"credit": "fa"}, r"has no feedback\.0: needs the state of another recipe"),
        ({"centring": 0.1}, r"has no params\.mean\.0: needs the state of another recipe"),
    ],
)
def test_the_checkpoint_of_another_network_is_refused(other, message, tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, fresh(SMALL))
    sizes = other.pop("sizes", SIZES)
    like = copi.init_state(replace(SMALL, **other), sizes, np.random.default_rng(0), np)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path, like)


def test_exact_states_are_refused(tmp_path):
    W = np.array([[1, 2]]).astype(object)
    state = replace(fresh(SMALL), params=copi.Params((W,), (W,)))
    with pytest.raises(TypeError, match=r"params\.W\.0 is exact: a checkpoint holds floating arrays only"):
        save_checkpoint(tmp_path / "checkpoint.npz", state)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path, state = tmp_path / "checkpoint.npz", fresh(SMALL)
    save_checkpoint(path, state)

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="no space left"):
            save_checkpoint(path, fresh(SMALL, seed=9))
    assert_identical(load_checkpoint(path, state).state, state)
    assert zipfile.is_zipfile(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.npz"]

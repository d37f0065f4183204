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
from copi_ref.training.epoch import Begun

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


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [*((changes, "float32") for changes in CHANGES), *((changes, "float64") for changes in CHANGES[:2])],
    ids=lambda given: given if isinstance(given, str) else "-".join(map(str, given)) or "plain",
)
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


def changed(header, *keys, to):
    """The header with one of its values, however deep, changed; `...` removes it."""
    header = json.loads(json.dumps(header))
    place = header
    for key in keys[:-1]:
        place = place[key]
    if to is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return header


DEEP = "[" * 100_000
JUNK = [..., None, [], {}, "3", -1, 1.5, 10**400, [[]], {"dtype": "object", "values": [[1]]}, True]
PLACES = [
    ("version",), ("numbers",), ("rng_state",), ("begun",), ("numbers", "epoch"), ("numbers", "step"),
    ("begun", "rng_state"), ("begun", "batches"), ("begun", "seconds"), ("rng_state", "bit_generator"),
    ("rng_state", "state"), ("rng_state", "state", "state"), ("rng_state", "has_uint32"), ("rng_state", "uinteger"),
]  # fmt: skip


@pytest.mark.parametrize("keys", PLACES, ids=".".join)
def test_a_header_that_is_not_as_declared_is_refused(keys, tmp_path):
    """Whatever stands in the place of a value: a CheckpointError that names the file, and no other error."""
    path, like = tmp_path / "checkpoint.npz", fresh(SMALL)
    save_checkpoint(path, like, Begun(like.rng_state, 2, 0.5))
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    for junk in JUNK:
        fits = (keys == ("begun",) and junk is None) or (
            keys[-1] == "seconds" and junk in (-1, 1.5) and junk is not True
        )
        np.savez(path, header=np.array(json.dumps(changed(header, *keys, to=junk))), **arrays)
        if fits:
            load_checkpoint(path, like)
        else:
            with pytest.raises(CheckpointError, match=r"checkpoint\.npz: "):
                load_checkpoint(path, like)


@pytest.mark.parametrize("text", [DEEP, '{"format": ' + DEEP, "[1]", "7", "null", '{"format": 1e400}', "NaN", ""])
def test_a_header_that_is_something_else_is_refused(text, tmp_path):
    path, like = tmp_path / "checkpoint.npz", fresh(SMALL)
    np.savez(path, header=np.array(text))
    for load in (lambda: load_checkpoint(path, like), lambda: load_params(path)):
        with pytest.raises(CheckpointError, match=r"checkpoint\.npz: "):
            load()


@pytest.mark.parametrize(
    ("kind", "keys", "to"),
    [
        ("MT19937", ("pos",), 10**6),
        ("MT19937", ("key", "values"), [1]),
        ("MT19937", ("key", "values"), [2**32] * 624),
        ("MT19937", ("key", "dtype"), "object"),
        ("Philox", ("counter", "dtype"), "U1000000000"),
        ("SFC64", ("state", "values"), [-1] * 4),
    ],
)
def test_a_standing_that_no_generator_has_is_refused(kind, keys, to, tmp_path):
    """NumPy would take the first, and read beyond its buffer."""
    path = tmp_path / "checkpoint.npz"
    state = copi.init_state(SMALL, SIZES, np.random.Generator(getattr(np.random, kind)(5)), np)
    save_checkpoint(path, state)
    with np.load(path) as file:
        header = json.loads(str(file["header"]))
    rewritten(path, rng_state=changed(header["rng_state"], "state", *keys, to=to))
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz: "):
        load_checkpoint(path, state)


def test_an_ensemble_is_no_single_network(tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, fresh(SMALL))
    with np.load(path) as file:
        standing = json.loads(str(file["header"]))["rng_state"]
    rewritten(path, rng_state=[standing, standing])
    with pytest.raises(CheckpointError, match="rng_state is of an ensemble of 2: needs that of a single network"):
        load_checkpoint(path, fresh(SMALL))


def test_an_array_that_claims_2_to_the_70_numbers_is_refused(tmp_path):
    path, header = (
        tmp_path / "checkpoint.npz",
        b"{'descr':'<f4','fortran_order':False,'shape':(1180591620717411303424,),}\n",
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz: can't be read as a checkpoint"):
        load_params(path)


@pytest.mark.parametrize("lost", ["params.W.0", "params.R.1", "params.W.1"])
def test_a_network_that_lacks_a_layer_is_none(lost, tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, fresh(SMALL))
    with np.load(path) as file:
        arrays = {name: array for name, array in file.items() if name != lost}
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz: holds no network: "):
        load_params(path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    """It says what it is of, where it was written with that; one from before that is taken as it is."""
    path, like = tmp_path / "checkpoint.npz", fresh(SMALL)
    run = {"seed": 0, "hidden": (5,), "more": None}
    save_checkpoint(path, like, run=run)
    assert load_checkpoint(path, like, run).run == {"seed": 0, "hidden": [5], "more": None}
    for load in (lambda asked: load_checkpoint(path, like, asked), lambda asked: load_params(path, asked)):
        load({"seed": 0})
        with pytest.raises(CheckpointError, match="is of another run: seed is 0 there, not 1"):
            load({**run, "seed": 1})
    save_checkpoint(path, like)
    assert load_checkpoint(path, like, {"seed": 1}).run == {}


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

"""CIFAR-10 from files in miniature, splits, data sets by name, moments in pieces; and the real files, if at hand."""

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import FILES, idx

from copi_ref.arrays import pieces
from copi_ref.cli.main import main
from copi_ref.data import DataError, Dataset, cifar10, hold_out, load_cifar10, load_mnist, load_named, split

RECORDS = 4  # of the 10,000 in a real file
NAMES = [f"data_batch_{number}.bin" for number in (1, 2, 3, 4, 5)] + ["test_batch.bin"]


def record(label, first):
    """A label and 3072 pixels that count up from `first`, as bytes do."""
    return bytes([label]) + bytes((first + pixel) % 256 for pixel in range(3072))


def batches():
    """Image i of all 24 has the label i mod 10 and starts with the pixel 7 i: no two are the same."""
    images = [record(i % 10, 7 * i) for i in range(6 * RECORDS)]
    return {name: b"".join(images[RECORDS * n : RECORDS * (n + 1)]) for n, name in enumerate(NAMES)}


def archive(files):
    """An archive as it is published: a folder, other files beside the six, no order."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in [("readme.html", b"<html>"), *reversed(files.items())]:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def put(files, root, form):
    """Lay the files below `root` in one of the forms in which people have them; return what is passed."""
    root.mkdir(exist_ok=True)
    if "archive" in form:
        path = root / "cifar-10-binary.tar.gz"
        path.write_bytes(archive(files))
        return path if form == "archive" else root
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder if form == "folder" else root


FORMS = ["folder", "folder above", "archive", "archive in a folder"]


@pytest.fixture
def miniature(monkeypatch):
    monkeypatch.setattr(cifar10, "_RECORDS", RECORDS)


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("form", FORMS)
def test_the_files_are_read_in_their_order(form, tmp_path):
    loaded = load_cifar10(put(batches(), tmp_path / "data", form))
    pixels = (7 * np.arange(24)[:, None] + np.arange(3072)) % 256
    together = np.concatenate([loaded.x_train, loaded.x_test])
    np.testing.assert_array_equal(together, pixels.astype(np.float32) / np.float32(255))
    assert together.dtype == np.float32
    assert (len(loaded.x_train), len(loaded.x_test)) == (20, 4)
    assert np.concatenate([loaded.y_train, loaded.y_test]).tolist() == [i % 10 for i in range(24)]
    assert loaded.y_train.dtype == np.int64


@pytest.mark.usefixtures("miniature")
def test_another_dtype(tmp_path):
    assert load_cifar10(put(batches(), tmp_path, "folder"), "float64").x_train[0, 1] == 1 / 255


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("test_batch", [None, b"damaged"])
def test_held_out_images_are_the_last_ones_and_the_test_batch_is_not_read(form, test_batch, tmp_path):
    files = batches() | {"test_batch.bin": test_batch}
    path = put({name: content for name, content in files.items() if content is not None}, tmp_path / "data", form)
    loaded = load_cifar10(path, held_out=6)
    assert np.round(loaded.x_train[:, 0] * 255).tolist() == [7 * i for i in range(14)]
    assert np.round(loaded.x_test[:, 0] * 255).tolist() == [7 * i for i in range(14, 20)]
    assert loaded.y_test.tolist() == [i % 10 for i in range(14, 20)]


DAMAGE = {
    "truncated": (lambda whole: whole[:-1], r"has 3 records of 3073 and 3072 bytes: needs exactly 4 records"),
    "a record less": (lambda whole: whole[:-3073], r"has 3 records of 3073 and 0 bytes: needs exactly 4 records"),
    "a byte more": (lambda whole: whole + b"\0", r"has more than 4 records: needs exactly 4"),
    "a record more": (lambda whole: whole + record(1, 1), r"has more than 4 records: needs exactly 4"),
    "empty": (lambda whole: b"", r"has 0 records of 3073 and 0 bytes"),
    "a label above 9": (lambda whole: whole[:3073] + record(10, 0) + whole[6146:], "has the label 10: needs 0 to 9"),
}


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_its_fault(form, name, damage, tmp_path):
    change, message = DAMAGE[damage]
    files = batches()
    path = put(files | {name: change(files[name])}, tmp_path, form)
    with pytest.raises(DataError, match=rf"cifar-10.*{name}: {message}") as caught:
        load_cifar10(path)
    hint = "or hold out training images"
    assert (hint in str(caught.value)) == (name == "test_batch.bin" and "label" not in damage)


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_missing_file_is_named(form, tmp_path):
    files = batches()
    del files["data_batch_4.bin"]
    path = put(files, tmp_path, form)
    with pytest.raises(DataError, match=r"can't be read .*data_batch_4|has no data_batch_4.bin") as caught:
        load_cifar10(path)
    assert str(path) in str(caught.value)


@pytest.mark.usefixtures("miniature")
def test_a_damaged_archive_is_named(tmp_path):
    whole = archive(batches())
    middle, plain = len(whole) // 2, gzip.decompress(whole)
    contents = {
        **{f"cut at {end}": whole[:end] for end in (1, 20, middle, len(whole) - 9, len(whole) - 1)},
        "another checksum": whole[:-8] + bytes(4) + whole[-4:],
        "flipped bytes": whole[:middle]
        + bytes(255 - byte for byte in whole[middle : middle + 40])
        + whole[middle + 40 :],
        "not compressed": plain,
        "not an archive": gzip.compress(b"hello" * 1000),
        "an archive cut before it was compressed": gzip.compress(plain[:5000]),
        "text": b"not found",
    }
    path = tmp_path / "cifar-10-binary.tar.gz"
    for damage, content in contents.items():
        path.write_bytes(content)
        with pytest.raises(DataError, match="truncated or damaged archive") as caught:
            load_cifar10(path)
        assert str(path) in str(caught.value), damage
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"tar.gz: "):
        load_cifar10(path)


@pytest.mark.usefixtures("miniature")
def test_an_archive_that_is_a_web_page_or_gzipped_twice_is_called_that(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    for content in (b"<html>not found</html>", gzip.compress(b"<?xml?><Error>")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"tar\.gz: is an (HT|X)ML page, .*: fetch the file again"):
            load_cifar10(path)
    path.write_bytes(gzip.compress(archive(batches())))
    with pytest.raises(DataError, match=r"tar\.gz: is gzipped twice: unpack it once"):
        load_cifar10(path)


@pytest.mark.usefixtures("miniature")
def test_the_archive_comes_before_what_was_unpacked_of_it(tmp_path):
    put(batches(), tmp_path, "archive in a folder")
    (tmp_path / "cifar-10-batches-bin").mkdir()
    (tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(b"")
    (tmp_path / "data_batch_1.bin").write_bytes(b"")
    assert len(load_cifar10(tmp_path).x_train) == 5 * RECORDS


@pytest.mark.usefixtures("miniature")
def test_damage_anywhere_in_an_archive_is_named(tmp_path, rng):
    """Where the damage lies decides what finds it: tar, the decompression, a label or the checksum at the end."""
    noise = {name: (rng.integers(0, 16, size=(RECORDS, 3073), dtype=np.uint8) % 10).tobytes() for name in NAMES}
    whole, path = archive(noise), tmp_path / "cifar-10-binary.tar.gz"
    for start in range(100, len(whole) - 60, 1000):
        path.write_bytes(whole[:start] + bytes(255 - byte for byte in whole[start : start + 40]) + whole[start + 40 :])
        with pytest.raises(DataError, match=r"tar.gz: "):
            load_cifar10(path)


@pytest.mark.usefixtures("miniature")
@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_an_archive_with_a_folder_or_a_link_in_the_place_of_a_file(kind, tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("data_batch_1.bin")
        member.type, member.linkname = kind, "/etc/hostname"
        tar.addfile(member)
    with pytest.raises(DataError, match=r"tar.gz: has no data_batch_1.bin, data_batch_2.bin"):
        load_cifar10(path)


@pytest.mark.usefixtures("miniature")
def test_a_folder_in_the_place_of_a_file(tmp_path):
    folder = put(batches(), tmp_path, "folder")
    (folder / "data_batch_2.bin").unlink()
    (folder / "data_batch_2.bin").mkdir()
    with pytest.raises(DataError, match=r"data_batch_2.bin: can't be read"):
        load_cifar10(folder)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"has no cifar-10-batches-bin/, no cifar-10-binary.tar.gz and no data_batch_1"):
        load_cifar10(tmp_path)


def test_a_real_file_has_ten_thousand_records(tmp_path):
    with pytest.raises(DataError, match="data_batch_1.bin: has 4 records of 3073 and 0 bytes: needs exactly 10000"):
        load_cifar10(put(batches(), tmp_path, "folder"))


# --- splits ----------------------------------------------------------------------------------------------------------


def numbered(train=7, test=3):
    """Samples that are their own index, labels too: a leak would be seen."""
    index = np.arange(train + test)
    x = index[:, None].astype(np.float64)
    return Dataset(x[:train], index[:train], x[train:], index[train:])


@pytest.mark.parametrize("count", range(1, 7))
def test_parts_are_disjoint_and_together_the_whole(count):
    whole = numbered()
    parts = hold_out(whole, count)
    train, held_out, test = (set(y.tolist()) for y in (parts.y_train, parts.y_test, whole.y_test))
    assert len(held_out) == count
    assert train | held_out == set(range(7))
    assert train.isdisjoint(held_out)
    assert test.isdisjoint(train | held_out)
    assert max(train) < min(held_out)
    for x, y in ((parts.x_train, parts.y_train), (parts.x_test, parts.y_test)):
        np.testing.assert_array_equal(x[:, 0], y)


def test_a_split_of_a_split_is_disjoint_too():
    """A test set held out first, then a validation set: three parts without a common sample."""
    once = hold_out(numbered(), 2)
    twice = hold_out(once, 2)
    assert [y.tolist() for y in (twice.y_train, twice.y_test, once.y_test)] == [[0, 1, 2], [3, 4], [5, 6]]


@given(st.integers(3, 60), st.data())
def test_train_validation_and_test_are_disjoint_whatever_their_sizes(N, data):
    """A test set split off, then a validation set held out: each sample, known by its number, is in one part."""
    test = data.draw(st.integers(1, N - 2))
    validation = data.draw(st.integers(1, N - test - 1))
    index = np.arange(N)
    whole = split(index[:, None].astype(np.float64), index, test)
    tuning = hold_out(whole, validation)
    parts = [(tuning.x_train, tuning.y_train), (tuning.x_test, tuning.y_test), (whole.x_test, whole.y_test)]
    assert [len(y) for _, y in parts] == [N - test - validation, validation, test]
    assert sorted(int(number) for _, y in parts for number in y) == list(range(N))
    for x, y in parts:
        np.testing.assert_array_equal(x[:, 0], y)


def test_a_split_copies_nothing():
    whole = numbered()
    parts = split(whole.x_train, whole.y_train, 2)
    assert np.shares_memory(parts.x_train, whole.x_train)
    assert np.shares_memory(parts.x_test, whole.x_train)


@pytest.mark.parametrize("count", [7, 8])
def test_something_has_to_be_left_to_train_on(count):
    with pytest.raises(DataError, match=f"{count} samples can't be held out of 7: needs 1 to 6"):
        hold_out(numbered(), count)


@pytest.mark.parametrize(
    ("count", "error", "message"), [(0, ValueError, "count is 0: needs at least 1"), (2.0, TypeError, "whole number")]
)
def test_a_count_that_is_none(count, error, message):
    with pytest.raises(error, match=message):
        hold_out(numbered(), count)


# --- by name ---------------------------------------------------------------------------------------------------------


def idx_folder(folder, first_label):
    folder.mkdir(parents=True)
    for name, array in FILES.items():
        if "train-labels" in name:
            array = np.array([first_label, *array[1:]], dtype=np.uint8)
        (folder / name).write_bytes(idx(array))
    return folder


@pytest.fixture
def data_dir(tmp_path, miniature):
    for label, name in enumerate(("mnist", "fashion-mnist")):
        idx_folder(tmp_path / "data" / name, first_label=label)
    put(batches(), tmp_path / "data", "folder above")
    return tmp_path / "data"


@pytest.mark.parametrize(("name", "first", "shape"), [("mnist", 0, (6, 6)), ("fashion-mnist", 1, (6, 6))])
def test_each_name_has_its_folder(name, first, shape, data_dir, monkeypatch):
    monkeypatch.setenv("COPI_REF_DATA", str(data_dir))
    for loaded in (load_named(name), load_named(name, data_dir), load_named(name, data_dir / name)):
        assert loaded.y_train[0] == first
        assert loaded.x_train.shape == shape
    monkeypatch.setenv("COPI_REF_DATA", "/nowhere")
    assert load_named(name, data_dir).y_train[0] == first, "a folder that is passed comes before the environment's"


def test_cifar10_by_name(data_dir):
    assert load_named("cifar10", data_dir).x_train.shape == (20, 3072)
    loaded = load_named("cifar10", data_dir / "cifar-10-batches-bin", held_out=5)
    assert (len(loaded.x_train), len(loaded.x_test)) == (15, 5)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_held_out_of_every_set_by_name(name, data_dir, tmp_path):
    whole, parts = load_named(name, data_dir), load_named(name, data_dir, held_out=2)
    np.testing.assert_array_equal(np.concatenate([parts.x_train, parts.x_test]), whole.x_train)
    assert parts.y_test.tolist() == whole.y_train[-2:].tolist()
    np.savez(tmp_path / "own.npz", **vars(numbered(7, 3)) | {"y_test": np.arange(3)})
    assert load_named(str(tmp_path / "own.npz"), held_out=3).y_test.tolist() == [4, 5, 6]


def test_one_set_is_never_read_as_the_other(data_dir):
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")):
        with pytest.raises(DataError, match=f"{other}: is called {other}: {name} needs"):
            load_named(name, data_dir / other)


def test_the_command_trains_on_each(data_dir, tmp_path, monkeypatch, capsys):
    """`tmlr` by default, and the number held out is in the record and above the table."""
    monkeypatch.setenv("COPI_REF_DATA", str(data_dir))
    monkeypatch.setattr(cifar10, "_RECORD", 13)  # 3072 inputs take seconds
    for path in (data_dir / "cifar-10-batches-bin").iterdir():
        whole = path.read_bytes()
        path.write_bytes(b"".join(whole[start : start + 13] for start in range(0, len(whole), 3073)))
    for name in ("fashion-mnist", "cifar10"):
        out = tmp_path / name
        arguments = ["train", name, "--held-out", "2", "--epochs", "1", "--hidden", "3", "--out", str(out)]
        assert main(arguments) == 0
        record = (out / "copi-bp" / "seed-0" / "config.json").read_text()
        assert '"preset": "tmlr"' in record
        assert '"held_out": 2' in record
        assert "tested on 2 training samples held out" in " ".join(capsys.readouterr().out.split())


def test_too_many_held_out_is_an_error_message(data_dir, capsys):
    for name, count in (("mnist", 6), ("cifar10", 20)):
        assert main(["train", name, "--data-dir", str(data_dir), "--held-out", str(count)]) == 2
        assert f"{count} samples can't be held out of {count}" in capsys.readouterr().err


# --- the moment of the inputs, in pieces -----------------------------------------------------------------------------


def only_train(x):
    return Dataset(x, np.zeros(len(x), dtype=np.int64), x[:1], np.zeros(1, dtype=np.int64))


def test_the_moment_of_whole_numbers_is_exact(rng):
    """With N a power of two, and sums below 2⁵³ / N, no operation rounds: any order of the sum gives the same bits."""
    N = 4 * pieces.ROWS
    x = rng.integers(-50, 50, size=(N, 5))
    expected = (x.T @ x) / N
    assert only_train(x.astype(np.float32)).input_moment.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("N", [1, 7, 1023, 1024, 1025, 2500])
def test_the_moment_in_pieces_is_that_of_the_whole(N, dtype, rng):
    """Both are sums of N products fl(xᵢ fl(xⱼ/N)) in some order: each is off by at most γ(N+1) E[|x| |x|ᵀ].

    The unit roundoff in γ is that of float64 for samples in float32 too.
    """
    samples = (rng.normal(size=(N, 6)) + 3).astype(dtype)
    x = samples.astype(np.float64)
    k = (N + 1) * 2.0**-53
    magnitude = np.abs(x).T @ np.abs(x) / N
    difference = np.abs(only_train(samples).input_moment - x.T @ (x / N))
    # 2 γ for the two sums; the last factor is for the rounding of the bound itself.
    assert (difference <= 2 * k / (1 - k) * magnitude * (1 + 1e-9)).all()


def test_the_moment_needs_no_copy_of_the_samples():
    K, N = 64, 40 * pieces.ROWS
    samples = only_train(np.ones((N, K), dtype=np.float32))
    tracemalloc.start()
    try:
        assert samples.input_moment[0, 0] == pytest.approx(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two pieces in float64 (x and x/N), twice where the next is made before the last is gone; C and a product.
    assert peak < 4 * pieces.ROWS * K * 8 + 3 * K * K * 8 + 100_000
    assert peak < samples.x_train.nbytes / 2


# --- the real files, where they are ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    return load_cifar10(os.environ["COPI_REF_DATA"], held_out=10_000)


@pytest.mark.needs("cifar-10")
def test_real_cifar10(real):
    """Means and deviations of the channels that the field knows the set by; its classes are equally frequent."""
    assert (real.x_train.shape, real.x_test.shape) == ((40_000, 3072), (10_000, 3072))
    parts = [x.reshape(-1, 3, 1024) for x in (real.x_train, real.x_test)]
    mean = sum(x.sum(axis=(0, 2), dtype=np.float64) for x in parts) / (50_000 * 1024)
    square = sum(np.einsum("ncp,ncp->c", x, x, dtype=np.float64) for x in parts) / (50_000 * 1024)
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(square - mean**2), [0.2470, 0.2435, 0.2616], atol=5e-5)
    labels = np.concatenate([real.y_train, real.y_test])
    assert np.bincount(labels).tolist() == [5000] * 10


@pytest.mark.needs("mnist")
def test_real_mnist_splits(tmp_path):
    root = os.environ["COPI_REF_DATA"]
    parts, whole = load_named("mnist", root, held_out=10_000), load_mnist(Path(root) / "mnist")
    assert (len(parts.x_train), len(parts.x_test)) == (50_000, 10_000)
    np.testing.assert_array_equal(parts.x_test, whole.x_train[50_000:])

"""Loaders: what they give, and that a damaged file gets an error that names the file and the fault."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from idx_files import FILES, idx

import copi_ref as copi
from copi_ref.data import DataError, correlated_gaussian, load_digits, load_mnist, load_named, load_npz, read_idx


@pytest.fixture(params=["plain", "gzipped", "dotted"])
def folder(request, tmp_path) -> Path:
    for name, array in FILES.items():
        if request.param == "gzipped":
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (tmp_path / (name.replace("-idx", ".idx") if request.param == "dotted" else name)).write_bytes(idx(array))
    return tmp_path


def test_mnist_files_are_read(folder):
    dataset = load_mnist(folder)
    np.testing.assert_array_equal(dataset.x_train, np.arange(36, dtype=np.float32).reshape(6, 6) / np.float32(255))
    np.testing.assert_array_equal(dataset.x_test, np.ones((4, 6)))
    assert dataset.x_train.dtype == np.float32
    assert dataset.y_train.tolist() == [0, 1, 9, 3, 4, 5]
    assert dataset.y_test.tolist() == [7, 0, 1, 2]
    assert (dataset.features, dataset.classes) == (6, 10)
    assert load_mnist(folder, "float64").x_train[0, 1] == 1 / 255


def images(array=FILES["train-images-idx3-ubyte"], **changes):
    return idx(array, **changes)


def damaged_inside():
    noise = np.random.default_rng(0).integers(0, 256, size=(6, 40, 30), dtype=np.uint8)
    whole = gzip.compress(images(noise))
    return whole[:4000] + bytes(255 - byte for byte in whole[4000:4040]) + whole[4040:]


BROKEN = {
    "another magic number": (images(magic=0x801), r"starts with the magic number 0x801: needs 0x803"),
    "text": (b"hello, world", r"starts with the magic number 0x68656c6c: needs 0x803"),
    "a web page": (
        b"\n<!DOCTYPE html><html>not found</html>",
        r"idx3-ubyte: is an HTML page, .*: fetch the file again",
    ),
    "a web page, gzipped": (gzip.compress(b"<html>not found</html>"), r"idx3-ubyte: is an HTML page"),
    "gzipped twice": (gzip.compress(gzip.compress(images())), r"idx3-ubyte: is gzipped twice: unpack it once"),
    "empty": (b"", r"ends inside its header, after 0 bytes"),
    "half a header": (images()[:10], r"ends inside its header, after 10 bytes"),
    "too short": (images()[:-1], r"has 35 of the 36 bytes that its header \(6, 3, 2\) says"),
    "too long": (images() + b"\0", r"has more than the 36 bytes"),
    "a header that claims terabytes": (images(shape=(2**31, 2**15, 2**10)), r"has 36 of the \d{17} bytes"),
    "no samples": (images(np.zeros((0, 3, 2), np.uint8)), r"its header says \(0, 3, 2\): needs at least one sample"),
    "truncated gzip": (gzip.compress(images())[:-12], "truncated or damaged gzip"),
    "damaged gzip": (gzip.compress(images())[:-8] + bytes(8), "truncated or damaged gzip"),
    "damaged gzip inside": (damaged_inside(), "truncated or damaged gzip"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_idx_file_is_named_with_its_fault(fault, tmp_path):
    content, message = BROKEN[fault]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, 0x803)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("unpacked", ["empty", "half", "of another set"])
def test_a_gz_file_comes_before_what_was_unpacked_of_it(unpacked, dotted, tmp_path):
    for name, array in FILES.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        beside = {"empty": b"", "half": idx(array)[:20], "of another set": idx(array // 2)}[unpacked]
        (tmp_path / (name.replace("-idx", ".idx") if dotted else name)).write_bytes(beside)
    dataset = load_mnist(tmp_path)
    assert dataset.y_train.tolist() == [0, 1, 9, 3, 4, 5]
    np.testing.assert_array_equal(dataset.x_test, np.ones((4, 6)))


def test_mnist_files_that_disagree(folder):
    labels = next(folder.glob("t10k-labels*"))

    def put(array):
        labels.write_bytes(gzip.compress(idx(array)) if labels.suffix == ".gz" else idx(array))

    put(np.array([1, 2, 3], dtype=np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.*has 3 labels but t10k-images.* has 4 images"):
        load_mnist(folder)
    put(np.array([1, 2, 3, 10], dtype=np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.*has the label 10: needs 0 to 9"):
        load_mnist(folder)
    labels.unlink()
    with pytest.raises(DataError, match=r"has no file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"):
        load_mnist(folder)


def test_mnist_images_of_two_sizes(tmp_path):
    for name, array in FILES.items():
        (tmp_path / name).write_bytes(idx(array[:, :2] if name == "t10k-images-idx3-ubyte" else array))
    with pytest.raises(DataError, match="train images have 6 pixels, t10k images 4"):
        load_mnist(tmp_path)


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(DataError, match="can't be read"):
        read_idx(tmp_path, 0x803)


def test_digits_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    dataset = load_digits()
    assert (len(dataset.x_train), len(dataset.x_test)) == (1437, 360)
    assert (dataset.features, dataset.classes) == (64, 10)
    pixels, labels = datasets.load_digits(return_X_y=True)
    np.testing.assert_array_equal(dataset.x_test * 16, pixels[::5])
    np.testing.assert_array_equal(dataset.y_test, labels[::5])
    # Train and test are disjoint parts of the whole: together they have each image once.
    together = np.concatenate([dataset.x_train, dataset.x_test]) * 16
    assert sorted(map(bytes, together.astype(np.uint8))) == sorted(map(bytes, pixels.astype(np.uint8)))


# --- a user's own .npz -----------------------------------------------------------------------------------------------


def own(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.normal(size=(8, 3)),
        "y_train": np.arange(8) % 4,
        "x_test": rng.normal(size=(5, 3)),
        "y_test": np.arange(5) % 4,
    }
    arrays.update(changes)
    return {name: array for name, array in arrays.items() if array is not None}


def test_npz_is_read(tmp_path):
    np.savez(tmp_path / "own.npz", **own())
    dataset = load_npz(tmp_path / "own.npz")
    for name, array in own().items():
        np.testing.assert_array_equal(getattr(dataset, name), array)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "has no y_test, only x_train, y_train, x_test"),
        ({"x_train": np.ones((8, 3), dtype=np.uint8)}, "x_train has dtype uint8: needs floats; divide 8-bit"),
        ({"x_train": np.ones((8, 3, 2))}, r"x_train has shape \(8, 3, 2\): needs \(samples, features\)"),
        ({"x_test": np.ones((5, 4))}, "x_test has 4 features but x_train has 3"),
        ({"y_train": np.arange(7)}, r"y_train has shape \(7,\) but x_train has 8 samples: needs \(8,\)"),
        (
            {"y_train": np.eye(8)},
            r"y_train has dtype float64: needs integer labels from 0; of one-hot rows they are y.argmax\(axis=1\)",
        ),
        ({"y_train": np.arange(8.0)}, r"y_train has dtype float64: needs integer labels from 0, as y.astype\(int\)"),
        (
            {"y_train": np.array(list("abcdabcd"))},
            r"y_train holds text \('a'\): needs integer labels from 0; np.unique\(y, return_inverse=True\) numbers ",
        ),
        ({"x_test": np.full((5, 3), "1")}, r"x_test holds text \('1'\): needs floats"),
        ({"y_test": np.array([0, 1, -1, 0, 0])}, "y_test has the label -1: labels start at 0"),
        ({"y_test": np.array([0, 1, 99, 0, 0])}, "has the label 99 but 8 training samples"),
        ({"x_test": np.full((5, 3), np.nan)}, "x_test has 15 non-finite entries"),
        ({"x_test": np.ones((0, 3)), "y_test": np.arange(0)}, r"x_test has shape \(0, 3\): needs"),
        ({"x_test": np.ones((5, 2))}, "x_test has 2 features but x_train has 3"),
        (
            {"y_train": np.array(list("abcdabcd"), object)},
            "y_train is an array of Python objects, which are never loaded: needs integer labels",
        ),
        ({"x_train": np.array([[{}]])}, "x_train is an array of Python objects, which are never loaded: needs floats"),
    ],
)
def test_an_npz_that_does_not_fit_is_named_with_its_fault(changes, message, tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **own(**changes))
    with pytest.raises(DataError, match=message) as caught:
        load_npz(path)
    assert str(path) in str(caught.value)


def labelled(path, y_train, y_test=(0,)):
    y_train, y_test = np.asarray(y_train), np.asarray(y_test)
    np.savez(path, x_train=np.ones((len(y_train), 2)), y_train=y_train, x_test=np.ones((len(y_test), 2)), y_test=y_test)
    return path


@pytest.mark.parametrize("y_test", [[0], [1999]])
def test_one_wrong_label_does_not_make_thousands_of_outputs(y_test, tmp_path):
    y_train = np.arange(2000) % 10
    y_train[5] = 3 if y_test == [1999] else 1999
    path = labelled(tmp_path / "own.npz", y_train, y_test)
    with pytest.raises(
        DataError,
        match=r"own\.npz: has the label 1999, and 1989 of the 2000 classes up to it have no sample \(the label before "
        r"it is 9\): number the labels from 0, or say classes=2000 \(--classes 2000\) if that is meant",
    ):
        load_named(str(path))
    assert load_named(str(path), classes=2000).classes == 2000
    with pytest.raises(DataError, match=r"own\.npz: has 1000 classes, as was said, but the largest label is 1999"):
        load_npz(path, 1000)
    with pytest.raises(DataError, match=r"digits has its own classes: leave out classes \(--classes\)"):
        load_named("digits", classes=10)


@pytest.mark.parametrize(
    "labels",
    [range(1, 11), range(0, 20, 2), [0, 11], [*range(15), *range(30, 45)]],
    ids=["from 1", "even", "ten", "half"],
)
def test_some_classes_may_have_no_sample(labels, tmp_path):
    """As many as those that have one, and ten in any case."""
    load_npz(labelled(tmp_path / "own.npz", np.resize(labels, 200)))


@pytest.mark.parametrize("labels", [[0, 12], [*range(15), 32]])
def test_but_no_more(labels, tmp_path):
    with pytest.raises(DataError, match="have no sample"):
        load_npz(labelled(tmp_path / "own.npz", np.resize(labels, 200)))


def test_an_npz_that_says_2_to_the_70_is_named(tmp_path):
    header = b"{'descr':'<f4','fortran_order':False,'shape':(1180591620717411303424,),}\n"
    np.savez(tmp_path / "own.npz", **own())
    with zipfile.ZipFile(tmp_path / "own.npz") as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["x_train.npy"] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(DataError, match=r"own\.npz: can't be read as \.npz"):
        load_npz(tmp_path / "own.npz")


def test_a_text_file_is_no_npz_and_nobody_is_told_to_allow_pickles(tmp_path):
    (tmp_path / "own.npz").write_text("0.1, 0.2\n")
    with pytest.raises(DataError, match=r"own\.npz: can't be read as \.npz \(it is no archive of arrays") as refused:
        load_npz(tmp_path / "own.npz")
    assert "pickle" not in str(refused.value)


def test_an_npz_may_have_a_sample_for_each_label_and_large_numbers(tmp_path):
    changes = {"y_train": np.arange(8), "y_test": np.arange(5), "x_train": np.full((8, 3), 1e308)}
    np.savez(tmp_path / "own.npz", **own(**changes))
    assert load_npz(tmp_path / "own.npz").classes == 8


def test_an_npz_that_claims_petabytes_is_named(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **own())
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["x_train.npy"] = (
        members["x_train.npy"].replace(b"(8, 3), ", b"(8" + b"0" * 14 + b", 3), ").replace(b" " * 14, b"", 1)
    )
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    with pytest.raises(DataError, match=r"own.npz: can't be read as .npz"):
        load_npz(path)


@pytest.mark.parametrize("damage", ["truncated", "text", "missing", "single array", "flipped bytes"])
def test_a_damaged_npz_is_named(damage, tmp_path):
    path = tmp_path / "own.npz"
    np.savez_compressed(path, **own())
    whole = path.read_bytes()
    if damage == "single array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif damage == "missing":
        path.unlink()
    else:
        middle = len(whole) // 4
        contents = {
            "truncated": whole[:-30],
            "text": b"hello",
            "flipped bytes": whole[:middle]
            + bytes(255 - b for b in whole[middle : middle + 40])
            + whole[middle + 40 :],
        }
        path.write_bytes(contents[damage])
    with pytest.raises(DataError, match="own.npz: "):
        load_npz(path)


def test_an_npz_that_is_a_web_page_or_gzipped_is_called_that(tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(b"<!doctype html>\n<p>Sign in")
    with pytest.raises(DataError, match=r"own\.npz: is an HTML page"):
        load_npz(path)
    np.savez(path, **own())
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"own\.npz: is gzipped: unpack it once"):
        load_npz(path)


def test_a_tilde_is_the_home_folder_whoever_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.savez(tmp_path / "own.npz", **own())
    assert load_named("~/own.npz").classes == 4
    (tmp_path / "sets" / "mnist").mkdir(parents=True)
    for name, array in FILES.items():
        (tmp_path / "sets" / "mnist" / name).write_bytes(idx(array))
    assert load_named("mnist", "~/sets").features == 6
    monkeypatch.setenv("COPI_REF_DATA", "~/sets")
    assert load_named("mnist").features == 6


# --- a correlated Gaussian -------------------------------------------------------------------------------------------


def test_correlated_gaussian_has_its_covariance(rng):
    A = rng.normal(size=(3, 3))
    covariance, samples = A @ A.T, 50_000
    drawn = correlated_gaussian(covariance, samples, rng)
    assert drawn.shape == (samples, 3)
    variances = np.diag(covariance)
    # The variance of an entry of the sample covariance is (C_ii C_jj + C_ij²)/N; six standard errors are allowed.
    error = np.sqrt((np.outer(variances, variances) + covariance**2) / samples)
    assert (np.abs(drawn.T @ drawn / samples - covariance) < 6 * error).all()
    assert (np.abs(drawn.mean(axis=0)) < 6 * np.sqrt(variances / samples)).all()


def test_correlated_gaussian_may_be_singular(rng):
    drawn = correlated_gaussian(np.ones((2, 2)), 10, rng)
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1], atol=1e-7)


def test_correlated_gaussian_is_repeatable():
    one, two = (correlated_gaussian(np.eye(3), 4, np.random.default_rng(5)) for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((2, 3)), r"covariance has shape \(2, 3\): needs \(K, K\)"),
        (np.array([[1.0, 2], [0, 1]]), "covariance is not symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1]]), "covariance is not symmetric and finite"),
        (np.ones((0, 0)), r"covariance has shape \(0, 0\): needs \(K, K\)"),
        (1e-9 * np.array([[1.0, 2], [2, 1]]), "covariance has the eigenvalue -1e-09: needs none below 0"),
        (np.array([[1.0, 2], [2, 1]]), "covariance has the eigenvalue -1: needs none below 0"),
    ],
)
def test_a_covariance_that_is_none(covariance, message, rng):
    with pytest.raises(ValueError, match=message):
        correlated_gaussian(covariance, 3, rng)


def test_a_dataset_needs_numpy_arrays():
    with pytest.raises(TypeError, match="x_train is a list: needs a NumPy array"):
        copi.Dataset([[1.0]], np.array([0]), np.ones((1, 1)), np.array([0]))


# --- the real files, where they are -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist():
    return load_mnist(Path(os.environ["COPI_REF_DATA"]) / "mnist")


@pytest.mark.needs("mnist")
def test_real_mnist(mnist):
    """Counts and the mean pixel .1307 that the field knows the set by."""
    assert (mnist.x_train.shape, mnist.x_test.shape) == ((60_000, 784), (10_000, 784))
    assert abs(mnist.x_train.mean(dtype=np.float64) - 0.1307) < 5e-5
    assert mnist.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(mnist.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.needs("mnist")
def test_copi_learns_real_mnist(mnist):
    """A tenth of MNIST, a small network, two epochs: the whole set is a matter of minutes, and of the notes."""
    part = copi.Dataset(mnist.x_train[:6000], mnist.y_train[:6000], mnist.x_test[:2000], mnist.y_test[:2000])
    recipe = copi.Recipe(eta_w=0.005, eta_r=0.005, error_scale=100, lateral_only_epochs=1, lateral_rule="left")
    state = copi.init_state(recipe, (784, 100, 10), np.random.default_rng(0), np)
    result = copi.fit(recipe, state, part, epochs=3)
    assert result.metrics[0]["test_accuracy"] < 0.3
    assert result.metrics[-1]["test_accuracy"] > 0.85

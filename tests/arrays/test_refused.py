"""What looks like an array, a dtype or a number, and would be calculated with in silence: refused by name."""

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.analysis import diagnostics, linear_maps, whitening
from copi_ref.data import DataError, correlated_gaussian, load_cifar10, load_mnist

X, Z, W = np.ones((4, 3)), np.ones((4, 2)), np.ones((2, 3))
LABELS = np.array([0, 1, 0, 1])


def masked(array):
    return np.ma.masked_array(array, mask=array > 0)


class Behaves(np.ndarray):
    """Nothing is changed."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (masked, "x is a masked array, whose mask would be lost: needs one without"),
        (lambda x: x.view(np.matrix), r"x is an np\.matrix, whose \* is no product of entries: needs an array"),
        (
            lambda x: x.astype(x.dtype.newbyteorder()),
            "x has dtype [<>]f8, which is in the other byte order: needs this",
        ),
        (lambda x: x.astype(np.int64), "x has dtype int64: needs a floating dtype"),
        (lambda x: x + 0j, "x has dtype complex128: needs a floating dtype"),
    ],
)
def test_arrays_that_would_give_wrong_numbers(change, message):
    with pytest.raises(TypeError, match=message):
        copi.copi_update(change(X), Z, W)


def test_arrays_that_behave_are_taken(tmp_path):
    mapped = np.memmap(tmp_path / "x", X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    for x in (X.view(Behaves), mapped, np.asfortranarray(X), X[::-1]):
        assert np.array_equal(copi.copi_update(x, Z, W), Z.T @ X / 4 - W)


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_nobody_trains_on_what_is_masked_out(name):
    arrays = {"x_train": X, "y_train": LABELS, "x_test": X, "y_test": LABELS}
    copi.Dataset(**arrays)
    with pytest.raises(TypeError, match=f"{name} is a masked array"):
        copi.Dataset(**{**arrays, name: masked(arrays[name])})


def test_labels_are_no_spans_of_time():
    """NumPy counts timedelta64 among its integers."""
    with pytest.raises(TypeError, match="y_train has dtype timedelta64"):
        copi.Dataset(X, LABELS.astype("timedelta64[s]"), X, LABELS)


@pytest.mark.parametrize("dtype", ["int8", "uint8", bool, "bfloat16", None, "complex64"])
def test_pixels_are_read_as_floats_only(mnist_folder, dtype):
    for load, folder in ((load_mnist, mnist_folder), (load_cifar10, "no/such/folder")):  # before anything is read
        with pytest.raises(TypeError, match="dtype is .*: need one of"):
            load(folder, dtype)


@pytest.mark.parametrize("dtype", ["float16", np.float32, np.dtype("f8")])
def test_pixels_are_read_in_the_dtype_asked_for(mnist_folder, dtype):
    assert load_mnist(mnist_folder, dtype).x_train.dtype == np.dtype(dtype)


@pytest.mark.parametrize("count", [0, -1, 50_000])
def test_what_can_not_be_held_out_is_said_before_anything_is_read(count):
    with pytest.raises(DataError, match=f"held_out is {count}: "):
        load_cifar10("no/such/folder", held_out=count)


def test_no_dtype_is_no_float64():
    rng = np.random.default_rng(0)
    for make in (lambda: copi.init_params((3, 2), rng, None), lambda: copi.init_feedback("fa", (3, 2, 2), rng, None)):
        with pytest.raises(TypeError, match="dtype is None: need one of float16"):
            make()


@pytest.mark.parametrize("covariance", [np.eye(2) + 0j, np.eye(2) > 0, np.eye(2, dtype=int), masked(np.eye(2))])
def test_a_covariance_is_an_array_of_floats(covariance):
    with pytest.raises(TypeError, match="covariance (has dtype|is a masked array)"):
        correlated_gaussian(covariance, 2, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("value", "error", "needed"),
    [
        (10**400, ValueError, "is too large for a float"),
        (10**5000, ValueError, "is too large for a float"),
        (np.bool_(True), TypeError, "needs a number"),
        (np.array(True), TypeError, "needs a number"),
        (np.datetime64("2020-01-01"), TypeError, "needs a number"),
        (np.timedelta64(1, "s"), TypeError, "needs a number"),
        (np.complex128(1), TypeError, "needs a number"),
        (np.ma.masked, TypeError, "needs a number"),
        (np, TypeError, "needs a number"),
        (np.full((2, 1, 1), 0.5), TypeError, "needs one number"),
    ],
    ids=lambda value: type(value).__name__,  # an int of 5000 digits has no text
)
def test_numbers_that_are_none(value, error, needed):
    for name, make in (("beta", copi.Momentum), ("kappa", copi.Whitening), ("slope", copi.leaky_relu_with)):
        with pytest.raises(error, match=f"^{name} .*{needed}"):
            make(value)


def test_whole_numbers_have_an_end():
    """A loop of 10⁴⁰⁰ steps is a mistake, and the message is not 400 digits long."""
    for value in (2**63, 10**400, 10**5000):
        with pytest.raises(ValueError, match="^steps is .*: needs at most 9223372036854775807") as caught:
            copi.InferenceLearning(steps=value)
        assert len(str(caught.value)) < 300
    with pytest.raises(TypeError, match="steps is np.timedelta64"):
        copi.InferenceLearning(steps=np.timedelta64(3, "s"))


ON_LAPACK = {
    "full_update": ("x", lambda a: copi.full_update(a, a, a)),
    "condition_number": ("x", diagnostics.condition_number),
    "log_abs_det": ("R", diagnostics.log_abs_det),
    "inverse_map": ("zx", lambda a: linear_maps.inverse_map(a, a)),
    "pseudo_inverse_map": ("zx", lambda a: linear_maps.pseudo_inverse_map(a, a)),
    "zca": ("C", whitening.zca),
    "distance_from_zca": ("R", lambda a: whitening.distance_from_zca(a, a)),
}


@pytest.mark.parametrize("function", ON_LAPACK)
@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_linear_algebra_needs_single_or_double(function, dtype):
    name, call = ON_LAPACK[function]
    with pytest.raises(TypeError, match=f"{name} has dtype float[0-9]+: {function} needs float32 or float64"):
        call(np.eye(3, dtype=dtype))


@pytest.mark.needs("torch", "jax")
@pytest.mark.parametrize("function", ON_LAPACK)
def test_linear_algebra_in_bfloat16_on_other_libraries(function):
    import jax
    import torch

    name, call = ON_LAPACK[function]
    for array in (torch.eye(3, dtype=torch.bfloat16), jax.numpy.eye(3, dtype="bfloat16")):
        with pytest.raises(TypeError, match=f"{name} has dtype bfloat16: {function} needs float32 or float64"):
            call(array)


@pytest.mark.needs("jax")
def test_checks_look_at_no_value_within_a_step():
    """Under jax.jit arrays have none: a check that looked at one would raise here."""
    import jax

    recipe = copi.Recipe(eta_w=0.1, eta_r=0.1, credit="bp", dtype="float64")
    state = copi.init_state(recipe, (3, 4, 2), np.random.default_rng(0), jax.numpy)

    def weights(W, R, y0, target):
        params = copi.Params(W, R)
        return copi.step(recipe, copi.State(params, ((), ()), None, state.rng_state), y0, target).params.W

    y0, target = jax.numpy.ones((5, 3)), jax.numpy.eye(2)[np.arange(5) % 2]
    traced = jax.jit(weights)(state.params.W, state.params.R, y0, target)
    plain = weights(state.params.W, state.params.R, y0, target)
    assert all(np.allclose(one, other, rtol=1e-12, atol=0) for one, other in zip(traced, plain, strict=True))

"""Receptive fields, compression, the input's moment and fusing, of whole networks: against loops and known answers."""

import itertools
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import naive
import naive_analysis
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import lists, scaled
from test_linear_maps import BY_HAND

import copi_ref as copi
from copi_ref.analysis.compression import compress, responses
from copi_ref.analysis.linear_maps import LINEAR_MAPS
from copi_ref.analysis.receptive_fields import MEASURES, receptive_fields
from copi_ref.analysis.whitening import input_moment
from copi_ref.arrays import pieces
from copi_ref.arrays.backend import BackendError, load_backend

SIZES = (5, 4, 6, 3, 2)
SAMPLES = 40


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """40 samples in pieces of 16, 16 and 8."""
    monkeypatch.setattr(pieces, "ROWS", 16)


def network(rng, make=scaled, leading=(), means=True):
    """W, R, means and y0 of a network of four layers; R is not symmetric, so that a missing transpose shows."""
    pairs = list(itertools.pairwise(SIZES))
    W = tuple(make(rng, *leading, m, k) for k, m in pairs)
    R = tuple(make(rng, *leading, k, k) for k, _ in pairs)
    mean = tuple(make(rng, *leading, k) for k, _ in pairs) if means else None
    return W, R, mean, make(rng, SAMPLES, SIZES[0])


def upright(rng, leading=(), means=True):
    """The same with strong diagonals, so that x_2 spans all directions well, and with inputs of order 1."""
    W, R, mean, _ = network(rng, scaled, leading, means)
    W, R = (tuple(one / 2 + np.eye(*one.shape[-2:]) for one in arrays) for arrays in (W, R))
    return W, R, mean, draw(rng, SAMPLES, SIZES[0])


def params_of(xp, W, R, mean):
    return copi.Params(xp.asarray(W), xp.asarray(R), None if mean is None else xp.asarray(mean))


def member(arrays, at):
    return None if arrays is None else tuple(array[at] for array in arrays)


# --- means over samples ----------------------------------------------------------------------------------------------


def test_means_over_pieces_are_those_over_all_samples(xp, rng):
    """With pieces of different sizes: 16, 16 and 8."""
    x = draw(rng, SAMPLES, 3)
    (mean,) = pieces.mean_over_pieces(xp.asarray(x), xp.asarray(x), lambda piece: (piece.mT @ piece / N,))
    naive_mean = sum(
        weight * (part.T @ part) / N for weight, part in zip((0.4, 0.4, 0.2), np.split(x, [16, 32]), strict=True)
    )
    assert_close(xp.numpy(mean), naive_mean)


def test_host_samples_are_moved_to_the_network(xp, rng):
    """`x` in NumPy, the network elsewhere: as `evaluate` takes them."""
    W, R, mean, y0 = network(rng)
    params = params_of(xp, W, R, mean)
    assert_close(xp.numpy(input_moment(params, y0)), xp.numpy(input_moment(params, xp.asarray(y0))))


def test_float32_is_summed_in_float64(xp, rng):
    """4096² + 1 has 25 bits: float32 would drop the 1; the piece means are exact in float64."""
    x = np.array([[4096.0, 1.0], [1.0, 4096.0]])
    params = copi.Params((xp.asarray(np.eye(2), "float32"),), (xp.asarray(np.eye(2), "float32"),))
    C = xp.numpy(input_moment(params, xp.asarray(x, "float32")))
    assert C.dtype == np.float64
    assert C.tolist() == [[(4096**2 + 1) / 2, 4096], [4096, (4096**2 + 1) / 2]]


def test_a_library_that_makes_no_float64_is_an_error(monkeypatch):
    xp = load_backend("numpy")
    monkeypatch.setattr(pieces, "from_numpy", lambda *_: (_ for _ in ()).throw(BackendError("no float64")))
    with pytest.raises(BackendError, match="no float64"):
        pieces.in_double(xp.ones(2, dtype=xp.float32))


@pytest.mark.parametrize("analysis", [input_moment, receptive_fields, responses])
def test_memory_does_not_grow_with_samples(analysis, rng):
    """Of 512 times as many samples, arrays take no more memory at the peak."""
    W, R, mean, _ = network(rng)
    params = copi.Params(W, R, mean)

    def peak(samples):
        x = draw(rng, samples, SIZES[0])
        tracemalloc.start()
        analysis(params, x)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(512 * 32)  # fills the interpreter's own lists of free tuples, once and for all
    few, many = peak(32), peak(512 * 32)
    assert many < few + 512 * 32 * 8  # one number a sample would be too much


# --- the moment of the first layer's input ---------------------------------------------------------------------------


@pytest.mark.parametrize("centred", [True, False])
def test_the_input_moment_equals_the_loops(centred, xp, rng):
    W, R, mean, y0 = network(rng, means=centred)
    y = naive.shifted(y0.tolist(), mean[0].tolist()) if centred else y0.tolist()
    actual = input_moment(params_of(xp, W, R, mean), xp.asarray(y0))
    assert_close(xp.numpy(actual), naive_analysis.second_moment(y))


def test_the_input_moment_is_exact_for_fractions(rng):
    W, R, _, y0 = network(rng, fractions, means=False)
    assert_exact(input_moment(copi.Params(W, R), y0), naive_analysis.second_moment(y0.tolist()))


# --- receptive fields ------------------------------------------------------------------------------------------------

FIELDS = {
    "correlation": naive_analysis.correlation,
    "moment": naive_analysis.cross_moment,
    "linear": naive_analysis.diagonal_map,
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("centred", [True, False])
def test_receptive_fields_equal_the_loops(measure, centred, xp, rng):
    W, R, mean, y0 = upright(rng, means=centred)
    x, _, y = naive.forward(lists(W), lists(R), y0.tolist(), "tanh", None if mean is None else lists(mean))
    # Quotients of sums ≤ 1 with errors ≤ 2⁷ u by powers ≥ 2⁻⁸: in error by less than 2¹⁶ u < ALLOWED.
    for array in (x[0], *y):
        assert (np.mean(np.square(array), axis=0) > 2**-8).all()
    fields = receptive_fields(params_of(xp, W, R, mean), xp.asarray(y0), copi.tanh, measure)
    assert len(fields) == 4
    for field, y_l in zip(fields, y, strict=True):
        assert_close(xp.numpy(field), FIELDS[measure](y_l, x[0]))


@pytest.mark.parametrize("measure", ["moment", "linear"])
def test_receptive_fields_are_exact_for_fractions(measure, rng):
    W, R, mean, y0 = network(rng, fractions)
    x, _, y = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu", lists(mean))
    for field, y_l in zip(receptive_fields(copi.Params(W, R, mean), y0, measure=measure), y, strict=True):
        assert_exact(field, FIELDS[measure](y_l, x[0]))


def test_a_correlation_is_not_rational(rng):
    W, R, mean, y0 = network(rng, fractions)
    with pytest.raises(TypeError, match="correlation is not rational"):
        receptive_fields(copi.Params(W, R, mean), y0)


def test_receptive_fields_of_a_stack_are_those_of_its_members(xp, rng):
    W, R, mean, y0 = upright(rng, leading=(3,))
    stacked = receptive_fields(params_of(xp, W, R, mean), xp.asarray(y0))
    for at in range(3):
        alone = receptive_fields(params_of(xp, *(member(arrays, at) for arrays in (W, R, mean))), xp.asarray(y0))
        for one, other in zip(stacked, alone, strict=True):
            assert_close(xp.numpy(one)[at], xp.numpy(other))


def test_receptive_fields_of_a_linear_unit_are_its_weights_where_inputs_are_decorrelated(xp):
    """y = A x with orthogonal inputs: "linear" finds A, "correlation" its direction, in units of the inputs' sizes."""
    x, A = np.array([[1.0, 2], [1, -2], [-1, 2], [-1, -2]]), np.array([[3.0, 0], [1.5, -2]])
    params = copi.Params((xp.asarray(A),), (xp.asarray(np.eye(2)),))
    fields = {m: xp.numpy(receptive_fields(params, xp.asarray(x), copi.identity, m)[0]) for m in MEASURES}
    assert_close(fields["linear"], A)
    assert_close(fields["moment"], A * [1, 4])
    assert_close(fields["correlation"], [[1, 0], [1.5 / np.sqrt(18.25), -4 / np.sqrt(18.25)]])


def test_dead_inputs_and_units_have_fields_of_zero(xp, rng):
    W, R, _, y0 = upright(rng, means=False)
    W[1][2], R[0][3] = 0, 0
    for measure in MEASURES:
        fields = receptive_fields(params_of(xp, W, R, None), xp.asarray(y0), measure=measure)
        assert (xp.numpy(fields[1])[2] == 0).all()
        assert all((xp.numpy(field)[:, 3] == 0).all() for field in fields)


def test_an_unknown_measure_is_refused(rng):
    W, R, mean, y0 = network(rng)
    with pytest.raises(ValueError, match="measure is 'pearson': choose one of 'correlation', 'moment', 'linear'"):
        receptive_fields(copi.Params(W, R, mean), y0, measure="pearson")


# --- compression -----------------------------------------------------------------------------------------------------


def exactly(linear_map):
    """The map by hand with exact numbers, so that elimination adds no error."""

    def found(z, x):
        M = linear_map(*([[Fraction(one) for one in row] for row in rows] for rows in (z, x)))
        return [[float(entry) for entry in row] for row in M]

    return found


@pytest.mark.parametrize("formula", LINEAR_MAPS)
@pytest.mark.parametrize("removed", [0, 1, 2])
@pytest.mark.parametrize("centred", [True, False])
def test_a_compressed_network_gives_what_the_loops_give(formula, removed, centred, xp, rng):
    W, R, mean, y0 = upright(rng, means=centred)
    host = lists(W), lists(R), y0.tolist(), "leaky_relu", None if mean is None else lists(mean)
    x_2 = np.array(naive.forward(*host)[0][1])
    # C in error by 40 u of its size, M by that times its condition, M x_2 and what follows by 10 times that:
    # below 4·10⁴ u · the size of M x_2 (≤ 1) = 2⁻³⁷.
    assert np.linalg.cond(x_2.T @ x_2) < 100
    params = params_of(xp, W, R, mean)
    small = compress(params, responses(params, xp.asarray(y0)), removed, formula)
    assert [tuple(one.shape) for one in small.W] == [
        (m, k) for k, m in itertools.pairwise((*SIZES[:2], *SIZES[2 + removed :]))
    ]
    W_, R_, y0_, activation, means_ = host
    expected = naive_analysis.compressed(W_, R_, y0_, removed, activation, exactly(BY_HAND[formula]), means_)
    assert_close(xp.numpy(copi.forward(small, xp.asarray(y0)).y[-1]), expected)


@pytest.mark.parametrize("removed", [1, 2])
def test_the_diagonal_formula_compresses_exactly(removed, rng):
    W, R, mean, y0 = network(rng, fractions)
    params = copi.Params(W, R, mean)
    small = compress(params, responses(params, y0), removed)
    expected = naive_analysis.compressed(
        lists(W), lists(R), y0.tolist(), removed, "leaky_relu", naive_analysis.diagonal_map, lists(mean)
    )
    assert_exact(copi.forward(small, y0).y[-1], expected)


def test_compressing_a_linear_network_by_least_squares_changes_nothing(xp, rng):
    W, R, _, y0 = upright(rng, means=False)
    params = params_of(xp, W, R, None)
    before = xp.numpy(copi.forward(params, xp.asarray(y0), copi.identity).y[-1])
    moments = responses(params, xp.asarray(y0), copi.identity)
    for removed, formula in itertools.product((1, 2), ("inverse", "pseudo-inverse")):
        small = compress(params, moments, removed, formula)
        assert_close(xp.numpy(copi.forward(small, xp.asarray(y0), copi.identity).y[-1]), before)


def test_a_compressed_network_can_be_evaluated_and_keeps_its_dtype(xp, rng):
    W, R, mean, y0 = upright(rng)
    params = copi.Params(*(tuple(xp.asarray(one, "float32") for one in arrays) for arrays in (W, R, mean)))
    moments = responses(params, xp.asarray(y0, "float32"))
    assert xp.numpy(moments.C).dtype == np.float64
    small = compress(params, moments, 2, "inverse")
    assert all(xp.numpy(one).dtype == np.float32 for arrays in (small.W, small.R, small.mean) for one in arrays)
    recipe = copi.Recipe(eta_w=0, eta_r=0)
    target = copi.forward(small, xp.asarray(y0, "float32")).y[-1]
    assert copi.evaluate(recipe, small, xp.asarray(y0, "float32"), target) == (1, 0)


def test_a_stack_is_compressed_as_its_members(xp, rng):
    W, R, mean, y0 = upright(rng, leading=(3,))
    params = params_of(xp, W, R, mean)
    moments = responses(params, xp.asarray(y0))
    for formula in LINEAR_MAPS:
        stacked = compress(params, moments, 1, formula).W[1]
        for at in range(3):
            alone = params_of(xp, *(member(arrays, at) for arrays in (W, R, mean)))
            M = compress(alone, responses(alone, xp.asarray(y0)), 1, formula).W[1]
            assert_close(xp.numpy(stacked)[at], xp.numpy(M))


def test_with_nothing_removed_the_network_is_the_same(rng):
    params = copi.Params(*network(rng)[:3])
    assert compress(params, responses(params, network(rng)[3]), 0) is params


def test_what_can_not_be_compressed_says_why(rng):
    W, R, mean, y0 = network(rng)
    params = copi.Params(W, R, mean)
    moments = responses(params, y0)
    with pytest.raises(ValueError, match="removed is 3: of 3 hidden layers all but the first can go, at most 2"):
        compress(params, moments, 3)
    with pytest.raises(ValueError, match="removed is -1: needs at least 0"):
        compress(params, moments, -1)
    with pytest.raises(ValueError, match="formula is 'qr': choose one of 'diagonal', 'inverse', 'pseudo-inverse'"):
        compress(params, moments, 1, "qr")
    with pytest.raises(ValueError, match="responses has 1 entries: needs 2 for this network"):
        compress(params, moments._replace(ax=moments.ax[:1]), 1)
    with pytest.raises(ValueError, match="params has 2 layers: needs at least 3"):
        responses(copi.Params(W[:2], R[:2]), y0)


# --- fusing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centred", [True, False])
def test_a_fused_network_is_the_same_in_exact_numbers(centred, rng):
    W, R, mean, y0 = network(rng, fractions, means=centred)
    _, a, y = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu", None if mean is None else lists(mean))
    fused_a, fused_y = copi.fused_forward(copi.fuse(copi.Params(W, R, mean)), y0)
    assert_exact(fused_a, a[-1])
    assert_exact(fused_y, y[-1])


@pytest.mark.parametrize("centred", [True, False])
def test_a_fused_matrix_is_the_product_of_its_layers(centred, xp, rng):
    W, R, mean, _ = network(rng, draw, means=centred)
    fused = copi.fuse(params_of(xp, W, R, mean))
    assert (fused.b is None) == (not centred)
    for layer, (W_l, R_l) in enumerate(zip(W, R, strict=True)):
        A = naive_analysis.product(W_l.tolist(), R_l.tolist())
        assert_close(xp.numpy(fused.A[layer]), A)
        if centred:
            assert_close(xp.numpy(fused.b[layer]), [-sum(map(np.multiply, row, mean[layer].tolist())) for row in A])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("centred", [True, False])
def test_fused_outputs_differ_by_rounding_alone(dtype, centred, xp, rng):
    """Either way differs from exact numbers by at most E, found beside the magnitudes |W||R|(|y| + |μ|) layer by layer.

    A product of length K is in error by K u of the magnitudes. Of the two products, their factors' sum or difference
    with μ and the activation's a/10 there are 2 K_l + 4 roundings in a layer; what came in with an error of E leaves
    with |W||R| E, since |f(a) − f(b)| ≤ |a − b|. Both: a factor of 2, and one more for terms in u².
    """
    W, R, mean, y0 = (None if a is None else a for a in network(rng, draw, means=centred))
    cast = [None if a is None else tuple(one.astype(dtype) for one in a) for a in (W, R, mean)]
    u = np.finfo(dtype).eps / 2
    y, E = np.abs(y0), u * np.abs(y0)
    for layer, (W_l, R_l) in enumerate(zip(W, R, strict=True)):
        magnitude = np.abs(W_l) @ np.abs(R_l)
        y = (y + (np.abs(mean[layer]) if centred else 0)) @ magnitude.T
        E = E @ magnitude.T + (2 * R_l.shape[-1] + 4) * u * y
    params = copi.Params(*(None if a is None else tuple(xp.asarray(one, dtype) for one in a) for a in cast))
    trace = copi.forward(params, xp.asarray(y0, dtype))
    a, y = copi.fused_forward(copi.fuse(params), xp.asarray(y0, dtype))
    for ours, unfused in ((a, trace.a[-1]), (y, trace.y[-1])):
        ours, unfused = xp.numpy(ours), xp.numpy(unfused)
        assert ours.dtype == dtype
        assert (np.abs(ours.astype(float) - unfused) <= 3 * E).all()
        assert (np.abs(unfused).max() / 100 > 3 * E).all()  # a bound that lets nothing wrong pass


def test_a_stack_is_fused_as_its_members(xp, rng):
    W, R, mean, y0 = network(rng, leading=(3,))
    stacked = copi.fused_forward(copi.fuse(params_of(xp, W, R, mean)), xp.asarray(y0))[1]
    for at in range(3):
        alone = copi.fuse(params_of(xp, *(member(arrays, at) for arrays in (W, R, mean))))
        assert_close(xp.numpy(stacked)[at], xp.numpy(copi.fused_forward(alone, xp.asarray(y0))[1]))


def test_what_can_not_be_fused_names_the_layer(rng):
    W, R, mean, y0 = network(rng)
    params = copi.Params(W, R, mean)
    with pytest.raises(ValueError, match=r"W of layer 2 has shape \(6, 5\)"):
        copi.fuse(replace(params, W=(W[0], np.ones((6, 5)), *W[2:])))
    with pytest.raises(ValueError, match=r"mean of y1 has shape \(1, 5\)"):
        copi.fuse(replace(params, mean=(mean[0], np.ones(5), *mean[2:])))
    with pytest.raises(ValueError, match="R has 3 entries: needs 4"):
        copi.fuse(replace(params, R=R[:3]))
    with pytest.raises(ValueError, match="mean has 3 entries: needs 4"):
        copi.fuse(replace(params, mean=mean[:3]))
    with pytest.raises(ValueError, match=r"A of layer 1 has shape \(4, 5\) but y0 has 3"):
        copi.fused_forward(copi.fuse(params), y0[:, :3])

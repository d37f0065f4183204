"""The measures of a layer, against loops and known answers, and what `fit` records of them."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import naive
import numpy as np
import pytest
from compare import K, M, N, assert_close, draw, fractions
from naive_analysis import eigen
from networks import SIZES, lists, network, scaled
from small_training import assert_same_bits, blobs, fresh, state_of

import copi_ref as copi
from copi_ref.analysis import diagnostics
from copi_ref.analysis.diagnostics import (
    MEASURES,
    angle,
    asymmetry,
    condition_number,
    condition_of_moment,
    dead_share,
    layer_diagnostics,
    log_abs_det,
    relative_off_diagonal,
    relative_off_diagonal_of_moment,
)
from copi_ref.state import generator_of
from copi_ref.training.batches import Samples, move

# --- the same by hand ------------------------------------------------------------------------------------------------


def moment(x):
    inputs = range(len(x[0]))
    return [[naive.mean(row[i] * row[j] for row in x) for j in inputs] for i in inputs]


def relative_off_diagonal_by_hand(x):
    C = moment(x)
    pairs = list(itertools.product(range(len(C)), repeat=2))
    off = math.fsum(C[i][j] ** 2 for i, j in pairs if i != j)
    return math.sqrt(off / math.fsum(C[i][j] ** 2 for i, j in pairs if i == j))


def condition_by_hand(x):
    values, _ = eigen(moment(x))
    return max(values) / min(values)


def dead_by_hand(x):
    return naive.mean(1 if all(row[j] == 0 for row in x) else 0 for j in range(len(x[0])))


def asymmetry_by_hand(R):
    pairs = list(itertools.product(range(len(R)), repeat=2))
    odd = math.fsum((R[i][j] - R[j][i]) ** 2 for i, j in pairs)
    return math.sqrt(odd / math.fsum(R[i][j] ** 2 for i, j in pairs))


def log_det_by_hand(R):
    return math.log(abs(determinant(R)))


def determinant(R):
    """Laplace's expansion along the first row."""
    if not R:
        return 1
    minors = ([row[:j] + row[j + 1 :] for row in R[1:]] for j in range(len(R)))
    return sum((-1) ** j * R[0][j] * determinant(minor) for j, minor in enumerate(minors))


def angle_by_hand(delta, reference):
    pairs = [(u, v) for us, vs in zip(delta, reference, strict=True) for u, v in zip(us, vs, strict=True)]
    lengths = math.hypot(*(u for u, _ in pairs)) * math.hypot(*(v for _, v in pairs))
    return math.degrees(math.acos(math.fsum(u * v for u, v in pairs) / lengths))


def regular(rng, *shape):
    """Inputs that are not nearly dependent: a random matrix with N > K that is mostly diagonal."""
    return draw(rng, *shape) / 4 + 2 * np.eye(shape[-2], shape[-1])


# Function, what it is by hand, and how to draw its arguments.
FUNCTIONS = {
    "relative_off_diagonal": (
        relative_off_diagonal,
        relative_off_diagonal_by_hand,
        lambda rng, *stack: [draw(rng, *stack, N, K)],
    ),
    "condition_number": (condition_number, condition_by_hand, lambda rng, *stack: [regular(rng, *stack, N, K)]),
    "dead_share": (
        dead_share,
        dead_by_hand,
        lambda rng, *stack: [draw(rng, *stack, N, K) * rng.integers(0, 2, (*stack, 1, K))],
    ),
    "asymmetry": (asymmetry, asymmetry_by_hand, lambda rng, *stack: [draw(rng, *stack, K, K)]),
    "log_abs_det": (log_abs_det, log_det_by_hand, lambda rng, *stack: [regular(rng, *stack, K, K)]),
    "angle": (angle, angle_by_hand, lambda rng, *stack: [draw(rng, *stack, N, M), draw(rng, *stack, N, M)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_equals_the_loops_alone_and_stacked(name, xp, rng):
    function, by_hand, arguments = FUNCTIONS[name]
    arrays = arguments(rng, 4, 2)
    stacked = xp.numpy(function(*map(xp.asarray, arrays)))
    assert stacked.shape == (4, 2)
    for member in np.ndindex(4, 2):
        expected = by_hand(*(array[member].tolist() for array in arrays))
        assert_close(stacked[member], expected)
        assert_close(xp.numpy(function(*(xp.asarray(array[member]) for array in arrays))), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_keeps_the_dtype(name, xp, rng):
    arrays = [xp.asarray(array, "float32") for array in FUNCTIONS[name][2](rng, 2)]
    assert xp.numpy(FUNCTIONS[name][0](*arrays)).dtype == np.float32


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"dead_share"}))
def test_it_is_not_rational(name, rng):
    arrays = [fractions(rng, *array.shape) for array in FUNCTIONS[name][2](rng)]
    with pytest.raises(TypeError, match=f"{name} is not rational"):
        FUNCTIONS[name][0](*arrays)


@pytest.mark.parametrize("function", [relative_off_diagonal_of_moment, condition_of_moment, asymmetry, log_abs_det])
def test_it_needs_a_square_matrix(function):
    with pytest.raises(ValueError, match=r"has shape \(2, 3\) but is not square"):
        function(np.ones((2, 3)))


@pytest.mark.parametrize("function", [relative_off_diagonal, condition_number, dead_share])
def test_it_needs_samples_and_inputs(function):
    with pytest.raises(ValueError, match=r"x has shape \(3,\): needs \(…, N, K\)"):
        function(np.ones(3))


# --- relative off-diagonal -------------------------------------------------------------------------------------------


def test_relative_off_diagonal_of_tiny_correlations_is_not_lost_to_rounding():
    C = np.array([[1.0, 1e-9], [1e-9, 1.0]])
    np.testing.assert_allclose(relative_off_diagonal_of_moment(C), 1e-9, rtol=1e-12)


def test_relative_off_diagonal_of_tiny_inputs_is_not_lost_to_underflow(xp):
    x = xp.asarray([[1e-12, 1e-12], [2e-12, 2e-12]], "float32")
    np.testing.assert_allclose(xp.numpy(relative_off_diagonal(x)), 1, rtol=1e-6)


def test_relative_off_diagonal_of_dead_inputs_is_zero(xp):
    assert xp.numpy(relative_off_diagonal(xp.asarray(np.zeros((N, K))))) == 0


def test_relative_off_diagonal_of_a_dead_and_a_live_input_is_zero():
    assert relative_off_diagonal(np.array([[0.0, 2.0], [0.0, -1.0]])) == 0


# --- condition number ------------------------------------------------------------------------------------------------


def test_condition_of_independent_inputs_is_the_ratio_of_their_powers(xp):
    x = xp.asarray([[3.0, 0, 0], [0, 6.0, 0], [0, 0, 1.5]])  # E[x²] = 3, 12, 3/4
    np.testing.assert_allclose(xp.numpy(condition_number(x)), 16, rtol=1e-14)


def test_condition_of_a_correlated_pair(xp):
    """C = [[1, ρ], [ρ, 1]] has the eigenvalues 1 ± ρ."""
    C = xp.asarray([[[1.0, 0.5], [0.5, 1.0]], [[1.0, -0.875], [-0.875, 1.0]]])
    np.testing.assert_allclose(xp.numpy(condition_of_moment(C)), [3, 15], rtol=1e-14)


def test_condition_of_one_input_is_1(xp):
    assert xp.numpy(condition_number(xp.asarray([[2.0], [0.5]]))) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_condition_is_infinite_where_inputs_depend_on_each_other(dtype, xp, rng):
    """Whichever way rounding pushes the eigenvalue that is 0; a regular member of the stack stays finite."""
    x = draw(rng, 50, N, K)
    x[..., 3] = x[..., 0] - 2 * x[..., 1]
    x[7] = regular(rng, N, K)
    condition = xp.numpy(condition_number(xp.asarray(x, dtype)))
    assert np.flatnonzero(np.isfinite(condition)).tolist() == [7]
    assert (condition >= 1).all()


def test_condition_is_infinite_with_a_dead_input_all_dead_or_few_samples(xp, rng):
    one_dead = regular(rng, N, K) * np.array([1, 1, 0, 1, 1])
    for x in (one_dead, np.zeros((N, K)), draw(rng, K - 1, K), np.zeros((1, 1))):
        assert xp.numpy(condition_number(xp.asarray(x))) == np.inf


def test_condition_is_finite_as_far_as_rounding_lets_it_be_known():
    """λmin/λmax on both sides of K ε = 2 · 2⁻⁵²."""
    for rest, finite in ((2.0**-50, True), (2.0**-52, False)):
        assert np.isfinite(condition_of_moment(np.array([[1, 0], [0, rest]]))) == finite


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
def test_condition_does_not_depend_on_the_scale(scale, xp, rng):
    x = regular(rng, N, K)
    condition = xp.numpy(condition_number(xp.asarray(x * scale)))
    np.testing.assert_allclose(condition, condition_by_hand(x.tolist()), rtol=1e-12)


# --- dead inputs -----------------------------------------------------------------------------------------------------


def test_dead_inputs_are_those_that_are_always_zero(xp):
    x = xp.asarray([[0, 1, 0, -0.0, 2], [0, 0, 0, 0, 1], [0, -1, 1e-300, 0, -3]])
    assert xp.numpy(dead_share(x)) == 2 / 5  # 10⁻³⁰⁰ is alive, though its square is 0
    assert xp.numpy(dead_share(x * 0)) == 1


def test_dead_share_is_rational(rng):
    share = dead_share(np.array([[Fraction(1), Fraction(0), Fraction(0)], [Fraction(0)] * 3]))
    assert type(share) is Fraction
    assert share == Fraction(2, 3)


# --- R: asymmetry and determinant ------------------------------------------------------------------------------------


def test_asymmetry_of_symmetric_antisymmetric_and_zero(xp, rng):
    A = draw(rng, K, K)
    for R, expected in ((A + A.T, 0), (np.zeros((K, K)), 0), (np.diag(A[0]), 0)):
        assert xp.numpy(asymmetry(xp.asarray(R))) == expected
    np.testing.assert_allclose(xp.numpy(asymmetry(xp.asarray(A - A.T))), 2, rtol=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
def test_asymmetry_does_not_depend_on_the_scale(scale, xp):
    """R = [[2, 2], [0, 1]]: ‖R − Rᵀ‖² = 8, ‖R‖² = 9."""
    R = xp.asarray(np.array([[2.0, 2.0], [0.0, 1.0]]) * scale)
    np.testing.assert_allclose(xp.numpy(asymmetry(R)), math.sqrt(8) / 3, rtol=1e-15)


def test_asymmetry_near_zero_is_not_lost_to_rounding():
    """One entry of a 2 × 2 identity is off by t: √2 t/√2."""
    np.testing.assert_allclose(asymmetry(np.array([[1.0, 1e-12], [0.0, 1.0]])), 1e-12, rtol=1e-12)


def test_log_det_of_diagonal_and_rotated(xp):
    c, s = math.cos(0.7), math.sin(0.7)
    R = xp.asarray([[[2.0, 0], [0, -0.125]], [[c, -s], [s, c]], [[0, 3.0], [1.0, 0]]])
    assert_close(xp.numpy(log_abs_det(R)), [-2 * math.log(2), 0, math.log(3)])


def test_log_det_where_the_determinant_itself_overflows_or_underflows(xp):
    K = 400
    for entry in (1e3, 1e-3):
        assert_close(xp.numpy(log_abs_det(xp.asarray(entry * np.eye(K)))) / K, math.log(entry))


def test_log_det_of_a_singular_matrix_is_minus_infinity(xp):
    R = xp.asarray([[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0], [0, 1]]])
    assert xp.numpy(log_abs_det(R)).tolist() == [-np.inf, -np.inf, -np.inf, 0]


# --- angle -----------------------------------------------------------------------------------------------------------


def at_angle(rng, radians):
    """Two (N, M) arrays at that angle, of lengths 3 and 1/2."""
    u = draw(rng, N, M)
    w = draw(rng, N, M)
    w -= u * np.sum(u * w) / np.sum(u * u)
    u, w = u / np.linalg.norm(u), w / np.linalg.norm(w)
    return 3 * u, (math.cos(radians) * u + math.sin(radians) * w) / 2


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135, 150, 180])
def test_angle_of_vectors_at_a_known_angle(degrees, xp, rng):
    u, v = map(xp.asarray, at_angle(rng, math.radians(degrees)))
    assert_close(xp.numpy(angle(u, v)), degrees, 1e-5 if degrees in (0, 180) else 1e-12)
    assert_close(xp.numpy(angle(v, u)), xp.numpy(angle(u, v)))


def test_angle_of_the_same_and_the_opposite_is_exact(xp, rng):
    delta = xp.asarray(draw(rng, N, M))
    assert xp.numpy(angle(delta, delta)) == 0
    assert xp.numpy(angle(delta, 4 * delta)) == 0
    assert xp.numpy(angle(delta, -delta)) == 180


@pytest.mark.parametrize("tiny", [1e-5, 1e-9, 1e-12])
def test_tiny_angles_are_accurate(tiny, xp, rng):
    """The arccosine of a rounded cosine gives 0 for all angles below 10⁻⁸; here the error is some units of 10⁻¹⁶."""
    for radians, from_zero in ((tiny, lambda degrees: degrees), (math.pi - tiny, lambda degrees: 180 - degrees)):
        measured = xp.numpy(angle(*map(xp.asarray, at_angle(rng, radians))))
        # 180° itself is known to 3e-14 only.
        assert_close(from_zero(measured), math.degrees(tiny), 1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angle_does_not_depend_on_the_scales(dtype, xp, rng):
    u, v = at_angle(rng, math.radians(30))
    exponent = {"float32": 30, "float64": 300}[dtype]
    for one, other in itertools.product((-exponent, 0, exponent), repeat=2):
        scaled = xp.asarray(u * 10.0**one, dtype), xp.asarray(v * 10.0**other, dtype)
        assert_close(xp.numpy(angle(*scaled)), 30, {"float32": 1e-4, "float64": 1e-11}[dtype])


def test_angle_with_zero_is_not_a_number(xp, rng):
    delta, reference = draw(rng, 4, N, M), draw(rng, 4, N, M)
    delta[0], reference[1], delta[2], reference[2] = 0, 0, 0, 0
    measured = xp.numpy(angle(xp.asarray(delta), xp.asarray(reference)))
    assert np.isnan(measured).tolist() == [True, True, True, False]


def test_angle_with_one_reference_for_a_stack(xp, rng):
    delta, reference = draw(rng, 4, 2, N, M), draw(rng, 2, N, M)
    measured = xp.numpy(angle(xp.asarray(delta), xp.asarray(reference)))
    for i, j in np.ndindex(4, 2):
        assert_close(measured[i, j], angle_by_hand(delta[i, j], reference[j]))


def test_angle_needs_two_of_the_same_shape():
    with pytest.raises(ValueError, match=r"reference has shape \(7, 2\)"):
        angle(np.ones((7, 3)), np.ones((7, 2)))


# --- all layers of a network -----------------------------------------------------------------------------------------

RECIPE = copi.Recipe(eta_w=0.02, eta_r=0.05, dtype="float64", lateral_rule="left", credit="fa", batch_size=10)


def measured_by_hand(W, R, B, y0, target):
    """All measures with the naive loops; the recipe is `RECIPE`."""
    xs, as_, ys = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu")
    delta_L = naive.output_perturbation("quadratic", ys[-1], as_[-1], target.tolist(), "leaky_relu")
    deltas = naive.feedback_alignment(lists(B), as_, delta_L, "leaky_relu")
    gradients = naive.backpropagation(lists(W), lists(R), as_, delta_L, "leaky_relu")
    row = {}
    for layer, (x, matrix, delta, gradient) in enumerate(zip(xs, lists(R), deltas, gradients, strict=True), start=1):
        row[f"off_diagonal_{layer}"] = relative_off_diagonal_by_hand(x)
        row[f"asymmetry_{layer}"] = asymmetry_by_hand(matrix)
        row[f"log_det_{layer}"] = log_det_by_hand(matrix)
        row[f"condition_{layer}"] = condition_by_hand(x)
        row[f"dead_{layer}"] = dead_by_hand(x)
        row[f"angle_{layer}"] = 0 if delta == gradient else angle_by_hand(delta, gradient)
    return row


def assert_same_row(row, expected):
    assert list(row) == list(expected)
    for name, value in row.items():
        assert type(value) is float
        # An eigenvalue is off by some units of 2⁻⁵² λmax: the smallest, relatively, by the condition number more.
        relative = 2**-46 * expected[name] if name.startswith("condition") else 1e-10
        np.testing.assert_allclose(value, expected[name], rtol=relative, atol=1e-11, err_msg=name)


def test_all_measures_of_a_network_on_every_library(xp, rng):
    W, R, B, y0, target = network(rng, scaled)
    state = state_of(xp.asarray(W), xp.asarray(R), RECIPE, xp.asarray(B))
    row = layer_diagnostics(RECIPE, state, Samples(xp.asarray(y0), xp.asarray(target)))
    expected = measured_by_hand(W, R, B, y0, target)
    assert len(expected) == len(MEASURES) * (len(SIZES) - 1)
    assert_same_row(row, expected)
    assert row["angle_3"] == 0
    assert 0 < row["angle_1"] < 180


def test_fit_records_the_measures_after_each_epoch(rng):
    dataset, states = blobs(rng), []
    result = copi.fit(
        RECIPE, fresh(RECIPE), dataset, 3, lambda state, row: states.append(state), diagnostics=layer_diagnostics
    )
    one_hot = np.eye(3)[dataset.y_train]
    for state, row in zip(states, result.metrics, strict=True):
        expected = measured_by_hand(state.params.W, state.params.R, state.feedback, dataset.x_train, one_hot)
        assert list(row)[-len(expected) :] == list(expected)
        assert_same_row({name: row[name] for name in expected}, expected)
    assert result.metrics[-1]["off_diagonal_1"] < result.metrics[0]["off_diagonal_1"]
    assert result.metrics[-1]["asymmetry_1"] > 0


@pytest.mark.parametrize("credit", ["bp", "node"])
def test_measuring_leaves_training_as_it_is(credit, rng):
    """Node perturbation draws from the state's generator in every step, and in the measurement from a copy."""
    dataset, recipe = blobs(rng), replace(RECIPE, credit=credit, eta_w=0.01)
    plain = copi.fit(recipe, fresh(recipe), dataset, 3)
    measured = copi.fit(recipe, fresh(recipe), dataset, 3, diagnostics=layer_diagnostics)
    assert_same_bits(plain.state, measured.state)
    assert plain.state.rng_state == measured.state.rng_state
    for without, row in zip(plain.metrics, measured.metrics, strict=True):
        assert {name: row[name] for name in without if name != "seconds"} == {
            name: value for name, value in without.items() if name != "seconds"
        }


def test_a_random_method_draws_what_the_next_step_would(rng):
    recipe = replace(RECIPE, credit="node")
    state = fresh(recipe)
    samples, _ = move(state.params, blobs(rng))
    row = layer_diagnostics(recipe, state, samples)
    assert layer_diagnostics(recipe, state, samples) == row
    trace = copi.forward(state.params, samples.x)
    task = copi.Task(samples.target, rng=generator_of(state))
    deltas, gradients = (copi.CREDIT[name](state.params, trace, task) for name in ("node", "bp"))
    for layer, (delta, gradient) in enumerate(zip(deltas, gradients, strict=True), start=1):
        assert_close(row[f"angle_{layer}"], angle_by_hand(delta, gradient))


def test_the_credit_method_gets_all_of_the_task(rng):
    given = []

    def opposite(params, trace, task):
        given.append(task)
        return tuple(-delta for delta in copi.backpropagation(params, trace, task))

    recipe = replace(
        RECIPE, credit=opposite, loss=copi.half_quadratic, activation=copi.tanh, output="pre-activation", eta_w=0.01
    )
    state = replace(fresh(recipe), feedback=(np.ones((5, 3)),))
    samples, _ = move(state.params, blobs(rng))
    row = layer_diagnostics(recipe, state, samples)
    assert (row["angle_1"], row["angle_2"]) == (180, 180)
    (task,) = given
    assert (task.loss, task.activation, task.output) == (copi.half_quadratic, copi.tanh, "pre-activation")
    assert task.feedback is state.feedback
    np.testing.assert_array_equal(task.target, samples.target)
    a = copi.forward(state.params, samples.x, copi.tanh).a[0]
    x = copi.tanh(a) @ state.params.R[1].T
    assert_close(row["off_diagonal_2"], relative_off_diagonal_by_hand(x.tolist()))


def test_backpropagation_is_at_0_degrees_from_itself(rng):
    recipe = replace(RECIPE, credit="bp")
    state = fresh(recipe)
    row = layer_diagnostics(recipe, state, move(state.params, blobs(rng))[0])
    assert row["angle_1"] == row["angle_2"] == 0


def test_centring_is_part_of_x(rng):
    recipe = replace(RECIPE, centring=0.5)
    dataset = blobs(rng)
    state = copi.fit(recipe, fresh(recipe), dataset, 1).state
    row = layer_diagnostics(recipe, state, move(state.params, dataset)[0])
    x = (dataset.x_train - state.params.mean[0]) @ state.params.R[0].T
    assert_close(row["off_diagonal_1"], relative_off_diagonal_by_hand(x.tolist()))


def test_methods_that_infer_states_are_measured_too(rng):
    recipe = replace(RECIPE, credit="il", states="inferred", weight_rule="sgd")
    result = copi.fit(recipe, fresh(recipe), blobs(rng), 1, diagnostics=layer_diagnostics)
    assert 0 < result.metrics[0]["angle_1"] < 90


def test_only_the_first_samples_are_looked_at(rng, monkeypatch):
    assert diagnostics.ROWS == 5000
    state = fresh(RECIPE)
    samples, _ = move(state.params, blobs(rng))
    first = Samples(*(array[:10] for array in samples))
    expected = layer_diagnostics(RECIPE, state, first)
    monkeypatch.setattr(diagnostics, "ROWS", 10)
    assert layer_diagnostics(RECIPE, state, samples) == expected
    assert layer_diagnostics(RECIPE, state, Samples(*(array[:9] for array in samples))) != expected


def test_a_dead_network_is_recorded_as_one(rng):
    """W_1 = 0: layer 2 sees nothing, and no perturbation comes back through W_2 = 0."""
    state = fresh(RECIPE)
    dead = tuple(W * 0 for W in state.params.W)
    recipe = replace(RECIPE, credit="bp")
    samples, _ = move(state.params, blobs(rng))
    singular = (np.zeros_like(state.params.R[0]), state.params.R[1])
    row = layer_diagnostics(recipe, replace(state, params=copi.Params(dead, singular)), samples)
    assert (row["dead_1"], row["dead_2"]) == (1, 1)
    assert row["condition_2"] == np.inf
    assert row["log_det_1"] == -np.inf
    assert np.isnan(row["angle_1"])
    assert row["angle_2"] == row["off_diagonal_2"] == row["asymmetry_1"] == 0


def test_tiny_inputs_beside_large_ones_are_not_dead(rng):
    state = fresh(RECIPE)
    params = replace(state.params, R=(np.diag([1e200, 1e-150, 1, 1, 1, 1]), state.params.R[1]))
    samples, _ = move(params, blobs(rng))
    row = layer_diagnostics(replace(RECIPE, activation=copi.tanh), replace(state, params=params), samples)
    assert row["dead_1"] == 0
    assert row["condition_1"] == np.inf
    assert 0 <= row["off_diagonal_1"] < 1e-100, "C overflowed"


def test_a_perturbation_that_overflows_has_no_angle_and_stops_nothing(rng):
    def overflow(params, trace, task):
        return tuple(delta * 1e200 * 1e200 for delta in copi.backpropagation(params, trace, task))

    recipe = replace(RECIPE, credit=overflow)
    state = fresh(recipe)
    row = layer_diagnostics(recipe, state, move(state.params, blobs(rng))[0])
    assert np.isnan(row["angle_1"])
    assert np.isfinite(row["off_diagonal_1"])


def test_half_precision_is_measured_in_float32(rng):
    recipe = replace(RECIPE, dtype="float16", eta_w=0.01, eta_r=0.01)
    dataset = blobs(rng)
    result = copi.fit(recipe, fresh(recipe), dataset, 1, diagnostics=layer_diagnostics)
    state = result.state
    assert state.params.W[0].dtype == np.float16
    x = (dataset.x_train.astype(np.float16) @ state.params.R[0].mT).astype(np.float32)
    np.testing.assert_allclose(result.metrics[0]["condition_1"], condition_by_hand(x.tolist()), rtol=1e-4)
    np.testing.assert_allclose(result.metrics[0]["log_det_1"], log_det_by_hand(state.params.R[0].tolist()), rtol=1e-4)


def test_an_ensemble_is_refused(rng):
    W, R, B, y0, target = network(rng, scaled, leading=(2,))
    message = r"W of the last layer has shape \(2, 3, 6\): layer_diagnostics takes one network"
    with pytest.raises(ValueError, match=message):
        layer_diagnostics(RECIPE, state_of(W, R, RECIPE, B), Samples(y0, target))

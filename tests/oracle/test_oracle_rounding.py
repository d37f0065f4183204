"""The allowances: that they are the magnitude companion, that they bound rounding, and that exact cases are exact."""

from fractions import Fraction

import naive
import numpy as np
import pytest
from compare import K, M, N, draw
from hypothesis import given
from hypothesis import strategies as st

import copi_ref as copi
from copi_ref.oracle import FUNCTIONS, PRECISIONS, Conventions
from copi_ref.oracle.contract.pieces import right_pieces, whole_step
from copi_ref.oracle.inputs.cases import as_compared, draw_cases, kinds, relative_allowance, undecided, with_tracked
from copi_ref.oracle.inputs.drawing import EXACT, LOOSE
from copi_ref.oracle.inputs.strategies import layers
from copi_ref.oracle.rounding import Tracked, tracked

FLOAT32 = PRECISIONS["float32"]
ALL_CONVENTIONS = [
    {},
    {"lateral_rule": "left"},
    {"lateral_rule": "symmetric", "assumes_symmetric_R": True},
    {"credit": "fa"},
    {"credit": "dfa"},
    {"activation": "relu", "derivative_at_zero": 0},
    {"activation": "identity"},
    {"activation": "tanh"},
    {"activation": "sigmoid"},
    {"slope": 0.125, "derivative_at_zero": 0.125},
    {"slope": 0.01},
    {"loss_factor": 1, "output": "pre-activation", "lateral_rule": "left", "error_scale": 1000},
    {"reduction": "sum"},
    {"samples": "columns"},
]


def ids(conventions):
    return ", ".join(f"{name}={value}" for name, value in conventions.items()) or "as printed"


def exactly(array):
    return np.vectorize(lambda value: Fraction(float(value)), otypes=[object])(array)


# --- the companion is what design says: the same on absolute values, with every minus a plus --------------------------


def test_the_magnitude_of_copi_update_is_the_naive_sum_of_absolute_values(rng):
    x, z, W = draw(rng, N, K), draw(rng, N, M), draw(rng, M, K)
    found = copi.copi_update(tracked(x), tracked(z), tracked(W))
    # E[|z| |x|] + |W| E[x²] is the naive update with −|W| for W.
    by_hand = naive.copi_update(abs(x).tolist(), abs(z).tolist(), (-abs(W)).tolist())
    np.testing.assert_allclose(found.magnitude, by_hand, rtol=1e-14)
    np.testing.assert_allclose(found.value, naive.copi_update(x.tolist(), z.tolist(), W.tolist()), rtol=1e-13)


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
def test_the_magnitude_of_the_lateral_update_has_the_diagonal_twice(rule, rng):
    """C_off = C − diag(C) may be formed before or after the product with R: the diagonal counts in both."""
    x, R = draw(rng, N, K), draw(rng, K, K)
    found = copi.decorrelation_update(tracked(x), tracked(R), rule)
    C = np.array([[sum(abs(x[n, i] * x[n, j]) for n in range(N)) / N for j in range(K)] for i in range(K)])
    both = C + np.diag(np.diag(C))
    left = both @ abs(R)
    expected = {"left": left, "right": abs(R) @ both, "symmetric": (left + left.T) / 2}[rule]
    np.testing.assert_allclose(found.magnitude, expected, rtol=1e-13)


def test_roundings_are_counted_along_the_longest_way(rng):
    x, z, W = (tracked(draw(rng, *shape)) for shape in ((N, K), (N, M), (M, K)))
    # z (x/N): 2 for the division (it may be by a reciprocal), N for a sum of N products.
    assert copi.sgd_update(x, z).roundings == 2 + N
    # W E[x²]: 2, 1 for the square, N − 1 for the sum, 1 for the product with W; and the difference of both.
    assert copi.copi_update(x, z, W).roundings == 2 + 1 + (N - 1) + 1 + 1
    assert (x @ W.mT).roundings == K


def test_an_activation_has_the_magnitude_of_its_branch():
    a = Tracked(np.array([[-2.0, 3.0]]), np.array([[4.0, 5.0]]), roundings=7)
    y = copi.leaky_relu(a)
    np.testing.assert_array_equal(y.value, [[-0.2, 3.0]])
    np.testing.assert_array_equal(y.magnitude, [[0.4, 5.0]])
    assert y.roundings > 7


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_bounds_of_smooth_functions_and_their_slopes(name):
    """The constants |f|, |f′|, |f″| that the magnitudes of tanh and sigmoid rest on, by looking everywhere."""
    from copi_ref.oracle.contract.conventions import _SIZE_AND_SLOPE

    a = np.linspace(-20, 20, 400_001)
    f = copi.ACTIVATIONS[name]
    (size, slope), (size_of_slope, curvature) = _SIZE_AND_SLOPE[name]
    assert abs(f(a)).max() <= size
    assert f.derivative(a).max() <= slope
    assert slope <= f.derivative(a).max() * 1.01
    assert f.derivative(a).max() <= size_of_slope <= f.derivative(a).max() * 1.01
    assert (
        (abs(np.diff(f.derivative(a))) / np.diff(a)).max()
        <= curvature
        <= 1.01 * max(abs(np.diff(f.derivative(a))) / np.diff(a))
    )


# --- it bounds rounding -----------------------------------------------------------------------------------------------


def in_some_order(rng, terms, dtype):
    """Add up in a random tree: any order that a library might choose."""
    values = [np.asarray(term, dtype) for term in terms]
    while len(values) > 1:
        i, j = sorted(rng.choice(len(values), 2, replace=False))
        values[i] = (values[i] + values[j]).astype(dtype)
        del values[j]
    return values[0]


@given(layers("float32"), st.integers(0, 2**32 - 1))
def test_the_allowance_bounds_what_float32_does_in_any_order(layer, seed):
    """Single weights, sums in random order, divided before or after: App. C against exact arithmetic."""
    rng = np.random.default_rng(seed)
    x, z, W = layer.x, layer.z, layer.W
    n = np.float32(len(x))
    bound = copi.copi_update(*(tracked(array) for array in (x, z, W))).allowance(FLOAT32)
    exact = naive.copi_update(*(exactly(array).tolist() for array in (x, z, W)))
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            if rng.random() < 0.5:
                terms = [z[s, i] * x[s, j] - W[i, j] * x[s, j] * x[s, j] for s in range(len(x))]
                found = in_some_order(rng, terms, np.float32) / n
            else:
                hebb = in_some_order(rng, [z[s, i] * (x[s, j] * (1 / n)) for s in range(len(x))], np.float32)
                power = in_some_order(rng, [x[s, j] * x[s, j] for s in range(len(x))], np.float32) * (1 / n)
                found = hebb - W[i, j] * power
            assert abs(Fraction(float(found)) - exact[i][j]) <= Fraction(float(bound[i, j]))


@given(layers("float32"), st.sampled_from(["left", "right", "symmetric"]), st.booleans())
def test_the_allowance_of_the_lateral_update_bounds_both_ways_to_form_it(layer, rule, product_first):
    x, R = layer.x, layer.R
    n = np.float32(len(x))
    bound = copi.decorrelation_update(tracked(x), tracked(R), rule).allowance(FLOAT32)
    exact = naive.decorrelation_update(exactly(x).tolist(), exactly(R).tolist(), rule)
    C, D = x.T @ x / n, np.diag((x * x).sum(axis=0) / n)
    left = (x.T @ (x @ R)) / n - D @ R if product_first else (C - np.diag(np.diag(C))) @ R
    right = ((x @ R.T).T @ x) / n - R @ D if product_first else R @ (C - np.diag(np.diag(C)))
    found = {"left": -left, "right": -right, "symmetric": -(left + left.T) / np.float32(2)}[rule]
    assert found.dtype == np.float32
    error = abs(exactly(found) - np.array(exact, dtype=object))
    assert (error <= exactly(bound)).all()


def test_a_coarse_format_allows_everything_and_says_so():
    x = tracked(np.ones((200, 2)))
    update = copi.sgd_update(x, x)  # 202 roundings of 2⁻⁸ each, twice
    assert np.isinf(update.allowance(PRECISIONS["bfloat16"])).all()
    assert np.isinf(relative_allowance(update, PRECISIONS["bfloat16"]))


# --- exact cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_exact_cases_are_exact_in_any_order_and_association(function, precision, rng):
    """What the certificate promises, by computing with numbers of that many bits in permuted orders."""
    chosen = PRECISIONS[precision]
    dtype = np.float64 if chosen.bits > 24 else np.float32
    for case in draw_cases(function, Conventions(), chosen, seed=5):
        if case.tier != EXACT:
            continue
        expected = function.expected(right_pieces(Conventions()), with_tracked(case.inputs), {})
        for quantity in expected.values():
            assert quantity.is_exact(chosen.bits)
            assert (chosen.representable(quantity.value) == quantity.value).all()
        if "z" in case.inputs and function.name == "copi_update":
            order = rng.permutation(len(case.inputs["x"]))
            x, z, W = (case.inputs[name].astype(dtype) for name in ("x", "z", "W"))
            found = z[order].T @ x[order] / dtype(len(x)) - W * np.diag(x.T @ x / dtype(len(x)))
            np.testing.assert_array_equal(found, expected["ΔW"].value)
        if "R" in case.inputs and function.name == "decorrelation_update":
            x, R = (case.inputs[name].astype(dtype) for name in ("x", "R"))
            C = x.T @ x / dtype(len(x))
            found = -R @ (C - np.diag(np.diag(C)))
            np.testing.assert_array_equal(found, expected["ΔR"].value)


def test_exact_cases_equal_exact_arithmetic():
    """Their float64 values are those of Fractions, by the naive loops."""
    for case in draw_cases(FUNCTIONS["step"], Conventions(), FLOAT32, seed=1):
        if case.tier != EXACT:
            continue
        given_ = case.inputs
        W, R = ([exactly(A).tolist() for A in given_[name]] for name in "WR")
        batch = (exactly(given_[name]).tolist() for name in ("y0", "target"))
        new_W, new_R = naive.step(W, R, *batch, Fraction(given_["eta_w"]), Fraction(given_["eta_r"]))
        found = FUNCTIONS["step"].expected(right_pieces(Conventions()), with_tracked(given_), {})
        for layer in range(len(W)):
            for letter, new, eta in (("W", new_W, "eta_w"), ("R", new_R, "eta_r")):
                update = found[f"Δ{letter} of layer {layer + 1}"].value
                after = exactly(given_[letter][layer]) + Fraction(given_[eta]) * exactly(update)
                assert after.tolist() == new[layer]


@pytest.mark.parametrize("slope", [0.1, 0.01, 0.3])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_slope_of_what_it_divides_is_exact_in_every_way_of_writing_it(precision, slope):
    """Pre-activations and errors below 0 are multiples of q, for a slope p/q: equality decides there too."""
    chosen, settings = PRECISIONS[precision], Conventions(slope=slope)
    in_format = chosen.representable
    s = in_format(np.asarray(float(slope)))
    below = dict.fromkeys(("forward", "perturbations", "step"), 0)
    for name in below:
        for case in draw_cases(FUNCTIONS[name], settings, chosen, seed=3):
            if case.tier != EXACT:
                continue
            found = FUNCTIONS[name].expected(right_pieces(settings), with_tracked(case.inputs), {})
            a_of = case.inputs.get("a") or [found[f"a of layer {at + 1}"].value for at in range(len(case.inputs["W"]))]
            for at, a in enumerate(a_of, start=1):
                negative = a < 0
                below[name] += negative.sum()
                exact = exactly(a[negative]) * Fraction(float(slope)).limit_denominator(1000)
                assert (exactly(in_format(s * a[negative])) == exact).all()
                assert (exactly(in_format(np.maximum(a, in_format(s * a)))[negative]) == exact).all()
                if f"δ of layer {at}" not in found:
                    continue
                delta = found[f"δ of layer {at}"].value[negative]
                error = np.rint(delta / float(slope))
                assert (exactly(delta) * 1 == exactly(error) * Fraction(float(slope)).limit_denominator(1000)).all()
                half = in_format(error / 2)  # the loss has the factor 2, before or after f′
                for product in (in_format(s * error), 2 * in_format(s * half), in_format(in_format(2 * s) * half)):
                    assert (product == delta).all()
    if chosen.limit is None and slope == 0.01:
        below.pop("step")  # a hundred, and its square, are too much for 11 bits: cases that need them are left out
    assert all(below.values()), below


def test_the_quantum_is_the_largest_power_of_two_that_divides_all():
    assert tracked(np.array([[4.0, 12.0, 0.0]])).quantum == 4
    assert tracked(np.array([[0.75, 3.0]])).quantum == 0.25
    assert tracked(np.array([[0.0]])).quantum == 1
    assert tracked(0.1).roundings == 1, "0.1 is rounded in every binary format"
    assert tracked(0.125).roundings == 0


def test_a_case_that_does_not_fit_the_bits_is_not_called_exact():
    big = tracked(np.full((4, 2), 4095.0))  # four products of nearly 2²⁴: their sum has 26 bits
    assert not copi.sgd_update(big, big).is_exact(24)
    assert copi.sgd_update(big, big).is_exact(26)
    small = tracked(np.full((4, 2), 3.0))
    assert copi.sgd_update(small, small).is_exact(24)
    assert not copi.leaky_relu(tracked(np.array([[-1.0]]))).is_exact(24), "a tenth is no binary fraction"


# --- cases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conventions", ALL_CONVENTIONS, ids=ids)
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_cases_are_sharp_and_away_from_kinks(function, precision, conventions):
    """Below 10⁻¹⁰ and 10⁻⁴ in each tier, for every quantity; deep, wide and long ones within what their kind says."""
    settings, chosen = Conventions(**conventions), PRECISIONS[precision]
    cases = draw_cases(function, settings, chosen, seed=0)
    assert {case.tier for case in cases} >= {"rounding"}
    looseness = {kind.name: kind.looseness for kind in kinds(function, chosen, settings)}
    assert set(looseness.values()) == {1, LOOSE, np.inf}
    sharpest = {}
    for case in cases:
        if function.name == "step":
            expected = function.expected(right_pieces(settings), with_tracked(case.inputs), {})
        else:  # from values before it that are right, as it is compared
            expected = as_compared(function, settings, chosen, case.inputs)
        if case.tier != EXACT:
            assert not undecided(expected, settings, chosen)
        misses = max(
            relative_allowance(quantity, chosen)
            for name, quantity in expected.items()
            if function.name != "step" or name.startswith("Δ")
        )
        assert misses <= chosen.limit * looseness[case.name]
        sharpest[case.tier] = min(misses, sharpest.get(case.tier, np.inf))
    assert max(sharpest.values()) <= chosen.limit
    if not settings.is_smooth or function.name not in ("perturbations", "step"):
        assert sum(case.tier == EXACT for case in cases) >= 1


def test_every_case_has_the_shapes_of_its_name_and_differing_dimensions():
    named = {case.name: case.inputs for case in draw_cases(FUNCTIONS["copi_update"], Conventions(), FLOAT32, seed=0)}
    assert named["one sample"]["x"].shape[0] == 1
    assert named["one unit"]["W"].shape[0] == 1
    assert (named["a dead input"]["x"] == 0).all(axis=0).any()
    assert np.linalg.matrix_rank(named["a rank-deficient batch"]["x"]) == 1
    assert abs(named["large inputs"]["x"]).max() > 2**18
    assert abs(named["tiny numbers"]["x"]).max() < 2**-38
    x, W = named["numbers of order 1"]["x"], named["numbers of order 1"]["W"]
    assert len({*x.shape, *W.shape}) == 3
    first, second = (named[name] for name in ("whole numbers", "whole numbers of the same shapes"))
    assert first["x"].shape == second["x"].shape
    assert (first["x"] != second["x"]).any()


def test_a_seed_gives_the_same_cases_and_another_seed_others():
    draw = draw_cases.__wrapped__  # what was kept would be the same in any case
    once, again, other = (draw(FUNCTIONS["step"], Conventions(), FLOAT32, seed) for seed in (3, 3, 4))
    for one, same in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.inputs["y0"], same.inputs["y0"])
    others = {case.name: case.inputs["y0"] for case in other}  # one or the other is left out with some seeds
    pairs = [(one.inputs["y0"], others[one.name]) for one in once if one.name in others]
    assert len(pairs) > len(once) / 2
    assert all(one.shape == different.shape for one, different in pairs)
    assert any((one != different).any() for one, different in pairs)


# --- the composition is Algorithm 1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
@pytest.mark.parametrize("credit", ["bp", "fa", "dfa"])
def test_the_composition_is_the_librarys_step_to_the_last_bit(credit, rule):
    settings = Conventions(credit=credit, lateral_rule=rule)
    recipe = copi.Recipe(eta_w=4, eta_r=8, credit=credit, lateral_rule=rule)
    for case in draw_cases(FUNCTIONS["step"], settings, PRECISIONS["float64"], seed=2):
        given_ = case.inputs
        found = whole_step(right_pieces(settings), given_, {})
        rng_state = dict(np.random.default_rng(0).bit_generator.state)
        memory = ((),) * len(given_["W"])
        state = copi.State(copi.Params(given_["W"], given_["R"]), memory, given_.get("B"), rng_state)
        after = copi.step(recipe, state, given_["y0"], given_["target"]).params
        for layer in range(len(given_["W"])):
            for letter, eta in (("W", 4), ("R", 8)):
                new = given_[letter][layer] + eta * found[f"Δ{letter} of layer {layer + 1}"]
                # The slope is 1/10 there and 0.1 here: one rounding; where nothing is below 0, the same bits.
                np.testing.assert_allclose(new, getattr(after, letter)[layer], rtol=1e-13, atol=1e-13)
                if case.tier == EXACT:
                    np.testing.assert_array_equal(new, getattr(after, letter)[layer])

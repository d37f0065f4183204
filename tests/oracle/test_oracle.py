"""What the oracle says: of right implementations, of each catalogued mistake, and of code that misbehaves."""

import dataclasses
import functools
import json
import types

import numpy as np
import pytest
from implementations import quietly, right, wrong
from mutants import plain
from test_oracle_rounding import ALL_CONVENTIONS, ids

import copi_ref as copi
from copi_ref import oracle
from copi_ref.arrays import backend
from copi_ref.oracle import FUNCTIONS, PRECISIONS, VARIANTS, Conventions, OracleError
from copi_ref.oracle.inputs.cases import draw_cases
from copi_ref.oracle.vectors.generate import MISTAKES_OF_V1

# The implementations below are written in NumPy, whatever COPI_REF_BACKEND says.
check = functools.partial(oracle.check, xp=np)


@pytest.fixture
def verdict_alone(monkeypatch):
    """Leave out the search for the mistake, nearly all of the time where there is one and it has no name."""
    monkeypatch.setattr("copi_ref.oracle.checks.named", lambda *_: None)


class Columns:
    """The same implementation with samples as columns."""

    def __init__(self, rows):
        self.rows = rows

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        function = getattr(self.rows, name)
        names = FUNCTIONS[name].arguments

        def turned(*arguments):
            flipped = [
                [one.T for one in value] if isinstance(value, list) and key in "xay" else value.T
                if key in ("x", "z", "delta", "y0", "target") else value
                for key, value in zip((*names, "B"), arguments, strict=False)
            ]  # fmt: skip
            result = function(*flipped)
            if name == "forward":
                return tuple([one.T for one in part] for part in result)
            return [one.T for one in result] if name == "perturbations" else result

        return turned


DEFAULTS = Conventions(), PRECISIONS["float64"], 0
"""Conventions, format and seed of `check`."""


def with_one(**functions):
    """An implementation that has these functions only."""
    return types.SimpleNamespace(**functions)


# --- right implementations --------------------------------------------------------------------------------------------


# Each of the conventions in one format at least; test_false_alarms.py draws both at random.
IN_FORMATS = [("float64", one) for one in ALL_CONVENTIONS] + [
    (precision, one) for at, precision in enumerate(("float32", "tf32", "float16")) for one in ALL_CONVENTIONS[at::3]
]


@pytest.mark.parametrize(
    ("precision", "conventions"), IN_FORMATS, ids=lambda one: one if isinstance(one, str) else ids(one)
)
def test_a_right_implementation_passes(precision, conventions):
    settings = Conventions(**conventions)
    implementation = right(settings)
    if settings.samples == "columns":
        implementation = Columns(implementation)
    report = check(implementation, conventions=settings, precision=precision)
    assert report.ok, report.summary()
    ran = {result.check for result in report.results}
    assert ran == set(FUNCTIONS)
    limit = PRECISIONS[precision].limit
    for result in report.results:
        if precision == "float16" and settings.error_scale == 1000 and result.check == "step":
            assert result.status == "not checked", "sums of δ leave the range of float16"
            continue
        assert result.cases > 0
        if limit is not None:
            assert result.catches <= limit


OTHER_LIBRARIES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "jax", "cupy")]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("library", OTHER_LIBRARIES)
def test_a_right_implementation_passes_in_other_libraries(library, precision):
    xp = backend.load_backend(library)
    if not hasattr(xp, PRECISIONS[precision].dtype):
        pytest.skip(f"{library} has no {PRECISIONS[precision].dtype}")
    if library == "jax" and precision not in ("float32", "bfloat16"):
        pytest.skip(
            "JAX compiles for every shape: two formats, the one that it has without being told, and the coarsest"
        )

    class Library:
        """The library's own functions, which take arrays of any library."""

        copi_update, sgd_update = staticmethod(copi.copi_update), staticmethod(copi.sgd_update)

        @staticmethod
        def decorrelation_update(x, R):
            return copi.decorrelation_update(x, R, "right")

        @staticmethod
        def forward(W, R, y0):
            trace = copi.forward(copi.Params(tuple(W), tuple(R)), y0)
            return trace.x, trace.a, trace.y

        @staticmethod
        def perturbations(W, R, x, a, y, target):
            return copi.backpropagation(copi.Params(tuple(W), tuple(R)), copi.Trace(x, a, y), copi.Task(target))

        @staticmethod
        def step(W, R, y0, target, eta_w, eta_r):
            recipe = copi.Recipe(eta_w=eta_w, eta_r=eta_r, lateral_rule="right")
            rng_state = dict(np.random.default_rng(0).bit_generator.state)
            state = copi.State(copi.Params(tuple(W), tuple(R)), ((),) * len(W), None, rng_state)
            after = copi.step(recipe, state, y0, target).params
            return after.W, after.R

    report = check(Library, precision=precision, xp=xp)
    assert report.ok, report.summary()
    assert report.library == library


class WithCutFactors:
    """Factors of matrix products cut to some bits: 11 as TF32 has them, 8 as bfloat16; sums in float32."""

    def __init__(self, bits):
        self.mask = np.uint32(2**32 - 2 ** (24 - bits))

    def product(self, A, B):
        cut = [(X.astype(np.float32).view(np.uint32) & self.mask).view(np.float32) for X in (A, B)]
        return (cut[0] @ cut[1]).astype(A.dtype)

    def copi_update(self, x, z, W):
        return self.product(z.T, x) / len(x) - W * (x * x).mean(axis=0)

    def sgd_update(self, x, delta):
        return self.product(delta.T, x) / len(x)

    def decorrelation_update(self, x, R):
        C = x.T @ x / len(x)
        return -self.product(R, C - np.diag(np.diag(C)))

    def forward(self, W, R, y0):
        x, a, y = [], [], [y0]
        for W_l, R_l in zip(W, R, strict=True):
            x.append(self.product(y[-1], R_l.T))
            a.append(self.product(x[-1], W_l.T))
            y.append(plain.f(a[-1]))
        return x, a, y[1:]

    def perturbations(self, W, R, x, a, y, target):
        deltas = [2 * plain.df(a[-1]) * (target - y[-1])]
        for at in range(len(W) - 1, 0, -1):
            deltas.insert(0, plain.df(a[at - 1]) * self.product(self.product(deltas[0], W[at]), R[at]))
        return deltas

    def step(self, W, R, y0, target, eta_w, eta_r):
        x, a, y = self.forward(W, R, y0)
        z = [a_l + delta for a_l, delta in zip(a, self.perturbations(W, R, x, a, y, target), strict=True)]
        layers = list(zip(W, R, x, z, strict=True))
        return (
            [W_l + eta_w * self.copi_update(x_l, z_l, W_l) for W_l, _, x_l, z_l in layers],
            [R_l + eta_r * self.decorrelation_update(x_l, R_l) for _, R_l, x_l, _ in layers],
        )


def test_tf32_products_pass_as_tf32_and_get_a_hint_as_float32():
    assert check(WithCutFactors(11), precision="tf32").ok
    report = check(WithCutFactors(11), precision="float32")
    assert report.variant == "precision-tf32"
    assert "Pass precision='tf32'" in report.diagnosis


@pytest.mark.usefixtures("verdict_alone")
@pytest.mark.parametrize("precision", ["tf32", "float16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_products_in_bfloat16_are_too_coarse_for_formats_of_11_bits(name, precision):
    for seed in range(3):
        coarse, fine = (with_one(**{name: getattr(WithCutFactors(bits), name)}) for bits in (8, 11))
        assert check(fine, precision=precision, seed=seed).ok
        assert not check(coarse, precision=precision, seed=seed).ok


def test_a_wrong_formula_is_caught_in_coarse_formats_by_the_exact_tier():
    """An error of 1/64 in all entries: what rounding may do in float16 comes near it."""
    for precision in ("tf32", "float16"):
        slightly = with_one(sgd_update=lambda x, delta: delta.T @ x / len(x) * x.dtype.type(1 + 1 / 64))
        report = check(slightly, precision=precision)
        assert next(result.status for result in report.results if result.check == "sgd_update") == "failed"


@pytest.mark.parametrize("seed", range(5))
def test_other_seeds_pass_too(seed):
    assert check(plain, seed=seed).raise_if_failed().ok


def test_without_xp_its_arrays_are_of_the_chosen_backend(monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "array_api_strict")
    report = oracle.check(with_one(sgd_update=copi.sgd_update))
    assert report.ok
    assert report.library == "array_api_strict"


def test_the_report_counts_what_ran_and_fits_one_screen():
    report = check(plain)
    assert report.counts == {"passed": len(report.results)}
    lines = report.summary().splitlines()
    assert lines[0] == "copi_ref: OK"
    assert len(lines) < 40
    assert max(map(len, lines)) <= 120
    assert report.diagnosis == "" == report.variant == report.reproducer


# --- mistakes ---------------------------------------------------------------------------------------------------------

# Under which conventions a mistake shows as itself: a slope of 0.2, as 0.1² is the 0.01 of PyTorch's default.
SHOWS = {
    "delta-slope-at-y": {"activation": "tanh"},
    "delta-slope-at-y-at-output": {"activation": "tanh"},
    "delta-slope-at-y-in-hidden": {"activation": "tanh"},
    "delta-slope-formula-at-a": {"activation": "tanh"},
    "lateral-only-transpose": {"lateral_rule": "symmetric"},
    "step-scale-before-decay": {"error_scale": 1000},
    "delta-error-scale-compounds": {"error_scale": 1000},
    "delta-R-after-feedback": {"credit": "fa"},
    "delta-R-after-direct-feedback": {"credit": "dfa"},
    "lateral-not-halved": {"lateral_rule": "symmetric"},
    # by `right` a row of ΔR = −R C_off is made of that row alone
    "step-R-rows-in-turn": {"lateral_rule": "left"},
    "step-R-rows-in-turn-backwards": {"lateral_rule": "left"},
    "step-only-samples-with-delta": {"slope": 0.25},
}
ALSO_A_CONVENTION = dict.fromkeys(("delta-linear-output", "forward-linear-output"), "output_activation='identity'")
"""Mistakes that are another choice: it is what they are reported as."""
LEVEL = {
    "weight": "copi_update", "sgd": "sgd_update", "lateral": "decorrelation_update", "forward": "forward",
    "delta": "perturbations", "step": "step",
}  # fmt: skip


# That no two are one, under all conventions, is in test_catalogue.py.
LATER = [
    name
    for name, variant in VARIANTS.items()
    if name not in MISTAKES_OF_V1 and wrong(variant, Conventions(slope=0.2)) is not None
]


# Some of them: that each of all shows, and is no other, is in test_catalogue.py, without the search.
SAMPLED = [*MISTAKES_OF_V1[::3], "forward-linear-output", *LATER[::40]]


@pytest.mark.parametrize("name", SAMPLED)
def test_each_catalogued_mistake_is_rejected_and_named(name):
    """As itself and not as another: so any two differ in at least one check."""
    conventions = Conventions(**{"slope": 0.2, **SHOWS.get(name, {})})
    implementation = wrong(VARIANTS[name], conventions)
    report = quietly(check, implementation, conventions=conventions, only=(LEVEL[name.partition("-")[0]],))
    assert not report.ok
    if name in ALSO_A_CONVENTION:
        assert report.variant == ALSO_A_CONVENTION[name], report.diagnosis
    elif name in MISTAKES_OF_V1:
        assert report.variant == name, report.diagnosis
        assert VARIANTS[name].says in report.summary().splitlines()[0]
    assert f"[{name}]" in report.diagnosis  # itself, or one that comes to the same with this activation


def test_the_catalogue_is_as_large_as_promised():
    assert len(VARIANTS) >= 30
    assert all(variant.name == name and variant.says for name, variant in VARIANTS.items())


# Of an equation, in a whole step: found there too, though a step shows only new weights. (Not all: y_L = a_L is no
# other step than one that compares a_L with the target.)
IN_A_STEP = [
    "weight-n-minus-1", "weight-decay-by-output", "lateral-diagonal", "lateral-R-transposed", "forward-R-transposed",
    "forward-no-R", "forward-a-from-y", "delta-over-n", "delta-no-R", "delta-no-slope-in-hidden", "delta-sign",
]  # fmt: skip


@pytest.mark.parametrize("name", IN_A_STEP)
def test_a_mistake_in_an_equation_is_named_in_a_step(name):
    conventions = Conventions(slope=0.2)
    report = quietly(check, wrong(VARIANTS[name], conventions), conventions=conventions, only=("step",))
    assert report.variant == name


@pytest.mark.parametrize(
    ("conventions", "mine", "says"),
    [
        ({}, {"lateral_rule": "left"}, "lateral_rule='left'"),
        ({"lateral_rule": "left"}, {"lateral_rule": "symmetric"}, "lateral_rule='symmetric'"),
        ({}, {"loss_factor": 1}, "loss_factor=1"),
        ({}, {"output": "pre-activation"}, "output='pre-activation'"),
        ({}, {"slope": 0.01}, "slope=0.01"),
        ({}, {"activation": "relu"}, "activation='relu'"),
        ({}, {"derivative_at_zero": 0.1}, "derivative_at_zero=0.1"),
        ({}, {"reduction": "sum"}, "reduction='sum'"),
        ({}, {"error_scale": 1000}, "error_scale=1000"),
        ({"credit": "fa"}, {"credit": "bp"}, "credit='bp'"),
        ({}, {"lateral_rule": "left", "loss_factor": 1}, "lateral_rule='left', loss_factor=1"),
    ],
)
def test_another_convention_is_recognised_in_a_step(conventions, mine, says):
    report = check(right(Conventions(**mine)), conventions=Conventions(**conventions), only=("step",))
    assert not report.ok
    assert report.variant == says
    assert "pass it in Conventions" in report.diagnosis


def test_another_slope_is_no_error_against_the_paper():
    """Its text gives none: PyTorch's .01 is another choice, and the report says whose the default is."""
    report = check(right(Conventions(slope=0.01)), only=("forward",))
    assert "matches slope=0.01 (COPI's text gives no slope; 0.1 is its experiments')" in report.diagnosis
    assert "as printed, slope 0.1" in report.summary()


def test_samples_on_the_other_axis_are_recognised():
    report = check(Columns(plain), only=("copi_update",))
    assert "matches samples='columns': pass it in Conventions" in report.diagnosis
    assert check(Columns(plain), conventions=Conventions(samples="columns")).ok
    assert "matches samples='rows'" in check(plain, conventions=Conventions(samples="columns")).diagnosis


def test_factors_are_fitted_where_no_variant_matches():
    report = check(with_one(copi_update=lambda x, z, W: 3 * z.T @ x / len(x) - W * (x * x).mean(axis=0)))
    assert report.variant == "weight-factors(3, 1)"
    assert "E[z xᵀ] has the factor 3" in report.diagnosis
    report = check(with_one(sgd_update=lambda x, delta: 0.7 * delta.T @ x / len(x)))
    assert report.variant == "sgd-factor(0.7)"


def test_what_matches_nothing_shows_its_worst_element():
    report = check(with_one(copi_update=lambda x, z, W: np.sin(z.T @ x)), only=("copi_update",))
    assert report.variant == ""
    assert "matches no catalogued variant; ΔW[" in report.summary().splitlines()[0]
    assert "times what rounding allows" in report.diagnosis


@pytest.mark.usefixtures("verdict_alone")
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_small_relative_error_is_caught(name, precision, error):
    """As large as the project promises, in one entry of the last result, on every function."""

    def slightly_off(*arguments):
        result = getattr(plain, name)(*arguments)
        last = result
        while isinstance(last, (tuple, list)):
            last = last[-1]
        largest = np.unravel_index(np.argmax(np.abs(last)), last.shape)
        if name == "step":  # of the update, not of the weight
            before = arguments[1][-1]
            last[largest] += error * np.abs(last - before).max()
        else:
            last[largest] *= 1 + error
        return result

    assert not check(with_one(**{name: slightly_off}), precision=precision).ok


def test_a_check_that_is_not_sharp_fails_itself(monkeypatch):
    """Cases are drawn sharp, so the bound is made stricter after they were drawn."""
    strict = dataclasses.replace(PRECISIONS["float64"], limit=1e-17)
    monkeypatch.setattr("copi_ref.oracle.inputs.cases.sharpness", lambda expected, precision: 0.0)
    monkeypatch.setitem(PRECISIONS, "float64", strict)
    report = check(plain, only=("copi_update",))
    assert [result.status for result in report.results] == ["failed", "failed"]
    assert "not sharp enough: would miss a relative error of" in report.diagnosis


# --- several steps ----------------------------------------------------------------------------------------------------


def with_states(change):
    """A step that also returns x, a, y and δ, changed at will; it counts its calls of one shape."""
    calls = []

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        states = {"x": x, "a": a, "y": y}
        if [w.shape for w in W] == [(5, 3), (2, 5)] and len(y0) == 7:
            calls.append(1)
            change(len(calls), states)
        deltas = plain.perturbations(W, R, states["x"], states["a"], states["y"], target)
        new_W = [
            w + eta_w * plain.copi_update(x_, a_ + d, w)
            for w, x_, a_, d in zip(W, states["x"], states["a"], deltas, strict=True)
        ]
        new_R = [r + eta_r * plain.decorrelation_update(x_, r) for r, x_ in zip(R, states["x"], strict=True)]
        return new_W, new_R, {**states, "delta": deltas}

    return with_one(step=step)


def calls_before_the_steps(name):
    """How many cases of a function have the shapes of the steps in a row."""
    drawn = [case.inputs for case in draw_cases(FUNCTIONS[name], Conventions(), PRECISIONS["float64"], 0)]
    return sum([w.shape for w in one["W"]] == [(5, 3), (2, 5)] and len(one["y0"]) == 7 for one in drawn)


def test_the_first_divergent_quantity_of_several_steps_is_named():
    second = calls_before_the_steps("step") + 2

    def later(call, states):
        if call == second:
            states["x"][1] = states["x"][1] * 1.5

    report = check(with_states(later))
    assert [result.tier for result in report.results if result.status == "failed"] == ["steps"]
    assert "x of layer 2 at step 2" in report.diagnosis


def test_states_that_a_step_returns_are_checked_each_from_its_own_upstream():
    def always(call, states):
        states["a"][0] = states["a"][0] + 0.5

    report = check(with_states(always))
    assert not report.ok
    assert "a of layer 1[" in report.summary()


def test_steps_are_checked_through_forward_where_it_is_there():
    seen, second = [], calls_before_the_steps("forward") + 2

    def forward(W, R, y0):
        x, a, y = plain.forward(W, R, y0)
        if [w.shape for w in W] == [(5, 3), (2, 5)] and len(y0) == 7:
            seen.append(1)
            if len(seen) == second:
                a[1] = a[1] + 1
        return x, a, y

    report = check(with_one(forward=forward, step=plain.step))
    assert "a of layer 2 at step" in report.diagnosis


class Wordless(Exception):
    """An error that can't be printed."""

    def __str__(self):
        raise RuntimeError


# --- state, mutation, and results that are none -----------------------------------------------------------------------


def test_what_is_kept_from_the_first_call_is_named():
    first = []

    def copi_update(x, z, W):
        if not first or first[0].shape != W.shape:
            first[:] = [W]
        return plain.copi_update(x, z, first[0])

    report = check(with_one(copi_update=copi_update))
    assert report.variant == "state-leak"
    assert "W of an earlier call is used" in report.diagnosis


def test_memory_that_is_used_again_is_named():
    buffers = {}

    def copi_update(x, z, W):
        buffer = buffers.setdefault(W.shape, np.empty_like(W))
        buffer[...] = plain.copi_update(x, z, W)
        return buffer

    report = check(with_one(copi_update=copi_update))
    assert report.variant == "state-leak"
    assert "a later call overwrites what an earlier returned" in report.diagnosis


def test_layers_that_share_memory_are_seen():
    """Square layers: a buffer for each shape is one for all of them."""
    buffers = {}

    def forward(W, R, y0):
        x, a, y = plain.forward(W, R, y0)
        for layer, array in enumerate(a):
            buffer = buffers.setdefault(array.shape, np.empty_like(array))
            buffer[...] = array
            a[layer] = buffer
        return x, [*a], y

    assert not check(with_one(forward=forward)).ok


def square_layers_transposed(x, z, W):
    return plain.copi_update(x, z, W).T if W.shape[0] == W.shape[1] else None


def layout_guessed(x, z, W):
    return plain.copi_update(x.T, z.T, W) if len(x) == W.shape[1] == W.shape[0] else None


def more_units_than_inputs(x, z, W):
    return plain.copi_update(x, z, W) * (np.arange(len(W)) < W.shape[1])[:, None]


def fewer_samples_than_inputs(x, z, W):
    return 0 * W if 1 < len(x) < W.shape[1] else None


def one_input(x, z, W):
    return 0 * W if W.shape[1] == 1 else None


def memory_in_c_order(x, z, W):
    """As code that hands pointers to C would: it reads the memory of x row by row."""
    return plain.copi_update(x.ravel("K").reshape(x.shape), z, W)


@pytest.mark.parametrize(
    "wrong",
    [
        square_layers_transposed, layout_guessed, more_units_than_inputs, fewer_samples_than_inputs, one_input,
        memory_in_c_order,
    ],
)  # fmt: skip
def test_a_mistake_for_some_shapes_only_is_caught(wrong):
    def copi_update(x, z, W):
        found = wrong(x, z, W)
        return plain.copi_update(x, z, W) if found is None else found

    assert not check(with_one(copi_update=copi_update)).ok


@pytest.mark.parametrize("precision", ["float64", "float32", "tf32", "float16"])
def test_inputs_that_lose_their_sign_are_caught(precision):
    def step(W, R, y0, target, eta_w, eta_r):
        return plain.step(W, R, np.abs(y0), target, eta_w, eta_r)

    report = check(with_one(step=step), precision=precision)
    assert not report.ok
    assert "precision" not in report.diagnosis


@pytest.mark.parametrize("bound", [-2, -20])
def test_activations_that_are_cut_are_caught(bound):
    def forward(W, R, y0):
        x, a, _ = plain.forward(W, R, y0)
        return x, a, [plain.f(np.maximum(one, bound)) for one in a]

    assert not check(with_one(forward=forward)).ok


def test_a_known_failure_of_forward_can_be_expected_alone():
    def forward(W, R, y0):
        x, a, _ = plain.forward(W, R, y0)
        return x, a, a

    wrong = with_one(forward=forward, step=plain.step)
    assert check(wrong, expected_failures={"forward": "known"}).ok
    assert check(wrong, only=("step",)).ok


@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "identity", "tanh"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_fused_path_to_y_is_right(activation, precision):
    """y = f((W R) y) beside a = W (R y): two evaluations of a, that differ by rounding."""
    f = copi.ACTIVATIONS[activation]

    def forward(W, R, y0):
        x, a, y, now = [], [], [], y0
        for W_l, R_l in zip(W, R, strict=True):
            x.append(now @ R_l.T)
            a.append(x[-1] @ W_l.T)
            now = f(now @ (W_l @ R_l).T)
            y.append(now)
        return x, a, y

    for seed in range(5):
        report = check(
            with_one(forward=forward), conventions=Conventions(activation=activation), precision=precision, seed=seed
        )
        assert report.ok, report.summary()


@pytest.mark.parametrize("conventions", [{}, {"reduction": "sum", "error_scale": 1000}], ids=ids)
def test_float16_is_not_asked_for_what_it_can_not_hold(conventions):
    """Over many draws: inputs are numbers of the format, and no sum leaves its range."""
    settings = Conventions(**conventions)
    report = check(right(settings), conventions=settings, precision="float16")
    assert report.ok, report.summary()
    # Where no step fits the format, to look for one is all that takes long.
    fit = tuple(result.check for result in report.results if result.status != "not checked")
    assert {*FUNCTIONS} - {*fit} == ({"step"} if conventions else set())
    for seed in range(1, 6):
        report = check(right(settings), conventions=settings, precision="float16", seed=seed, only=fit)
        assert report.ok, report.summary()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_are_numbers_of_the_format(precision):
    chosen = PRECISIONS[precision]
    for function in FUNCTIONS.values():
        for case in draw_cases(function, Conventions(), chosen, seed=38):
            for value in case.inputs.values():
                for array in value if isinstance(value, tuple) else (value,):
                    np.testing.assert_array_equal(chosen.representable(np.asarray(array)), array)


def test_a_running_mean_across_calls_is_named():
    power = {}

    def copi_update(x, z, W):
        now = (x * x).mean(axis=0)
        power[now.shape] = now if now.shape not in power else 0.9 * power[now.shape] + 0.1 * now
        return z.T @ x / len(x) - W * power[now.shape]

    report = check(with_one(copi_update=copi_update))
    assert not report.ok
    assert report.variant == "state-leak"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x, z, W: 1 / 0, "raised ZeroDivisionError: division by zero (test_oracle.py, line"),
        (lambda x, z, W: (_ for _ in ()).throw(SystemExit(3)), "raised SystemExit: 3"),
        (lambda x, z, W: None, "returned None for ΔW: needs an array of shape (2, 3)"),
        (lambda x, z, W: W.tolist(), "returned a list for ΔW: needs an array of shape (2, 3), of numpy"),
        (lambda x, z, W: 1.5, "returned a float for ΔW"),
        (lambda x, z, W: "text", "returned a str for ΔW"),
        (lambda x, z, W: plain.copi_update(x, z, W).T, "of shape (3, 2): needs (2, 3); that is the transpose"),
        (lambda x, z, W: plain.copi_update(x, z, W)[:1], "returned ΔW of shape (1, 3): needs (2, 3)"),
        (lambda x, z, W: plain.copi_update(x, z, W).astype("float32"), "ΔW as float32: its arguments were float64"),
        (lambda x, z, W: W.astype(int), "returned ΔW as int64: its arguments were float64"),
        (lambda x, z, W: W.astype(object), "returned ΔW as object"),
        (lambda x, z, W: W * np.nan, "returned nan in ΔW[0, 0], from finite arguments"),
        (lambda x, z, W: W * 0 + np.inf, "returned inf in ΔW[0, 0]"),
        (lambda x, z: x, "raised TypeError"),
        (lambda x, z, W: pytest.skip("not today"), "raised Skipped: not today"),
        (lambda x, z, W: (_ for _ in ()).throw(Wordless()), "raised Wordless: (no text)"),
        (lambda x, z, W: np.ma.array(W, mask=True), "returned a MaskedArray for ΔW: needs a plain array"),
        (lambda x, z, W: W.view(np.matrix), "returned a matrix for ΔW: needs a plain array"),
    ],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_result_gets_a_verdict(function, says):
    report = check(with_one(copi_update=function))
    assert not report.ok
    assert says in report.diagnosis
    assert report.variant == "verdict"


@pytest.mark.parametrize("name", ["x", "z", "W"])
def test_changing_an_argument_in_place_is_a_failure(name):
    def copi_update(x, z, W):
        result = plain.copi_update(x, z, W)
        locals()[name][0, 0] += 1
        return result

    report = check(with_one(copi_update=copi_update))
    assert f"changes its argument {name} in place" in report.diagnosis


def test_updating_the_weights_in_place_is_a_failure():
    def step(W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        for old, new in zip(W, new_W, strict=True):
            old[...] = new
        return W, new_R

    assert "changes its argument W of layer 1 in place" in check(with_one(step=step)).diagnosis


def test_who_writes_into_arguments_spoils_no_later_check():
    """Inputs are drawn once for the same conventions."""

    def copi_update(x, z, W):
        found = plain.copi_update(x, z, W)
        for array in (x, z, W):
            array[...] = 0
        return found

    before = [case.inputs["x"].copy() for case in draw_cases(FUNCTIONS["copi_update"], *DEFAULTS)]
    assert "in place" in check(with_one(copi_update=copi_update)).diagnosis
    kept = draw_cases(FUNCTIONS["copi_update"], *DEFAULTS)
    assert kept is draw_cases(FUNCTIONS["copi_update"], *DEFAULTS)
    for x, case in zip(before, kept, strict=True):
        np.testing.assert_array_equal(case.inputs["x"], x)
    assert check(with_one(copi_update=plain.copi_update)).ok


def test_changing_a_list_of_weights_is_a_failure():
    def step(W, R, y0, target, eta_w, eta_r):
        result = plain.step(W, R, y0, target, eta_w, eta_r)
        W.append(W[0])
        return result

    assert "changes its argument W: the list had 1 entries" in check(with_one(step=step)).diagnosis


@pytest.mark.parametrize(
    ("name", "function", "says"),
    [
        ("forward", lambda W, R, y0: y0, "forward returned a ndarray: needs (x, a, y)"),
        ("forward", lambda W, R, y0: plain.forward(W, R, y0)[:2], "forward returned 2 things: needs 3, (x, a, y)"),
        ("forward", lambda W, R, y0: [*plain.forward(W, R, y0)[:2], []], "y is 0 things: needs 1, one array per layer"),
        ("perturbations", lambda *a: plain.perturbations(*a)[0], "δ is a ndarray: needs one array per layer"),
        ("step", lambda *a: plain.step(*a)[0], "step returned 1 things: needs 2, (W, R)"),
        ("step", lambda *a: (plain.step(*a)[0], None), "R is a NoneType: needs one array per layer"),
    ],
)
def test_what_has_another_structure_gets_a_verdict(name, function, says):
    assert says in check(with_one(**{name: function})).diagnosis


@pytest.mark.parametrize("number", [1.7e308, 1e200, 1e-320])
@pytest.mark.parametrize("activation", ["leaky_relu", "tanh"])
def test_numbers_at_the_end_of_the_range_get_a_verdict(number, activation):
    """What follows from them overflows in the reference itself."""

    def everywhere(name):
        def function(*arguments):
            return as_number(getattr(plain, name)(*arguments))

        return function

    def as_number(result):
        if isinstance(result, (tuple, list)):
            return [as_number(one) for one in result]
        return np.full_like(result, number)

    settings = Conventions(activation=activation)
    for name in FUNCTIONS:
        report = check(with_one(**{name: everywhere(name)}), conventions=settings)
        assert not report.ok
        assert report.diagnosis.startswith(name)


def test_an_object_that_pretends_to_be_an_array_gets_a_verdict():
    class Pretender:
        dtype = np.dtype("float64")

        @property
        def shape(self):
            raise RuntimeError("no shape today")

        def __array_namespace__(self, api_version=None):
            return backend.load_backend("numpy")

    report = check(with_one(copi_update=lambda x, z, W: Pretender()))
    assert "that can't be read" in report.diagnosis


def test_an_attribute_that_raises_counts_as_not_implemented():
    class Rude:
        sgd_update = staticmethod(plain.sgd_update)

        @property
        def copi_update(self):
            raise RuntimeError("not today")

    statuses = {result.check: result.status for result in check(Rude()).results}
    assert statuses["copi_update"] == "not implemented"
    assert statuses["sgd_update"] == "passed"


@pytest.mark.needs("torch")
def test_arrays_of_another_library_get_a_verdict():
    import torch

    report = check(with_one(copi_update=lambda x, z, W: torch.asarray(plain.copi_update(x, z, W))))
    assert "returned a torch array for ΔW: arrays of numpy came in" in report.diagnosis


@pytest.mark.needs("torch")
def test_tensors_that_need_a_gradient_are_read():
    import torch

    def copi_update(x, z, W):
        W = W.clone().requires_grad_()
        return z.mT @ x / len(x) - W * (x * x).mean(0)

    assert check(with_one(copi_update=copi_update), xp=torch).ok


# --- not implemented, asked for, expected -----------------------------------------------------------------------------


def test_what_is_missing_is_not_implemented_and_never_passed():
    report = check(with_one(sgd_update=plain.sgd_update))
    assert report.ok
    assert report.counts == {"not implemented": 5, "passed": 2}
    empty = check(object())
    assert not empty.ok
    assert empty.diagnosis == "nothing was checked: the implementation has none of the functions"


def test_a_function_that_is_there_and_has_no_case_is_not_called_missing():
    report = check(with_one(copi_update=plain.copi_update), conventions=Conventions(weight_rule="sgd"))
    assert not report.ok
    assert report.diagnosis == "nothing was checked: float64 and these conventions have no case of copi_update"


def test_what_was_asked_for_has_to_be_there():
    report = check(with_one(sgd_update=plain.sgd_update), only=("sgd_update", "step"))
    assert not report.ok
    assert report.diagnosis == "asked for, but did not run: step (not implemented)"
    with pytest.raises(OracleError, match="asked for, but did not run: step"):
        report.raise_if_failed()


@pytest.mark.needs("torch")
def test_what_can_not_be_checked_in_a_coarse_format_says_so():
    import torch

    settings = {"conventions": Conventions(error_scale=1000), "precision": "bfloat16", "xp": torch}
    report = check(
        with_one(step=lambda *arguments: None, sgd_update=lambda x, delta: delta.mT @ x / len(x)), **settings
    )
    assert report.counts == {"not implemented": 4, "passed": 2, "not checked": 1}
    assert "step                            not checked" in report.summary()
    assert not check(with_one(step=lambda *arguments: None), only=("step",), **settings).ok


@pytest.mark.needs("torch")
@pytest.mark.parametrize("device", ["cpu", None])
def test_a_device_may_be_named(device):
    import torch

    assert check(with_one(sgd_update=lambda x, delta: delta.mT @ x / len(x)), xp=torch, device=device).ok


def test_inputs_that_are_left_out_are_counted():
    """Badly scaled inputs are too coarse for ΔR in float32 with some seeds: the check would not be sharp there."""
    left_out = [check(plain, precision="float32", only=("decorrelation_update",), seed=s).results[1] for s in range(4)]
    assert {result.skipped + result.cases for result in left_out} == {7}
    assert any(result.skipped for result in left_out)


def test_expected_failures():
    broken = with_one(copi_update=lambda x, z, W: 0 * W, sgd_update=plain.sgd_update)
    report = check(broken, expected_failures={"copi_update": "rewritten next week"})
    assert report.ok
    assert report.counts["expected failure"] == 2
    assert "rewritten next week (" in report.results[0].diagnosis


def test_an_expected_failure_that_passes_fails():
    report = check(plain, expected_failures={"sgd_update": "rewritten next week"}, only=("sgd_update",))
    assert not report.ok
    assert "was expected to fail (rewritten next week), but passes" in report.diagnosis


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"precision": "float8"}, ValueError, "precision is 'float8': choose one of 'float64'"),
        ({"only": "step"}, TypeError, "only is 'step': needs a tuple of names"),
        ({"only": None}, TypeError, "only is None: needs a tuple of names"),
        ({"only": iter(("step",))}, TypeError, "only is <tuple_.*: needs a tuple of names"),
        ({"only": ("stepp",)}, ValueError, "a function's name in only is 'stepp': choose one of 'copi_update'"),
        ({"expected_failures": ("step",)}, TypeError, "expected_failures is .*: needs a dict of reasons"),
        ({"expected_failures": 0}, TypeError, "expected_failures is 0: needs a dict of reasons"),
        ({"conventions": None}, TypeError, "conventions is None: needs copi_ref.oracle.Conventions or"),
        ({"seed": None}, TypeError, "seed is None: needs a whole number"),
        ({"expected_failures": {"copi": "x"}}, ValueError, "'copi': choose one of"),
        ({"expected_failures": {"step": ""}}, ValueError, "needs the reason"),
        ({"conventions": {"slope": 1}}, TypeError, "needs copi_ref.oracle.Conventions or InferenceConventions"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"xp": "numpy"}, TypeError, "xp is 'numpy'"),
        ({"precision": "bfloat16"}, copi.BackendError, "has no bfloat16"),
    ],
)
def test_wrong_settings_raise(settings, error, says):
    with pytest.raises(error, match=says):
        check(plain, **settings)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"samples": "lines"}, ValueError, "samples is 'lines': choose one of 'rows', 'columns'"),
        ({"lateral_rule": "up"}, ValueError, "lateral_rule"),
        ({"slope": "steep"}, TypeError, "slope is 'steep'"),
        ({"loss_factor": float("nan")}, ValueError, "loss_factor"),
        ({"assumes_symmetric_R": 1}, TypeError, "assumes_symmetric_R is 1"),
    ],
)
def test_wrong_conventions_raise(settings, error, says):
    with pytest.raises(error, match=says):
        Conventions(**settings)


# --- reports ----------------------------------------------------------------------------------------------------------


def diagonal_left_in(x, R):
    return -R @ (x.T @ x / len(x))


def test_a_failed_report_fits_one_screen_and_names_the_element():
    broken = with_one(**{**vars(plain), "decorrelation_update": diagonal_left_in})
    report = check(broken)
    lines = report.summary().splitlines()
    assert lines[0].startswith("copi_ref: FAILED: decorrelation_update: [lateral-diagonal] the diagonal of E[x xᵀ]")
    assert len(lines) <= 40
    assert "expected" in report.summary()
    assert "times what rounding allows" in report.summary()


def test_the_reproducer_reproduces():
    report = check(with_one(decorrelation_update=diagonal_left_in))
    printed = []
    names = {"implementation": with_one(decorrelation_update=diagonal_left_in), "print": printed.append}
    exec(report.reproducer, names)
    (result,) = printed
    last = report.reproducer.splitlines()[-1]
    row, column = json.loads(last[last.index("[") : last.index("]") + 1])
    expected = float(last.partition("has to be ")[2].partition(":")[0])
    assert result[row, column] != expected
    assert plain.decorrelation_update(names["x"], names["R"])[row, column] == expected


def test_the_reproducer_of_a_step_has_everything(capsys):
    report = check(right(Conventions(slope=0.3)), only=("step",))
    exec(report.reproducer, {"implementation": plain})
    assert "array" in capsys.readouterr().out


def test_a_report_as_a_dict_is_json():
    report = check(with_one(decorrelation_update=diagonal_left_in))
    plain_data = json.loads(json.dumps(report.as_dict()))
    assert plain_data["ok"] is False
    assert plain_data["variant"] == "lateral-diagonal"
    assert plain_data["results"][2]["check"] == "decorrelation_update"
    assert plain_data["conventions"]["lateral_rule"] == "right"


def test_raise_if_failed_shows_the_report():
    with pytest.raises(OracleError, match="lateral-diagonal"):
        check(with_one(decorrelation_update=diagonal_left_in)).raise_if_failed()


def test_the_public_names_exist():
    assert all(hasattr(oracle, name) for name in oracle.__all__)


def test_one_screen_for_every_mistake_of_a_step():
    for name in ("step-updated-on-the-way", "forward-no-R"):
        report = check(wrong(VARIANTS[name], Conventions()))
        assert len(report.summary().splitlines()) <= 45

"""The lateral rules of the follow-up papers in the oracle: what it expects, passes, rejects, names and suggests."""

import shlex
import sys
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import array_api_compat
import lateral_implementations as written
import naive
import numpy as np
import pytest
from mutants import plain
from mutants.mutant import plain as made_plain

import copi_ref as copi
from copi_ref.cli.main import main
from copi_ref.oracle import FUNCTIONS, PRECISIONS, VARIANTS, Conventions, check
from copi_ref.oracle.calling.program import Program
from copi_ref.oracle.contract.pieces import lateral_change, right_pieces
from copi_ref.oracle.inputs.cases import draw_cases, with_tracked
from copi_ref.oracle.naming.catalogue.parts_of_batch import PARTIAL_VARIANTS
from copi_ref.oracle.naming.catalogue.whitening import WHITENING_VARIANTS
from copi_ref.oracle.report.explain import explain
from copi_ref.oracle.rounding import TrackedNamespace as tracked_xp
from copi_ref.oracle.rounding import tracked

WHITENING = {
    "whitening": copi.Whitening,
    "whitening-normalized": copi.NormalizedWhitening,
    "whitening-triangular": copi.TriangularWhitening,
    "whitening-rows": copi.RowWhitening,
}
relu = made_plain("relu")
BOTH = pytest.mark.parametrize("precision", ["float64", "float32"])


GAINED_BY_NORMS = Conventions(lateral_rule="kept-diagonal", lateral_gain="norms")


def by_pieces(conventions, changed=lambda pieces: pieces):
    """An implementation made of pieces, right or changed."""
    pieces = changed(right_pieces(conventions))

    class OfPieces:
        def decorrelation_update(self, x, R, *more):
            names = FUNCTIONS["decorrelation_update"].of_lateral_rule
            wanted = [name for name in names if (name == "indices") == conventions.subsampled]
            given = dict(zip(wanted if more else (), more, strict=True))
            return np.asarray(lateral_change(pieces, given, x, R, given.get("y"), given.get("indices")))

        def step(self, W, R, y0, target, eta_w, eta_r, indices=None):
            inputs = {"W": W, "R": R, "y0": y0, "target": target, "eta_w": eta_w, "eta_r": eta_r}
            found = pieces.step(pieces, inputs if indices is None else inputs | {"indices": indices}, {})
            return (
                [A + eta_w * found[f"ΔW of layer {at + 1}"] for at, A in enumerate(W)],
                [A + eta_r * found[f"ΔR of layer {at + 1}"] for at, A in enumerate(R)],
            )

    return OfPieces()


def quiet(implementation, conventions, only, **settings):
    with np.errstate(all="ignore"):
        return check(implementation, conventions=conventions, only=(only,), xp=np, **settings)


# --- what is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", WHITENING)
@pytest.mark.parametrize("kappa", [0.25, 0.3])
def test_whitening_is_that_of_the_loops_and_the_librarys_to_the_last_bit(rule, kappa, rng):
    x, R = rng.normal(size=(7, 5)), rng.normal(size=(5, 5))
    conventions = Conventions(lateral_rule=rule, kappa=kappa)
    found = right_pieces(conventions).lateral(x, R)
    np.testing.assert_allclose(found, naive.WHITENING[rule](x.tolist(), R.tolist(), kappa), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(found, WHITENING[rule](kappa)(x, R))
    expected = right_pieces(conventions).lateral(**with_tracked({"x": x, "R": R}))
    of_library = WHITENING[rule](kappa)(**with_tracked({"x": x, "R": R}))
    np.testing.assert_array_equal(expected.value, of_library.value)
    # 1 − κ may be computed in the format under test: it counts as a sum.
    assert 0 <= expected.roundings - of_library.roundings <= 3
    assert np.all(expected.magnitude >= of_library.magnitude)
    assert np.all(expected.magnitude <= 2 * of_library.magnitude)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_kept_diagonal_is_that_of_the_loops_and_the_librarys(share, rng):
    x, R = rng.normal(size=(21, 5)), rng.normal(size=(5, 5))
    found = right_pieces(Conventions(lateral_rule="kept-diagonal", share=share)).lateral(x, R)
    np.testing.assert_allclose(found, naive.kept_diagonal_update(x.tolist(), R.tolist(), share), rtol=1e-12)
    np.testing.assert_array_equal(found, copi.KeptDiagonal(share)(x, R))


def test_with_a_gain_R_moves_as_in_a_step_of_the_library(rng):
    """g R − R − η g R C, by hand; and as `copi_ref.step` does it."""
    x, y, R, eta = rng.normal(size=(21, 5)), rng.normal(size=(21, 5)), rng.normal(size=(5, 5)), 0.5
    conventions = Conventions(lateral_rule="kept-diagonal", lateral_gain="norms")
    found = lateral_change(right_pieces(conventions), {"eta_r": eta}, x, R, y, None)
    g = sum(np.linalg.norm(y[n]) / np.sqrt(x[n] @ x[n] + 1e-8) for n in range(3)) / 3
    C = sum(np.outer(x[n], x[n]) for n in range(3)) / 3
    np.testing.assert_allclose(found, g * R - R - eta * g * R @ C, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("conventions", "of_recipe"),
    [
        ({"lateral_rule": "whitening", "kappa": 0.25}, {"lateral_rule": copi.Whitening(0.25)}),
        ({"lateral_rule": "kept-diagonal"}, {"lateral_rule": "kept-diagonal"}),
        (
            {"lateral_rule": "kept-diagonal", "lateral_gain": "norms"},
            {"lateral_rule": "kept-diagonal", "lateral_gain": "norms"},
        ),
    ],
    ids=str,
)
@BOTH
def test_steps_of_the_library_pass(conventions, of_recipe, precision):
    class OfTheLibrary:
        def step(self, W, R, y0, target, eta_w, eta_r):
            recipe = copi.Recipe(eta_w=eta_w, eta_r=eta_r, loss=copi.quadratic, dtype=precision, **of_recipe)
            sizes = (W[0].shape[1], *map(len, W))
            state = copi.init_state(recipe, sizes, np.random.default_rng(0), array_api_compat.array_namespace(y0))
            state = replace(state, params=copi.Params(tuple(W), tuple(R)))
            after = copi.step(recipe, state, y0, target)
            return after.params.W, after.params.R

    quiet(OfTheLibrary(), Conventions(**conventions), "step", precision=precision).raise_if_failed()


def _styles():
    for rule, updates in written.RULES.items():
        for update in updates:
            yield pytest.param(rule, update, id=update.__name__)


@pytest.mark.parametrize(("rule", "update"), [*_styles()])
@BOTH
def test_right_code_in_several_styles_passes(rule, update, precision):
    field, numbers = ("share", (0.1, 0.5)) if rule == "kept-diagonal" else ("kappa", (0.25, 0.9))
    number = numbers[precision == "float32"]
    conventions = Conventions(lateral_rule=rule, **{field: number})
    mine = written.Rule(plain, update, number)
    only = ("decorrelation_update",) if update is written.columns_by_weight else ("decorrelation_update", "step")
    check(mine, conventions=conventions, precision=precision, only=only).raise_if_failed()


@pytest.mark.parametrize("gain", written.GAINS, ids=lambda gain: gain.__name__)
@pytest.mark.parametrize("regained", written.REGAINED, ids=lambda regained: regained.__name__)
@BOTH
def test_right_gains_in_several_styles_pass(gain, regained, precision):
    share = 0.5 if gain is written.gain_by_roots else 0.1
    conventions = Conventions(lateral_rule="kept-diagonal", lateral_gain="norms", share=share)
    mine = written.Rule(plain, written.kept_by_matrices, share, gain, regained)
    only = ("decorrelation_update", "step")
    check(mine, conventions=conventions, precision=precision, only=only).raise_if_failed()


def test_right_gains_pass_with_outputs_near_0():
    """Norms of tanh(0) are not sharp: such cases are left out, and right code is not rejected for it."""
    conventions = Conventions(lateral_rule="kept-diagonal", lateral_gain="norms", share=1, activation="tanh")
    mine = written.Rule(made_plain("tanh"), written.kept_by_samples, 1, written.gain_by_loop)
    check(mine, conventions=conventions, precision="float32", only=("step",)).raise_if_failed()


def test_a_gain_of_zeros_is_not_judged():
    """Of a dead batch it is 0, or 1 as in the library: with a ReLU, samples die."""

    def gain(y, x, share):
        found = written.gain_by_norms(y, x, share)
        return found if found else 7.0

    conventions = Conventions(lateral_rule="kept-diagonal", lateral_gain="norms", activation="relu")
    mine = written.Rule(relu, written.kept_by_matrices, 0.1, gain)
    check(mine, conventions=conventions, only=("step",)).raise_if_failed()


SAMPLES = {
    "index": lambda x, indices: x[indices],
    "one by one": lambda x, indices: np.stack([x[int(at)] for at in indices]),
    "as a product": lambda x, indices: np.eye(len(x), dtype=x.dtype)[indices] @ x,
}


@pytest.mark.parametrize("samples", SAMPLES)
@BOTH
def test_right_code_on_samples_that_are_drawn_passes(samples, precision):
    for share in (0.1, 0.5):
        conventions = Conventions(lateral_rule="whitening", kappa=0.25, subsampled=True, share=share)
        mine = written.Rule(plain, written.columns_by_broadcast, 0.25, samples=SAMPLES[samples])
        only = ("decorrelation_update", "step")
        check(mine, conventions=conventions, precision=precision, only=only).raise_if_failed()


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("conventions", "update", "gain"),
    [
        (Conventions(lateral_rule="whitening", kappa=0.1, subsampled=True), written.columns_by_matrices, None),
        (Conventions(lateral_rule="whitening-triangular", kappa=0.1), written.triangular_by_rows, None),
        (GAINED_BY_NORMS, written.kept_transposed, written.gain_by_norms),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_right_code_in_torch_passes(conventions, update, gain):
    import torch

    mine = written.Rule(plain, update, 0.1, gain)
    for precision in ("float64", "float32"):
        check(
            mine, conventions=conventions, precision=precision, only=("decorrelation_update",), xp=torch
        ).raise_if_failed()


class BesideOthers:
    """A classifier with R, biases and feedback weights, whose R whitens by samples that are drawn."""

    def __init__(self, kappa):
        self.kappa = kappa

    def forward(self, W, R, y0, b):
        x, a, y = [], [], [y0]
        for W_l, R_l, b_l in zip(W, R, b, strict=True):
            x.append(y[-1] @ R_l.T)
            a.append(x[-1] @ W_l.T + b_l)
            y.append(np.maximum(a[-1], 0))
        return x, a, [*y[1:-1], a[-1]]

    def perturbations(self, W, R, x, a, y, target, B, b):
        e = np.exp(y[-1] - y[-1].max(axis=1, keepdims=True))
        deltas = [target - e / e.sum(axis=1, keepdims=True)]
        for B_l, a_l in zip(B[::-1], a[-2::-1], strict=True):
            deltas.insert(0, (deltas[0] @ B_l.T) * (a_l > 0))
        return deltas

    def step(self, W, R, y0, target, eta_w, eta_r, B, b, indices):
        x, a, y = self.forward(W, R, y0, b)
        deltas = self.perturbations(W, R, x, a, y, target, B, b)
        of_R = [written.columns_by_matrices(x_l[i], R_l, self.kappa) for x_l, R_l, i in zip(x, R, indices, strict=True)]
        return (
            [W_l + eta_w * d.T @ x_l / len(d) for W_l, d, x_l in zip(W, deltas, x, strict=True)],
            [R_l + eta_r * change for R_l, change in zip(R, of_R, strict=True)],
            [b_l + eta_w * d.mean(axis=0) for b_l, d in zip(b, deltas, strict=True)],
            {"x": x, "a": a, "y": y, "delta": deltas},
        )


def test_a_rule_goes_with_feedback_biases_and_another_loss():
    conventions = Conventions(
        lateral_rule="whitening", kappa=0.25, subsampled=True, credit="fa", biases=True, weight_rule="sgd",
        activation="relu", derivative_at_zero=0, output_activation="identity", loss="cross-entropy",
    )  # fmt: skip
    report = check(BesideOthers(kappa=0.25), conventions=conventions, xp=np)
    assert report.ok, report.summary()
    ran = {(result.check, result.tier) for result in report.results if result.cases}
    assert {("perturbations", "rounding"), ("step", "rounding"), ("step", "steps")} <= ran
    report = check(BesideOthers(kappa=0.3), conventions=conventions, xp=np)
    assert {result.check for result in report.results if result.status == "failed"} == {"step"}
    assert report.variant == "kappa=0.3", report.summary()


def test_samples_in_columns():
    class InColumns:
        def decorrelation_update(self, x, R, y, eta_r):
            mine = written.Rule(plain, written.kept_by_matrices, 0.1, written.gain_by_norms)
            return mine.decorrelation_update(x.T, R, y.T, eta_r)

    conventions = replace(GAINED_BY_NORMS, samples="columns")
    check(InColumns(), conventions=conventions).raise_if_failed()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sum_is_n_times_the_mean(reduction, rng):
    x, R = rng.normal(size=(20, 4)), rng.normal(size=(4, 4))
    for rule, count in (("whitening", 20), ("kept-diagonal", 3)):
        mean, found = (right_pieces(Conventions(lateral_rule=rule, reduction=one)).lateral(x, R)
                       for one in ("mean", reduction))  # fmt: skip
        np.testing.assert_allclose(found, mean * (count if reduction == "sum" else 1))


# --- the tiers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conventions", "of_update", "of_step"),
    [
        ({"lateral_rule": "whitening", "kappa": 0.25}, True, True),
        ({"lateral_rule": "whitening", "kappa": Fraction(3, 8)}, True, True),
        ({"lateral_rule": "whitening", "kappa": 0.001}, False, False),
        ({"lateral_rule": "whitening-rows", "kappa": 0.5}, True, True),
        ({"lateral_rule": "whitening-normalized", "kappa": 0.5}, True, False),
        ({"lateral_rule": "whitening-triangular", "kappa": 0.5}, False, False),
        ({"lateral_rule": "kept-diagonal"}, True, True),
        ({"lateral_rule": "kept-diagonal", "lateral_gain": "norms"}, False, False),
        ({"lateral_rule": "left", "subsampled": True}, True, True),
    ],
    ids=str,
)
def test_the_exact_tier_is_there_where_nothing_is_rounded(conventions, of_update, of_step):
    for name, there in (("decorrelation_update", of_update), ("step", of_step)):
        tiers = {case.tier for case in cases_of(name, Conventions(**conventions))}
        assert tiers == ({"exact", "rounding"} if there else {"rounding"}), name


@cache
def cases_of(name, conventions):
    return draw_cases(FUNCTIONS[name], conventions, PRECISIONS["float64"], seed=0)


def test_what_a_part_of_the_batch_is_shows_in_some_case():
    """More samples than one are first, or drawn; and one of them twice."""
    for rule in ({"lateral_rule": "kept-diagonal"}, {"lateral_rule": "left", "subsampled": True}):
        for name, batch in (("decorrelation_update", "x"), ("step", "y0")):
            cases = cases_of(name, Conventions(**rule))
            assert {case.tier for case in cases if len(case.inputs[batch]) >= 16} == {"exact", "rounding"}
    drawn = [case.inputs["indices"] for case in cases_of("decorrelation_update", Conventions(subsampled=True))]
    assert any(1 < len({*one.tolist()}) < len(one) for one in drawn)


@pytest.mark.parametrize("cancelling", [False, True])
def test_roots_and_inverses_stay_within_their_allowance(cancelling, rng):
    """1/√(Σ x²) of x that was computed in float32, from numbers that cancel or not."""
    R, y = rng.normal(size=(4, 4)).astype("f"), rng.normal(size=(50, 4)).astype("f")
    if cancelling:
        y[:, 1] = -y[:, 0] * R[0, 0] / R[0, 1]
    x = tracked(y.astype(float)) @ tracked(R.T.astype(float))
    expected = tracked(np.ones((50, 1))) / tracked_xp.sqrt(tracked_xp.sum(x * x, axis=-1, keepdims=True))
    came = (1 / np.sqrt(np.sum((y @ R.T) ** 2, axis=-1, keepdims=True))).astype(float)
    error = np.abs(came - expected.value)
    assert np.all(error <= expected.allowance(PRECISIONS["float32"]))
    assert np.max(error) > 0
    # and it is no blank cheque
    assert np.median(expected.allowance(PRECISIONS["float32"]) / expected.value) < 1e-4


def test_the_root_of_an_exact_zero_is_exact_and_of_a_computed_one_says_nothing():
    exact = tracked_xp.sqrt(tracked(np.zeros((1, 1))))
    assert exact.magnitude == 0
    one = tracked(np.ones((1, 1)))
    assert tracked_xp.sqrt(one - one).allowance(PRECISIONS["float64"]) > 1e30


# --- mistakes ---------------------------------------------------------------------------------------------------------

RULES = (
    Conventions(lateral_rule="whitening", kappa=0.25),
    Conventions(lateral_rule="whitening-normalized", kappa=0.25),
    Conventions(lateral_rule="whitening-triangular", kappa=0.25),
    Conventions(lateral_rule="whitening-rows", kappa=0.125),
    Conventions(lateral_rule="kept-diagonal"),
    GAINED_BY_NORMS,
    Conventions(lateral_rule="whitening", kappa=0.25, subsampled=True, share=0.25),
)
NEW = [variant.name for variant in (*WHITENING_VARIANTS, *PARTIAL_VARIANTS)]
NO_MEANING = (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError)
WIDE = "many samples, units and inputs"


def results(conventions, name=""):
    """ΔR of a mistake on all cases, in units of what is right, as one vector; None where it has no meaning."""
    right = right_pieces(conventions)
    pieces = VARIANTS[name].change(right) if name else right
    parts = []
    for case in cases_of("decorrelation_update", conventions) if pieces else ():
        if "underflow" in case.name or case.name == WIDE:
            continue
        expected = FUNCTIONS["decorrelation_update"].expected(right, case.inputs, {})["ΔR"]
        with np.errstate(all="ignore"):
            try:
                found = FUNCTIONS["decorrelation_update"].expected(pieces, case.inputs, {})["ΔR"]
            except NO_MEANING:
                found = np.full(expected.shape, np.nan)
            assert np.shape(found) == expected.shape, (name, case.name)
            parts.append(np.ravel(found) / (np.max(np.abs(expected)) or 1))
    return np.concatenate(parts) if pieces else None


def same(one, other):
    return one is not None and other is not None and np.allclose(one, other, rtol=1e-10, atol=1e-12, equal_nan=True)


def test_each_mistake_with_a_new_rule_shows_and_is_no_other():
    """Nor one of those that are made with every rule: under some of these rules it is another."""
    lateral = [name for name in VARIANTS if name.startswith("lateral-")]
    assert len(NEW) >= 50
    found = {conventions: {name: results(conventions, name) for name in lateral} for conventions in RULES}
    right = {conventions: results(conventions) for conventions in RULES}
    for name in NEW:
        shows = [c for c in RULES if found[c][name] is not None and not same(found[c][name], right[c])]
        assert shows, name
        twins = [o for o in lateral if o != name and all(same(found[c][name], found[c][o]) for c in shows)]
        assert not twins, (name, twins)


def test_a_mistake_with_a_new_rule_has_no_meaning_under_the_papers():
    for name in NEW:
        assert all(VARIANTS[name].change(right_pieces(Conventions(lateral_rule=rule))) is None
                   for rule in ("left", "right", "symmetric")), name  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_it_is_rejected_and_named(name):
    says = []
    for conventions in RULES:
        if VARIANTS[name].change(right_pieces(conventions)) is None:
            continue
        report = quiet(by_pieces(conventions, VARIANTS[name].change), conventions, "decorrelation_update")
        assert not report.ok
        says.append(report.diagnosis)
        if report.variant == name:
            return
    pytest.fail("; ".join(says))


def by_hand(conventions, wrong):
    class Mine:
        decorrelation_update = staticmethod(wrong)

    return quiet(Mine(), conventions, "decorrelation_update")


def C_off_and_v(x):
    C = x.T @ x / len(x)
    return C - np.diag(np.diag(C)), np.mean(x**2, axis=0) - 1


def of_distinct(x, indices):
    """E[x xᵀ] of the samples that are drawn, each once, over how many were drawn."""
    return x[np.unique(indices)].T @ x[np.unique(indices)] / len(indices)


def without_diagonal(C):
    return C - np.diag(np.diag(C))


HANDWRITTEN = {
    "lateral-kappa-swapped": (RULES[0], lambda x, R: -(0.25 * C_off_and_v(x)[0] @ R + 0.75 * R * C_off_and_v(x)[1])),
    "lateral-power-without-1": (
        RULES[0], lambda x, R: -(0.75 * C_off_and_v(x)[0] @ R + 0.25 * R * np.mean(x**2, axis=0))),
    "lateral_rule='whitening-rows'": (
        RULES[0], lambda x, R: -(0.75 * C_off_and_v(x)[0] + 0.25 * np.diag(C_off_and_v(x)[1])) @ R),
    "lateral-clipped": (
        RULES[0], lambda x, R: np.clip(-(0.75 * C_off_and_v(x)[0] @ R + 0.25 * R * C_off_and_v(x)[1]), -1, 1)),
    "lateral-normalized-without-others": (
        RULES[1], lambda x, R: -(0.75 * C_off_and_v(x)[0] @ R + 0.5 * R * C_off_and_v(x)[1])),
    "lateral-normalized-without-2": (
        RULES[1], lambda x, R: -(0.75 * C_off_and_v(x)[0] @ R / max(len(R) - 1, 1) + 0.25 * R * C_off_and_v(x)[1])),
    "lateral-triangle-from-1": (
        RULES[2], lambda x, R: -(0.75 * np.sqrt(np.arange(1, len(R) + 1))[:, None] * np.tril(x.T @ x / len(x), -1) @ R
                                 + 0.25 * R * C_off_and_v(x)[1])),
    "lateral-triangle-upper": (
        RULES[2], lambda x, R: -(0.75 * np.sqrt(np.arange(len(R)))[:, None] * np.triu(x.T @ x / len(x), 1) @ R
                                 + 0.25 * R * C_off_and_v(x)[1])),
    "lateral-kept-diagonal-taken-out": (RULES[4], lambda x, R: -R @ C_off_and_v(x[: len(x) // 10 + 1])[0]),
    "lateral-first-all": (RULES[4], lambda x, R: -R @ (x.T @ x) / len(x)),
    "subsampled=False": (
        RULES[6], lambda x, R, indices: -(0.75 * C_off_and_v(x)[0] @ R + 0.25 * R * C_off_and_v(x)[1])),
    "lateral-drawn-once-over-all": (
        RULES[6], lambda x, R, i: -(0.75 * without_diagonal(of_distinct(x, i)) @ R
                                    + 0.25 * R * (np.diag(of_distinct(x, i)) - 1))),
    "lateral-drawn-once": (
        RULES[6], lambda x, R, i: -(0.75 * C_off_and_v(x[[*{*i.tolist()}]])[0] @ R
                                    + 0.25 * R * C_off_and_v(x[[*{*i.tolist()}]])[1])),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDWRITTEN)
def test_what_people_write_is_named(name):
    assert by_hand(*HANDWRITTEN[name]).variant == name


def a_step_that(draws=lambda indices, layer: indices[layer], taken=lambda array, indices: array):
    """A step by hand; `draws` are the samples that R learns from, `taken` those of x and z that W does."""

    def step(W, R, y0, target, eta_w, eta_r, indices):
        x, a, y = [], [], [y0]
        for one, r in zip(W, R, strict=True):
            x.append(y[-1] @ r.T)
            a.append(x[-1] @ one.T)
            y.append(np.where(a[-1] >= 0, a[-1], 0.25 * a[-1]))
        deltas = [2 * (target - y[-1]) * np.where(a[-1] >= 0, 1, 0.25)]
        for layer in range(len(W) - 1, 0, -1):
            deltas.insert(0, deltas[0] @ W[layer] @ R[layer] * np.where(a[layer - 1] >= 0, 1, 0.25))
        new_W, new_R = [], []
        for layer, (one, r) in enumerate(zip(W, R, strict=True)):
            mine, z = (taken(array, indices[layer]) for array in (x[layer], a[layer] + deltas[layer]))
            new_W.append(one + eta_w * (z.T @ mine / len(mine) - one * (mine**2).mean(axis=0)))
            drawn = x[layer][draws(indices, layer)]
            new_R.append(r - eta_r * C_off_and_v(drawn)[0] @ r)
        return new_W, new_R

    class Mine:
        pass

    Mine.step = staticmethod(step)
    return Mine()


STEPS_OF_DRAWN = {
    "step-W-of-drawn-samples": {"taken": lambda array, indices: array[indices]},
    "step-drawn-of-first-layer": {"draws": lambda indices, layer: indices[0]},
    "step-drawn-of-last-layer": {"draws": lambda indices, layer: indices[-1]},
    "step-drawn-reversed": {"draws": lambda indices, layer: indices[-1 - layer]},
    "subsampled=False": {"draws": lambda indices, layer: slice(None)},
}


@pytest.mark.parametrize("name", STEPS_OF_DRAWN)
def test_a_step_that_takes_other_samples_is_named(name):
    settings = Conventions(lateral_rule="left", subsampled=True, share=0.25, slope=0.25)
    assert quiet(a_step_that(), settings, "step").ok
    report = quiet(a_step_that(**STEPS_OF_DRAWN[name]), settings, "step")
    assert report.variant == name
    assert "a fault of copi_ref" not in report.summary()


def with_gain(gain, regained=lambda R, g, C, eta: g * R - R - eta * g * R @ C):
    def update(x, R, y, eta_r):
        n = len(x) // 10 + 1
        C = x[:n].T @ x[:n] / n
        return regained(R, gain(y[:n], x[:n]), C, eta_r)

    return update


def mean_of_ratios(y, x):
    return np.mean(np.linalg.norm(y, axis=1) / np.sqrt(np.sum(x**2, axis=1) + 1e-8))


GAINED = {
    "lateral-gain-of-means": with_gain(
        lambda y, x: np.linalg.norm(y, axis=1).mean() / np.sqrt(np.sum(x**2, axis=1) + 1e-8).mean()),
    "lateral-gain-of-powers": with_gain(lambda y, x: np.sqrt(np.sum(y**2) / (np.sum(x**2) or 1))),
    "lateral-gain-of-centred-y": with_gain(lambda y, x: mean_of_ratios(y - y.mean(axis=0), x)),
    "lateral-gain-missing": with_gain(lambda y, x: 1),
    "lateral-gain-beside-step": with_gain(mean_of_ratios, lambda R, g, C, eta: g * R - R - eta * R @ C),
    "lateral-gain-in-step-only": with_gain(mean_of_ratios, lambda R, g, C, eta: -eta * g * R @ C),
}  # fmt: skip


@pytest.mark.parametrize("name", GAINED)
def test_a_wrong_gain_is_named(name):
    assert by_hand(RULES[5], GAINED[name]).variant == name


IN_A_STEP = ["lateral-kappa-swapped", "lateral-power-without-1", "lateral-gain-after", "lateral-drawn-first"]


@pytest.mark.parametrize("name", IN_A_STEP)
def test_it_is_named_in_a_step_too(name):
    conventions = next(c for c in RULES if VARIANTS[name].change(right_pieces(c)) is not None)
    report = quiet(by_pieces(conventions, VARIANTS[name].change), conventions, "step")
    assert report.variant == name, report.diagnosis


# --- other conventions ------------------------------------------------------------------------------------------------

SUGGESTED = [
    ({}, {"lateral_rule": "whitening", "kappa": 0.5}, "lateral_rule='whitening', kappa=0.5"),
    ({}, {"lateral_rule": "whitening"}, "lateral_rule='whitening'"),
    ({}, {"lateral_rule": "whitening-rows", "kappa": 0.3}, "lateral_rule='whitening-rows', kappa=0.3"),
    ({}, {"lateral_rule": "whitening-normalized", "kappa": 0.1}, "lateral_rule='whitening-normalized', kappa=0.1"),
    ({}, {"lateral_rule": "whitening-triangular", "kappa": 0.37}, "lateral_rule='whitening-triangular', kappa=0.37"),
    ({}, {"lateral_rule": "kept-diagonal"}, "lateral_rule='kept-diagonal'"),
    ({}, {"lateral_rule": "kept-diagonal", "share": 0.25}, "lateral_rule='kept-diagonal', share=0.25"),
    ({"lateral_rule": "whitening"}, {"lateral_rule": "left"}, "lateral_rule='left'"),
    ({"lateral_rule": "whitening"}, {}, "lateral_rule='right'"),
    ({"lateral_rule": "whitening"}, {"lateral_rule": "symmetric"}, "lateral_rule='symmetric'"),
    ({"lateral_rule": "whitening"}, {"lateral_rule": "whitening", "kappa": 0.2}, "kappa=0.2"),
    ({"lateral_rule": "kept-diagonal"}, {}, "lateral_rule='right'"),
    ({"lateral_rule": "kept-diagonal"}, {"lateral_rule": "kept-diagonal", "share": 0.5}, "share=0.5"),
]


@pytest.mark.parametrize(("asked", "mine", "says"), SUGGESTED)
def test_another_rule_is_recognised(asked, mine, says):
    for only in ("decorrelation_update", "step") if "kappa" in mine else ("decorrelation_update",):
        report = quiet(by_pieces(Conventions(**mine)), Conventions(**asked), only)
        assert not report.ok
        assert report.variant == says, report.diagnosis
        assert "pass it in Conventions, if that is what you mean" in report.diagnosis


@pytest.mark.parametrize("kappa", [0.5, 0.3])
def test_another_rule_is_recognised_beside_another_loss(kappa):
    mine = Conventions(lateral_rule="whitening", kappa=kappa, loss_factor=1)
    report = quiet(by_pieces(mine), Conventions(), "step")
    assert report.variant == f"lateral_rule='whitening', kappa={kappa}, loss_factor=1"


def test_two_rules_at_one_kappa_of_0_are_one():
    """κ = 0 is `left`: no suggestion tells them apart, and it passes."""
    report = quiet(by_pieces(Conventions(lateral_rule="left")), Conventions(lateral_rule="whitening", kappa=0), "step")
    assert report.ok


# --- how it is called -------------------------------------------------------------------------------------------------


def test_indices_are_whole_numbers_of_the_library_and_must_stay_as_they_are():
    seen = []

    def update(x, R, indices):
        seen.append(indices.dtype.kind)
        indices[:] = 0
        return -C_off_and_v(x[indices])[0] @ R

    report = by_hand(Conventions(lateral_rule="left", subsampled=True), update)
    assert {*seen} == {"i"}
    assert "changes its argument indices in place" in report.diagnosis


def test_a_reproducer_runs():
    conventions = Conventions(lateral_rule="left", subsampled=True)
    report = by_hand(conventions, lambda x, R, indices: 2 * C_off_and_v(x[indices])[0] @ R)
    assert "implementation.decorrelation_update(x, R, indices)" in report.reproducer

    class Mine:
        def decorrelation_update(self, x, R, indices):
            assert indices.dtype.kind == "i"
            return 2 * C_off_and_v(x[indices])[0] @ R

    exec(report.reproducer, {"implementation": Mine()})


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"kappa": 1.5}, ValueError, "kappa is 1.5: needs at most 1"),
        ({"kappa": "half"}, TypeError, "kappa"),
        ({"share": -1}, ValueError, "share"),
        ({"subsampled": 1}, TypeError, "subsampled is 1: needs True or False"),
        ({"lateral_rule": "none", "subsampled": True}, ValueError, "subsampled is True, and there is no R"),
        ({"lateral_rule": "none", "lateral_gain": "norms"}, ValueError, "lateral_gain is 'norms', and there is no R"),
        ({"output": "linear"}, ValueError, "output is 'linear': choose one of 'activation', 'pre-activation'"),
        ({"lateral_gain": "power"}, ValueError, "lateral_gain is 'power'"),
    ],
)
def test_wrong_settings_are_refused(wrong, error, says):
    with pytest.raises(error, match=says):
        Conventions(**wrong)


def test_what_a_rule_does_not_have_is_not_told_to_programs():
    """A program that refuses what it does not know goes on working."""
    known = {
        "samples", "lateral_rule", "loss_factor", "credit", "activation", "slope", "derivative_at_zero", "output",
        "reduction", "error_scale", "assumes_symmetric_R",
    }  # fmt: skip
    new = {"kappa", "share", "subsampled", "lateral_gain"}
    assert not new & Conventions().as_dict().keys()
    assert known <= Conventions().as_dict().keys()
    assert new & Conventions(lateral_rule="whitening-rows").as_dict().keys() == {"kappa"}
    assert new & Conventions(lateral_rule="kept-diagonal").as_dict().keys() == {"share"}
    assert new & Conventions(subsampled=True).as_dict().keys() == {"share", "subsampled"}
    assert Conventions(lateral_rule="whitening", kappa=Fraction(1, 4)).as_dict()["kappa"] == 0.25


PROGRAM = """
import json, sys
import numpy as np
for line in sys.stdin:
    request = json.loads(line)
    if request["function"] == "functions":
        result = ["decorrelation_update"]
    else:
        given = request["arguments"]
        assert list(given) == ["x", "R", "indices"] and all(isinstance(one, int) for one in given["indices"]), given
        x, R = (np.array(given[name]) for name in ("x", "R"))
        x = x[given["indices"]]
        C = x.T @ x / len(x)
        result = (-(C - np.diag(np.diag(C))) @ R).tolist()
    print(json.dumps({"id": request["id"], "result": result}), flush=True)
"""


def test_a_program_gets_indices(tmp_path):
    (tmp_path / "mine.py").write_text(PROGRAM)
    conventions = Conventions(lateral_rule="left", subsampled=True)
    with Program(f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'mine.py'))}", conventions) as program:
        check(program, conventions=conventions).raise_if_failed()


def test_the_command_takes_the_rules(capsys):
    target = f"{Path(__file__).stem}:Whitens"
    assert main(["check", target, "--lateral-rule", "whitening", "--kappa", "0.25"]) == 0
    assert main(["check", target, "--lateral-rule", "whitening", "--kappa", "0.5"]) == 1
    assert "matches kappa=0.25" in capsys.readouterr().out
    assert main(["explain", "--lateral-rule", "kept-diagonal", "--lateral-gain", "norms", "--share", "0.5"]) == 0


class Whitens:
    @staticmethod
    def decorrelation_update(x, R):
        return written.columns_by_matrices(x, R, 0.25)


@pytest.mark.parametrize("conventions", RULES)
def test_a_step_can_be_explained(conventions):
    sections = explain(conventions)
    assert ("indices1" in sections["given"]) == conventions.subsampled
    given, updates = sections["given"], sections["layer 1, updates"]
    np.testing.assert_allclose(updates["R1 + η_R ΔR1"], given["R1"] + 0.25 * updates["ΔR1"])

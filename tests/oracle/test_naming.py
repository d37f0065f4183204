"""What a wrong result is called: one of two mistakes, in some places only, a sum of terms; and where it is else."""

import functools
import types

import numpy as np
import pytest
from implementations import OfPieces, quietly, right, wrong
from mutants import plain

from copi_ref import oracle
from copi_ref.oracle import VARIANTS, Conventions
from copi_ref.oracle.contract.pieces import right_pieces
from copi_ref.oracle.naming import candidates

check = functools.partial(oracle.check, xp=np)


def with_one(**functions):
    """An implementation that has these functions only."""
    return types.SimpleNamespace(**functions)


def both(first, second, **conventions):
    """An implementation that makes two catalogued mistakes at once."""
    pieces = VARIANTS[second].change(VARIANTS[first].change(right_pieces(Conventions(**conventions))))
    return OfPieces(pieces)


# --- two at once ------------------------------------------------------------------------------------------------------

PAIRS = [
    ("weight-decay-variance", "lateral-diagonal"),
    ("forward-R-transposed", "delta-no-R"),
    ("weight-no-decay", "step-R-frozen"),
    ("delta-over-outputs", "lateral-sign"),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_mistakes_in_one_step_are_both_named(first, second):
    report = quietly(check, both(first, second, slope=0.2), conventions=Conventions(slope=0.2), only=("step",))
    assert set(report.variant.split(" + ")) == {first, second}, report.diagnosis
    assert all(VARIANTS[name].says in report.diagnosis for name in (first, second))


def test_a_mistake_and_another_convention_are_both_named():
    left = Conventions(lateral_rule="left")
    report = check(wrong(VARIANTS["weight-no-decay"], left), only=("step",))
    assert set(report.variant.split(" + ")) == {"weight-no-decay", "lateral_rule='left'"}


def test_a_mistake_with_a_factor_besides_is_named_with_it():
    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, [r.T for r in R], y0)
        deltas = plain.perturbations(W, R, x, a, y, target)
        return (
            [w + eta_w * plain.copi_update(u, 0.3 * v + d, w) for w, u, v, d in zip(W, x, a, deltas, strict=True)],
            [r + eta_r * plain.decorrelation_update(u, r) for r, u in zip(R, x, strict=True)],
        )

    report = check(with_one(step=step))
    assert report.variant == "forward-R-transposed + target-factors(0.3, 1)"
    assert "a in z has the factor 0.3" in report.diagnosis


def test_mistakes_of_two_functions_are_both_in_the_verdict():
    report = check(
        with_one(copi_update=lambda x, z, W: z.T @ x / len(x), decorrelation_update=lambda x, R: R @ plain_c_off(x))
    )
    assert report.variant == "weight-no-decay + lateral-sign"
    lines = report.summary().splitlines()
    assert lines[0].startswith("copi_ref: FAILED: copi_update: [weight-no-decay]")
    assert lines[1].strip().startswith("decorrelation_update: [lateral-sign]")


def plain_c_off(x):
    C = x.T @ x / len(x)
    return C - np.diag(np.diag(C))


def test_what_follows_from_another_function_is_said_once():
    report = quietly(check, wrong(VARIANTS["forward-no-R"], Conventions()))
    assert report.variant == "forward-no-R"
    assert report.diagnosis.count("forward-no-R") == 1
    assert any("comes of what is above" in result.diagnosis for result in report.results)


def test_what_a_step_adds_to_another_functions_mistake_is_named():
    pieces = VARIANTS["delta-sign"].change(right_pieces(Conventions()))
    more = VARIANTS["step-R-frozen"].change(pieces)
    mixed = with_one(perturbations=OfPieces(pieces).perturbations, step=OfPieces(more).step)
    report = check(mixed)
    assert report.variant == "delta-sign + step-R-frozen"
    assert "besides what is above" in report.diagnosis


def with_new_layers(update, **parts):
    """A step whose updates, ``(W, R, x, z, δ of each layer) -> (ΔW, ΔR)`` of all, are wrong."""

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        delta = plain.perturbations(W, R, x, a, y, target)
        z = [one + other for one, other in zip(a, delta, strict=True)]
        dW, dR = update(W, R, x, z, delta)
        return (
            [one + eta_w * other for one, other in zip(W, dW, strict=True)],
            [one + eta_r * other for one, other in zip(R, dR, strict=True)],
        )

    return with_one(step=step, **parts)


def right_updates(W, R, x, z, delta):
    dW = [plain.copi_update(*one) for one in zip(x, z, W, strict=True)]
    return dW, [plain.decorrelation_update(*one) for one in zip(x, R, strict=True)]


def test_what_two_mistakes_above_come_to_is_no_state():
    """In cases that are few, numbers of earlier calls would explain it too: those that are the same at each call."""

    def in_blocks(update, batch, other):
        starts = range(0, len(batch), 32)
        parts = [update(batch[at : at + 32], other[at : at + 32] if len(other) == len(batch) else other)
                 for at in starts]  # fmt: skip
        return np.mean(parts, axis=0)

    def copi_update(x, z, W):
        return in_blocks(lambda x, z: plain.copi_update(x, z, W), x, z)

    def decorrelation_update(x, R):
        return in_blocks(lambda x, _: plain.decorrelation_update(x, R), x, x)

    def update(W, R, x, z, delta):
        return [copi_update(*one) for one in zip(x, z, W, strict=True)], [
            decorrelation_update(*one) for one in zip(x, R, strict=True)
        ]

    report = check(with_new_layers(update, copi_update=copi_update, decorrelation_update=decorrelation_update))
    assert report.variant == "weight-batches-of-32 + lateral-batches-of-32"
    assert "state" not in report.diagnosis
    assert any(result.is_consequence for result in report.results if result.check == "step")


def test_a_delta_that_is_0_below_a_wrong_one_is_named_beside_it():
    def perturbations(W, R, x, a, y, target):
        output = (1 - a[-1] ** 2) * 2 * (target - y[-1])
        deltas = [output]
        for at in range(len(W) - 1, 0, -1):
            deltas.insert(0, (1 - y[at - 1] ** 2) * (deltas[0] @ W[at] @ R[at]))
        return [0 * deltas[0], *deltas[1:]] if len(W) > 1 else deltas

    report = check(with_one(perturbations=perturbations), conventions=Conventions(activation="tanh"))
    assert set(report.variant.split(" + ")) == {"delta-slope-formula-at-a", "delta-zero-in-first-layer"}


# --- what layers share, who learns, what decays -----------------------------------------------------------------------


def test_layers_that_share_memory_of_updates_are_named():
    def update(W, R, x, z, delta):
        dW, dR = right_updates(W, R, x, z, delta)
        memory = {one.shape: one for one in dW}
        return [memory[one.shape] for one in dW], dR

    assert check(with_new_layers(update)).variant == "step-W-updates-shared-with-last"


def test_moments_that_are_not_cleared_between_layers_are_named():
    def update(W, R, x, z, delta):
        dW, dR = right_updates(W, R, x, z, delta)
        C = {}
        for at in reversed(range(len(W))):
            C[len(R[at])] = C.get(len(R[at]), 0) + plain_c_off(x[at])
            dR[at] = -R[at] @ C[len(R[at])]
        return dW, dR

    assert check(with_new_layers(update)).variant == "step-moments-summed-downwards"


def test_samples_without_an_error_that_do_not_decay_are_named():
    def update(W, R, x, z, delta):
        dW, dR = right_updates(W, R, x, z, delta)
        for at, (x_l, z_l, delta_l) in enumerate(zip(x, z, delta, strict=True)):
            learns = np.any(delta_l != 0, axis=1, keepdims=True)
            dW[at] = (learns * z_l).T @ x_l / len(x_l) - W[at] * (learns * x_l**2).mean(axis=0)
        return dW, dR

    assert check(with_new_layers(update)).variant == "step-W-without-samples-without-delta"


def test_the_decay_of_an_optimizer_is_named_for_all_weights():
    def update(W, R, x, z, delta):
        dW, dR = right_updates(W, R, x, z, delta)
        return [one - 5e-4 * other for one, other in zip(dW, W, strict=True)], [
            one - 5e-4 * other for one, other in zip(dR, R, strict=True)
        ]

    assert check(with_new_layers(update)).variant == "added-decays(0.0005, 0.0005)"


# --- in some places only ----------------------------------------------------------------------------------------------


def test_a_mistake_for_one_sample_only_is_named_with_that():
    def copi_update(x, z, W):
        return z.T @ x / len(x) - W * (np.sum(x * x) if len(x) == 1 else (x * x).mean(axis=0))

    report = check(with_one(copi_update=copi_update))
    assert report.variant == "weight-decay-total-power"
    assert "where N = 1" in report.diagnosis


def test_a_mistake_in_the_last_layer_only_is_named_with_that():
    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        deltas = plain.perturbations(W, R, x, a, y, target)
        last = len(W) - 1
        new_W = [
            w + eta_w * (plain.sgd_update(u, d) if at == last else plain.copi_update(u, v + d, w))
            for at, (w, u, v, d) in enumerate(zip(W, x, a, deltas, strict=True))
        ]
        return new_W, [r + eta_r * plain.decorrelation_update(u, r) for r, u in zip(R, x, strict=True)]

    report = check(with_one(step=step))
    assert report.variant == "step-sgd-in-last"


def test_a_mistake_in_the_last_two_layers_only_is_named_with_its_place():
    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        deltas = plain.perturbations(W, R, x, a, y, target)
        new_W = [w + eta_w * plain.copi_update(u, v + d, w) for w, u, v, d in zip(W, x, a, deltas, strict=True)]
        new_R = [
            r + eta_r * plain.decorrelation_update(u, r.T if len(W) - at > 2 else r)
            for at, (r, u) in enumerate(zip(R, x, strict=True))
        ]
        return new_W, new_R

    report = check(with_one(step=step))
    assert report.variant == "lateral-R-transposed"
    assert "more than 1 layers below the last" in report.diagnosis


# --- as a formula -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, R, right: right - 0.1 * (R - np.eye(len(R))), "extra −0.1 (R − I)"),
        (lambda x, R, right: right - 0.01 * R, "extra −0.01 R"),
        (lambda x, R, right: 2 * right + 0.5 * plain_c_off(x), "ΔR = 1/2 C_off − 2 R C_off"),
        (lambda x, R, right: right + 0.125 * R.T, "ΔR = −R C_off + 1/8 Rᵀ"),
    ],
)
def test_a_wrong_lateral_update_is_said_as_a_formula(change, says):
    report = check(with_one(decorrelation_update=lambda x, R: change(x, R, plain.decorrelation_update(x, R))))
    assert says in report.diagnosis


def test_two_mistakes_in_one_quantity_are_a_formula_at_least():
    """Which a pair of names would have to be found for among thousands: it is right, by z xᵀ = (W x + δ) xᵀ."""
    report = quietly(
        check, both("weight-n-minus-1", "delta-sign", slope=0.2), conventions=Conventions(slope=0.2), only=("step",)
    )
    assert report.variant in ("terms", "weight-n-minus-1 + delta-sign", "delta-sign + weight-n-minus-1")
    assert "N − 1" in report.diagnosis


def test_an_epsilon_is_said_as_a_number():
    report = check(with_one(copi_update=lambda x, z, W: plain.copi_update(x, z, W) - 1e-8 * W))
    assert report.variant == "added-decay(1e-08)"
    assert "E[x²] + 1e-08" in report.diagnosis


def test_a_decay_that_the_rate_does_not_multiply_is_named():
    def step(W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        return [new - 0.001 * old for new, old in zip(new_W, W, strict=True)], new_R

    report = check(with_one(step=step))
    assert report.variant == "decay-without-rate(0.001)"


# --- conventions ------------------------------------------------------------------------------------------------------

FAR = [
    {"loss_factor": 1, "slope": 0.01, "derivative_at_zero": 0.01},
    {"lateral_rule": "left", "loss_factor": 1, "output": "pre-activation", "error_scale": 1000},
    {"lateral_rule": "left", "loss_factor": 1, "slope": 0.01},
]


@pytest.mark.parametrize("mine", FAR, ids=str)
def test_conventions_that_differ_in_up_to_four_fields_are_recognised(mine):
    report = check(right(Conventions(**mine)), only=("step",))
    assert report.variant == ", ".join(f"{name}={value!r}" for name, value in _in_order(mine))


def _in_order(fields):
    order = list(Conventions().as_dict())
    return sorted(fields.items(), key=lambda field: order.index(field[0]))


@pytest.mark.parametrize("rule", ["left", "symmetric"])
def test_code_that_takes_R_to_be_symmetric_is_told_so(rule):
    def decorrelation_update(x, R):
        return -(plain_c_off(x) @ R.T + (R @ plain_c_off(x) if rule == "symmetric" else 0)) / (
            2 if rule == "symmetric" else 1
        )

    report = check(with_one(decorrelation_update=decorrelation_update), conventions=Conventions(lateral_rule=rule))
    assert "assumes_symmetric_R=True" in report.diagnosis


def test_a_wrong_rule_is_not_excused_by_symmetry():
    report = check(with_one(decorrelation_update=lambda x, R: R @ plain_c_off(x)))
    assert "symmetric" not in report.diagnosis


# --- formats ----------------------------------------------------------------------------------------------------------


def test_a_factor_is_not_taken_for_a_coarser_format():
    def perturbations(W, R, x, a, y, target):
        return [plain.df(one) * delta for one, delta in zip(a, plain.perturbations(W, R, x, a, y, target), strict=True)]

    report = check(with_one(perturbations=perturbations), precision="float32")
    assert "precision" not in report.diagnosis
    report = check(with_one(sgd_update=lambda x, d: plain.sgd_update(x, d) * np.float32(1.001)), precision="float32")
    assert report.variant == "sgd-factor(1.001)"


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_slope_of_another_format_is_named_and_noise_is_not(precision):
    """In float32 it is right; in float64 what was fitted to a's own rounding was once said to be a number."""

    def perturbations(W, R, x, a, y, target):
        slope = float(np.float32(0.1))
        deltas = [np.where(a[-1] < 0, slope, 1).astype(y[-1].dtype) * 2 * (target - y[-1])]
        for at in range(len(W) - 1, 0, -1):
            deltas.insert(0, np.where(a[at - 1] < 0, slope, 1).astype(y[0].dtype) * (deltas[0] @ W[at] @ R[at]))
        return deltas

    report = check(with_one(perturbations=perturbations), precision=precision)
    assert report.ok == (precision == "float32")
    assert report.ok or report.variant == "delta-slope-in-float32"


# --- where no name fits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda A: np.sin(A), "nothing that came is beyond ±1"),
        (
            lambda A: np.where(np.arange(A.shape[1]) == A.shape[1] - 1, A**2, A),
            "only entries in the last column are wrong",
        ),
        (lambda A: np.where(A < 0, A**3, A), "only entries where the right value is negative are wrong"),
        (lambda A: np.rint(A), "all that came are whole numbers"),
    ],
)
def test_what_has_no_name_is_located(change, says):
    report = check(with_one(copi_update=lambda x, z, W: change(plain.copi_update(x, z, W))))
    assert report.variant == ""
    assert says in "\n".join(report.summary().splitlines()[:8])


def test_cases_that_fail_have_in_common_what_is_said():
    def copi_update(x, z, W):
        return np.tanh(plain.copi_update(x, z, W)) if W.shape[0] == W.shape[1] else plain.copi_update(x, z, W)

    report = check(with_one(copi_update=copi_update))
    assert "wrong where W is square, right elsewhere" in report.summary()


def slope(a):
    return np.where(a >= 0, 1, 0.1)


class ByHand:
    """Algorithm 1 as printed, with f, R on the way up and down, and what updates see, each to be written otherwise."""

    def __init__(self, up=lambda R: R, down=lambda R: R, below=lambda a, y: y, kept=lambda delta, a: delta):
        self.up, self.down, self.below, self.kept = up, down, below, kept

    def forward(self, W, R, y0):
        x, a, y = [], [], [y0]
        for one, r in zip(W, R, strict=True):
            x.append(y[-1] @ self.up(r).T)
            a.append(x[-1] @ one.T)
            y.append(slope(a[-1]) * a[-1])
        return x, a, y[1:]

    def step(self, W, R, y0, target, eta_w, eta_r):
        x, a, y = self.forward(W, R, y0)
        deltas = [2 * (target - y[-1]) * slope(a[-1])]
        for layer in range(len(W) - 1, 0, -1):
            deltas.insert(0, deltas[0] @ W[layer] @ self.down(R[layer]) * slope(a[layer - 1]))
        new_W, new_R = [], []
        for layer, (one, r) in enumerate(zip(W, R, strict=True)):
            seen = self.below(a[layer - 1], y[layer - 1]) @ self.up(r).T if layer else x[0]
            delta = deltas[layer] if layer == len(W) - 1 else self.kept(deltas[layer], a[layer])
            z, C = a[layer] + delta, x[layer].T @ x[layer] / len(y0)
            new_W.append(one + eta_w * (z.T @ seen / len(y0) - one * np.mean(seen**2, axis=0)))
            new_R.append(r - eta_r * r @ (C - np.diag(np.diag(C))))
        return new_W, new_R


BY_HAND = {
    "step-W-x-from-a": {"below": lambda a, y: a},
    "delta-slope-again-afterwards": {"kept": lambda delta, a: delta * slope(a)},
    # one mistake, also where δ goes down as automatic differentiation of that forward pass sends it
    "forward-R-transposed": {"up": lambda R: R.T, "down": lambda R: R.T},
    "forward-R-twice": {"up": lambda R: R @ R, "down": lambda R: R @ R},
}


def test_the_step_by_hand_is_right():
    assert check(ByHand()).ok


@pytest.mark.parametrize("name", BY_HAND)
def test_what_a_step_by_hand_has_otherwise_is_named(name):
    report = check(ByHand(**BY_HAND[name]))
    assert report.variant == name, report.summary()


def test_quantities_that_are_right_are_said():
    def step(W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        return new_W, [np.cbrt(one) for one in new_R]

    report = check(with_one(step=step))
    assert "wrong: ΔR; always right: ΔW" in report.summary()


def test_a_fault_of_the_oracles_own_is_reported_as_one(monkeypatch):
    def fails(*arguments):
        raise TypeError("too few arguments")

    broken = oracle.Variant("broken", "breaks", lambda p: p.with_changes(copi=fails))
    monkeypatch.setitem(candidates.VARIANTS, "broken", broken)
    report = check(with_one(copi_update=lambda x, z, W: np.sin(W)))
    assert not report.ok
    assert "a fault of copi_ref itself" in report.summary()

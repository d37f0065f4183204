"""Claims of §2.5's formulas and of the lateral rule's convergence, in exact arithmetic."""

import numpy as np
from exact import ONE, SEEDS, drawn, moment, off, same
from ledger import claim

import copi_ref as copi


def network(seed):
    W1, W2, R1, R2, y0, target, B = drawn(seed, (3, 4), (2, 3), (4, 4), (3, 3), (6, 4), (6, 2), (3, 2))
    params = copi.Params((W1, W2), (R1, R2))
    trace = copi.forward(params, y0)
    slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
    return params, trace, target, B, slope


@claim(paper="COPI", place="§2.5, backpropagation", says="δ_l = diag(f′(a_l)) R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1}.",
       verdict="holds", why="The middle factor is the transposed Jacobian.")  # fmt: skip
def test_the_formula_of_backpropagation(seen):
    for seed in SEEDS:
        params, trace, target, _, slope = network(seed)
        low, high = copi.backpropagation(params, trace, copi.Task(target))
        seen.case(same(low, slope * (high @ params.W[1] @ params.R[1])))


@claim(paper="COPI", place="§2.5, feedback alignment", says="Fixed B in place of (W R)ᵀ is another signal than BP's.",
       verdict="holds if", why="If B is not (W R)ᵀ.")  # fmt: skip
def test_feedback_alignment_is_another_signal(seen):
    for seed in SEEDS:
        params, trace, target, B, _ = network(seed)
        bp = copi.backpropagation(params, trace, copi.Task(target))[0]
        for feedback, drawn_alone in ((B, True), ((params.W[1] @ params.R[1]).T, False)):
            fa = copi.feedback_alignment(params, trace, copi.Task(target, feedback=(feedback,)))[0]
            seen.case(not same(fa, bp), condition=drawn_alone)


@claim(paper="COPI", place="§2.5, target propagation", verdict="false",
       says="f(B δ_{l+1}) − a_l is a perturbation from a_l towards the target.",
       why="B inverts outputs, not perturbations: with δ_L = 0 the layer below is told to be 0.")  # fmt: skip
def test_target_propagation_as_printed(seen):
    for seed in SEEDS:
        params, trace, _, B, _ = network(seed)
        task = copi.Task(trace.y[-1], feedback=(B,))  # the output is the target
        delta = copi.target_propagation_as_printed(params, trace, task)[0]
        assert same(delta, -trace.a[0])
        seen.case(same(delta, 0))


@claim(paper="COPI", place="§2.4, \"converge to the optimal decorrelating matrix\", Eq. 4, first line",
       says="A step lowers ‖C_off‖.", verdict="holds if", proof="lyapunov-left",
       why="If η λmax(C) ≤ 2/3, by η (4 − 6θ) tr(C_off C C_off); a large step raises it.")  # fmt: skip
def test_left_lowers_the_correlation(seen):
    for seed in SEEDS:
        y, R = drawn(seed, (6, 4), (4, 4))
        x = y @ R.T
        for theta in (ONE / 2, 50 * ONE):  # η tr C, which is at least η λmax(C)
            eta = theta / np.trace(moment(x))
            after = y @ (R + eta * copi.decorrelation_update(x, R, "left")).T
            seen.case(np.sum(off(after) ** 2) < np.sum(off(x) ** 2), condition=theta < 1)


@claim(paper="COPI", place="§2.4, \"maintains the symmetry\"", says="From R = I, R stays symmetric.", verdict="false",
       why="The second step breaks it; the rule `symmetric` keeps it to the last bit.", proof="symmetric-rule",
       )  # fmt: skip
def test_the_lateral_rule_keeps_symmetry(seen):
    for seed in SEEDS:
        (y,) = drawn(seed, (6, 3))
        R = np.eye(3, dtype=int) * ONE
        for _ in range(2):
            R = R + copi.decorrelation_update(y @ R.T, R, "right") / 50
            seen.case(same(R, R.T))

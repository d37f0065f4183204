"""Claims of §2.5's formulas and of R's symmetry, in exact arithmetic."""

import numpy as np
from exact import ONE, SEEDS, drawn, same
from ledger import claim

import copi_ref as copi

STEP = ONE / 10**12


def network(seed):
    W1, W2, R1, R2, y0, target, B = drawn(seed, (3, 4), (2, 3), (4, 4), (3, 3), (6, 4), (6, 2), (3, 2))
    params = copi.Params((W1, W2), (R1, R2))
    trace = copi.forward(params, y0)
    slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
    return params, trace, target, B, slope


@claim(paper="COPI", place="§2.5, backpropagation", verdict="holds",
       quote="the SGD perturbation can be computed via backpropagation (BP) by propagating the error signal from "
             "output to input",
       says="δ_l = diag(f′(a_l)) R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1}.",
       why="This is −dℓ/da_l, by differences, which are exact off the kinks.")  # fmt: skip
def test_the_formula_of_backpropagation(seen):
    def loss(params, a1, target):
        a2 = copi.leaky_relu(a1) @ params.R[1].T @ params.W[1].T
        return np.sum((copi.leaky_relu(a2) - target) ** 2, axis=1), a2

    for seed in SEEDS:
        params, trace, target, _, slope = network(seed)
        _, high = copi.backpropagation(params, trace, copi.Task(target))
        printed = slope * (high @ params.W[1] @ params.R[1])
        smooth = (trace.a[0] != 0).all(axis=1) & (trace.a[1] != 0).all(axis=1)
        assert smooth.any()
        for unit in range(3):
            step = np.arange(3) == unit
            up, down = (loss(params, trace.a[0] + sign * STEP * step, target)[0] for sign in (1, -1))
            seen.case(same(printed[smooth, unit], (-(up - down) / (2 * STEP))[smooth]))


@claim(paper="COPI", place="§2.5, feedback alignment", verdict="holds",
       quote="fixed random top-down weights B_{l+1} instead of the transposed weight matrix",
       says="FA is BP with a fixed B in the place of (W R)ᵀ.",
       why="And f′ and δ_L stay: with B = (W R)ᵀ it is BP.")  # fmt: skip
def test_feedback_alignment_replaces_the_transpose(seen):
    for seed in SEEDS:
        params, trace, target, B, slope = network(seed)
        bp, top = copi.backpropagation(params, trace, copi.Task(target))
        transposed = (params.W[1] @ params.R[1]).T
        for feedback, expected in ((transposed, bp), (B, slope * (top @ B.T))):
            fa = copi.feedback_alignment(params, trace, copi.Task(target, feedback=(feedback,)))
            seen.case(same(fa[0], expected) and same(fa[1], top))


@claim(paper="COPI", place="§2.5, target propagation", verdict="holds",
       quote="a perturbation away from the current activation, a_l , and toward the inverse model "
             "f(B_{l+1}δ_{l+1}^{tp}) of the perturbation from the layer above",
       says="The target z_l = a_l + δ_l is the inverse model's answer to the perturbation above.",
       why="Literally, and so it has forgotten a_l. Target propagation in its standard form gives the "
           "inverse model, f(B y_{l+1}) ≈ y_l, a target, and not a perturbation. Where the output is "
           "the target, δ_L = 0, and the layer below is told to be f(0) = 0.")  # fmt: skip
def test_target_propagation_as_printed(seen):
    for seed in SEEDS:
        params, trace, target, B, _ = network(seed)
        below, top = copi.target_propagation_as_printed(params, trace, copi.Task(target, feedback=(B,)))
        seen.case(same(trace.a[0] + below, copi.leaky_relu(top @ B.T)))
        at_target = copi.Task(trace.y[-1], feedback=(B,))
        assert same(copi.target_propagation_as_printed(params, trace, at_target)[0], -trace.a[0])


@claim(paper="COPI", place="§2.4", verdict="false", proof="symmetric-rule",
       quote="this matrix update maintains the symmetry of R_l",
       says="From R = I, R stays symmetric.",
       why="The second step breaks it; the rule `symmetric` keeps it to the last bit.")  # fmt: skip
def test_the_lateral_rule_keeps_symmetry(seen):
    for seed in SEEDS:
        (y,) = drawn(seed, (6, 3))
        for rule in ("left", "right"):
            R = np.eye(3, dtype=int) * ONE
            for _ in range(2):
                R = R + copi.decorrelation_update(y @ R.T, R, rule) / 50
                seen.case(same(R, R.T))

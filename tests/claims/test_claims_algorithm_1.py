"""Claims of Algorithm 1, line by line, in exact arithmetic."""

from fractions import Fraction

import numpy as np
from exact import ONE, SEEDS, drawn, identity, off, power, same
from ledger import claim

import copi_ref as copi

ETA_W, ETA_R = Fraction(1, 7), Fraction(1, 9)
STEP = Fraction(1, 10**12)


def network(seed):
    """A 4-3-2 network, whose R are not symmetric, six samples and their targets."""
    W1, W2, R1, R2, y0, target = drawn(seed, (3, 4), (2, 3), (4, 4), (3, 3), (6, 4), (6, 2))
    return copi.Params((W1, W2), (R1, R2)), y0, target


def perturbations(params, y0, target):
    trace = copi.forward(params, y0)
    return trace, copi.backpropagation(params, trace, copi.Task(target))


def stepped(params, y0, target):
    recipe = copi.Recipe(eta_w=ETA_W, eta_r=ETA_R, lateral_rule="right")
    rng_state = dict(np.random.default_rng(0).bit_generator.state)
    state = copi.State(params, tuple(recipe.optimizer.init(W) for W in params.W), None, rng_state)
    return copi.step(recipe, state, y0, target).params


@claim(paper="COPI", place="App. A, Algorithm 1, line 5", verdict="holds if",
       quote="x_l = R_l y_{l−1} ▷ Decorrelate the input data",
       says="x = R y decorrelates the input.",
       why="If the first line of Eq. 4, at a safe rate, has been at work on R for long, on the same "
           "samples. From R = I the input goes in as it is, and with line 15 at work R may leave every "
           "bound (§2.4).")  # fmt: skip
def test_line_5_decorrelates(seen):
    def is_decorrelated(y, R):
        x = copi.forward(copi.Params((np.eye(3),), (R,)), y).x[0]
        return np.sum(off(x) ** 2) < 1e-6 * np.sum(off(y) ** 2)

    def learnt(y, rule, steps):
        R = np.eye(3)
        for _ in range(steps):
            R = R + copi.safe_eta_r(y) * copi.decorrelation_update(y @ R.T, R, rule)
        return R

    for seed in SEEDS:
        y = np.random.default_rng(seed).normal(size=(20, 3))
        seen.case(is_decorrelated(y, np.eye(3)), condition=False)
        seen.case(is_decorrelated(y, learnt(y, "left", 2000)))
    y = np.array([[-2.0, -3, -3], [1, -2, -2]])
    seen.case(is_decorrelated(y, learnt(y, "right", 305)), condition=False)  # then it leaves the numbers
    seen.case(is_decorrelated(y, learnt(y, "left", 100_000)))


@claim(paper="COPI", place="App. A, Algorithm 1, line 6", verdict="holds",
       quote="a_l = W_l x_l ▷ Compute activation",
       says="a = W x, so W R acts on y.",
       why="The two maps are one linear map.")  # fmt: skip
def test_line_6_is_one_linear_map(seen):
    for seed in SEEDS:
        params, y0, _ = network(seed)
        seen.case(same(copi.forward(params, y0).a[0], y0 @ (params.W[0] @ params.R[0]).T))


@claim(paper="COPI", place="App. A, Algorithm 1, line 7", verdict="holds",
       quote="y_l = f(a_l) ▷ Compute output",
       says="y = f(a), unit by unit, and is the next input.",
       why="Leaky ReLU, with the published experiments' slope of 1/10: the text leaves it open.")  # fmt: skip
def test_line_7_feeds_the_next_layer(seen):
    for seed in SEEDS:
        params, y0, _ = network(seed)
        trace = copi.forward(params, y0)
        y1 = np.where(trace.a[0] < 0, trace.a[0] / 10, trace.a[0])
        seen.case(same(trace.x[1], y1 @ params.R[1].T))


@claim(paper="COPI", place="App. A, Algorithm 1, line 9", verdict="holds",
       quote="ℓ = ‖y_L − y*‖² ▷ Compute loss",
       says="ℓ = ‖y_L − y*‖² gives δ_L = 2 f′(a_L) ∘ (y* − y_L).",
       why="The factor 2 belongs to it: −dℓ/da_L by exact differences.")  # fmt: skip
def test_line_9_gives_the_factor_2(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        a = copi.forward(params, y0).a[-1]
        a = a + (a == 0)  # off the kink, by more than a step
        printed = 2 * np.where(a < 0, ONE / 10, ONE) * (target - copi.leaky_relu(a))
        up, down = ((copi.leaky_relu(a + step) - target) ** 2 for step in (STEP, -STEP))
        seen.case(same(printed, -(up - down) / (2 * STEP)))


@claim(paper="COPI", place="App. A, Algorithm 1, line 11", verdict="holds if",
       quote="δ_l = da_{l+1}/da_l δ_{l+1} ▷ Compute learning signal",
       says="δ_l is the Jacobian da_{l+1}/da_l times δ_{l+1}.",
       why="If da_{l+1}/da_l is laid out as §2.5 does, as f′(a_l) ∘ Rᵀ Wᵀ; the usual Jacobian is its "
           "transpose.")  # fmt: skip
def test_line_11_as_printed(seen):
    W, R = drawn(1, (3, 3), (3, 3))  # square, so that the untransposed product exists
    params = copi.Params((identity(3), W), (identity(3), R))
    y0, target = drawn(2, (6, 3), (6, 3))
    trace, deltas = perturbations(params, y0, target)
    slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
    jacobians = [(W @ R) * slope[n] for n in range(6)]  # row i, column j: da_{l+1,i}/da_{l,j}
    for transposed in (True, False):
        used = [(J.T if transposed else J) @ delta for J, delta in zip(jacobians, deltas[1], strict=True)]
        seen.case(same(deltas[0], np.array(used)), condition=transposed)


@claim(paper="COPI", place="App. A, Algorithm 1, line 14", verdict="holds",
       quote="W_l ← W_l + η_W((a_l + δ_l)x_lᵀ − W_l diag(x_l²))",
       says="W moves by η_W of Eq. 5.",
       why="With the batch's mean for the single sample.")  # fmt: skip
def test_line_14_moves_W(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        trace, deltas = perturbations(params, y0, target)
        after = stepped(params, y0, target)
        for layer in range(2):
            x, z = trace.x[layer], trace.a[layer] + deltas[layer]
            moved = params.W[layer] + ETA_W * (z.T @ x / 6 - params.W[layer] @ power(x))
            seen.case(same(after.W[layer], moved))


@claim(paper="COPI", place="App. A, Algorithm 1, line 15", verdict="holds",
       quote="R_l ← R_l − η_R((R_l x_l)x_lᵀ − R_l diag(x_l²))",
       says="R moves by η_R of Eq. 6.",
       why="Which is −R C_off, Eq. 4's last line.")  # fmt: skip
def test_line_15_moves_R(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        trace, after = copi.forward(params, y0), stepped(params, y0, target)
        for layer in range(2):
            seen.case(same(after.R[layer], params.R[layer] - ETA_R * params.R[layer] @ off(trace.x[layer])))


@claim(paper="COPI", place="App. A, Algorithm 1, lines 10 to 16", verdict="holds",
       quote="▷ Backward pass … ▷ Update Parameters (mix passes)",
       says="An error goes down through weights that have not moved: errors come first, in a loop of their own.",
       why="Through weights that have moved already δ_l is another. One loop does as well, if it sends "
           "δ_{l−1} down before W_l and R_l move: to the same numbers, exactly.")  # fmt: skip
def test_errors_go_through_the_old_weights(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        trace, deltas = perturbations(params, y0, target)
        after = stepped(params, y0, target)
        slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
        before, late = (slope * (deltas[1] @ used.W[1] @ used.R[1]) for used in (params, after))
        seen.case(same(deltas[0], before) and not same(deltas[0], late))
        in_one = in_one_loop(params, trace, target)
        assert all(same(one, other) for mine, theirs in zip(in_one, (after.W, after.R), strict=True)
                   for one, other in zip(mine, theirs, strict=True))  # fmt: skip


def in_one_loop(params, trace, target):
    """One loop from the last layer down: δ of the layer below first, then the weights of this one."""
    slopes = [np.where(a < 0, ONE / 10, ONE) for a in trace.a]
    W, R = list(params.W), list(params.R)
    delta = slopes[-1] * 2 * (target - trace.y[-1])
    for layer in reversed(range(len(W))):
        x, z = trace.x[layer], trace.a[layer] + delta
        below = slopes[layer - 1] * (delta @ W[layer] @ R[layer]) if layer else None
        W[layer] = W[layer] + ETA_W * (z.T @ x / len(x) - W[layer] @ power(x))
        R[layer] = R[layer] - ETA_R * R[layer] @ off(x)
        delta = below
    return W, R

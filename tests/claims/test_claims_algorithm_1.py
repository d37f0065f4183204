"""Claims of Algorithm 1, line by line, in exact arithmetic."""

from fractions import Fraction

import numpy as np
from exact import ONE, SEEDS, drawn, identity, off, power, same
from ledger import claim

import copi_ref as copi

ETA_W, ETA_R = Fraction(1, 7), Fraction(1, 9)


def network(seed):
    """A 4-3-2 network, whose R are not symmetric, six samples and their targets."""
    W1, W2, R1, R2, y0, target = drawn(seed, (3, 4), (2, 3), (4, 4), (3, 3), (6, 4), (6, 2))
    return copi.Params((W1, W2), (R1, R2)), y0, target


def perturbations(params, y0, target, loss=copi.quadratic):
    trace = copi.forward(params, y0)
    return trace, copi.backpropagation(params, trace, copi.Task(target, loss))


def stepped(params, y0, target):
    recipe = copi.Recipe(eta_w=ETA_W, eta_r=ETA_R, lateral_rule="right")
    rng_state = dict(np.random.default_rng(0).bit_generator.state)
    state = copi.State(params, tuple(recipe.optimizer.init(W) for W in params.W), None, rng_state)
    return copi.step(recipe, state, y0, target).params


@claim(paper="COPI", place="App. A, Algorithm 1, line 5", says="x = R y decorrelates the input.", verdict="holds if",
       why="If R has learnt to; from R = I the input stays as it is.")  # fmt: skip
def test_line_5_decorrelates(seen):
    y = np.array([[2, 1], [-2, -1], [0, 1], [0, -1]], dtype=object) * ONE  # E[y yᵀ] = [[2, 1], [1, 1]]
    for R in (identity(2), np.array([[ONE, -ONE], [0 * ONE, ONE]])):
        x = copi.forward(copi.Params((identity(2),), (R,)), y).x[0]
        seen.case(same(off(x), 0), condition=not same(R, identity(2)))


@claim(paper="COPI", place="App. A, Algorithm 1, line 6", says="a = W x, so W R acts on y.", verdict="holds",
       why="The two maps are one linear map.")  # fmt: skip
def test_line_6_is_one_linear_map(seen):
    for seed in SEEDS:
        params, y0, _ = network(seed)
        seen.case(same(copi.forward(params, y0).a[0], y0 @ (params.W[0] @ params.R[0]).T))


@claim(paper="COPI", place="App. A, Algorithm 1, line 7", says="y = f(a), unit by unit, and is the next input.",
       verdict="holds", why="Leaky ReLU with slope 1/10.")  # fmt: skip
def test_line_7_feeds_the_next_layer(seen):
    for seed in SEEDS:
        params, y0, _ = network(seed)
        trace = copi.forward(params, y0)
        y1 = np.where(trace.a[0] < 0, trace.a[0] / 10, trace.a[0])
        seen.case(same(trace.x[1], y1 @ params.R[1].T))


@claim(paper="COPI", place="App. A, Algorithm 1, line 9", says="ℓ = ‖y_L − y*‖² gives δ_L = 2 f′(a_L) ∘ (y* − y_L).",
       verdict="holds if", why="If the factor 2 is kept; ½‖·‖² drops it.")  # fmt: skip
def test_line_9_gives_the_factor_2(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        for loss in (copi.quadratic, copi.half_quadratic):
            trace, deltas = perturbations(params, y0, target, loss)
            expected = 2 * np.where(trace.a[-1] < 0, ONE / 10, ONE) * (target - trace.y[-1])
            seen.case(same(deltas[-1], expected), condition=loss is copi.quadratic)


@claim(paper="COPI", place="App. A, Algorithm 1, line 11", says="δ_l is the Jacobian da_{l+1}/da_l times δ_{l+1}.",
       verdict="false", why="It is the transposed Jacobian: f′(a_l) ∘ Rᵀ Wᵀ δ; §2.5's formula has it so.")  # fmt: skip
def test_line_11_as_printed(seen):
    W, R = drawn(1, (3, 3), (3, 3))  # square, so that the untransposed product exists
    params = copi.Params((identity(3), W), (identity(3), R))
    y0, target = drawn(2, (6, 3), (6, 3))
    trace, deltas = perturbations(params, y0, target)
    slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
    assert same(deltas[0], slope * (deltas[1] @ (W @ R)))
    jacobian = [(W @ R) * slope[n] @ deltas[1][n] for n in range(6)]
    seen.case(same(deltas[0], np.array(jacobian)))


@claim(paper="COPI", place="App. A, Algorithm 1, line 14", says="W moves by η_W of Eq. 5.", verdict="holds",
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


@claim(paper="COPI", place="App. A, Algorithm 1, line 15", says="R moves by η_R of Eq. 6.", verdict="holds",
       why="Which is −R C_off, Eq. 4's last line.")  # fmt: skip
def test_line_15_moves_R(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        trace, after = copi.forward(params, y0), stepped(params, y0, target)
        for layer in range(2):
            seen.case(same(after.R[layer], params.R[layer] - ETA_R * params.R[layer] @ off(trace.x[layer])))


@claim(paper="COPI", place="App. A, Algorithm 1, lines 10 to 16", verdict="holds if",
       says="Errors may go through the layers and weights be updated in one loop.",
       why="If each error goes through the weights of the forward pass, not updated ones.")  # fmt: skip
def test_errors_go_through_the_old_weights(seen):
    for seed in SEEDS:
        params, y0, target = network(seed)
        trace, deltas = perturbations(params, y0, target)
        after = stepped(params, y0, target)
        slope = np.where(trace.a[0] < 0, ONE / 10, ONE)
        for old, used in ((True, params), (False, after)):
            seen.case(same(slope * (deltas[1] @ used.W[1] @ used.R[1]), deltas[0]), condition=old)

"""Claims of Appendices B and C, in exact arithmetic."""

import numpy as np
from exact import ONE, SEEDS, decorrelated, drawn, exact, moment, off, same
from ledger import claim

import copi_ref as copi


@claim(paper="COPI", place="App. B, W = Z Xᵀ D", verdict="holds if",
       quote="linear approximations of transformations can be computed without computing inverses",
       says="Without an inverse this solves Z Xᵀ = W X Xᵀ.",
       why="If inputs are decorrelated.")  # fmt: skip
def test_the_diagonal_formula_is_the_regression(seen):
    for seed in SEEDS:
        z16, z6, scales, correlated = drawn(seed, (16, 3), (6, 3), (4,), (6, 4))
        for x, z in ((decorrelated(scales), z16), (correlated, z6)):
            W = copi.fixed_point(x, z)
            seen.case(same(W @ moment(x), z.T @ x / len(x)), condition=same(off(x), 0))


@claim(paper="COPI", place="App. B, fixed point", verdict="holds if",
       quote="at its ‘fixed point’ … W_l = E[z_l x_lᵀ]diag(E[x_l²])⁻¹",
       says="For fixed z COPI rests at W = E[z xᵀ] diag(E[x²])⁻¹, and nowhere else.",
       why="If no input is 0 in all samples, correlated or not. Of one that is, every weight is at "
           "rest, and the inverse doesn't exist.")  # fmt: skip
def test_copi_rests_at_the_fixed_point(seen):
    for seed in SEEDS:
        x, z = drawn(seed, (6, 4), (6, 3))
        elsewhere = exact([0, seed + 1, 0, 0])
        for alive in (True, False):
            x = x * exact([1, int(alive), 1, 1])
            W = copi.fixed_point(x, z)
            assert same(copi.copi_update(x, z, W), 0)
            if alive:
                assert same(W, z.T @ x / 6 @ np.diag(1 / np.diag(moment(x))))
            seen.case(not same(copi.copi_update(x, z, W + elsewhere), 0), condition=alive)


@claim(paper="COPI", place="App. C, Δw", verdict="holds",
       quote="z_i x_j − w_ij x_j² = (Σ_j w_ij x_j) x_j − w_ij x_j² + δ_i x_j",
       says="Δw_ij = (Σ_j w_ij x_j) x_j − w_ij x_j² + δ_i x_j.",
       why="The sum's index is another j than the weight's.")  # fmt: skip
def test_the_single_weight_update_of_w(seen):
    for seed in SEEDS:
        x, delta, W = drawn(seed, (1, 4), (1, 3), (3, 4))
        a = x @ W.T
        by_hand = [[a[0, i] * x[0, j] - W[i, j] * x[0, j] ** 2 + delta[0, i] * x[0, j] for j in range(4)]
                   for i in range(3)]  # fmt: skip
        seen.case(same(copi.copi_update(x, a + delta, W), np.array(by_hand)))


@claim(paper="COPI", place="App. C, Δr", verdict="holds",
       quote="−(z̃_i x_j − r_ij x_j²) = (Σ_j (−r_ij) x_j) x_j − (−r_ij) x_j²",
       says="−(z̃_i x_j − r_ij x_j²) = (Σ_j (−r_ij) x_j) x_j − (−r_ij) x_j².",
       why="With z̃ = R x, which is q of Eq. 6.")  # fmt: skip
def test_the_single_weight_update_of_r(seen):
    for seed in SEEDS:
        x, R = drawn(seed, (1, 4), (4, 4))
        q = x @ -R.T
        by_hand = [[q[0, i] * x[0, j] + R[i, j] * x[0, j] ** 2 for j in range(4)] for i in range(4)]
        seen.case(same(copi.decorrelation_update(x, R, "right"), np.array(by_hand)))


@claim(paper="COPI", place="App. C, difference from Oja's rule", verdict="holds",
       quote="an additional term δ_i x_j and the weight decay for both the forward and lateral weights depends on "
             "the (squared) pre-synaptic rather than post-synaptic firing rates",
       says="COPI adds δ_i x_j and decays with x_j² where Oja's rule has y_i².",
       why="The difference is exactly δ_i x_j − w_ij (x_j² − y_i²).")  # fmt: skip
def test_copi_differs_from_oja_in_two_terms(seen):
    for seed in SEEDS:
        x, delta, W = drawn(seed, (1, 4), (1, 3), (3, 4))
        y = x @ W.T
        difference = copi.copi_update(x, y + delta, W) - copi.oja_update(x, y, W)
        seen.case(same(difference, delta.T * x - W * (x**2 - y.T**2)))


@claim(paper="COPI", place="App. C, both updates", verdict="holds if",
       quote="The first term in both expressions is a Hebbian update … The second term in both expressions takes the "
             "form of a weight decay",
       says="The second term draws the weight towards 0.",
       why="Holds for the forward weights, −w_ij x_j². That of the lateral ones is +r_ij x_j², which "
           "drives them away from 0, and their first, −z̃_i x_j, is anti-Hebbian: the minus in front is "
           "of both.")  # fmt: skip
def test_the_second_term_is_a_decay(seen):
    for seed in SEEDS:
        x, W = drawn(seed, (1, 3), (3, 3))
        x, W = x + (x == 0), W + (W == 0)
        of_w = copi.copi_update(x, 0 * x, W)  # z = 0: what is left is the second term
        of_r = copi.decorrelation_update(x, W, "right") + (x @ W.T).T @ x  # less the first, −z̃ xᵀ
        for second, forward in ((of_w, True), (of_r, False)):
            seen.case(bool((second * W < 0).all()), condition=forward)


@claim(paper="COPI", place="App. C, last paragraph", verdict="holds if",
       quote="Oja’s rule scales weight decay in order to normalize the scale of the weights which target a "
             "post-synaptic neuron",
       says="Oja's rule normalises a unit's weights.",
       why="To first order in η, for a unit that is not silent: m·Δm = E[y²] (1 − ‖m‖²), the length "
           "moves towards 1. A step of any size η takes m = (1, 0) with E[x xᵀ] = ((1, ½), (½, ½)) to "
           "‖m‖² = 1 + η²/4.")  # fmt: skip
def test_oja_normalises(seen):
    for seed in SEEDS:
        x, M = drawn(seed, (6, 4), (3, 4))
        y = x @ M.T
        pull = np.sum(M * copi.oja_update(x, y, M), axis=1)
        seen.case(same(pull, np.diag(moment(y)) * (1 - np.sum(M * M, axis=1))))
    x, m = exact([[1, 1], [1, 0]]), exact([[1, 0]])
    assert same(moment(x), exact([[1, ONE / 2], [ONE / 2, ONE / 2]]))
    for eta in (ONE / 10, ONE / 1000):
        length = np.sum((m + eta * copi.oja_update(x, x @ m.T, m)) ** 2)
        assert length == 1 + eta**2 / 4
        seen.case(abs(length - 1) <= 0, condition=False)


@claim(paper="COPI", place="App. C, last paragraph", verdict="holds",
       quote="infer the scale which the weights should take in order to reproduce the post-synaptic neuron activity",
       says="At rest w_ij is the factor of x_j that comes closest to z_i.",
       why="E[z_i x_j]/E[x_j²] is the regression of z_i on x_j alone, also for correlated inputs: what "
           "is left, z_i − w_ij x_j, has nothing of x_j in it. All x_j together reproduce z where they "
           "are uncorrelated.")  # fmt: skip
def test_each_weight_is_the_scale_of_its_input(seen):
    for seed in SEEDS:
        x, z = drawn(seed, (6, 4), (6, 3))
        W = copi.fixed_point(x, z)
        left = [[np.sum((z[:, i] - W[i, j] * x[:, j]) * x[:, j]) for j in range(4)] for i in range(3)]
        seen.case(same(np.array(left), 0))


@claim(paper="COPI", place="App. B, last paragraph", verdict="holds if",
       quote="had no elements which were zero and thus we could divide by X without issue",
       says="Keeping the first layer leaves no input to divide by 0.",
       why="If the hidden units are linearly independent over the samples, and R₂ is regular. A silent "
           "unit has E[x²] = 0, and R₂ = ((1, −1), (0, 1)) makes such an input of two equal units.")  # fmt: skip
def test_hidden_inputs_are_not_dead(seen):
    y0, one = exact([[1, 2], [3, 1]]), exact([[1, 0], [0, 1]])
    less = exact([[1, -1], [0, 1]])
    for W, R in (([[1, 1], [1, 0]], one), ([[1, 1], [1, 0]], less), ([[1, 1], [0, 0]], one), ([[1, 1], [1, 1]], less)):
        x = copi.forward(copi.Params((exact(W), one), (one, R)), y0).x[1]
        (a, b), (c, d) = copi.forward(copi.Params((exact(W),), (one,)), y0).y[0]
        seen.case(bool((np.diag(moment(x)) > 0).all()), condition=a * d != b * c)

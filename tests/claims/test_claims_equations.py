"""Claims of the equations, in exact arithmetic wherever they are rational."""

import numpy as np
from exact import ONE, SEEDS, decorrelated, drawn, exact, identity, moment, off, power, same
from ledger import claim

import copi_ref as copi


def moment_of(z, x):
    return z.T @ x / len(x)


@claim(paper="COPI", place="§2.2, Eq. 1", verdict="holds if",
       quote="a decay from the current weight values to the desired weight values",
       says="Steps along D − W lead to the desired weights.",
       why="If 0 < η < 2: a step multiplies D − W by 1 − η. At η = 2 it is mirrored, beyond it grows.")  # fmt: skip
def test_equation_1_leads_to_the_desired_weights(seen):
    x = decorrelated(exact([1, 1, 1, 1]))  # whitened: the update is D − W
    for seed in SEEDS:
        D, W = drawn(seed, (3, 4), (3, 4))
        for eta in (ONE / 10, ONE, 19 * ONE / 10, 2 * ONE, 3 * ONE):
            after = W + eta * copi.copi_update(x, x @ D.T, W)
            seen.case(np.sum((D - after) ** 2) < np.sum((D - W) ** 2), condition=eta < 2)


@claim(paper="COPI", place="§2.3, Eq. 2", verdict="holds if",
       quote="allowing the weight update to be expressed in terms of target outputs, z_l , rather than (unknown) "
             "desired weights",
       says="E[z xᵀ] E[x xᵀ]⁻¹ − W is D − W.",
       why="If E[x xᵀ] is invertible; else several D give the same targets. §2.3 drops this for Eq. 3 "
           "only.")  # fmt: skip
def test_equation_2_is_the_desired_step(seen):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        q = np.linalg.qr(rng.normal(size=(7, 4)))[0]
        D, W = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
        error = np.abs(copi.full_update(q, q @ D.T, W) - (D - W)).max()
        seen.case(error < 1e-12)  # condition 1, some 10² roundings of numbers below 10
    x, C = exact([[1, 1], [2, 2]]), moment(exact([[1, 1], [2, 2]]))  # two equal inputs
    for D in (exact([[1, 0]]), exact([[0, 1]])):  # both give the same x, z and W: no formula tells them apart
        smallest = moment_of(x @ D.T, x) @ C / np.trace(C) ** 2  # by the pseudo-inverse of a C of rank 1
        seen.case(same(smallest, D), condition=False)


@claim(paper="COPI", place="§2.3, whitened inputs", verdict="holds if",
       quote="In this case, Eq. (2) reduces to the simple update rule",
       says="Eq. 2 reduces to E[z xᵀ] − W.",
       why="If E[x xᵀ] = I.")  # fmt: skip
def test_whitened_inputs_need_no_inverse(seen):
    for seed in SEEDS:
        D, W, scales = drawn(seed, (3, 4), (3, 4), (4,))
        for factor in (exact([1] * 4), scales + 7):
            x = decorrelated(factor)
            z = x @ D.T
            seen.case(same(copi.sgd_update(x, z) - W, D - W), condition=same(factor, ONE))


@claim(paper="COPI", place="§2.3, below Eq. 2", verdict="false",
       quote="This amounts to a rescaling of the rows of Δ_{W_l} , akin to a scaling of the learning rate of the "
             "rows of this matrix",
       says="Right-multiplying by diag(E[x²]) rescales rows of ΔW.",
       why="It rescales columns.")  # fmt: skip
def test_a_diagonal_on_the_right_rescales_rows(seen):
    for seed in SEEDS:
        x, D, W = drawn(seed, (6, 4), (3, 4), (3, 4))
        step, scales = D - W, np.diag(power(x))
        assert same(step @ power(x), step * scales[None, :])
        rows = [(step @ power(x))[i] for i in range(3)]
        seen.case(all(np.linalg.matrix_rank(np.array([a, b], float)) < 2 for a, b in zip(rows, step, strict=True)))


@claim(paper="COPI", place="§2.3, Eq. 3", verdict="holds if", proof="copi-and-sgd",
       quote="Right-multiplying both sides of Eq. (2) by this expression",
       says="COPI's rule is Eq. 2 times diag(E[x²]).",
       why="If inputs are decorrelated; else it differs by D C_off.")  # fmt: skip
def test_equation_3_is_equation_2_rescaled(seen):
    for seed in SEEDS:
        D, W, scales, correlated = drawn(seed, (3, 4), (3, 4), (4,), (6, 4))
        for x in (decorrelated(scales), correlated):
            update = copi.copi_update(x, x @ D.T, W)
            seen.case(same(update, (D - W) @ power(x)), condition=same(off(x), 0))


@claim(paper="COPI", place="§2.4, derivation of ΔR", verdict="false",
       quote="R_l y_{l−1} − η(…)R_l y_{l−1} ← (R_l − η(…))R_l y_{l−1}",
       says="(R − η(…)) R y equals R y − η(…) R y.",
       why="Misplaced bracket: it is (R − η(…)R) y; the printed one is that only where R y = R R y.")  # fmt: skip
def test_the_bracket_of_the_derivation(seen):
    for seed in SEEDS:
        y, R = drawn(seed, (6, 4), (4, 4))
        x = y @ R.T
        R_next = R + copi.decorrelation_update(x, R, "left") / 10
        assert same(x - x @ off(x).T / 10, y @ R_next.T)
        seen.case(same(x @ (R - off(x) / 10).T, y @ R_next.T))


@claim(paper="COPI", place="§2.4, Eq. 4", verdict="holds if",
       quote="hence we may equivalently write this as",
       says="The two lines of Eq. 4 are the same update.",
       why="If R and C_off commute, as at R = I; after the first step they do not.")  # fmt: skip
def test_equation_4_is_one_rule(seen):
    for seed in SEEDS:
        (y,) = drawn(seed, (6, 3))
        R = identity(3)
        for step in range(2):
            x = y @ R.T
            left, right = (copi.decorrelation_update(x, R, rule) for rule in ("left", "right"))
            seen.case(same(left, right), condition=step == 0)
            R = R + left / 50


@claim(paper="COPI", place="§2.6, Eq. 5", verdict="holds",
       quote="replaces the expectations over the empirical distributions in Eqs. (3) and (4) by single data points",
       says="Single samples, averaged, give Eq. 3.",
       why="The rule is linear in z xᵀ and x².")  # fmt: skip
def test_equation_5_averages_to_equation_3(seen):
    for seed in SEEDS:
        x, z, W = drawn(seed, (6, 4), (6, 3), (3, 4))
        each = sum(z[n][:, None] * x[n][None, :] - W * x[n] ** 2 for n in range(6)) / 6
        seen.case(same(copi.copi_update(x, z, W), each))


@claim(paper="COPI", place="§2.6, Eq. 6", verdict="holds",
       quote="replaces the expectations over the empirical distributions in Eqs. (3) and (4) by single data points",
       says="Single samples, averaged, give Eq. 4's last line.",
       why="With R held while the samples are averaged.")  # fmt: skip
def test_equation_6_averages_to_equation_4(seen):
    for seed in SEEDS:
        x, R = drawn(seed, (6, 4), (4, 4))
        each = -sum((R @ x[n])[:, None] * x[n][None, :] - R * x[n] ** 2 for n in range(6)) / 6
        seen.case(same(copi.decorrelation_update(x, R, "right"), each))


@claim(paper="COPI", place="§2.7", verdict="holds if", proof="copi-and-sgd",
       quote="in this special case, the SGD update and the COPI update with error signal δ^{sgd} are approximately "
             "equivalent",
       says="On one layer COPI's and SGD's updates are (approximately) equivalent.",
       why="If W C_off = 0, then equal, as for decorrelated inputs: they differ by W C_off, exactly. "
           "Else COPI still moves W where SGD rests.")  # fmt: skip
def test_copi_is_sgd_on_one_layer(seen):
    for seed in SEEDS:
        delta8, delta6, W, scales, correlated = drawn(seed, (16, 3), (6, 3), (3, 4), (4,), (6, 4))
        for x, delta, V in ((decorrelated(scales), delta8, W), (correlated, delta6, W), (correlated, delta6, 0 * W)):
            difference = copi.copi_update(x, x @ V.T + delta, V) - copi.sgd_update(x, delta)
            assert same(difference, V @ off(x))
            seen.case(same(difference, 0), condition=same(V @ off(x), 0))

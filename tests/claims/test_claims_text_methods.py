"""What the running text of COPI's paper states, abstract to §2: in exact arithmetic, but for convergence."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
from exact import ONE, SEEDS, decorrelated, drawn, exact, identity, moment, off, same
from ledger import claim
from scipy.integrate import solve_ivp
from small_training import CREDIT

import copi_ref as copi
from copi_ref.credit import find_credit
from copi_ref.state import generator_of

CORRELATED = exact([[1, 1], [1, 0]])
UNCORRELATED = decorrelated(exact([1, 2]))
SIZES = (3, 4, 2)


def network(seed):
    """Exact W and R of two layers, feedback weights, a batch and a target."""
    *W, R1, R2, B, y0, target = drawn(seed, (4, 3), (2, 4), (3, 3), (4, 4), (4, 2), (3, 3), (3, 2))
    return copi.Params(tuple(W), (R1, R2)), (B,), y0, target


def squared_off_diagonal(C):
    return np.sum((C - np.diag(np.diag(C))) ** 2)


def mean(x):
    return x.sum(axis=0) / len(x)


def covariance(x):
    return moment(x) - np.outer(mean(x), mean(x))


# fmt: off


@claim(paper="COPI", place="Abstract; §4", verdict="holds if",
       quote="under the right conditions, individual weights could infer their own values",
       says="Weights infer their own desired values, each from the activities at its two ends.",
       why="Holds if E[x xᵀ] is diagonal and every input is alive. Then the rest of Eq. 3 for z = D x is W = D; with "
           "correlated inputs it is D E[x xᵀ] diag(E[x²])⁻¹, and the column of an input that is always 0 is not "
           "found.")
def test_text_weights_infer_their_own_values(seen):
    for seed in SEEDS:
        (D,) = drawn(seed, (3, 2))
        D = D + (D == 0)
        for x, condition in ((UNCORRELATED, True), (CORRELATED, False), (UNCORRELATED * exact([1, 0]), False)):
            seen.case(same(copi.fixed_point(x, x @ D.T), D), condition=condition)


@claim(paper="COPI", place="§1", verdict="holds if",
       quote="with a single mixed network activity state – in the BP case a mixture of the forward and backward pass "
             "– the parameters can infer their new values",
       says="One state a unit, that of the mixed pass, is all that the weights need.",
       why="Holds if the layer below is not perturbed, as in a single layer. Algorithm 1 sends f(a) up and learns "
           "from z = a + δ: a hidden unit needs both. With f(z) sent up, the ΔW of the layer above is another. §4 "
           "says as much: errors are assumed not to interfere with ongoing activity.")
def test_text_a_single_mixed_state_is_enough(seen):
    for seed in SEEDS:
        params, _, y0, _ = network(seed)
        trace = copi.forward(params, y0)
        delta1, delta2 = drawn(seed + 10, (3, 4), (3, 2))
        for delta in (delta1, delta1 * 0):
            x2 = copi.leaky_relu(trace.a[0] + delta) @ params.R[1].T
            z2, W2 = trace.a[1] + delta2, params.W[1]
            true = same(copi.copi_update(x2, z2, W2), copi.copi_update(trace.x[1], z2, W2))
            seen.case(true, condition=not delta.any())


@claim(paper="COPI", place="§1", verdict="holds",
       quote="no difference in activity needs to be computed to determine parameter updates",
       says="ΔW needs no difference of two activities: z is enough, however it is made up of a and δ.",
       why="ΔW is a function of x, z and W: another a with the same z gives the same ΔW. That of gradient descent "
           "changes. (The error δ_L itself is a difference, y* − y_L.)")
def test_text_no_difference_of_activities(seen):
    for seed in SEEDS:
        x, a, delta, shift, W = drawn(seed, (4, 3), (4, 2), (4, 2), (4, 2), (2, 3))
        (before, after), (sgd, sgd_after) = (
            [copi.WEIGHT_RULES[rule](x, *parts, W) for parts in ((a, delta), (a - shift, delta + shift))]
            for rule in ("copi", "sgd")
        )
        assert not same(sgd, sgd_after)
        seen.case(same(before, after))


@claim(paper="COPI", place="§1; §2.5", verdict="holds",
       quote="the COPI algorithm is not tied to any particular credit assignment method",
       says="COPI's rule takes its δ from any credit method.",
       why="The step with each of the methods here, and with a δ drawn at random, is W + η ΔW with that δ. That "
           "it learns is another matter: docs/results/credit.md has what each reaches.")
def test_text_any_credit_method_can_be_used(seen):
    def at_random(params, trace, task):
        return tuple(np.random.default_rng(3).normal(size=a.shape) for a in trace.a)

    y0, target = np.random.default_rng(0).normal(size=(6, 3)), np.random.default_rng(1).normal(size=(6, 2))
    for credit in (*CREDIT, at_random):
        recipe = copi.Recipe(eta_w=0.5, eta_r=0, credit=credit, dtype="float64")
        state = copi.init_state(recipe, SIZES, np.random.default_rng(2), np)
        trace = copi.forward(state.params, y0)
        task = copi.Task(target, feedback=state.feedback, rng=generator_of(state))
        deltas = find_credit(credit)(state.params, trace, task)
        after = copi.step(recipe, state, y0, target).params.W
        layers = zip(trace.x, trace.a, deltas, state.params.W, after, strict=True)
        for x, a, delta, W, new in layers:
            expected = W + 0.5 * copi.copi_update(x, a + delta, W)
            seen.case(np.allclose(new, expected, rtol=1e-12, atol=1e-12))


@claim(paper="COPI", place="§1", verdict="holds",
       quote="The form of the perturbation is precisely what determines which credit-assignment algorithm is being "
             "used for learning",
       says="Credit methods differ in the form of the perturbation, and in nothing else.",
       why="At the same W and R, ΔW under two methods differs by E[(δ − δ′) xᵀ] exactly, and ΔR does not differ.")
def test_text_methods_differ_by_their_perturbation_alone(seen):
    for seed in SEEDS:
        params, B, y0, target = network(seed)
        trace, task = copi.forward(params, y0), copi.Task(target, feedback=B)
        bp = copi.CREDIT["bp"](params, trace, task)
        for name in ("fa", "dfa", "tp-printed"):
            other = copi.CREDIT[name](params, trace, task)
            for x, a, W, one, two in zip(trace.x, trace.a, params.W, bp, other, strict=True):
                apart = copi.copi_update(x, a + one, W) - copi.copi_update(x, a + two, W)
                seen.case(same(apart, copi.sgd_update(x, one - two)))
            recipe = copi.Recipe(eta_w=ONE / 3, eta_r=ONE / 7, lateral_rule="right")
            memory = tuple(copi.plain.init(W) for W in params.W)
            state = copi.State(params, memory, B, dict(np.random.default_rng(0).bit_generator.state))
            after = [copi.step(replace(recipe, credit=one), state, y0, target).params for one in ("bp", name)]
            seen.case(all(same(*pair) for pair in zip(after[0].R, after[1].R, strict=True)))
            assert not same(after[0].W[0], after[1].W[0])


@claim(paper="COPI", place="§2.3", verdict="holds if",
       quote="which we assume to be invertible, though this condition is later shown to be unnecessary",
       says="E[x xᵀ] need not be invertible: COPI finds weights that give the targets z = D x without that.",
       why="Holds if E[x xᵀ] is diagonal, with zeros on it or not. With two identical inputs t and z = t, COPI rests "
           "at W = (1, 1), which gives 2t. The paper does not come back to it; App. B keeps clear of inputs that are "
           "0.")
def test_text_no_inverse_is_needed(seen):
    twins = exact([[1, 1], [-2, -2]])
    for seed in SEEDS:
        (D,) = drawn(seed, (3, 2))
        D = D + (D == 0) + (D.sum(axis=1, keepdims=True) == 0)
        for x, condition in ((UNCORRELATED * exact([1, 0]), True), (UNCORRELATED, True), (twins, False)):
            seen.case(same(x @ copi.fixed_point(x, x @ D.T).T, x @ D.T), condition=condition)


@claim(paper="COPI", place="§2.3", verdict="holds if",
       quote="zero covariance and unit variance, i.e., the inputs are whitened. This implies that the expected "
             "correlation matrix is given by the identity matrix",
       says="Inputs of zero covariance and unit variance have E[x xᵀ] = I.",
       why="Holds if all means are 0: E[x xᵀ] is the covariance plus the outer product of the means, which are not "
           "mentioned.")
def test_text_unit_covariance_is_unit_moment(seen):
    for shift in ([0, 0], [1, 0], [2, -1]):
        x = decorrelated(exact([1, 1])) + exact(shift)
        assert same(covariance(x), identity(2))
        seen.case(same(moment(x), identity(2)), condition=not any(shift))


@claim(paper="COPI", place="§2.3", verdict="holds if",
       quote="the data is decorrelated rather than whitened. This implies that the expected correlation matrix is "
             "diagonal",
       says="Inputs without covariances have a diagonal E[x xᵀ].",
       why="Holds if at most one mean is not 0. Two means μ, ν leave μν off the diagonal.")
def test_text_no_covariance_is_a_diagonal_moment(seen):
    for shift in ([0, 0, 0], [0, 3, 0], [1, 2, 0], [1, 1, 1]):
        x = decorrelated(exact([1, 2, 3])) + exact(shift)
        assert not (covariance(x) - np.diag(np.diag(covariance(x)))).any()
        seen.case(not off(x).any(), condition=np.count_nonzero(shift) <= 1)


def congruence(C):
    """Return a unit triangular T with T C Tᵀ diagonal, by elimination; C is positive semidefinite."""
    C, T = C.copy(), identity(len(C))
    for j in range(len(C)):
        for i in range(j + 1, len(C)):
            if C[j, j] != 0:
                factor = C[i, j] / C[j, j]
                C[i], T[i] = C[i] - factor * C[j], T[i] - factor * T[j]
    return T


@claim(paper="COPI", place="§2.3", verdict="holds",
       quote="A more realistic and achievable scenario",
       says="Decorrelation can be had where whitening can't.",
       why="An invertible R with R C Rᵀ diagonal exists for every C, by elimination. R C Rᵀ = I needs a C of full "
           "rank, which dead or identical inputs don't have.")
def test_text_decorrelation_is_achievable(seen):
    for seed in SEEDS:
        (y,) = drawn(seed, (2, 4))
        x = y @ congruence(moment(y)).T  # T is unit triangular, and so invertible
        seen.case(not off(x).any() and np.count_nonzero(np.diag(moment(x))) < 4)


@claim(paper="COPI", place="§2.4", verdict="holds if", proof="lyapunov-left",
       quote="We converge to the optimal decorrelating matrix R_l^* using an update",
       says="Repeated steps of the first line of Eq. 4 decorrelate: ‖C_off‖ → 0.",
       why="Holds if 0 < η ≤ 2/(3 tr C₀), C₀ being E[x xᵀ] at the start, and the samples y are the same in every "
           "step; proved for every C₀, shown for some of full rank, where each step has a derived factor below 1. At "
           "η = 4, two inputs of power 1 with E[x₁x₂] = ½ have an ‖C_off‖² that more than doubles in every step. In "
           "batches of 50 of 5,000 normal pairs and one outlier, (60, 60), the rate that is safe for all of them at "
           "once leaves the numbers in the first epoch.")
def test_text_decorrelation_converges(seen):
    for seed in SEEDS:
        E = np.random.default_rng(seed).normal(size=(4, 4))
        y = 2 * np.linalg.cholesky(np.eye(4) + 0.5 * (E + E.T) / np.linalg.norm(E + E.T, 2)).T
        C, R = moment(y), np.eye(4)
        eta, bound, falls, start = 1 / (2 * np.trace(C)), 1.0, True, squared_off_diagonal(C)
        while bound > 1e-6:
            low, *_, high = np.linalg.eigvalsh(C)
            factor = 1 - eta * (4 - 6 * eta * high) * low  # tr(C_off C C_off) is at least λmin ‖C_off‖²
            assert factor < 0.99
            bound *= factor
            R = R + eta * copi.decorrelation_update(y @ R.T, R, "left")
            C = moment(y @ R.T)
            falls = falls and squared_off_diagonal(C) <= bound * start * (1 + 1e-9)
        seen.case(falls)
    y = exact([[1, 1], [1, 1], [1, 1], [1, -1]])
    R, grows = identity(2), True
    for _ in range(5):
        x = y @ R.T
        R = R + 4 * copi.decorrelation_update(x, R, "left")
        grows = grows and squared_off_diagonal(moment(y @ R.T)) > 2 * squared_off_diagonal(moment(x))
    seen.case(not grows, condition=False)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5000, 2))
    y[0] = 60, 60
    R, eta = np.eye(2), copi.safe_eta_r(y)
    for batch in np.split(y[rng.permutation(5000)], 100):
        if np.abs(R).max() < 1e50:
            R = R + eta * copi.decorrelation_update(batch @ R.T, R, "left")
    seen.case(np.abs(R).max() < 1e50, condition=False)


BLOWS_UP = np.array([[-2.0, -3, -3], [1, -2, -2]])


def size_of_off(R, y):
    C = moment(y @ R.T)
    return np.linalg.norm(C - np.diag(np.diag(C))) / np.linalg.norm(moment(y) - np.diag(np.diag(moment(y))))


@claim(paper="COPI", place="§2.4, with Eq. 6; App. A, Algorithm 1, line 15", verdict="false",
       proof="right-leaves-every-bound",
       quote="We converge to the optimal decorrelating matrix R_l^* using an update … hence we may equivalently "
             "write this as",
       says="Line 15, −R C_off, iterated from R = I, decorrelates: ‖C_off‖ → 0.",
       why="An inference: \"converge\" is said of the first line, the last is called equivalent, and is what "
           "Algorithm 1 has. It has no safe rate. With the two samples (−2, −3, −3) and (1, −2, −2) ‖C_off‖ falls to "
           ".008 of its start, and is 100 times as large as there at η n tr C₀ = 203, 215 and 216.0 for 1, 1/10 and "
           "1/100 of 2/(3 tr C₀), at 216.1 in three solvers of Ṙ = −R C_off. That the flow leaves every bound is "
           "proved for some R, and computed from R = I. The other line and the symmetric rule decorrelate these "
           "samples.")
def test_text_the_printed_rule_decorrelates(seen):
    y, start, trace = BLOWS_UP, np.eye(3), np.trace(moment(BLOWS_UP))

    def flow(t, entries):
        R = entries.reshape(3, 3)
        C = moment(y @ R.T)
        return (-R @ (C - np.diag(np.diag(C)))).ravel() / trace

    def far(t, entries):
        return size_of_off(entries.reshape(3, 3), y) - 100

    far.terminal = True
    ends = []
    for method in ("LSODA", "DOP853", "Radau"):
        solved = solve_ivp(flow, (0, 400), start.ravel(), method=method, rtol=1e-10, atol=1e-12, events=far)
        ends.append(float(solved.t_events[0][0]))
        assert abs(np.linalg.det(solved.y[:, -1].reshape(3, 3)) - 1) < 1e-6  # what line 15 keeps in small steps
    assert max(ends) - min(ends) < 1e-3
    errors = []
    for share in (1, 0.1, 0.01):
        R, eta, n, low = start, share * 2 / (3 * trace), 0, 1.0
        while (size := size_of_off(R, y)) < 100 and eta * n * trace < 400:
            R, n, low = R + eta * copi.decorrelation_update(y @ R.T, R, "right"), n + 1, min(low, size)
        assert low < 0.01
        errors.append(ends[0] - eta * n * trace)
        seen.case(size < 1)
    assert 0 < 5 * errors[2] < errors[1] < errors[0] / 5  # towards the flow's own time, as the rate goes to 0
    for seed in SEEDS:  # the proof's own solution: two inputs, R of rank 1, every rate
        (two,) = drawn(seed, (5, 2))
        b, rho, eta = ONE * (seed + 1) / 3, ONE * (seed + 2) / 5, ONE / 10**seed
        R, s = rho * exact([[1, -1], [b, -b]]), np.sum((two[:, 0] - two[:, 1]) ** 2) / 5
        grown = R + eta * copi.decorrelation_update(two @ R.T, R, "right")
        assert s > 0
        assert same(grown, (1 + eta * rho**2 * s * b) * R)
    for rule in ("left", "symmetric"):
        R = start
        for _ in range(5000):
            R = R + 2 / (3 * trace) * copi.decorrelation_update(y @ R.T, R, rule)
        assert size_of_off(R, y) < 0.01


@claim(paper="COPI", place="§2.4", verdict="holds if",
       quote="We converge to the optimal decorrelating matrix R_l^*",
       says="Where the rule rests, inputs are decorrelated.",
       why="Holds for the first line of Eq. 4, and for its last line if R is regular: C_off R = 0 gives C_off C = 0, "
           "and ‖C_off‖² = tr(C_off C) = 0. Line 15 also rests at R = (1, 1, 0)ᵀ (0, 0, 1), where x₁ = x₂. R* is not "
           "one matrix: any diagonal matrix times it is a rest as well.")
def test_text_a_rest_decorrelates(seen):
    found = 0
    y = exact([[1, 2], [2, 1], [-1, 1]])
    for entries in product(range(-5, 6), repeat=4):
        R = exact(np.reshape(entries, (2, 2)))
        x = y @ R.T
        for rule in ("left", "right"):
            if not copi.decorrelation_update(x, R, rule).any():
                found += 1
                seen.case(not off(x).any())
    assert found > 50
    for seed in SEEDS:
        (y,) = drawn(seed, (4, 3))
        R = exact([[0, 0, 1], [0, 0, 1], [0, 0, 0]])
        x = y @ R.T
        assert copi.decorrelation_update(x, R, "left").any()
        assert not copi.decorrelation_update(x, R, "right").any()
        seen.case(not off(x).any(), condition=False)
        x = y @ congruence(moment(y)).T
        for scale in (exact([1, 1, 1]), exact([1, 2, 3])):  # R and diag(scale) R
            assert not copi.decorrelation_update(x * scale, identity(3), "left").any()


@claim(paper="ours", place="docs/use/choosing.md, lateral rule", verdict="holds",
       says="From an R with normal entries line 15 ends above its start, in 90 of 100 draws or more; the first line "
            "of Eq. 4 decorrelates from all of them.",
       why="20 normal samples of 3 inputs, η = 2/(3 tr C), C of R y. That of the first line is the theorem. "
           "(\"Randomly initialized\" in Algorithm 1's header may be read of R too; §2.4 asks for a symmetric start, "
           "\"for example with the identity matrix\".)")
def test_text_r_may_start_at_random(seen):
    rng, worse = np.random.default_rng(0), {"left": 0, "right": 0}
    for _ in range(100):
        y, start = rng.normal(size=(20, 3)), rng.normal(size=(3, 3))
        for rule in worse:
            R, eta, n = start, 2 / (3 * np.trace(moment(y @ start.T))), 0
            while n < 500 and squared_off_diagonal(moment(y @ R.T)) < 10**4 * squared_off_diagonal(moment(y @ start.T)):
                R, n = R + eta * copi.decorrelation_update(y @ R.T, R, rule), n + 1
            worse[rule] += squared_off_diagonal(moment(y @ R.T)) > squared_off_diagonal(moment(y @ start.T))
    seen.case(worse["left"] == 0)
    seen.case(worse["right"] >= 90)


@claim(paper="COPI", place="§2.4; §4", verdict="holds",
       quote="This has exactly the same form as our previous COPI rule … (note the negative sign in the weight "
             "update)",
       says="The last line of Eq. 4 is minus COPI's rule, with R for W and q = R x for z.",
       why="ΔR = −(E[q xᵀ] − R diag(E[x²])), exactly. With q = R x there is no δ, and it is −R C_off, the very term "
           "by which COPI's rule differs from gradient descent. The sign turns the inference round, as the paper "
           "says: for given x and q, R⁺ − R* = (R − R*)(1 + η diag(E[x²])), away from the R* that gives q.")
def test_text_the_lateral_rule_has_copis_form(seen):
    for seed in SEEDS:
        x, R = drawn(seed, (4, 3), (3, 3))
        x = x + (x == 0)
        q = x @ R.T
        minus = copi.decorrelation_update(x, R, "right")
        seen.case(same(minus, -copi.copi_update(x, q, R)) and same(minus, -R @ off(x)))
        star = copi.fixed_point(x, q)
        assert same(R + minus / 10 - star, (R - star) * (1 + np.diag(moment(x)) / 10))


@claim(paper="COPI", place="§2.4", verdict="holds if",
       quote="act to reduce correlation by providing either positive or negative feedback",
       says="A lateral weight moves against the correlation that it meets, whichever sign that has.",
       why="Holds if R = I, where ΔR_ij = −E[x_i x_j]; not for R = diag(1, −1), where −C_off R has the sign of "
           "E[x₁x₂].")
def test_text_lateral_weights_have_either_sign(seen):
    y = exact([[1, 2, -1], [1, -1, -2], [0, 1, 1]])
    C = moment(y)
    assert C[0, 1] > 0 > C[0, 2]
    for rule in ("left", "right", "symmetric"):
        dR = copi.decorrelation_update(y, identity(3), rule)
        seen.case(dR[0, 1] < 0 < dR[0, 2])
    R = exact([[1, 0], [0, -1]])
    x = y[:, :2] @ R.T
    seen.case(copi.decorrelation_update(x, R, "left")[0, 1] * off(x)[0, 1] < 0, condition=False)


# Of three units the first two have E[x₁x₂] = 0, and means are 0.
THREE = exact([[1, 1, 1], [-1, -1, -1], [1, -1, 0], [-1, 1, 0]])


@claim(paper="COPI", place="§2.4", verdict="holds if",
       quote="act to reduce correlation by providing either positive or negative feedback",
       says="Lateral weights bring E[x_i x_j] of two units nearer to 0 (which §2.3 calls their correlation).",
       why="If R = I, η is small, and these are all units there are. Of three, a pair with E[x₁x₂] = 0 is given one "
           "by its third: what falls is the sum of squares, ‖C_off‖². Line 15 raises it also for two, from R = ⅓ "
           "((1, −1), (2, −2)). It can fall by falling activities alone: two identical inputs stay identical under "
           "every rule, with a coefficient of 1.")
def test_text_lateral_weights_reduce_correlation(seen):
    for y in (exact([[1, 1], [1, 0], [1, -1], [2, 1]]), exact([[1, 1], [-2, -2]]), THREE):
        for rule in ("left", "right", "symmetric"):
            R = identity(len(y.T)) + copi.decorrelation_update(y, identity(len(y.T)), rule) / 100
            before, after = moment(y), moment(y @ R.T)
            seen.case(after[0, 1] ** 2 < before[0, 1] ** 2, condition=len(R) == 2)
            assert squared_off_diagonal(after) < squared_off_diagonal(before)
    before, after = moments_of_a_step(CENTRED, GROWS, "right")
    seen.case(after[0, 1] ** 2 < before[0, 1] ** 2, condition=False)
    x = exact([[1, 1], [-2, -2]])
    for rule in ("left", "right", "symmetric"):
        R = identity(2) + copi.decorrelation_update(x, identity(2), rule) / 100
        assert same((x @ R.T)[:, 0], (x @ R.T)[:, 1])


CENTRED = exact([[1, 1], [-1, -1], [1, -1], [-1, 1], [2, 1], [-2, -1]])
GROWS = exact([[1, -1], [2, -2]]) / 3  # what line 15 makes larger at every rate (docs/results/proofs.md)


def moments_of_a_step(y, R, rule):
    after = R + copi.decorrelation_update(y @ R.T, R, rule) / 100
    return moment(y @ R.T), moment(y @ after.T)


@claim(paper="ours", place="docs/learn/equations.md, E is not centred", verdict="holds if",
       says="Decorrelation lowers the covariance of two units.",
       why="Holds from R = I for two units whose means are 0 (and η is small). Two independent units with means of 2 "
           "have no covariance, and are given a negative one, since E[x₁x₂] = 4 is what R works against. Of three "
           "units with means of 0, two without a covariance are given one of −399/80000 at η = 1/100.")
def test_text_decorrelation_lowers_covariances(seen):
    for y in (CENTRED, decorrelated(exact([1, 1])) + 2, THREE):
        for rule in ("left", "right", "symmetric"):
            R = identity(len(y.T)) + copi.decorrelation_update(y, identity(len(y.T)), rule) / 100
            less = covariance(y @ R.T)[0, 1] ** 2 < covariance(y)[0, 1] ** 2
            seen.case(less, condition=not mean(y).any() and len(R) == 2)
            assert y is not THREE or covariance(y @ R.T)[0, 1] == Fraction(-399, 80000)


def loss_from(layer, a, params, target):
    """The loss of each sample with the state of a layer given."""
    y = copi.leaky_relu(a)
    if layer == 0:
        y = copi.leaky_relu(y @ params.R[1].T @ params.W[1].T)
    return copi.quadratic(y, target)


@claim(paper="COPI", place="§2.5", verdict="holds if",
       quote="guarantees that the neuronal states are driven in the direction of locally-decreasing loss",
       says="A small move of a layer's states along δ = −dℓ/da lowers the loss.",
       why="If no unit above is on its kink: by a millionth of δ, for every sample and layer where δ is not 0. At a "
           "kink f′(0) is a choice, and δ may point uphill: with f′(0) = 1, W₁ = (1, 1)ᵀ, W₂ = ((1, −1), (1, −½)), "
           "W₃ = (−1, 3/5), R = I, y₀ = 1, y* = 4/5 the loss rises for every move along δ₁, however small.")
def test_text_sgd_perturbations_point_downhill(seen):
    for seed in SEEDS:
        params, _, y0, target = network(seed)
        trace = copi.forward(params, y0)
        deltas = copi.backpropagation(params, trace, copi.Task(target))
        for layer, (a, delta) in enumerate(zip(trace.a, deltas, strict=True)):
            before, after = (loss_from(layer, a + e * delta, params, target) for e in (0, Fraction(1, 10**6)))
            moved = (delta != 0).any(axis=1)
            assert moved.any()
            seen.case((after < before)[moved].all())
    W = exact([[1], [1]]), exact([[1, -1], [1, Fraction(-1, 2)]]), exact([[-1, Fraction(3, 5)]])
    params, target = copi.Params(W, (identity(1), identity(2), identity(2))), exact([[Fraction(4, 5)]])
    trace = copi.forward(params, exact([[1]]))
    assert trace.a[1][0, 0] == 0
    delta = copi.backpropagation(params, trace, copi.Task(target))[0]

    def loss_at(a):
        y = copi.leaky_relu(copi.leaky_relu(a) @ W[1].T) @ W[2].T
        return copi.quadratic(copi.leaky_relu(y), target)[0]

    assert same(delta, exact([[Fraction(-2, 5), Fraction(7, 10)]]))
    for size in (3, 6, 9, 12):
        seen.case(loss_at(trace.a[0] + delta / 10**size) < loss_at(trace.a[0]), condition=False)


@claim(paper="COPI", place="§2.3; §2.5", verdict="holds if",
       quote="an error signal which perturbs the neuron’s state in a desired direction",
       says="The target state z = a + δ is a better one: the loss is lower there than at a.",
       why="Holds if the loss is ½‖y − y*‖² (one linear layer). With ‖y − y*‖², the loss of Algorithm 1, z = 2y* − a "
           "is the mirror image of a in y*, with exactly the same loss. What points downhill is the direction "
           "(above).")
def test_text_target_states_are_better_states(seen):
    for seed in SEEDS:
        a, target = drawn(seed, (1, 3), (1, 3))
        target = target + (target == a)
        for loss in (copi.half_quadratic, copi.quadratic):
            z = a + loss.perturbation(a, a, target, copi.identity)
            seen.case(loss(z, target)[0] < loss(a, target)[0], condition=loss is copi.half_quadratic)


@claim(paper="COPI", place="§2.5", verdict="holds",
       quote="each of these methods uses the same error signal δ_L for the output layer",
       says="BP, FA, DFA and target propagation as printed start from the same δ_L.",
       why="Exactly. (Of the methods here beyond the paper's, node perturbation and IL-prox don't.)")
def test_text_all_methods_start_from_the_same_error(seen):
    for seed in SEEDS:
        params, B, y0, target = network(seed)
        trace, task = copi.forward(params, y0), copi.Task(target, feedback=B)
        tops = [copi.CREDIT[name](params, trace, task)[-1] for name in ("bp", "fa", "dfa", "tp-printed")]
        seen.case(all(same(top, tops[0]) for top in tops))


@claim(paper="COPI", place="§2.5", verdict="holds if",
       quote="methods that do not make use of gradient information. We explore alternatives below",
       says="Feedback alignment and its direct form pass errors down without gradient information.",
       why="Holds if f′ = 1, where δ_l is B δ; else both multiply by f′(a_l), as printed. What they avoid is the "
           "transposed weights. (It is said as a wish; and δ_L, the loss's gradient at the output, is where all of "
           "them start.)")
def test_text_feedback_alignment_uses_no_gradients(seen):
    for seed in SEEDS:
        params, B, y0, target = network(seed)
        for f in (copi.identity, copi.leaky_relu):
            trace, task = copi.forward(params, y0, f), copi.Task(target, activation=f, feedback=B)
            for name in ("fa", "dfa"):
                first, top = copi.CREDIT[name](params, trace, task)
                seen.case(same(first, top @ B[0].T), condition=f is copi.identity)


@claim(paper="COPI", place="§2.5", verdict="holds if",
       quote="Supposing a top-down (approximate) inverse model … exists for every layer",
       says="Every layer has an inverse model, f(B y_{l+1}) = y_l.",
       why="Holds for a linear f and a regular W, and not for fewer units than the states below them span: two y_l "
           "may then give the same y_{l+1}, as from 10 outputs to 500 units. Leaky ReLU has none even for one unit: "
           "y = 1 needs B = 1, and y = −1 B = 100. (It is supposed, and \"approximate\"; docs/results/credit.md has "
           "what it costs.)")
def test_text_every_layer_has_an_inverse(seen):
    for seed in SEEDS:
        (y,) = drawn(seed, (4, 2))
        W = exact([[2, 1], [1, 1]])
        seen.case(same(y @ W.T @ exact([[1, -1], [-1, 2]]).T, y))
        narrow, same_above = exact([[2, 1]]), exact([[1, -2]])  # W · (1, −2)ᵀ = 0
        below, above = (y, y + same_above), (y @ narrow.T, (y + same_above) @ narrow.T)
        assert same(*above)
        seen.case(same(*below), condition=False)
    y = exact([[1], [-1]])
    above = copi.leaky_relu(y)  # W = 1
    needed = [B for B in (ONE, 100 * ONE) if copi.leaky_relu(B * above)[0, 0] == 1]
    assert needed == [1]
    assert copi.leaky_relu(100 * above)[1, 0] == -1
    seen.case(same(copi.leaky_relu(needed[0] * above), y), condition=False)


@claim(paper="COPI", place="§2.5", verdict="holds if",
       quote="a more direct theoretical relationship could also be established via methods such as GAIT propagation",
       says="δ of GAIT-prop is backpropagation's, to first order in γ.",
       why="Holds if W R is orthogonal and given its inverse: exactly, where no state crosses a kink. With another W "
           "R it is not, however small γ is.")
def test_text_gait_prop_is_backpropagation(seen):
    three, four = ONE * 3 / 5, ONE * 4 / 5
    turn, mirror = exact([[three, four], [-four, three]]), exact([[0, 1], [1, 0]])
    method = copi.GaitProp(ONE / 10**6, inverse="given")
    for seed in SEEDS:
        y0, target = drawn(seed, (5, 2), (5, 2))
        shear, back = exact([[1, 1], [0, 1]]), exact([[1, -1], [0, 1]])
        for W2, inverse in ((turn, turn.T), (2 * turn, turn.T / 2), (shear, back)):
            params = copi.Params((turn, W2 @ mirror), (identity(2), mirror))
            trace = copi.forward(params, y0)
            clear = np.all([(abs(a) > ONE / 1000).all(axis=1) for a in trace.a], axis=0)
            assert clear.any()
            ours = method(params, trace, copi.Task(target, feedback=(inverse,)))
            bp = copi.backpropagation(params, trace, copi.Task(target))
            seen.case(same(ours[0][clear], bp[0][clear]), condition=W2 is turn)


@claim(paper="COPI", place="§2.7", verdict="holds if",
       quote="which could eventually average out to a diagonal matrix in the case of decorrelated inputs",
       says="Between single-sample COPI and SGD, on decorrelated data, the difference averages out.",
       why="Holds if W waits until all samples have been seen. A single sample's x xᵀ is never diagonal (but for one "
           "live input), and after a pass in which W moves with every sample, the two have different weights.")
def test_text_sample_correlations_average_out(seen):
    for seed in SEEDS:
        W, delta = drawn(seed, (2, 2), (4, 2))
        W = W + (W == 0)
        samples = [(UNCORRELATED[n : n + 1], delta[n : n + 1]) for n in range(4)]
        apart = [copi.copi_update(x, x @ W.T + d, W) - copi.sgd_update(x, d) for x, d in samples]
        assert all(one.any() for one in apart)
        seen.case(not sum(apart).any())
        by_copi = by_sgd = W
        for x, d in samples:
            by_copi = by_copi + copi.copi_update(x, x @ by_copi.T + d, by_copi) / 10
            by_sgd = by_sgd + copi.sgd_update(x, d) / 10
        seen.case(same(by_copi, by_sgd), condition=False)


@claim(paper="COPI", place="§2.7; §3.1", verdict="holds if",
       quote="BP updates are computed without this explicit knowledge and are therefore negatively affected by "
             "sample/mini-batch correlations",
       says="Correlations of the samples at hand enter SGD's update and not COPI's.",
       why="Holds if z is what is given, as in a linear layer with ½‖y − y*‖², where z = y*: COPI's is E[z xᵀ] − W "
           "diag(E[x²]), SGD's E[z xᵀ] − W E[x xᵀ]. With δ given, as by the layers above, it is the other way round: "
           "SGD's is E[δ xᵀ], and COPI's has W C_off besides.")
def test_text_copi_is_unaffected_by_sample_correlations(seen):
    plain, linked = (exact([[1, 1], [1, last], [1, 1], [1, -1]]) for last in (-1, 1))
    assert same(np.diag(moment(plain)), np.diag(moment(linked)))
    assert off(linked).any()
    assert not off(plain).any()
    for seed in SEEDS:
        W, cross = drawn(seed, (2, 2), (2, 2))
        W = W + (W == 0)
        # the same E[s xᵀ] = cross for both batches; s is the target state, or the perturbation
        signals = plain @ cross.T, linked @ (cross @ exact([[4, -2], [-2, 4]]) / 3).T
        for z_given in (True, False):
            pairs = [(x, s - x @ W.T if z_given else s) for x, s in zip((plain, linked), signals, strict=True)]
            by_sgd = [copi.sgd_update(x, delta) for x, delta in pairs]
            by_copi = [copi.copi_update(x, x @ W.T + delta, W) for x, delta in pairs]
            seen.case(same(*by_copi) and not same(*by_sgd), condition=z_given)


@claim(paper="COPI", place="§4; Abstract", verdict="holds",
       quote="We derived an effective local learning rule",
       says="Δw_ij needs z_i, x_j and w_ij, and nothing else.",
       why="With all other states and weights exchanged, Δw_ij is the same number. (z_i contains δ_i, for which "
           "backpropagation needs more.)")
def test_text_the_rule_is_local(seen):
    for seed in SEEDS:
        x, z, W, *others = drawn(seed, (4, 3), (4, 2), (2, 3), (4, 3), (4, 2), (2, 3))
        before = copi.copi_update(x, z, W)[1, 2]
        others[0][:, 2], others[1][:, 1], others[2][1, 2] = x[:, 2], z[:, 1], W[1, 2]
        seen.case(before == copi.copi_update(*others)[1, 2] and type(before) is type(ONE))

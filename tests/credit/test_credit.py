"""Credit methods: against the naive loops, exactly where rational, and where they agree with backpropagation."""

import dataclasses
import functools
from fractions import Fraction

import naive
import naive_credit
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled
from small_training import CREDIT

import copi_ref as copi
from copi_ref.credit.inverse_model import learn_inverse
from copi_ref.inference_learning import ORDERS

QUARTER, SIGMA = Fraction(1, 4), 0.25


def direct(B, make, rng, leading):
    return tuple(make(rng, *leading, units, SIZES[-1]) for units in SIZES[1:-1])


def il_credit(convention):
    def by_hand(W, R, B, y0, target, x, a, y, delta_L, f):
        outputs = convention != "weights-after-activation"
        start = y if outputs else a
        shift = [naive.descent("quadratic", *rows) for rows in zip(y[-1], target, strict=True)] if outputs else delta_L
        top = [naive_credit.plus(*rows) for rows in zip(start[-1], shift, strict=True)]

        def one(start, top, y0, a):
            h = naive_credit.il_states(W, R, y0[0], [*start[:-1], top[0]], f, convention, 2, QUARTER)
            moved = [naive_credit.minus(h_l, s_l) for h_l, s_l in zip(h, start, strict=True)]
            if not outputs:
                return moved
            return [
                naive_credit.both(naive_credit.each(naive.F_PRIME[f], a_l), m) for a_l, m in zip(a, moved, strict=True)
            ]

        return naive_credit.by_sample(one, start, [top], [y0], a)

    return by_hand


def prox_credit(W, R, B, y0, target, x, a, y, delta_L, f):
    def one(a, y0, target):
        descent = functools.partial(naive.descent, "quadratic")
        h = naive_credit.prox_states(W, R, y0[0], a, f, descent, target[0], Fraction(1, 2), 3, QUARTER)
        return [naive_credit.minus(h_l, a_l) for h_l, a_l in zip(h, a, strict=True)]

    return naive_credit.by_sample(one, a, [y0], [target])


def node_credit(W, R, B, y0, target, x, a, y, delta_L, f):
    rng = np.random.default_rng(5)
    noise = [rng.normal(0.0, SIGMA, size=np.shape(a_l)).tolist() for a_l in a]
    loss = functools.partial(naive.loss, "quadratic")
    return naive_credit.node_perturbation(W, R, a, noise, target, f, loss, SIGMA)


# name: (the method, by hand)
METHODS = {
    "bp": (
        copi.backpropagation,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive.backpropagation(W, R, a, delta_L, f),
    ),
    "bp-batch-mean": (
        copi.backpropagation_through_batch_means,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.backpropagation_through_batch_means(
            W, R, a, delta_L, f
        ),
    ),
    "fa": (
        copi.feedback_alignment,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive.feedback_alignment(B, a, delta_L, f),
    ),
    "dfa": (
        copi.direct_feedback_alignment,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.direct_feedback_alignment(B, a, delta_L, f),
    ),
    "sdfa": (
        copi.sign_direct_feedback_alignment,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.sign_direct_feedback_alignment(B, a, delta_L, f),
    ),
    "drtp": (
        copi.direct_random_target_projection,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.direct_random_target_projection(
            B, a, delta_L, f, target
        ),
    ),
    "sign-symmetric": (
        copi.sign_symmetric_feedback,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.sign_symmetric(W, None, a, delta_L, f),
    ),
    "sign-symmetric-magnitudes": (
        copi.sign_symmetric_feedback_with_magnitudes,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.sign_symmetric(W, B, a, delta_L, f),
    ),
    "tp-printed": (
        copi.target_propagation_as_printed,
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.target_propagation_as_printed(B, a, delta_L, f),
    ),
    "tp": (
        copi.TargetPropagation(),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.target_propagation(B, a, delta_L, f),
    ),
    "dtp": (
        copi.DifferenceTargetPropagation(rate=QUARTER, eta_b=0),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.difference_target_propagation(
            W, R, B, a, y, delta_L, f, QUARTER
        ),
    ),
    "dtp-pre-activation": (
        copi.PreActivationDifferenceTargetPropagation(),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.pre_activation_difference_target_propagation(
            B, a, delta_L, f
        ),
    ),
    "gait": (
        copi.GaitProp(gamma=QUARTER, inverse="given"),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.gait_prop(B, a, y, delta_L, f, QUARTER),
    ),
    "gait-renormalized": (
        copi.RenormalizedGaitProp(gamma=QUARTER, inverse="given"),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.renormalized_gait_prop(
            B, a, y, delta_L, f, QUARTER
        ),
    ),
    "node": (copi.NodePerturbation(sigma=SIGMA), node_credit),
    "il": (copi.InferenceLearning(steps=2, gamma=QUARTER), il_credit("weights-after-activation")),
    "il, activation after weights": (
        copi.InferenceLearning(steps=2, gamma=QUARTER, order="activation-after-weights"),
        il_credit("activation-after-weights"),
    ),
    "il-alonso": (
        copi.AlonsoInferenceLearning(steps=3, gamma_bot=0.25, gamma_top=0.125, share=0.75),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.il_alonso(
            W, R, y0, a, y, target, f, 0.75, 3, 0.125, 0.25
        )[0],
    ),
    "il-prox": (
        copi.AlonsoProx(alpha=0.5, steps=3, gamma_bot=0.25, gamma_top=0.125),
        lambda W, R, B, y0, target, x, a, y, delta_L, f: naive_credit.il_prox_alonso(
            W, R, y0, target, f, 0.5, 3, 0.125, 0.25
        )[0],
    ),
    "il-proximal": (copi.ProximalInferenceLearning(alpha=Fraction(1, 2), steps=3, gamma=QUARTER), prox_credit),
}
RATIONAL = [name for name in METHODS if name not in ("node", "il-alonso", "il-prox")]

DIRECT = ("dfa", "sdfa", "drtp")
GAIT = ("gait", "gait-renormalized")

# How much more than ALLOWED rounding may add. IL-prox divides by ‖x‖² twice a step, in three steps; it is above 2⁻³
# at the start (checked; steps are small). Node perturbation divides by σ² = 2⁻⁴. GAIT-prop divides by γ = 2⁻² and
# takes f⁻¹, at most 2⁴ as steep, once a layer, in two layers.
AMPLIFIED = {"il-proximal": 2.0**18, "node": 2.0**4, "gait": 2.0**12, "gait-renormalized": 2.0**12}


def problem(name, rng, make=scaled, leading=()):
    W, R, B, y0, target = network(rng, make, leading)
    if name in DIRECT:
        B = direct(B, make, rng, leading)
    # Positive, so that no ‖x‖² is small, and no error lost on its way down; exact and other tests have both signs.
    if name in ("il-proximal", "il-alonso", "il-prox") and make is scaled:
        W, R, y0 = tuple(4 * abs(w) for w in W), tuple(abs(r) + np.eye(r.shape[-1]) for r in R), 2 * abs(y0)
    return W, R, B, y0, target


def perturbations(method, W, R, B, y0, target, f):
    params = copi.Params(W, R)
    trace = copi.forward(params, y0, f)
    return trace, method(params, trace, copi.Task(target, activation=f, feedback=B, rng=np.random.default_rng(5)))


def expected(name, W, R, B, y0, target, f):
    W, R, B, y0, target = lists(W), lists(R), lists(B), y0.tolist(), target.tolist()
    x, a, y = naive.forward(W, R, y0, f)
    delta_L = naive.output_perturbation("quadratic", y[-1], a[-1], target, f)
    return METHODS[name][1](W, R, B, y0, target, x, a, y, delta_L, f)


def activations_for(name):
    """GAIT-prop needs an inverse; IL-prox an input that is not 0, which relu can't promise."""
    return [f for f in copi.ACTIVATIONS if f != "relu" or name not in (*GAIT, "il-proximal")]


def exact_activations_for(name):
    return [f for f in activations_for(name) if copi.ACTIVATIONS[f].rational]


@pytest.mark.parametrize(("name", "f"), [(name, f) for name in METHODS for f in activations_for(name)])
def test_equals_the_naive_loops(name, f, xp, rng):
    W, R, B, y0, target = problem(name, rng)
    if name in GAIT and f in ("tanh", "sigmoid"):
        target = target / 16  # so that the shifted targets stay in the range of f
    arrays = (xp.asarray(part) for part in (W, R, B, y0, target))
    trace, deltas = perturbations(METHODS[name][0], *arrays, copi.ACTIVATIONS[f])
    if name == "il-proximal":
        assert min(np.sum(xp.numpy(x) ** 2, axis=1).min() for x in trace.x) > 2**-3
    by_hand = expected(name, W, R, B, y0, target, f)
    for ours, theirs in zip(deltas, by_hand, strict=True):
        assert_close(xp.numpy(ours), theirs, 2.0**-36 * AMPLIFIED.get(name, 1))


@pytest.mark.parametrize(("name", "f"), [(name, f) for name in RATIONAL for f in exact_activations_for(name)])
def test_is_exact_for_fractions(name, f, rng):
    W, R, B, y0, target = problem(name, rng, fractions)
    _, deltas = perturbations(METHODS[name][0], W, R, B, y0, target, copi.ACTIVATIONS[f])
    for ours, theirs in zip(deltas, expected(name, W, R, B, y0, target, f), strict=True):
        assert_exact(ours, theirs)


@pytest.mark.parametrize("name", METHODS)
def test_a_stack_gives_what_its_members_give(name, xp, rng):
    W, R, B, y0, target = problem(name, rng, leading=(3,))
    f, method = copi.leaky_relu, METHODS[name][0]
    _, stacked = perturbations(method, *(xp.asarray(part) for part in (W, R, B, y0, target)), f)
    for member in range(3):
        alone = (xp.asarray(tuple(part[member] for part in parts)) for parts in (W, R, B))
        _, deltas = perturbations(method, *alone, xp.asarray(y0[member]), xp.asarray(target[member]), f)
        for stack, single in zip(stacked, deltas, strict=True):
            if name == "node":  # a stack draws other noise than its members; what is compared is the shape
                assert xp.numpy(stack)[member].shape == xp.numpy(single).shape
            else:
                assert_close(xp.numpy(stack)[member], xp.numpy(single), 2.0**-36 * AMPLIFIED.get(name, 1))


@pytest.mark.parametrize("name", [*METHODS, "gait, pseudo-inverse"])
def test_float32_stays_float32(name, xp, rng):
    method, B_kind = (copi.GaitProp(), None) if "," in name and "gait" in name else (METHODS[name][0], "given")
    W, R, B, y0, target = (xp.asarray(part, "float32") for part in problem(name, rng))
    _, deltas = perturbations(method, W, R, B if B_kind else None, y0, target, copi.leaky_relu)
    assert {xp.numpy(delta).dtype for delta in deltas} == {np.dtype("float32")}
    assert all(np.isfinite(xp.numpy(delta)).all() for delta in deltas)


@pytest.mark.parametrize("name", CREDIT)
def test_every_method_plugs_into_the_same_step(name, xp):
    """From `init_state` on, by name, with both weight rules: a step changes every W, and shapes and dtype stay."""
    rng = np.random.default_rng(3)
    y0, target = xp.asarray(rng.normal(size=(8, 6)), "float32"), xp.asarray(np.eye(3)[rng.integers(0, 3, 8)], "float32")
    for rule in ("copi", "sgd"):
        recipe = copi.Recipe(eta_w=0.125, eta_r=0.125, credit=name, weight_rule=rule)
        state = copi.init_state(recipe, (6, 5, 4, 3), np.random.default_rng(0), np)
        there = {field: xp.asarray(getattr(state.params, field), "float32") for field in ("W", "R")}
        feedback = None if state.feedback is None else xp.asarray(state.feedback, "float32")
        state = dataclasses.replace(state, params=copi.Params(**there), feedback=feedback)
        after = copi.step(recipe, state, y0, target)
        for new, old in zip(after.params.W, state.params.W, strict=True):
            new, old = xp.numpy(new), xp.numpy(old)
            assert (new != old).any()
            assert (new.dtype, new.shape) == (old.dtype, old.shape)


# --- feedback weights ------------------------------------------------------------------------------------------------


LAYER_BY_LAYER = ("fa", "sign-symmetric-magnitudes", "tp-printed", "tp", "dtp", "dtp-pre-activation")


def test_feedback_has_the_shapes_that_each_method_needs():
    rng = np.random.default_rng(0)
    layer_by_layer, to_the_output = [(4, 6), (6, 3)], [(4, 3), (6, 3)]
    needed = dict.fromkeys(LAYER_BY_LAYER, layer_by_layer) | dict.fromkeys(DIRECT, to_the_output)
    for name, method in copi.CREDIT.items():
        for given in (name, method):
            B = copi.init_feedback(given, (5, 4, 6, 3), rng, xp=np)
            assert (None if B is None else [b.shape for b in B]) == needed.get(name)


@pytest.mark.parametrize("name", [*LAYER_BY_LAYER, *DIRECT])
def test_missing_feedback_is_named(name, rng):
    W, R, _, y0, target = network(rng, scaled)
    with pytest.raises(ValueError, match="feedback is None: .* needs weights, as init_feedback makes them"):
        perturbations(copi.CREDIT[name], W, R, None, y0, target, copi.leaky_relu)
    with pytest.raises(ValueError, match="feedback has 1 entries: needs 2 for this network"):
        perturbations(copi.CREDIT[name], W, R, (W[0],), y0, target, copi.leaky_relu)


@pytest.mark.parametrize("method", [copi.TargetPropagation, copi.PreActivationDifferenceTargetPropagation])
def test_the_inverse_model_learns_as_by_hand(method, rng):
    W, R, B, y0, target = network(rng, fractions)
    params = copi.Params(W, R)
    trace = copi.forward(params, y0)
    learnt = method(eta_b=Fraction(1, 3)).learn_feedback(params, trace, copi.Task(target, feedback=B))
    by_hand = naive_credit.learn_inverse(lists(B), lists(trace.a), lists(trace.y), Fraction(1, 3))
    for ours, theirs in zip(learnt, by_hand, strict=True):
        assert_exact(ours, theirs)


@pytest.mark.parametrize("eta", [Fraction(1, 3), 1, 2])
def test_the_inverse_model_never_gets_worse_on_its_batch(eta, rng):
    """E‖a − B y‖² changes by −(2η/p) ‖G‖² + (η²/p²) tr(G C Gᵀ), with G = E[(a − B y) yᵀ], C = E[y yᵀ] and p = tr C.

    As λmax(C) ≤ p, that is at most −(η/p) (2 − η) ‖G‖² ≤ 0 for η ≤ 2: exactly, on Fractions.
    """
    W, R, B, y0, _ = network(rng, fractions)
    trace = copi.forward(copi.Params(W, R), y0)

    def errors(B):
        pairs = zip(B, trace.a[:-1], trace.y[1:], strict=True)
        return [np.sum((a - y @ b.T) ** 2) for b, a, y in pairs]

    learnt = learn_inverse(B, trace, eta)
    for before, after in zip(errors(B), errors(learnt), strict=True):
        assert after < before or (eta == 2 and after == before)


def test_the_published_inverse_model_learns_as_by_hand(rng):
    """Without noise exactly; with it the noise is what the generator gives, the lowest layer first, and B_L stays."""
    W, R, B, y0, target = network(rng, fractions)
    trace = copi.forward(copi.Params(W, R), y0)
    method = copi.DifferenceTargetPropagation(eta_b=Fraction(1, 3), sigma=0)
    learnt = method.learn_feedback(copi.Params(W, R), trace, copi.Task(target, feedback=B))
    none = [[[0] * y.shape[1] for _ in y] for y in trace.y]
    by_hand = naive_credit.learn_noisy_inverse(
        lists(W), lists(R), lists(B), lists(trace.y), none, "leaky_relu", Fraction(1, 3)
    )
    for ours, theirs in zip(learnt, by_hand, strict=True):
        assert_exact(ours, theirs)


def test_the_published_inverse_model_draws_its_noise(xp, rng):
    W, R, B, y0, target = network(rng, scaled)
    arrays = [xp.asarray(part) for part in (W, R, B, y0, target)]
    params = copi.Params(*arrays[:2])
    trace = copi.forward(params, arrays[3], copi.tanh)
    task = copi.Task(arrays[4], activation=copi.tanh, feedback=arrays[2], rng=np.random.default_rng(5))
    method = copi.DifferenceTargetPropagation(eta_b=0.5, sigma=0.25)
    learnt = method.learn_feedback(params, trace, task)
    assert (
        copi.DifferenceTargetPropagation(eta_b=0).learn_feedback(params, trace, dataclasses.replace(task, rng=None))
        is task.feedback
    )
    generator = np.random.default_rng(5)
    noise = [generator.normal(0, 0.25, size=tuple(y.shape)).tolist() for y in trace.y[:-2]]
    by_hand = naive_credit.learn_noisy_inverse(
        lists(W), lists(R), lists(B), [xp.numpy(y).tolist() for y in trace.y], noise, "tanh", 0.5
    )
    for ours, theirs in zip(learnt, by_hand, strict=True):
        assert_close(xp.numpy(ours), theirs)


def test_the_published_inverse_model_sees_what_the_layer_sees(rng):
    """With centring the noisy state loses the mean before R, as every other."""
    W, R, B, y0, target = network(rng, fractions)
    means = tuple(fractions(rng, r.shape[-1]) for r in R)
    method = copi.DifferenceTargetPropagation(eta_b=1, sigma=0)
    params = copi.Params(W, R, means)
    trace = copi.forward(params, y0)
    learnt = method.learn_feedback(params, trace, copi.Task(target, feedback=B))
    u = trace.y[1]  # without noise: what the layer above makes of y_1
    found = u @ B[0].T
    error = np.where(found < 0, Fraction(1, 10), Fraction(1)) * (trace.y[0] - np.where(found < 0, found / 10, found))
    assert_exact(learnt[0], (B[0] + error.T @ u / N).tolist())


def test_the_published_form_takes_the_gradient_for_the_last_hidden_layer(rng):
    """r = 1 and one hidden layer: backpropagation, whatever B is; below it, only where g inverts to first order."""
    W, R, B, _, target = network(rng, fractions)
    params = copi.Params(W[1:], R[1:])
    trace = copi.forward(params, fractions(rng, N, W[1].shape[1]))
    task = copi.Task(target, feedback=B[1:])
    ours = copi.DifferenceTargetPropagation(rate=1)(params, trace, task)
    for one, other in zip(ours, copi.backpropagation(params, trace, task), strict=True):
        assert_exact(one, other.tolist())


def test_an_inverse_model_without_inputs_stays(rng):
    B = (draw(rng, 4, 3),)
    trace = copi.Trace(x=(), a=(draw(rng, N, 4), draw(rng, N, 3)), y=(draw(rng, N, 4), np.zeros((N, 3))))
    np.testing.assert_array_equal(learn_inverse(B, trace, 0.5)[0], B[0])


@pytest.mark.parametrize("method", ["tp", "dtp", "dtp-pre-activation"])
def test_given_weights_stay_and_learnt_ones_move_while_training(method, rng):
    W, R, B, y0, target = network(rng, scaled)
    for eta_b, moves in ((0, False), (0.5, True)):
        credit = type(copi.CREDIT[method])(eta_b=eta_b)
        recipe = copi.Recipe(eta_w=0.1, eta_r=0.1, credit=credit, lateral_only_epochs=1)
        state = copi.init_state(recipe, SIZES, np.random.default_rng(0), np)
        state = dataclasses.replace(state, params=copi.Params(W, R), feedback=B)
        after = copi.step(recipe, state, y0, target)  # they learn from the start, with R
        learning = slice(-1 if method == "dtp" else None)  # its B_L is not used
        pairs = zip(after.feedback[learning], B[learning], strict=True)
        assert all((new is old or (new == old).all()) != moves for new, old in pairs)


def ours_of(name, W, R, trace, task):
    return copi.CREDIT[name](copi.Params(W, R), trace, task)


# --- where a method is backpropagation, and where not ----------------------------------------------------------------


def rotation(rng, size):
    """An orthogonal matrix of Fractions: a product of reflections I − 2 v vᵀ/‖v‖²."""
    Q = np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)
    for _ in range(3):
        v = fractions(rng, size) + Fraction(7)  # not 0
        Q = Q - 2 * np.outer(Q @ v, v) / (v @ v)
    product = Q @ Q.T
    assert (product == np.eye(size, dtype=int)).all()
    return Q


def square_network(rng, orthogonal):
    """Three layers of four units with W R orthogonal, and R itself neither orthogonal nor symmetric."""
    W, R = [], []
    for _ in range(3):
        Q = rotation(rng, 4) if orthogonal else fractions(rng, 4, 4)
        lower = np.tril(fractions(rng, 4, 4), -1) + Fraction(1) * np.eye(4, dtype=int)
        inverse = lower**0 * np.eye(4, dtype=int)  # of a unit lower triangle, by forward substitution
        for i in range(4):
            for j in range(i):
                inverse[i] = inverse[i] - lower[i, j] * inverse[j]
        W.append(Q @ inverse)
        R.append(lower)
    return tuple(W), tuple(R)


def inverses(W, R):
    """(W R)ᵀ, which is the inverse where W R is orthogonal."""
    return tuple((W_l @ R_l).T for W_l, R_l in zip(W[1:], R[1:], strict=True))


@pytest.mark.parametrize("name", ["tp", "dtp-pre-activation"])
def test_target_propagation_is_bp_in_a_linear_orthogonal_network(name, rng):
    """Exactly, with R, however far the target is."""
    W, R = square_network(rng, orthogonal=True)
    y0, target = fractions(rng, N, 4), fractions(rng, N, 4)
    trace, deltas = perturbations(copi.CREDIT[name], W, R, inverses(W, R), y0, target, copi.identity)
    bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target, activation=copi.identity))
    for ours, theirs in zip(deltas, bp, strict=True):
        assert_exact(ours, theirs.tolist())


def test_target_propagation_is_not_bp_in_a_linear_network_that_is_not_orthogonal(rng):
    """With a perfect inverse it goes down by the inverse, and backpropagation by the transpose."""
    W, R = square_network(rng, orthogonal=False)
    exact = [np.array((W_l @ R_l).tolist(), dtype=float) for W_l, R_l in zip(W[1:], R[1:], strict=True)]
    assert all(np.linalg.cond(G) < 1e3 for G in exact)
    B = tuple(np.linalg.inv(G) for G in exact)
    W, R = (tuple(np.array(array.tolist(), dtype=float) for array in arrays) for arrays in (W, R))
    y0, target = draw(rng, N, 4), draw(rng, N, 4)
    trace, deltas = perturbations(copi.CREDIT["tp"], W, R, B, y0, target, copi.identity)
    bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target, activation=copi.identity))
    for l in (0, 1):  # noqa: E741
        np.testing.assert_allclose(deltas[l], deltas[l + 1] @ B[l].T, rtol=1e-9, atol=1e-9)
        assert np.linalg.norm(deltas[l] - bp[l]) > 0.1 * np.linalg.norm(bp[l])


# f(a) = a + a²: f(0) = 0 and f′(0) = 1, with curvature; for states near 0 only.
curved = copi.Activation("a + a²", lambda a, xp: a + a * a, lambda a, xp: a**0 + 2 * a)


@pytest.mark.parametrize(("orthogonal", "order"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("name", ["tp", "dtp-pre-activation"])
def test_target_propagation_is_bp_to_first_order_in_the_target_shift(name, orthogonal, order, rng):
    """At the origin of an orthogonal network every slope is 1, and B = (W R)ᵀ inverts it.

    There δ_tp − δ_bp is of second order in the shift s of the target: halving s divides it by 4. Where B is not the
    transpose, it is of first order: by 2. In exact arithmetic s can be so small (2⁻⁴⁰) that the next order, smaller
    by a factor s times coefficients below 2²⁰, changes the ratio by less than 2⁻²⁰ of itself.
    """
    W, R = square_network(rng, orthogonal=True)
    B = inverses(W, R) if orthogonal else tuple(fractions(rng, 4, 4) for _ in range(2))
    y0, direction = Fraction(0) * fractions(rng, N, 4), fractions(rng, N, 4)

    def difference(shift):
        trace, deltas = perturbations(copi.CREDIT[name], W, R, B, y0, shift * direction, curved)
        bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(shift * direction, activation=curved))
        return [float(np.sum((ours - theirs) ** 2)) ** 0.5 for ours, theirs in zip(deltas[:-1], bp[:-1], strict=True)]

    shift = Fraction(1, 2**40)
    for whole, half in zip(difference(shift), difference(shift / 2), strict=True):
        assert whole > 0
        np.testing.assert_allclose(whole / half, 2**order, rtol=2**-18)


@pytest.mark.parametrize(
    ("method", "gamma"),
    [(copi.RenormalizedGaitProp, 2.0**-14), (copi.GaitProp, 2.0**-12)],
    ids=["renormalized", "gait"],
)
def test_gait_prop_is_bp_to_first_order_where_weights_are_orthogonal(method, gamma, rng):
    """‖δ_gait − δ_bp‖ vanishes with γ: halving γ halves it (tanh is curved, so it is not 0); with R, far targets."""
    W, R = (tuple(np.array(a.tolist(), dtype=float) for a in arrays) for arrays in square_network(rng, True))
    y0, target = draw(rng, N, 4) / 4, draw(rng, N, 4)

    def difference(gamma):
        trace, deltas = perturbations(method(gamma), W, R, None, y0, target, copi.tanh)
        bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target, activation=copi.tanh))
        np.testing.assert_array_equal(deltas[-1], bp[-1])
        return [np.linalg.norm(ours - theirs) for ours, theirs in zip(deltas[:-1], bp[:-1], strict=True)]

    # At γ = 2⁻¹⁴ the next order is smaller by about γ, and rounding, some 2⁻⁵⁰/γ, by 2⁻²² against differences near γ;
    # where increments compound it is some 2⁻⁵⁰/γ², at γ = 2⁻¹² by 2⁻¹⁴.
    for whole, half in zip(difference(gamma), difference(gamma / 2), strict=True):
        assert gamma * 2.0**-10 < whole < gamma * 2.0**6
        np.testing.assert_allclose(whole / half, 2, rtol=2**-7)


@pytest.mark.parametrize("kind", [copi.GaitProp, copi.RenormalizedGaitProp])
def test_gait_prop_is_bp_exactly_where_f_is_linear_on_the_way(kind, rng):
    """Leaky ReLU has no curvature: with γ so small that no state crosses its kink, there is no difference at all."""
    W, R = square_network(rng, orthogonal=True)
    y0, target = fractions(rng, N, 4), fractions(rng, N, 4)
    method = kind(Fraction(1, 10**6), inverse="given")
    trace, deltas = perturbations(method, W, R, inverses(W, R), y0, target, copi.leaky_relu)
    bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target))
    clear = [all(abs(a[n]).min() > Fraction(1, 1000) for a in trace.a) for n in range(N)]
    assert sum(clear) >= 4
    for ours, theirs in zip(deltas, bp, strict=True):
        assert_exact(ours[clear], theirs[clear].tolist())


@pytest.mark.parametrize("kind", [copi.GaitProp, copi.RenormalizedGaitProp])
def test_gait_prop_with_centring_is_bp_too(kind, rng):
    """g_l(y_l) is the centred input of the layer then: what is subtracted from it is no error."""
    W, R = square_network(rng, orthogonal=True)
    y0, target, means = fractions(rng, N, 4), fractions(rng, N, 4), tuple(fractions(rng, 4) for _ in W)
    params = copi.Params(W, R, means)
    trace, task = copi.forward(params, y0), copi.Task(target, feedback=inverses(W, R))
    clear = [all(abs(a[n]).min() > Fraction(1, 1000) for a in trace.a) for n in range(N)]
    assert any(clear)
    ours = kind(Fraction(1, 10**6), inverse="given")(params, trace, task)
    for one, other in zip(ours, copi.backpropagation(params, trace, task), strict=True):
        assert_exact(one[clear], other[clear].tolist())


@pytest.mark.parametrize("kind", [copi.GaitProp, copi.RenormalizedGaitProp])
def test_gait_prop_is_bp_in_a_layer_that_narrows_with_orthonormal_rows(kind, rng):
    wide = rotation(rng, 5)
    W = (fractions(rng, 5, 3), wide[:2])
    R = tuple(np.array([[Fraction(int(i == j)) for j in range(k)] for i in range(k)], dtype=object) for k in (3, 5))
    y0, target = fractions(rng, N, 3), fractions(rng, N, 2)
    method = kind(Fraction(1, 10**6), inverse="given")
    trace, deltas = perturbations(method, W, R, (W[1].T,), y0, target, copi.identity)
    bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target, activation=copi.identity))
    for ours, theirs in zip(deltas, bp, strict=True):
        assert_exact(ours, theirs.tolist())


def test_gait_prop_is_not_bp_where_weights_are_not_orthogonal(rng):
    """To first order it is feedback alignment with the inverse for B, which is another direction."""
    W, R, _, y0, target = network(rng, scaled)
    inverse = tuple(np.linalg.pinv(W_l @ R_l) for W_l, R_l in zip(W[1:], R[1:], strict=True))
    trace, deltas = perturbations(copi.RenormalizedGaitProp(2.0**-20), W, R, None, y0, target, copi.leaky_relu)
    task = copi.Task(target, feedback=inverse)
    fa, bp = (
        copi.feedback_alignment(copi.Params(W, R), trace, task),
        copi.backpropagation(copi.Params(W, R), trace, task),
    )
    for ours, aligned, exact in zip(deltas[:-1], fa[:-1], bp[:-1], strict=True):
        np.testing.assert_allclose(ours, aligned, rtol=1e-4, atol=1e-4 * np.abs(aligned).max())
        assert np.linalg.norm(ours - exact) > np.linalg.norm(exact) / 10


def test_the_pseudo_inverse_is_what_gait_prop_uses_by_default(xp, rng):
    W, R, _, y0, target = network(rng, scaled)
    inverse = tuple(np.linalg.pinv(W_l @ R_l) for W_l, R_l in zip(W[1:], R[1:], strict=True))
    arrays = [xp.asarray(part) for part in (W, R, inverse, y0, target)]
    _, given = perturbations(copi.RenormalizedGaitProp(inverse="given"), *arrays, copi.leaky_relu)
    _, found = perturbations(copi.RenormalizedGaitProp(), *arrays[:2], None, *arrays[3:], copi.leaky_relu)
    for one, other in zip(given, found, strict=True):
        scale = np.abs(xp.numpy(one)).max()
        # An inverse of condition below 2¹² (4 to 6 units) is right to 2⁻⁵³ · 2¹² · 2⁴; γ = 2⁻¹⁰ divides it.
        assert_close(xp.numpy(other), xp.numpy(one), 2.0**-27 * scale)


@pytest.mark.parametrize(
    ("dtype", "kind", "useful"),
    [
        ("float64", copi.GaitProp, True),
        ("float32", copi.GaitProp, False),
        ("float64", copi.RenormalizedGaitProp, True),
        ("float32", copi.RenormalizedGaitProp, True),
    ],
)
def test_what_rounding_leaves_of_gait_prop_in_five_layers(dtype, kind, useful):
    """Orthogonal W, γ = 10⁻³, the first layer's δ against BP's: an error of about u |y|/(γ⁴ |δ|), or u |y|/(γ |δ|).

    That is 10⁻⁴ and more in float64 where increments compound, and 6 · 10⁴ in float32: no digit. Median over samples,
    as a kink that is crossed is no matter of rounding.
    """
    rng = np.random.default_rng(0)
    W = tuple(np.linalg.qr(rng.normal(size=(10, 10)))[0].astype(dtype) for _ in range(5))
    params = copi.Params(W, (np.eye(10, dtype=dtype),) * 5)
    y0, target = (rng.normal(size=(50, 10)).astype(dtype) for _ in range(2))
    trace = copi.forward(params, y0)
    task = copi.Task(target, copi.half_quadratic, feedback=tuple(w.T for w in W[1:]))
    ours, bp = kind(1e-3, inverse="given")(params, trace, task)[0], copi.backpropagation(params, trace, task)[0]
    error = np.median(np.linalg.norm(ours - bp, axis=1) / np.linalg.norm(bp, axis=1))
    assert (error < 0.02) == useful
    assert error > 100 or useful


def test_gait_prop_in_a_network_that_diverged_gives_nan(xp, rng):
    """An inverse of infinite weights raises in some libraries; `fit` has to hear of it as it does of other methods."""
    W, R, _, y0, target = network(rng, scaled)
    W[1][0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        _, deltas = perturbations(
            copi.GaitProp(), *(xp.asarray(a) for a in (W, R)), None, xp.asarray(y0), xp.asarray(target), copi.leaky_relu
        )
    assert np.isnan(xp.numpy(deltas[0])).all()


def test_dfa_of_two_layers_with_the_transposed_weights_is_bp(rng):
    W, R, _, y0, target = network(rng, fractions)
    W, R = W[:2], R[:2]
    target = fractions(rng, N, SIZES[2])
    trace, deltas = perturbations(copi.CREDIT["dfa"], W, R, ((W[1] @ R[1]).T,), y0, target, copi.leaky_relu)
    for ours, theirs in zip(deltas, copi.backpropagation(copi.Params(W, R), trace, copi.Task(target)), strict=True):
        assert_exact(ours, theirs.tolist())


def test_dfa_of_a_linear_network_with_the_transposed_product_is_bp(rng):
    W, R, _, y0, target = network(rng, fractions)
    product = W[2] @ R[2]
    B = ((product @ W[1] @ R[1]).T, product.T)
    trace, deltas = perturbations(copi.CREDIT["dfa"], W, R, B, y0, target, copi.identity)
    bp = copi.backpropagation(copi.Params(W, R), trace, copi.Task(target, activation=copi.identity))
    for ours, theirs in zip(deltas, bp, strict=True):
        assert_exact(ours, theirs.tolist())


def test_sdfa_is_dfa_where_errors_are_one_in_size(rng):
    """δ_L of −1 and 1, and nothing else: signs are the errors themselves. Elsewhere sizes are gone."""
    W, R, B, y0, _ = problem("dfa", rng, fractions)
    trace = copi.forward(copi.Params(W, R), y0, copi.identity)
    errors = np.where(np.arange(N * SIZES[-1]).reshape(N, -1) % 2, Fraction(1), Fraction(-1))
    task = copi.Task(trace.y[-1] + errors, copi.half_quadratic, copi.identity, B)
    for ours, theirs in zip(*(ours_of(name, W, R, trace, task) for name in ("sdfa", "dfa")), strict=True):
        assert_exact(ours, theirs.tolist())
    twice = dataclasses.replace(task, target=trace.y[-1] + 2 * errors)
    for name, same in (("sdfa", True), ("dfa", False)):
        once, doubled = (ours_of(name, W, R, trace, one)[0] for one in (task, twice))
        assert (once == doubled).all() == same


def test_sdfa_sends_nothing_where_there_is_no_error(xp, rng):
    """sign(0) = 0: a sample that is right moves nothing, whatever B is; and NaN stays NaN."""
    W, R, B, y0, _ = (xp.asarray(part) for part in problem("dfa", rng))
    params = copi.Params(W, R)
    trace = copi.forward(params, y0)
    deltas = copi.CREDIT["sdfa"](params, trace, copi.Task(trace.y[-1], feedback=B))
    assert all((xp.numpy(delta) == 0).all() for delta in deltas)
    missing = copi.CREDIT["sdfa"](params, trace, copi.Task(trace.y[-1] * np.nan, feedback=B))
    assert all(np.isnan(xp.numpy(delta)).all() for delta in missing)


def test_drtp_stands_for_sdfa_of_labels(rng):
    """Labels of 0 and 1 and outputs between: sign(y* − y) = 2 y* − 1, so sDFA = 2 DRTP − f′ B 1, exactly."""
    W, R, B, y0, _ = problem("dfa", rng)
    target = np.eye(SIZES[-1])[rng.integers(0, SIZES[-1], N)]
    trace = copi.forward(copi.Params(W, R), y0, copi.sigmoid)
    task = copi.Task(target, copi.half_quadratic, copi.sigmoid, B)
    sdfa, drtp = (ours_of(name, W, R, trace, task) for name in ("sdfa", "drtp"))
    np.testing.assert_array_equal(sdfa[-1], drtp[-1])
    for signs, targets, B_l, a in zip(sdfa[:-1], drtp[:-1], B, trace.a[:-1], strict=True):
        assert_close(signs, (2 * targets - copi.sigmoid.derivative(a) * B_l.sum(axis=1)).tolist())


def test_sign_symmetric_feedback_with_the_sizes_of_the_weights_is_bp_without_R(rng):
    """|B| = |Wᵀ| and R = I above the first layer: exactly. With another R it is not: R is not on the way back."""
    W, R, _, y0, target = network(rng, fractions)
    B = tuple(-abs(w).T for w in W[1:])  # the signs of B are no matter
    plain_R = (
        R[0],
        *(np.array([[Fraction(int(i == j)) for j in range(len(r))] for i in range(len(r))]) for r in R[1:]),
    )
    for lateral, same in ((plain_R, True), (R, False)):
        trace, deltas = perturbations(
            copi.CREDIT["sign-symmetric-magnitudes"], W, lateral, B, y0, target, copi.leaky_relu
        )
        bp = copi.backpropagation(copi.Params(W, lateral), trace, copi.Task(target))
        assert all((ours == theirs).all() for ours, theirs in zip(deltas, bp, strict=True)) == same


def test_sign_symmetric_feedback_is_that_with_sizes_of_one(rng):
    W, R, _, y0, target = network(rng, fractions)
    ones = tuple(Fraction(1) + 0 * w.T for w in W[1:])
    _, unit = perturbations(copi.CREDIT["sign-symmetric"], W, R, None, y0, target, copi.leaky_relu)
    _, sized = perturbations(copi.CREDIT["sign-symmetric-magnitudes"], W, R, ones, y0, target, copi.leaky_relu)
    for ours, theirs in zip(unit, sized, strict=True):
        assert_exact(ours, theirs.tolist())


def test_magnitudes_that_do_not_fit_are_named(rng):
    W, R, B, y0, target = network(rng, scaled)
    with pytest.raises(ValueError, match=r"B has shape \(6, 4\) but W has 4 features"):
        perturbations(copi.CREDIT["sign-symmetric-magnitudes"], W, R, (B[0].T, B[1]), y0, target, copi.leaky_relu)


def test_target_propagation_as_printed_forgets_the_state(rng):
    """z = a + δ = f(B δ_above), whatever a was: where the output is right, the layer below is told to be f(0) = 0.

    Difference target propagation tells every layer to stay as it is there.
    """
    W, R, B, y0, _ = network(rng, fractions)
    trace = copi.forward(copi.Params(W, R), y0)
    deltas = copi.CREDIT["tp-printed"](copi.Params(W, R), trace, copi.Task(trace.y[-1], feedback=B))
    assert (deltas[2] == 0).all()
    assert (trace.a[1] + deltas[1] == 0).all()
    assert (deltas[1] != 0).any()
    assert (trace.a[0] + deltas[0] == copi.leaky_relu(deltas[1] @ B[0].T)).all()
    standard = copi.PreActivationDifferenceTargetPropagation()(
        copi.Params(W, R), trace, copi.Task(trace.y[-1], feedback=B)
    )
    assert all((delta == 0).all() for delta in standard)


def test_node_perturbation_has_the_gradient_as_its_mean(rng):
    """Over 200,000 draws for one sample: within six standard errors, each component's variance being ‖g‖² + g_i².

    With g the gradient over all layers and ξ/σ standard normal, δ = (g·ξ) ξ/σ² has mean g, E[δ_i²] = ‖g‖² + 2 g_i², and
    E[δ_i⁴] ≤ 105 ‖g‖⁴ (Cauchy–Schwarz). The next order in σ = 2⁻¹² adds less than σ² times third derivatives of
    order 10: nothing beside the standard error.
    """
    draws, sigma = 200_000, 2.0**-12
    params = copi.Params(W=(draw(rng, 4, 3) / 2, draw(rng, 2, 4) / 2), R=(np.eye(3), draw(rng, 4, 4) / 4 + np.eye(4)))
    y0, target = draw(rng, 1, 3), draw(rng, 1, 2)
    one = copi.Task(target, activation=copi.tanh)
    bp = copi.backpropagation(params, copi.forward(params, y0, copi.tanh), one)
    many = copi.Task(np.tile(target, (draws, 1)), activation=copi.tanh, rng=np.random.default_rng(0))
    trace = copi.forward(params, np.tile(y0, (draws, 1)), copi.tanh)
    deltas = copi.NodePerturbation(sigma)(params, trace, many)
    square = sum(np.sum(g**2) for g in bp)
    for delta, g in zip(deltas, bp, strict=True):
        assert (np.abs(delta.mean(axis=0) - g[0]) <= 6 * np.sqrt((square + g[0] ** 2) / draws)).all()
        moment = np.mean(delta**2, axis=0)
        assert (np.abs(moment - square - 2 * g[0] ** 2) <= 6 * np.sqrt(105 / draws) * square).all()


@pytest.mark.parametrize("name", ["node", "il", "il-proximal"])
def test_centring_goes_with_the_states(name, rng):
    """In a linear network the means only shift the states: δ is that of the network without means and a shifted target.

    For IL-prox, which looks at ‖x‖² of the centred inputs, only this is tested: a forward pass has no errors, and all
    layers get a δ.
    """
    W, R, _, y0, target = problem(name, rng)
    mean = tuple(draw(rng, r.shape[-1]) for r in R)
    centred = copi.Params(W, R, mean)
    trace = copi.forward(centred, y0, copi.identity)
    method = METHODS[name][0]
    task = copi.Task(target, activation=copi.identity, rng=np.random.default_rng(5))
    deltas = method(centred, trace, task)

    # The network without means whose target is moved by what the means do to a linear network's output.
    shift, product = np.zeros(SIZES[-1]), np.eye(SIZES[-1])
    for W_l, R_l, mu in zip(W[::-1], R[::-1], mean[::-1], strict=True):
        product = product @ W_l @ R_l
        shift = shift - product @ mu
    if name == "il-proximal":  # ‖x‖² is that of the centred inputs, so only the zero of the errors is compared
        settled = copi.inference_learning.predictions(centred, y0, trace.a, copi.identity)
        assert all((e == 0).all() for e in settled.errors)
        assert all((deltas[l] != 0).any() for l in range(3))  # noqa: E741
        return
    plain = copi.Params(W, R)
    moved = dataclasses.replace(task, target=target - shift, rng=np.random.default_rng(5))
    for ours, theirs in zip(deltas, method(plain, copi.forward(plain, y0, copi.identity), moved), strict=True):
        assert_close(ours, theirs, 2.0**-30)


def test_node_perturbation_draws_from_the_task_and_is_reproducible(rng):
    W, R, B, y0, target = network(rng, scaled)
    (_, one), (_, two) = (perturbations(copi.CREDIT["node"], W, R, B, y0, target, copi.leaky_relu) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    trace = copi.forward(copi.Params(W, R), y0)
    with pytest.raises(TypeError, match="rng is None: needs a numpy.random.Generator"):
        copi.CREDIT["node"](copi.Params(W, R), trace, copi.Task(target))


@pytest.mark.parametrize("sigma", [np.float64(0.25), np.array(0.25), Fraction(1, 4)])
def test_the_kind_of_number_that_sigma_is_does_not_matter(sigma, rng):
    W, R, _, y0, target = (
        tuple(a.astype("float32") for a in part) if isinstance(part, tuple) else part.astype("float32")
        for part in network(rng, scaled)
    )
    _, deltas = perturbations(copi.NodePerturbation(sigma), W, R, None, y0, target, copi.leaky_relu)
    _, expected = perturbations(copi.NodePerturbation(0.25), W, R, None, y0, target, copi.leaky_relu)
    for ours, theirs in zip(deltas, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


def test_node_perturbation_follows_the_output(rng):
    """With a linear output the loss is of a_L, and its gradient has no factor f′(a_L)."""
    W, R, _, y0, target = network(rng, scaled)
    params, trace = copi.Params(W, R), copi.forward(copi.Params(W, R), y0)
    task = copi.Task(target, copi.half_quadratic, rng=np.random.default_rng(1), output="linear")
    delta = copi.NodePerturbation(SIGMA)(params, trace, task)[-1]
    draws = np.random.default_rng(1)
    noise = [draws.normal(0.0, SIGMA, size=a.shape) for a in trace.a]
    _, a, _ = naive.forward(lists(W), lists(R), y0.tolist(), "leaky_relu")
    z = naive_noisy(W, R, a, noise)
    change = 0.5 * np.sum((z - target) ** 2, axis=1) - 0.5 * np.sum((np.array(a[-1]) - target) ** 2, axis=1)
    assert_close(delta, -change[:, None] * noise[-1] / SIGMA**2, 2.0**-32)


def naive_noisy(W, R, a, noise):
    z = np.array(a[0]) + noise[0]
    for layer in (1, 2):
        y = np.where(z >= 0, z, z / 10)
        z = y @ R[layer].T @ W[layer].T + noise[layer]
    return z


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: copi.NodePerturbation(sigma=0), ValueError, "sigma is 0: needs a number above 0"),
        (lambda: copi.NodePerturbation(sigma=-1), ValueError, "sigma is -1: needs at least 0"),
        (lambda: copi.GaitProp(inverse="exact"), ValueError,
         "inverse is 'exact': choose one of 'pseudo-inverse', 'given'"),
        (lambda: copi.TargetPropagation(eta_b=3), ValueError, "eta_b is 3: needs at most 2"),
        (lambda: copi.Recipe(eta_w=1, eta_r=1, credit=copi.GaitProp), TypeError,
         r"credit is the class GaitProp: needs an instance, as GaitProp\(\)"),
        (lambda: copi.Recipe(eta_w=1, eta_r=1, lateral_rule=copi.Whitening), TypeError,
         r"lateral_rule is the class Whitening: needs an instance, as Whitening\(\)"),
        (lambda: copi.GaitProp(gamma=0), ValueError, "gamma is 0: needs a number above 0"),
        (lambda: copi.GaitProp(gamma="small"), TypeError, "gamma is 'small': needs a number"),
        (lambda: copi.TargetPropagation(eta_b=-1), ValueError, "eta_b is -1: needs at least 0"),
        (lambda: copi.PreActivationDifferenceTargetPropagation(eta_b=None), TypeError, "eta_b is None: needs a number"),
        (lambda: copi.InferenceLearning(steps=-1), ValueError, "steps is -1: needs at least 0"),
        (lambda: copi.InferenceLearning(steps=2.5), TypeError, "steps is 2.5: needs a whole number"),
        (lambda: copi.InferenceLearning(gamma=-0.1), ValueError, "gamma is -0.1: needs at least 0"),
        (lambda: copi.InferenceLearning(order="both"), ValueError,
         "order is 'both': choose one of 'weights-after-activation', 'activation-after-weights'"),
        (lambda: copi.ProximalInferenceLearning(alpha=0), ValueError, "alpha is 0: needs a number above 0"),
        (lambda: copi.ProximalInferenceLearning(alpha=float("inf")), ValueError, "alpha is inf: needs a finite number"),
        (lambda: copi.ProximalInferenceLearning(schedule="up"), ValueError, "schedule is 'up': choose one of 'all-at-"),
        (lambda: copi.ProximalInferenceLearning(steps=True), TypeError, "steps is True: needs a whole number"),
    ],
)  # fmt: skip
def test_settings_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_gait_prop_needs_an_inverse_of_f(rng):
    W, R, B, y0, target = network(rng, scaled)
    with pytest.raises(ValueError, match="activation is relu: needs one with an inverse"):
        perturbations(copi.CREDIT["gait"], W, R, B, y0, target, copi.relu)


def test_states_that_are_outputs_need_an_output_that_is_one(rng):
    W, R, _, y0, target = network(rng, scaled)
    method = copi.InferenceLearning(order="activation-after-weights")
    task = copi.Task(target, output="pre-activation")
    with pytest.raises(ValueError, match="output is 'pre-activation': needs 'activation' where states are outputs"):
        method(copi.Params(W, R), copi.forward(copi.Params(W, R), y0), task)


def test_what_is_not_rational_says_so(rng):
    W, R, B, y0, target = network(rng, fractions)
    with pytest.raises(TypeError, match="node perturbation is not rational"):
        perturbations(copi.CREDIT["node"], W, R, B, y0, target, copi.leaky_relu)
    with pytest.raises(TypeError, match="a pseudo-inverse is not rational"):
        perturbations(copi.GaitProp(), W, R, None, y0, target, copi.leaky_relu)


def test_conventions_are_named():
    assert list(ORDERS) == ["weights-after-activation", "activation-after-weights"]


def test_proximal_il_is_recorded_as_before_there_was_a_schedule():
    """A run's `config.json` holds this text; another one would make finished runs unreadable."""
    assert repr(copi.ProximalInferenceLearning()) == "ProximalInferenceLearning(alpha=1.0, steps=25, gamma=0.5)"
    down = copi.ProximalInferenceLearning(2.0, 3, 0.25, "top-down")
    assert eval(repr(down), {"ProximalInferenceLearning": copi.ProximalInferenceLearning}) == down


def test_proximal_il_hands_its_schedule_on(rng):
    W, R, _, y0, target = problem("il-proximal", rng)
    params, task = copi.Params(W, R), copi.Task(target)
    trace = copi.forward(params, y0)
    h = copi.infer_prox(params, y0, trace.a, task, 0.5, 3, 0.25, schedule="top-down")
    for delta, h_l, a in zip(
        copi.ProximalInferenceLearning(0.5, 3, 0.25, "top-down")(params, trace, task), h, trace.a, strict=True
    ):
        np.testing.assert_array_equal(delta, h_l - a)

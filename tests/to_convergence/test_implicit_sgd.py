"""Implicit SGD, and IL-prox as a proximal step.

The theorem (Alonso et al. 2022, batch size 1): at a minimum of F_α the step of IL-prox is an implicit SGD step. What
holds of it is tested as stationarity, θ⁺ = θ_b − α ∇L(θ⁺), and as equality with a solver that never sees a state.
"""

import numpy as np
import pytest
from compare import N, assert_close, draw, fractions
from networks import network, scaled

import copi_ref as copi
from copi_ref.inference_learning import (
    il_prox_update,
    il_update,
    predictions,
    prox_gradient,
)

# --- implicit SGD ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.5, 10, 1e20])
def test_the_closed_form_for_one_sample(alpha, xp, rng):
    """W + α/(1 + α‖x‖²) (y* − W x) xᵀ, as printed, and stable for every α > 0."""
    x, W, target = draw(rng, 1, 5), draw(rng, 3, 5), draw(rng, 1, 3)
    ours = copi.implicit_sgd_layer(*(xp.asarray(array) for array in (x, W, target)), alpha)
    by_hand = W + alpha / (1 + alpha * np.sum(x**2)) * np.outer(target[0] - W @ x[0], x[0])
    assert_close(xp.numpy(ours), by_hand)


@pytest.mark.parametrize("many", [True, False])
def test_the_closed_form_is_stationary_for_a_batch_and_stacks(many, xp, rng):
    """θ⁺ = θ_b − α ∇L(θ⁺), with the mean loss ½‖W x − y*‖², for more samples than features and for fewer."""
    samples = N if many else 4
    x, W, target = draw(rng, 2, samples, 5), draw(rng, 2, 3, 5), draw(rng, 2, samples, 3)
    new = xp.numpy(copi.implicit_sgd_layer(*(xp.asarray(array) for array in (x, W, target)), 0.5))
    for member in range(2):
        gradient = (new[member] @ x[member].T - target[member].T) @ x[member] / samples
        assert_close(new[member], W[member] - 0.5 * gradient, 2.0**-36)


@pytest.mark.parametrize("many", [True, False])
def test_the_closed_form_takes_one_batch_for_all_members(many, xp, rng):
    """Leading axes broadcast, also where a library's own function does not let them: CuPy's `linalg.solve`."""
    samples = N if many else 4
    x, W, target = draw(rng, samples, 5), draw(rng, 2, 3, 5), draw(rng, samples, 3)
    new = xp.numpy(copi.implicit_sgd_layer(*(xp.asarray(array) for array in (x, W, target)), 0.5))
    for member in range(2):
        alone = copi.implicit_sgd_layer(*(xp.asarray(array) for array in (x, W[member], target)), 0.5)
        assert_close(new[member], xp.numpy(alone))


@pytest.mark.parametrize("loss", copi.LOSSES)
@pytest.mark.parametrize("alpha", [0.01, 0.5, 10])
def test_the_numerical_step_is_stationary(alpha, loss, rng):
    """θ⁺ = θ_b − α ∇L(θ⁺) for a network and a batch, with ∇L by backpropagation at θ⁺ (itself proved elsewhere)."""
    W, R, _, y0, target = network(rng, scaled)
    params, task = copi.Params(W, R), copi.Task(target, copi.LOSSES[loss], copi.tanh)
    after = copi.implicit_sgd_step(params, y0, task, alpha, tolerance=1e-9)
    for residual in residuals(params, after, y0, task, alpha):
        assert np.abs(residual).max() <= 1.01e-9


def residuals(before, after, y0, task, alpha):
    """θ⁺ − θ_b + α ∇L(θ⁺), layer by layer."""
    trace = copi.forward(after, y0, task.activation)
    deltas = copi.backpropagation(after, trace, task)
    return [
        new - old - alpha * copi.sgd_update(x, delta)
        for new, old, x, delta in zip(after.W, before.W, trace.x, deltas, strict=True)
    ]


def test_the_numerical_step_of_a_linear_layer_is_the_closed_form(rng):
    x, W, target = draw(rng, N, 5), draw(rng, 3, 5), draw(rng, N, 3)
    task = copi.Task(target, copi.half_quadratic, copi.identity)
    numerical = copi.implicit_sgd_step(copi.Params((W,), (np.eye(5),)), x, task, 0.5, tolerance=1e-10).W[0]
    # The problem is strongly convex with constant 1: the distance is at most the residual's length.
    assert_close(numerical, copi.implicit_sgd_layer(x, W, target, 0.5), 1e-10 * np.sqrt(W.size))


def test_the_numerical_step_keeps_library_and_dtype(xp, rng):
    W, R, _, y0, target = (xp.asarray(part, "float32") for part in network(rng, scaled))
    after = copi.implicit_sgd_step(copi.Params(W, R), y0, copi.Task(target, activation=copi.tanh), 0.5, 1e-6)
    assert {xp.numpy(w).dtype for w in after.W} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"alpha": 0}, ValueError, "alpha is 0: needs a number above 0"),
        ({"alpha": "1"}, TypeError, "alpha is '1': needs a number"),
        ({"output": "pre-activation"}, ValueError, "an implicit step needs 'activation' or 'linear'"),
        ({"leading": (2,)}, ValueError, r"W of the last layer has shape \(2, 3, 6\): needs one network"),
        ({"make": fractions}, TypeError, "implicit_sgd_step is not rational"),
    ],
)
def test_the_numerical_step_refuses(change, error, message, rng):
    W, R, _, y0, target = network(rng, change.get("make", scaled), change.get("leading", ()))
    task = copi.Task(target, output=change.get("output", "activation"))
    with pytest.raises(error, match=message):
        copi.implicit_sgd_step(copi.Params(W, R), y0, task, change.get("alpha", 0.5))


# --- the theorem -----------------------------------------------------------------------------------------------------

SIZES_OF = {2: (5, 4, 3), 3: (5, 4, 6, 3)}
ALPHAS = [0.01, 0.5, 10]
TOLERANCE = 1e-9


def one_sample(seed, layers, f):
    rng, sizes = np.random.default_rng(seed), SIZES_OF[layers]
    params = copi.init_params(sizes, rng, "float64", np)
    R = tuple(r + 0.2 * draw(rng, *r.shape) / len(r) for r in params.R)
    y0, target = draw(rng, 1, sizes[0]), np.eye(sizes[-1])[rng.integers(0, sizes[-1], 1)]
    return copi.Params(params.W, R), y0, copi.Task(target, copi.half_quadratic, f)


def prox_step(params, y0, task, alpha):
    """The network after IL-prox's step from converged states, and these states."""
    trace = copi.forward(params, y0, task.activation)
    h = copi.infer_prox_to_convergence(params, y0, trace.a, task, alpha, TOLERANCE)
    updates = il_prox_update(predictions(params, y0, h, task.activation))
    return copi.Params(tuple(w + dW for w, dW in zip(params.W, updates, strict=True)), params.R), h


def bound_of_residuals(params, after, y0, task, alpha):
    """How far from stationary the step may be if no entry of ∂F_α/∂h exceeds the tolerance τ.

    At states h the new network has a_l = h_l, and with g_l = ∂F_α/∂h_l the error terms are c_l e_l = δ_l + r_l, where
    δ is backpropagation's at θ⁺, r_L = g_L, and r_l = g_l + f′ ∘ R_{l+1}ᵀ W⁺_{l+1}ᵀ r_{l+1} (the bracket of
    prox_gradient is c W⁺ᵀ e). ΔW_l = α c_l e_l x_lᵀ, so the residual is α r_l x_lᵀ.
    """
    trace = copi.forward(after, y0, task.activation)
    size = np.sqrt(after.W[-1].shape[0]) * TOLERANCE
    bounds = [alpha * size * np.linalg.norm(trace.x[-1])]
    for layer in reversed(range(len(after.W) - 1)):
        steepness = np.linalg.norm(after.W[layer + 1], 2) * np.linalg.norm(after.R[layer + 1], 2)
        size = np.sqrt(after.W[layer].shape[0]) * TOLERANCE + steepness * size  # f′ ≤ 1
        bounds.append(alpha * size * np.linalg.norm(trace.x[layer]))
    return bounds[::-1]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("layers", SIZES_OF)
@pytest.mark.parametrize("f", [copi.tanh, copi.leaky_relu], ids=lambda f: f.name)
def test_il_prox_at_convergence_is_an_implicit_sgd_step(f, layers, alpha):
    """Stationarity at θ⁺ for every sample; leaky ReLU's minima on a kink are another test's."""
    smooth = 0
    for seed in range(12):
        params, y0, task = one_sample(seed, layers, f)
        after, h = prox_step(params, y0, task, alpha)
        if f is copi.leaky_relu and min(np.abs(h_l).min() for h_l in h) < 1e-9:
            continue
        smooth += 1
        for a, h_l in zip(copi.forward(after, y0, f).a, h, strict=True):
            assert_close(a, h_l, 1e-12)
        moved = max(np.abs(new - old).max() for new, old in zip(after.W, params.W, strict=True))
        assert moved > 1e-4, "a step that goes nowhere proves nothing"
        left = residuals(params, after, y0, task, alpha)
        for residual, bound in zip(left, bound_of_residuals(params, after, y0, task, alpha), strict=True):
            assert np.linalg.norm(residual) <= bound + 1e-13 * (1 + alpha)  # and rounding
    assert smooth >= (12 if f is copi.tanh else 3)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("layers", SIZES_OF)
def test_a_solver_that_never_sees_a_state_finds_the_same_weights(layers, alpha):
    """Where both reach the same value of L + ‖Δθ‖²/2α they are at the same θ⁺; for large α there are other minima.

    Two stationary points with residuals ρ = 10⁻⁹ in one valley of curvature μ are within 2ρ √n/μ of each other: 1e-6 is
    allowed, for μ > 0.02. That α ≤ 1/2 has only one valley in all these cases is what was found, not a theorem.
    """
    same = 0
    for seed in range(12):
        params, y0, task = one_sample(seed, layers, copi.tanh)
        by_states, _ = prox_step(params, y0, task, alpha)
        by_weights = copi.implicit_sgd_step(params, y0, task, alpha, TOLERANCE)
        values = [objective(params, after, y0, task, alpha) for after in (by_states, by_weights)]
        if abs(values[0] - values[1]) > 1e-10:
            continue
        same += 1
        for one, other in zip(by_states.W, by_weights.W, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert same == 12 if alpha <= 0.5 else same >= 6


def objective(before, after, y0, task, alpha):
    """α L(θ) + ½‖θ − θ_b‖²."""
    loss = task.loss(copi.forward(after, y0, task.activation).y[-1], task.target).mean()
    return alpha * loss + sum(np.sum((new - old) ** 2) for new, old in zip(after.W, before.W, strict=True)) / 2


def test_states_on_a_kink_satisfy_the_inclusion():
    """Leaky ReLU: a minimum can lie on h_i = 0, where the slopes from both sides point towards it.

    Where no state is at its kink every entry of the gradient is 0; of one that is, the sides have opposite signs.
    """
    kinks = 0
    for seed in range(40):
        params, y0, task = one_sample(seed, 2, copi.leaky_relu)
        start = copi.forward_states(params, y0, copi.leaky_relu)
        h = copi.infer_prox_to_convergence(params, y0, start, task, 10, 1e-7)
        for layer, h_l in enumerate(h):
            for i in range(h_l.shape[1]):
                at = (0, i)
                slopes_at = []
                for side in (-1, 1) if abs(h_l[at]) < 1e-9 else (0, 0):
                    moved = [one.copy() for one in h]
                    moved[layer][at] += side * 1e-9 - (h_l[at] if side else 0)
                    settled = predictions(params, y0, tuple(moved), copi.leaky_relu)
                    slopes_at.append(prox_gradient(params, settled, task, 10)[layer][at])
                kinks += abs(h_l[at]) < 1e-9
                # The other kinks of a sample enter by the slope that they rest with, not by that of their sign: only
                # within a layer are they independent, and two layers have one hidden one.
                assert slopes_at[0] <= 1e-6
                assert slopes_at[1] >= -1e-6
    assert kinks >= 1


@pytest.mark.parametrize("alpha", [0.01, 0.5, 10, 100])
def test_for_one_linear_layer_il_prox_is_the_closed_form_and_il_overshoots(alpha, xp, rng):
    """IL with the output clamped is explicit SGD there: exactly 1 + α‖x‖² times the proximal step."""
    x, W, target = draw(rng, 1, 5), draw(rng, 3, 5), draw(rng, 1, 3)
    params = copi.Params((xp.asarray(W),), (xp.asarray(np.eye(5)),))
    task = copi.Task(xp.asarray(target), copi.half_quadratic, copi.identity)
    trace = copi.forward(params, xp.asarray(x), copi.identity)
    # F_α is quadratic with curvature 1 + 1/(α‖x‖²): its minimum is h = (W x + α‖x‖² y*)/(1 + α‖x‖²).
    h = copi.infer_prox_to_convergence(params, xp.asarray(x), trace.a, task, alpha, 1e-12)
    n = np.sum(x**2)
    assert_close(xp.numpy(h[0]), (x @ W.T + alpha * n * target) / (1 + alpha * n), 1e-11)
    (prox,) = il_prox_update(predictions(params, xp.asarray(x), h, copi.identity))
    closed = xp.numpy(copi.implicit_sgd_layer(xp.asarray(x), params.W[0], task.target, alpha)) - W
    assert_close(xp.numpy(prox), closed, 1e-10)
    (il,) = il_update(predictions(params, xp.asarray(x), (task.target,), copi.identity))
    assert_close(alpha * xp.numpy(il), (1 + alpha * n) * closed, 1e-10 * (1 + alpha * n))


@pytest.mark.parametrize("layers", SIZES_OF)
def test_standard_il_is_not_the_proximal_step(layers):
    """By how much: at α = 1/2 its residual was 0.38 to 1.8 times its own step over these samples; IL-prox's is 0.

    Standard IL has fixed precisions; its own step at learning rate α is α e xᵀ, from states that converged with the
    output clamped to h_L = a_L + δ_L. For one linear layer the excess is derived, in the test above.
    """
    alpha, shares = 0.5, []
    for seed in range(12):
        params, y0, task = one_sample(seed, layers, copi.tanh)
        trace = copi.forward(params, y0, copi.tanh)
        delta_L = copi.backpropagation(params, trace, task)[-1]
        h = copi.infer_to_convergence(params, y0, (*trace.a[:-1], trace.a[-1] + delta_L), copi.tanh, TOLERANCE)
        updates = il_update(predictions(params, y0, h, copi.tanh))
        after = copi.Params(tuple(w + alpha * dW for w, dW in zip(params.W, updates, strict=True)), params.R)
        left = np.sqrt(sum(np.sum(r**2) for r in residuals(params, after, y0, task, alpha)))
        step = np.sqrt(sum(np.sum((alpha * dW) ** 2) for dW in updates))
        shares.append(left / step)
    assert min(shares) > 0.1


def test_converged_states_and_implicit_steps_know_the_means(rng):
    """The theorem with centring: both solvers agree on a network that subtracts means, and both keep them."""
    params, y0, task = one_sample(0, 3, copi.tanh)
    params = copi.Params(params.W, params.R, tuple(draw(rng, len(r)) / 2 for r in params.R))
    trace = copi.forward(params, y0, copi.tanh)
    h = copi.infer_prox_to_convergence(params, y0, trace.a, task, 0.5, TOLERANCE)
    updates = il_prox_update(predictions(params, y0, h, copi.tanh))
    after = copi.implicit_sgd_step(params, y0, task, 0.5, TOLERANCE)
    assert after.mean is params.mean
    for new, old, dW in zip(after.W, params.W, updates, strict=True):
        np.testing.assert_allclose(new - old, dW, rtol=0, atol=1e-6)
    plain, _ = prox_step(copi.Params(params.W, params.R), y0, task, 0.5)
    assert np.abs(plain.W[1] - after.W[1]).max() > 1e-3


# --- stability -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    from copi_ref.data import load_digits

    return load_digits()


@pytest.mark.parametrize("rate", [10, 100])
def test_explicit_sgd_diverges_where_il_prox_stays_bounded(rate, digits):
    """Digits, one sample at a time, 64-20-10 without R: SGD leaves the finite numbers; IL-prox learns.

    For IL-prox at convergence L(θ⁺) + ‖θ⁺ − θ_b‖²/2α ≤ L(θ_b) on its own sample, as θ_b was a choice: the bound of each
    step, however large α is. Here inference is gradient descent, as in training.
    """
    few = copi.Dataset(digits.x_train[:300], digits.y_train[:300], digits.x_test, digits.y_test)
    sizes = (64, 20, 10)
    sgd = copi.Recipe(
        eta_w=rate, eta_r=0, lateral_rule="none", weight_rule="sgd", batch_size=1, loss=copi.half_quadratic
    )
    with pytest.raises(copi.NonFiniteError):
        copi.fit(sgd, copi.init_state(sgd, sizes, np.random.default_rng(0), np), few, 1)
    prox = copi.Recipe(
        eta_w=1,
        eta_r=0,
        lateral_rule="none",
        batch_size=1,
        loss=copi.half_quadratic,
        credit=copi.ProximalInferenceLearning(alpha=rate),
        states="inferred",
        weight_rule="nlms",
    )
    result = copi.fit(prox, copi.init_state(prox, sizes, np.random.default_rng(0), np), few, 1)
    assert result.metrics[-1]["train_loss"] < 1
    assert result.metrics[-1]["test_accuracy"] > 0.5


@pytest.mark.parametrize("alpha", [10, 100])
def test_a_converged_step_of_il_prox_never_raises_its_own_loss(alpha, digits):
    params = copi.init_params((64, 20, 10), np.random.default_rng(0), "float64", np)
    start = max(np.abs(w).max() for w in params.W)
    for x, label in zip(digits.x_train[:8], digits.y_train[:8], strict=True):
        y0, task = x[None, :].astype(float), copi.Task(np.eye(10)[[label]], copi.half_quadratic, copi.tanh)
        trace = copi.forward(params, y0, copi.tanh)
        h = copi.infer_prox_to_convergence(params, y0, trace.a, task, alpha, 1e-6)
        updates = il_prox_update(predictions(params, y0, h, copi.tanh))
        after = copi.Params(tuple(w + dW for w, dW in zip(params.W, updates, strict=True)), params.R)
        # F_α at h is L(θ⁺) + ‖Δθ‖²/2α, and it began at L(θ_b) with e = 0.
        assert objective(params, after, y0, task, alpha) <= objective(params, params, y0, task, alpha) * (1 + 1e-9)
        params = after
    assert max(np.abs(w).max() for w in params.W) < 10 * start

"""Right code that is written otherwise than Algorithm 1 reads: each at seeds where a narrower allowance rejected it."""

from types import SimpleNamespace

import numpy as np
import pytest
from mutants import plain

from copi_ref.oracle import Conventions, check

BOTH = pytest.mark.parametrize("precision", ["float64", "float32"])


def assert_passes(precision, seeds, conventions=None, **functions):
    for seed in seeds:
        with np.errstate(over="ignore", invalid="ignore"):
            report = check(
                SimpleNamespace(**functions), xp=np, precision=precision, seed=seed, conventions=conventions or AS_PLAIN
            )
        report.raise_if_failed()


AS_PLAIN = Conventions()

# --- the error does not go through the δ above ------------------------------------------------------------------------


def jacobians(W, R, x, a, y, target):
    """δ_l = (∂y_L/∂a_l)ᵀ 2 (y* − y_L), sample by sample: the error comes last."""
    deltas = []
    for layer in range(len(W)):
        of_layer = []
        for n in range(len(target)):
            J = np.diag(plain.df(a[layer][n]))
            for above in range(layer + 1, len(W)):
                J = np.diag(plain.df(a[above][n])) @ (W[above] @ R[above]) @ J
            of_layer.append(2 * (target[n] - y[-1][n]) @ J)
        deltas.append(np.stack(of_layer))
    return deltas


@BOTH
def test_perturbations_by_whole_jacobians(precision):
    assert_passes(precision, (3, 9), perturbations=jacobians)


def step_with_states(forward, perturbations, new_W, new_R):
    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = forward(W, R, y0)
        deltas = perturbations(W, R, x, a, y, target)
        W = [new_W(*one, eta_w) for one in zip(W, x, a, deltas, strict=True)]
        R = [new_R(*one, eta_r) for one in zip(R, x, strict=True)]
        return W, R, {"x": x, "a": a, "y": y, "delta": deltas}

    return step


def added(W, x, a, delta, eta):
    return W + eta * plain.copi_update(x, a + delta, W)


def mixed(R, x, eta):
    return R + eta * plain.decorrelation_update(x, R)


@BOTH
def test_a_step_that_returns_states_with_perturbations_by_whole_jacobians(precision):
    step = step_with_states(plain.forward, jacobians, added, mixed)
    assert_passes(precision, (15, 89), step=step)


def of_layers_below(W, R, y0):
    """x, a and y of a network without nonlinearity, each from all matrices below in one."""
    x, a, below = [], [], np.eye(y0.shape[1], dtype=y0.dtype)
    for one_W, one_R in zip(W, R, strict=True):
        x.append(y0 @ (one_R @ below).T)
        below = one_W @ one_R @ below
        a.append(y0 @ below.T)
    return x, a, a


@BOTH
def test_one_matrix_for_all_layers_of_a_linear_network(precision):
    linear = Conventions(activation="identity")
    assert_passes(precision, range(6), linear, forward=of_layers_below)


# --- samples are added to the weights one after the other -------------------------------------------------------------


def added_by_sample(W, x, a, delta, eta):
    new, N = W.copy(), len(x)
    for n in range(N):
        new += eta / N * (np.outer(a[n] + delta[n], x[n]) - W * x[n] ** 2)
    return new


def added_in_two(W, x, a, delta, eta):
    new, N = W.copy(), len(x)
    for n in range(N):
        new += eta / N * np.outer(a[n] + delta[n], x[n])
        new -= eta / N * (W * x[n] ** 2)
    return new


def mixed_by_sample(R, x, eta):
    new, N = R.copy(), len(x)
    for n in range(N):
        C = np.outer(x[n], x[n])
        new -= eta / N * (R @ (C - np.diag(np.diag(C))))
    return new


def mixed_in_two(R, x, eta):
    new, N = R.copy(), len(x)
    for n in range(N):
        new -= eta / N * (R @ np.outer(x[n], x[n]))
        new += eta / N * (R * x[n] ** 2)
    return new


def mean_of_weights(W, x, a, delta, eta):
    return sum(added(W, x[n : n + 1], a[n : n + 1], delta[n : n + 1], eta) for n in range(len(x))) / len(x)


def mean_of_mixed(R, x, eta):
    return sum(mixed(R, x[n : n + 1], eta) for n in range(len(x))) / len(x)


@BOTH
@pytest.mark.parametrize(
    "update",
    [(added_by_sample, mixed_by_sample), (added_in_two, mixed_in_two), (mean_of_weights, mean_of_mixed)],
    ids=["each sample", "growth and decay of each sample", "mean of weights"],
)
def test_sample_by_sample_into_the_weights(update, precision):
    step = step_with_states(plain.forward, plain.perturbations, *update)
    assert_passes(precision, SEEDS_OF_SAMPLES, step=step)


SEEDS_OF_SAMPLES = (14, 0)


# --- what leaves the range of a short format --------------------------------------------------------------------------


def test_an_error_that_a_dead_unit_multiplies_by_0_stays_in_the_range_of_float16():
    scaled = Conventions(activation="relu", output="pre-activation", error_scale=1000, credit="fa")

    def perturbations(W, R, x, a, y, target, B=()):
        deltas = [-((a[-1] >= 0) * (2000 * (a[-1] - target)))]
        for pre, feedback in zip(a[-2::-1], B[::-1], strict=True):
            deltas.insert(0, (deltas[0] @ feedback.T) * (pre >= 0))
        return deltas

    assert_passes("float16", (498296471, 0, 1), scaled, perturbations=perturbations)

"""Mistakes that inputs of one sign, few shapes and few sizes don't show: each is rejected, whatever the seed."""

import types

import numpy as np
import pytest
from mutants import plain

from copi_ref.oracle import check
from copi_ref.oracle.naming import named
from copi_ref.oracle.naming.explaining import Diagnosis

SEEDS = (0,)


def a_step(signs=None, samples=None, mean=None, deltas=None, updates=None, rates=None, output=None):
    """Return a step, right but for what is exchanged."""

    def step(W, R, y0, target, eta_w, eta_r):
        if samples:
            y0, target = samples(y0, target)
        new = ([*W], [*R])
        if signs:
            W, R, y0 = signs(W, R, y0)
        x, a, y = plain.forward(W, R, y0)
        of_output = [*y[:-1], output(y[-1])] if output else y
        delta = plain.perturbations(W, R, x, a, of_output, target)
        if deltas:
            delta = deltas(delta, x, a)
        eta_w, eta_r = rates(eta_w, eta_r) if rates else (eta_w, eta_r)
        taken = mean(delta) if mean else slice(None)
        for at in range(len(W)):
            dW = plain.copi_update(x[at][taken], (a[at] + delta[at])[taken], W[at])
            dR = plain.decorrelation_update(x[at], R[at])
            if updates:
                dW, dR = updates(dW, dR, at, delta[at], len(y0), eta_w, eta_r)
            new[0][at], new[1][at] = new[0][at] + eta_w * dW, new[1][at] + eta_r * dR
        return new

    return {"step": step}


def of_one_sign(A):
    """Every row of the sign that it has on the whole."""
    return np.abs(A) * np.where(A.sum(axis=1) < 0, -1, 1).astype(A.dtype)[:, None]


def each(change):
    return lambda arrays: [change(one) for one in arrays]


def through(change_W=list, change_R=list, change_y0=lambda y0: y0):
    """Return all three functions on changed weights or inputs."""
    return {
        "forward": lambda W, R, y0: plain.forward(change_W(W), change_R(R), change_y0(y0)),
        "perturbations": lambda W, R, *rest: plain.perturbations(change_W(W), change_R(R), *rest),
        **a_step(signs=lambda W, R, y0: (change_W(W), change_R(R), change_y0(y0))),
    }


def output_error(change):
    """Return `perturbations` in which δ of the output is another."""

    def perturbations(W, R, x, a, y, target):
        delta = [change(a[-1], y[-1], target)]
        for at in range(len(W) - 1, 0, -1):
            delta.insert(0, plain.df(a[at - 1]) * (delta[0] @ W[at] @ R[at]))
        return delta

    return {"perturbations": perturbations}


def squeezed(a, y, target):
    """One output: y of shape (N,) against a target of shape (N, 1) is (N, N)."""
    if y.shape[1] > 1:
        return plain.df(a) * 2 * (target - y)
    error = target - y.squeeze()
    return plain.df(a) * 2 * error.mean(axis=1, keepdims=True)


def target_squeezed(a, y, target):
    if y.shape[1] > 1:
        return plain.df(a) * 2 * (target - y)
    return plain.df(a) * 2 * (target.squeeze() - y).mean(axis=1, keepdims=True)


def micro_batches(size):
    """Means of micro-batches, of which the last is smaller, in a mean without weights."""

    def updates(x, z, W):
        parts = [slice(at, at + size) for at in range(0, len(x), size)]
        return np.mean([plain.copi_update(x[part], z[part], W) for part in parts], axis=0, dtype=x.dtype)

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        delta = plain.perturbations(W, R, x, a, y, target)
        return (
            [w + eta_w * updates(x_, a_ + d, w) for w, x_, a_, d in zip(W, x, a, delta, strict=True)],
            [r + eta_r * plain.decorrelation_update(x_, r) for r, x_ in zip(R, x, strict=True)],
        )

    return {"copi_update": updates, "step": step}


def beyond_a_tile(name, samples, units):
    """A matrix product that leaves out what lies beyond a tile, in samples or in units."""

    def decorrelation_update(x, R):
        return plain.decorrelation_update(x[:samples], R) * len(x[:samples]) / len(x)

    def forward(W, R, y0):
        x, a, y = plain.forward(W, R, y0)
        for one in (*a, *y):
            one[samples:], one[:, units:] = 0, 0
        return x, a, y

    def step(W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        for old, new in zip(W, new_W, strict=True):
            new[units:] = old[units:]
        return new_W, new_R

    return {name: {"decorrelation_update": decorrelation_update, "forward": forward, "step": step}[name]}


def frozen_samples():
    """The first number of samples is the one that means are taken with, for each shape of weights."""
    seen = {}

    def updates(dW, dR, at, delta, N, eta_w, eta_r):
        first = seen.setdefault(dW.shape, N)
        return dW * N / first, dR * N / first

    return a_step(updates=updates)


def stale_rows(name):
    """A buffer of the most samples that were seen of some widths: a smaller batch is summed with old rows."""
    buffers = {}

    def kept(array):
        buffer = buffers.setdefault(array.shape[1:], array)
        if len(array) >= len(buffer):
            buffers[array.shape[1:]] = array.copy()
            return array
        buffer[: len(array)] = array
        return buffer

    def copi_update(x, z, W):
        both = kept(np.concatenate([x, z], axis=1))
        return (both[:, x.shape[1] :].T @ both[:, : x.shape[1]]) / len(x) - W * np.mean(x**2, axis=0)

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = plain.forward(W, R, y0)
        delta = plain.perturbations(W, R, x, a, y, target)
        new_W = [w + eta_w * copi_update(x_, a_ + d, w) for w, x_, a_, d in zip(W, x, a, delta, strict=True)]
        return new_W, [r + eta_r * plain.decorrelation_update(x_, r) for r, x_ in zip(R, x, strict=True)]

    return {name: {"copi_update": copi_update, "step": step}[name]}


def a_buffer_for_each_width():
    def forward(W, R, y0):
        x, a, y = plain.forward(W, R, y0)
        buffers = {}
        for at, one in enumerate(y):
            buffer = buffers.setdefault(one.shape, np.empty_like(one))
            buffer[...] = one
            y[at] = buffer
        return x, a, y

    return {"forward": forward}


def normalised(name):
    """Inputs divided by their size and multiplied with it again: 0/0 for a dead one."""

    def around(x):
        size = np.sqrt((x**2).mean(axis=0))
        with np.errstate(all="ignore"):
            return x / size * size

    def forward(W, R, y0):
        xs, as_, ys, y = [], [], [], y0
        for w, r in zip(W, R, strict=True):
            xs.append(around(y @ r.T))
            as_.append(xs[-1] @ w.T)
            y = plain.f(as_[-1])
            ys.append(y)
        return xs, as_, ys

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, y = forward(W, R, y0)
        delta = plain.perturbations(W, R, x, a, y, target)
        return (
            [w + eta_w * plain.copi_update(x_, a_ + d, w) for w, x_, a_, d in zip(W, x, a, delta, strict=True)],
            [r + eta_r * plain.decorrelation_update(x_, r) for r, x_ in zip(R, x, strict=True)],
        )

    return {name: {"forward": forward, "step": step}[name]}


def with_an_error(delta):
    """Samples in which some output has an error; all if none has."""
    some = (delta[-1] != 0).any(axis=1)
    return some if some.any() else slice(None)


def slope_of_the_mean(delta, x, a):
    """f′ at the mean pre-activation of the batch, at the output."""
    of_mean, of_each = plain.df(a[-1].mean(axis=0, keepdims=True)), plain.df(a[-1])
    return [*delta[:-1], delta[-1] / of_each * of_mean]


def only_where_units_err(dW, dR, at, delta, N, eta_w, eta_r):
    return dW * (delta != 0).any(axis=0)[:, None], dR


def epsilon(size):
    def copi_update(x, z, W):
        return z.T @ x / len(x) - W * (np.mean(x**2, axis=0) + x.dtype.type(size))

    def decorrelation_update(x, R):
        C = x.T @ x / len(x)
        return -R @ (C - np.diag(np.diag(C)) + x.dtype.type(size) * np.eye(len(C), dtype=x.dtype))

    return {"copi_update": copi_update, "decorrelation_update": decorrelation_update}


ALONE = {
    # signs
    "|R|": through(change_R=each(np.abs)),
    "R cut at 0": through(change_R=each(lambda R: np.maximum(R, 0))),
    "rows of W of one sign": through(change_W=each(of_one_sign)),
    "samples of one sign": {
        name: function
        for name, function in through(change_y0=of_one_sign).items()
        if name != "perturbations"  # it gets no y0
    },
    "no slope at the output of several samples": {
        **output_error(lambda a, y, target: 2 * (target - y) * (1 if len(a) > 1 else plain.df(a))),
        **a_step(deltas=lambda delta, x, a: [*delta[:-1], delta[-1] / (plain.df(a[-1]) if len(x[0]) > 1 else 1)]),
    },
    "the slope at the mean of the batch": {
        **output_error(lambda a, y, target: 2 * (target - y) * plain.df(a.mean(axis=0, keepdims=True))),
        **a_step(deltas=slope_of_the_mean),
    },
    "outputs cut at 0": {
        **output_error(lambda a, y, target: 2 * plain.df(a) * (target - np.maximum(y, 0))),
        **a_step(output=lambda y: np.maximum(y, 0)),
    },
    # shapes
    "one output squeezed": output_error(squeezed),
    "the target of one output squeezed": output_error(target_squeezed),
    "the first three outputs": output_error(
        lambda a, y, target: 2 * plain.df(a) * (target - y) * (np.arange(y.shape[1]) < 3)
    ),
    "the first 8 samples": a_step(samples=lambda y0, target: (y0[:8], target[:8])),
    "a sum beyond 16 samples": a_step(
        updates=lambda dW, dR, at, delta, N, *rates: (dW * (N if N > 16 else 1), dR),
    ),
    "no error five layers down": a_step(
        deltas=lambda delta, x, a: [d if len(delta) - at <= 5 else 0 * d for at, d in enumerate(delta)]
    ),
    "no R above the fourth layer": a_step(updates=lambda dW, dR, at, *rest: (dW, dR if at < 4 else 0 * dR)),
    "no W above the seventh layer": a_step(updates=lambda dW, dR, at, *rest: (dW if at < 7 else 0 * dW, dR)),
    "micro-batches of 16": micro_batches(16),
    "micro-batches of 32": micro_batches(32),
    "64 samples in ΔR": beyond_a_tile("decorrelation_update", 64, 32),
    "128 samples in ΔR": beyond_a_tile("decorrelation_update", 128, 32),
    "32 units in forward": beyond_a_tile("forward", 1000, 32),
    "128 samples in forward": beyond_a_tile("forward", 128, 1000),
    "32 units in a step": beyond_a_tile("step", 128, 32),
    # values
    "inputs cut at 8": a_step(samples=lambda y0, target: (np.clip(y0, -8, 8), target)),
    "inputs cut at 1000": {
        "forward": lambda W, R, y0: plain.forward(W, R, np.clip(y0, -1000, 1000)),
        **a_step(samples=lambda y0, target: (np.clip(y0, -1000, 1000), target)),
    },
    "a cut at 1000 on the way down": output_error(
        lambda a, y, target: 2 * plain.df(a) * (target - np.clip(y, -1000, 1000))
    ),
    "no R at equal rates": a_step(
        updates=lambda dW, dR, at, delta, N, eta_w, eta_r: (dW, 0 * dR if eta_w == eta_r else dR)
    ),
    "eta_w of 1/1000 at least": a_step(rates=lambda eta_w, eta_r: (max(eta_w, 1e-3), eta_r)),
    "eta_r of 1/64 at least": a_step(rates=lambda eta_w, eta_r: (eta_w, max(eta_r, 1 / 64))),
    "eta_r of 1 at most": a_step(rates=lambda eta_w, eta_r: (eta_w, min(eta_r, 1))),
    "0/0 in a dead input of forward": normalised("forward"),
    "0/0 in a dead input of a step": normalised("step"),
    "10⁻¹² beside E[x²]": epsilon(1e-12),
    "10⁻³⁰ beside E[x²]": epsilon(1e-30),
    "the mean of samples with an error": a_step(mean=with_an_error),
    "no update of units without an error": a_step(updates=only_where_units_err),
    # repetition
    "a buffer for each width": a_buffer_for_each_width(),
}

WITH_MEMORY = {
    "the first number of samples": frozen_samples,
    "stale rows in ΔW": lambda: stale_rows("copi_update"),
    "stale rows in a step": lambda: stale_rows("step"),
}


@pytest.fixture(autouse=True, scope="module")
def unnamed():
    """To find a name for a mistake takes longest, and is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(named, "diagnose", lambda *_: Diagnosis("", ""))
        yield


def passing(functions, precision, seed):
    """Return the functions that pass where each is the only one: none leans on another."""
    passed = []
    for name, function in functions.items():
        with np.errstate(all="ignore"):
            report = check(
                types.SimpleNamespace(**{name: function}),
                precision=precision,
                xp=np,
                seed=seed,
            )
        passed += [name] if report.ok else []
    return passed


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", ALONE)
def test_it_is_rejected(name, precision, seed):
    assert not passing(ALONE[name], precision, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", WITH_MEMORY)
def test_what_is_kept_from_other_calls_is_rejected(name, precision, seed):
    assert not passing(WITH_MEMORY[name](), precision, seed)


def test_what_is_exchanged_is_all_that_is_wrong():
    """The functions above are right where nothing is exchanged."""
    right = {**through(), **output_error(lambda a, y, target: 2 * plain.df(a) * (target - y))}
    assert passing(right, "float64", 0) == ["forward", "perturbations", "step"]
    assert passing(a_step(), "float32", 0) == ["step"]

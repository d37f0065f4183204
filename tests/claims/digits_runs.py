"""Small measurements for the claims: networks trained on scikit-learn's digits, ten seeds at once, each run once."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.data import load_digits
from copi_ref.experiments.comparison import paired_difference
from copi_ref.experiments.presets import changed, experiment
from copi_ref.experiments.runner import epoch_of_99_percent

SEEDS = 10
EPOCHS = 30  # as `copi-ref demo`; in the first 3 only R learns


@cache
def digits():
    pytest.importorskip("sklearn")
    return load_digits()


@cache
def decorrelated_digits():
    """Return E[y yᵀ] of the digits, and R after full batches of the first line of Eq. 4, at the safe rate, until
    ‖C_off‖ is a ten-thousandth of ‖diag C‖."""
    y = digits().x_train.astype(float)
    C0, R = y.T @ y / len(y), np.eye(64)
    C = C0
    while True:
        power = np.diag(np.diag(C))
        if np.linalg.norm(C - power) < 1e-4 * np.linalg.norm(power):
            return C0, R
        R = R - 2 / (3 * np.trace(C)) * (C - power) @ R
        C = R @ C0 @ R.T


@cache
def trained(method, *, preset="demo", epochs=EPOCHS, seeds=SEEDS, **changes):
    """Train the preset's method with some settings changed, and return the recipe and the result of all seeds."""
    settings = experiment(preset, method, "digits")
    recipe = replace(settings.recipe, **changes)
    sizes = experiment("demo", method, "digits").sizes(digits())
    state = copi.init_state(recipe, sizes, [np.random.default_rng(seed) for seed in range(seeds)])
    return recipe, copi.fit(recipe, state, digits(), epochs)


@cache
def one_at_a_time(method, rate, seeds=5):
    """Train 64-20-10 for an epoch on 300 samples, one at a time, without R."""
    few = copi.Dataset(digits().x_train[:300], digits().y_train[:300], digits().x_test, digits().y_test)
    recipe = changed(experiment("il", method, "digits").recipe, {"eta_w": rate})
    state = copi.init_state(recipe, (64, 20, 10), [np.random.default_rng(seed) for seed in range(seeds)])
    return copi.fit(recipe, state, few, 1)


def column(result, name):
    """Return a metric as an array (epochs, seeds)."""
    return np.array([row[name] for row in result.metrics])


def last(method, name="test_accuracy", **how):
    return column(trained(method, **how)[1], name)[-1]


def epochs_of_99_percent(method, **how):
    """Return the epoch, from 0, in which each seed reaches 99 % of its peak train accuracy."""
    _, result = trained(method, **how)
    seeds = column(result, "train_accuracy").shape[1]
    return [epoch_of_99_percent(result.member(seed).metrics) for seed in range(seeds)]


def interval(one, other):
    """Return the ends of the 95 % interval of one − other, paired by seed (Student's t)."""
    found = paired_difference(list(map(float, one)), list(map(float, other)))
    return found.low, found.high


def above(ends, floor):
    """Whether an interval lies above a number, below it, or on both sides of it."""
    low, high = ends
    return "borne out" if low > floor else "not borne out" if high < floor else "undecided"


def on_par(one, other):
    """Whether accuracies are as good as others: at most a quarter more errors, with certainty."""
    return above(interval(one, other), -(1 - np.mean(other)) / 4)

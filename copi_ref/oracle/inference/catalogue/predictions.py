"""Mistakes in predictions, errors and energies."""

from typing import Any

import numpy as np

from copi_ref.oracle.inference.catalogue.mistake import mistake, of_first, of_last, with_biases, with_precisions
from copi_ref.oracle.inference.right import is_bent, of_samples, squares, weighted
from copi_ref.oracle.inference.rules import At, Rules
from copi_ref.oracle.rounding import AnyArray


def _on_input(r: Rules, at: At, k: int) -> AnyArray:
    return r.f(at.h(0)) if k == 1 else r.input(at, k)


def _from_prediction(r: Rules, at: At, k: int) -> AnyArray:
    if k == 1:
        return r.input(at, k)
    return r.f(at.p(k - 1)) if r.conventions.weights_last else at.p(k - 1)


def _summed(r: Rules, at: At, term: Any, factor: float | None = None) -> AnyArray:
    """The energy of other terms of a layer, (N,) each."""
    total = sum(term(layer) for layer in range(1, at.net.layers + 1))
    return of_samples(
        (r.conventions.energy_factor if factor is None else factor) * total, r.conventions.energy_reduction
    )


def _square(at: At, k: int) -> AnyArray:
    return weighted(at, k, squares(at.e(k)))


def _of_mean_error(r: Rules, at: At) -> AnyArray:
    means = [np.mean(at.e(layer), axis=0) for layer in range(1, at.net.layers + 1)]
    total = r.conventions.energy_factor * sum(float(mean @ mean) for mean in means)
    return of_samples(np.full(at.net.samples, total), r.conventions.energy_reduction)


PREDICTION_MISTAKES = (
    mistake("predict-activation-on-input", "f is applied to the input y0 too", input=_on_input),
    of_first("predict-linear", "f is left out of predictions: p = W h", input=lambda r, at, k: at.h(k - 1)),
    of_last("predict-linear-aw", "f is left out of predictions: p = W h", prediction=lambda r, at, k: at.a(k)),
    of_first(
        "predict-activation-at-output",
        "f is applied to the output's prediction too: p_L = f(W x)",
        prediction=lambda r, at, k: r.f(at.a(k)) if k == at.net.layers else r.prediction(at, k),
    ),
    of_first(
        "predict-activation-after-too",
        "f is applied to every prediction too: p = f(W f(h))",
        prediction=lambda r, at, k: r.f(at.a(k)),
    ),
    of_last(
        "predict-linear-output",
        "there is no f at the output: p_L = W h",
        prediction=lambda r, at, k: at.a(k) if k == at.net.layers else r.prediction(at, k),
    ),
    mistake(
        "predict-from-predictions",
        "p_l is made of the prediction below and not of the state: a forward pass",
        input=_from_prediction,
    ),
    of_first(
        "predict-twice-activated",
        "f is applied twice",
        input=lambda r, at, k: r.f(r.input(at, k)) if k > 1 else r.input(at, k),
    ),
    of_last(
        "predict-twice-activated-aw",
        "f is applied twice",
        prediction=lambda r, at, k: r.f(r.prediction(at, k)) if is_bent(at, k) else r.prediction(at, k),
    ),
    with_biases(
        "predict-no-bias",
        "the bias is left out of predictions",
        pre=lambda r, at, k: at.x(k) @ at.net.W[k - 1].mT,
        prediction=lambda r, at, k: r.f(at.a(k)) if is_bent(at, k) else at.a(k),
    ),
    with_biases(
        "predict-bias-subtracted",
        "the bias is subtracted",
        pre=lambda r, at, k: 2 * (at.x(k) @ at.net.W[k - 1].mT) - r.pre(at, k),
        prediction=lambda r, at, k: (
            r.prediction(at, k)
            - (2 * at.net.b[k - 1] if r.conventions.biases == "outside" and at.net.b is not None else 0)
        ),
    ),
    with_biases(
        "predict-no-bias-at-output",
        "the output has no bias",
        pre=lambda r, at, k: r.pre(at, k) if k < at.net.layers else at.x(k) @ at.net.W[k - 1].mT,
        prediction=lambda r, at, k: (
            r.prediction(at, k) if k < at.net.layers else (r.f(at.a(k)) if is_bent(at, k) else at.a(k))
        ),
    ),
    mistake(
        "error-over-slope",
        "the error has a factor f′(h): f′(h) ∘ (h − p)",
        error=lambda r, at, k: r.f.derivative(np.asarray(at.h(k))) * r.error(at, k),
    ),
    mistake(
        "error-of-activations",
        "the error is that of f(h) and f(p)",
        error=lambda r, at, k: r.f(np.asarray(at.h(k))) - r.f(np.asarray(at.p(k))),
    ),
    of_first(
        "error-of-activated-state", "the error is f(h) − p", error=lambda r, at, k: r.f(np.asarray(at.h(k))) - at.p(k)
    ),
)

ENERGY_MISTAKES = (
    mistake("energy-without-half", "½ is left out of the energy", energy=lambda r, at: r.energy(at) * 2),
    mistake(
        "energy-output-without-half",
        "½ is left out at the output",
        energy=lambda r, at: _summed(r, at, lambda k: _square(at, k) * (2 if k == at.net.layers else 1)),
    ),
    mistake(
        "energy-mean-over-units",
        "squared errors are averaged over units, and not summed",
        energy=lambda r, at: _summed(r, at, lambda k: _square(at, k) / at.e(k).shape[-1]),
    ),
    mistake(
        "energy-mean-over-layers",
        "energies are averaged over layers, and not summed",
        energy=lambda r, at: r.energy(at) / at.net.layers,
    ),
    mistake(
        "energy-of-mean-error",
        "the error's mean over the batch is squared, and not each sample's",
        energy=_of_mean_error,
    ),
    mistake(
        "energy-root",
        "‖e‖ stands for its square",
        energy=lambda r, at: _summed(r, at, lambda k: weighted(at, k, np.sqrt(squares(at.e(k))))),
    ),
    mistake(
        "energy-root-without-half",
        "‖e‖ stands for its square, without ½",
        energy=lambda r, at: _summed(r, at, lambda k: weighted(at, k, np.sqrt(squares(at.e(k)))), 1.0),
    ),
    mistake(
        "energy-root-of-sum",
        "the root is taken of the sum over layers, without ½",
        energy=lambda r, at: of_samples(
            np.sqrt(sum(_square(at, k) for k in range(1, at.net.layers + 1))), r.conventions.energy_reduction
        ),
    ),
    mistake(
        "energy-absolute",
        "Σ|e| stands for Σe², without ½",
        energy=lambda r, at: _summed(r, at, lambda k: weighted(at, k, np.sum(np.abs(at.e(k)), axis=-1)), 1.0),
    ),
    mistake(
        "energy-without-output",
        "the output's error is left out of the energy",
        energy=lambda r, at: _summed(r, at, lambda k: _square(at, k) * (k < at.net.layers)),
    ),
    mistake(
        "energy-output-only",
        "only the output's error is in the energy",
        energy=lambda r, at: _summed(r, at, lambda k: _square(at, k) * (k == at.net.layers)),
    ),
    mistake(
        "energy-without-first",
        "the first layer's error is left out of the energy",
        energy=lambda r, at: _summed(r, at, lambda k: _square(at, k) * (k > 1)),
    ),
    mistake("energy-negative", "the energy has the wrong sign: a log density", energy=lambda r, at: -r.energy(at)),
    mistake(
        "energy-of-states",
        "squares are those of states, and not of errors",
        energy=lambda r, at: _summed(r, at, lambda k: weighted(at, k, squares(at.h(k)))),
    ),
    with_precisions(
        "energy-without-precisions",
        "precisions are left out of the energy",
        energy=lambda r, at: _summed(r, at, lambda k: squares(at.e(k))),
    ),
)

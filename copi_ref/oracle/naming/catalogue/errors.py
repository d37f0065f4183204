"""Wrong errors at the output: other losses, other targets, and δ_L made of f′ and the error in another way."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces, scaled
from copi_ref.oracle.naming.catalogue.arrays import sigmoid, softmax, transposed_if_square
from copi_ref.oracle.naming.catalogue.slopes import f
from copi_ref.oracle.naming.catalogue.variant import Variant, limited, wrapping

Wrong = Callable[[Pieces, HostArray, HostArray, HostArray], HostArray]
"""``(pieces, a, y, target)``; the pieces are those before the change."""


def _error(name: str, says: str, wrong: Wrong) -> Variant:
    """Another error, that f′ multiplies."""
    return wrapping(name, says, error=wrong)


def _target(name: str, says: str, wrong: Callable[[HostArray], HostArray]) -> Variant:
    """Another target."""
    return wrapping(name, says, error=lambda p, a, y, t: p.error(a, y, wrong(t)))


def _loss(name: str, says: str, wrong: Callable[[HostArray, float], HostArray]) -> Variant:
    """Something else than the error, ``(error, factor of the loss)``."""
    return wrapping(name, says, error=lambda p, a, y, t: wrong(p.error(a, y, t), _factor(p)))


def _output(name: str, says: str, wrong: Wrong) -> Variant:
    """Another δ_L, which gets the pieces as they are at last; the error scale multiplies it."""
    return Variant(name, says, lambda p: p.with_changes(
        at_output=lambda q, a, y, t: scaled(wrong(q, a, y, t), q.conventions.error_scale)))  # fmt: skip


def _factor(p: Pieces) -> float:
    return float(p.conventions.loss_factor)


def _whole_error(p: Pieces, a: HostArray, y: HostArray, t: HostArray) -> HostArray:
    """The error with its scale, where something is added to it."""
    return np.asarray(scaled(p.error(a, y, t), p.conventions.error_scale))


def _unscaled(p: Pieces, delta: HostArray) -> HostArray:
    return np.asarray(delta / p.conventions.error_scale)


def _prediction(p: Pieces, a: HostArray, y: HostArray) -> HostArray:
    return y if p.conventions.output == "activation" else a


def _inverse(p: Pieces, t: HostArray) -> HostArray:
    below = float(p.conventions.f().derivative(np.array([-1.0]))[0])
    return np.asarray(np.where(t < 0, t / (below or np.nan), t))


def _misclassified(prediction: HostArray, t: HostArray) -> HostArray:
    wrong = np.argmax(prediction, axis=1) != np.argmax(t, axis=1)
    return np.asarray(wrong | (t.shape[1] == 1))[:, None]


def _one_hot(t: HostArray) -> HostArray:
    return np.asarray(np.eye(t.shape[1])[np.argmax(t, axis=1)])


def _broadcast(axis: int, sums: bool) -> Wrong:
    """Errors of all pairs of samples, by broadcasting (N,) against (N, 1), which one output only lets happen."""

    def wrong(p: Pieces, a: HostArray, y: HostArray, t: HostArray) -> HostArray:
        if a.shape[1] != 1:
            return np.asarray(p.error(a, y, t))
        pairs = np.stack([p.error(a, y, np.full_like(t, one))[:, 0] for one in t[:, 0]])  # (targets, predictions)
        of_each = pairs.sum(axis=axis) if sums else pairs.mean(axis=axis)
        return np.asarray(of_each[:, None])

    return wrong


def _through_softmax(p: Pieces, a: HostArray, y: HostArray, t: HostArray) -> HostArray:
    s = softmax(a)
    e = p.error(s, s, t)
    return np.asarray(s * (e - np.sum(s * e, axis=1, keepdims=True)))


def with_error_of_y(p: Pieces) -> Pieces:
    """Of a linear output, for which y_L = a_L: the error made of y, the same as long as y is right."""
    if p.conventions.output_activation != "identity":
        return p
    return p.with_changes(error=lambda a, y, t: p.error(y, y, t))


def _with_loss(loss: str, variant: Variant) -> Variant:
    return limited(lambda conventions: conventions.loss == loss, variant)


def _of_softmax(wrong: Callable[[HostArray, HostArray], HostArray]) -> Wrong:
    """``(s, y* − s)`` give another error, s the softmax."""

    def error(p: Pieces, a: HostArray, y: HostArray, t: HostArray) -> HostArray:
        right = np.asarray(p.error(a, y, t))
        return wrong(t - right, right)

    return error


_OF_CROSS_ENTROPY = tuple(
    _with_loss("cross-entropy", _error(name, says, wrong))
    for name, says, wrong in (
        ("delta-softmax-twice", "the softmax is taken twice: of its own result",
         _of_softmax(lambda s, e: e + s - softmax(s))),
        ("delta-softmax-over-samples", "the softmax is taken over samples, not over outputs",
         lambda p, a, y, t: t - softmax(p.conventions.predicted(a, y).T).T),
        ("delta-softmax-slope", "the error is multiplied by s (1 − s) besides, s the softmax",
         _of_softmax(lambda s, e: e * s * (1 - s))),
        ("delta-softmax-jacobian", "the error goes through the Jacobian of the softmax besides",
         _of_softmax(lambda s, e: s * (e - np.sum(s * e, axis=1, keepdims=True)))),
    )
)  # fmt: skip


ERROR_VARIANTS = (
    _output("delta-linear-output", "δ_L is that of a linear output: a_L for y_L, and no f′(a_L)",
            lambda p, a, y, t: p.error(a, a, t)),
    _output("delta-no-parentheses", "δ_L is 2 f′(a_L) y* − y_L: parentheses are missing about the error",
            lambda p, a, y, t: p.slope(a, y) * p.error(0 * a, 0 * y, t) - _prediction(p, a, y)),
    _output("delta-set-to-slope-at-output", "δ_L is set to the lower slope where a < 0, and not multiplied by it",
            lambda p, a, y, t: np.where(a < 0, _unscaled(p, p.slope(a, y)), p.error(a, y, t))),
    _output("delta-target-inverted", "δ_L is f⁻¹(y*) − a_L: the target goes back through f",
            lambda p, a, y, t: _inverse(p, t) - a if p.conventions.has_kink else np.full_like(a, np.nan)),
    _output("delta-target-less-a", "δ_L is y* − a_L, without the factor of the loss and f′", lambda p, a, y, t: t - a),
    _output("delta-target-less-y", "δ_L is y* − y_L, without the factor of the loss and f′", lambda p, a, y, t: t - y),
    _output("delta-softmax-cross-entropy", "δ_L is that of softmax and cross-entropy, y* − softmax(a_L): pass "
            "loss='cross-entropy', output_activation='identity' in Conventions, if that is what you mean",
            lambda p, a, y, t: t - softmax(a)),
    _output("delta-softmax-of-y-cross-entropy", "δ_L is y* − softmax(y_L), without f′(a_L)",
            lambda p, a, y, t: t - softmax(y)),
    _error("delta-softmax-cross-entropy-of-y", "the error is that of cross-entropy, y* − softmax(y_L)",
           lambda p, a, y, t: np.sum(t, axis=1, keepdims=True) * -softmax(y) + t),
    _output("delta-sigmoid-cross-entropy", "δ_L is that of a sigmoid and cross-entropy, y* − σ(a_L)",
            lambda p, a, y, t: t - sigmoid(a)),
    _error("delta-binary-cross-entropy", "the error is that of binary cross-entropy, y*/y − (1 − y*)/(1 − y)",
           lambda p, a, y, t: t / _prediction(p, a, y) - (1 - t) / (1 - _prediction(p, a, y))),
    _error("delta-unnormalised-cross-entropy", "the error is that of −y* log y: y*/y",
           lambda p, a, y, t: t / _prediction(p, a, y)),
    _with_loss("quadratic", _output("delta-softmax-squared", "δ_L is that of softmax and the quadratic loss",
                                    _through_softmax)),
    _with_loss("quadratic", _error("delta-softmax-error", "y* − softmax(a_L) for y* − y_L",
                                   lambda p, a, y, t: p.error(softmax(a), softmax(a), t))),
    *_OF_CROSS_ENTROPY,
    _error("delta-activated-error", "y* − f(y_L) for y* − y_L: f is applied once more",
           lambda p, a, y, t: p.error(f(p, a), f(p, y), t)),
    wrapping("delta-target-activated", "y* goes through f", error=lambda p, a, y, t: p.error(a, y, f(p, t))),
    _error("delta-target-only", "δ_L has y* for y* − y", lambda p, a, y, t: p.error(0 * a, 0 * y, t)),
    _error("delta-target-added", "δ_L has y* + y for y* − y", lambda p, a, y, t: p.error(-a, -y, t)),
    _target("delta-no-target", "δ_L has −y for y* − y: the target has no effect", lambda t: 0 * t),
    _error("delta-target-times-y", "δ_L has y* y for y* − y",
           lambda p, a, y, t: p.error(0 * a, 0 * y, t * _prediction(p, a, y))),
    _error("delta-target-over-y", "δ_L has y*/y for y* − y",
           lambda p, a, y, t: p.error(0 * a, 0 * y, t / _prediction(p, a, y))),
    _error("delta-relative-error", "the error is divided by y*",
           lambda p, a, y, t: p.error(a, y, t) / t),
    _loss("delta-sign-of-error", "δ_L has the sign of the error for the error", lambda e, k: np.sign(e) * k),
    _loss("delta-sign-of-error-without-factor", "the error is that of the L1 loss, its sign", lambda e, k: np.sign(e)),
    _loss("delta-huber", "the error is clipped to ±1: the loss is Huber's, or smooth L1",
          lambda e, k: np.clip(e / k, -1, 1)),
    _loss("delta-huber-with-factor", "the error is clipped to ±1, and then has the factor of the loss",
          lambda e, k: k * np.clip(e / k, -1, 1)),
    _loss("delta-error-clipped", "the error with the factor of the loss is clipped to ±1",
          lambda e, k: np.clip(e, -1, 1)),
    _loss("delta-log-cosh", "the error is that of log cosh, tanh(y* − y)", lambda e, k: np.tanh(e / k)),
    _loss("delta-error-cubed", "the error is cubed: the loss is of fourth order", lambda e, k: k * (e / k) ** 3),
    _loss("delta-error-squared", "the squared error for the error", lambda e, k: k * (e / k) ** 2),
    _loss("delta-half-squared-error", "the loss, the squared error, for its derivative", lambda e, k: (e / k) ** 2),
    _loss("delta-error-of-norm", "the loss is ‖y − y*‖, not its square: errors are divided by their norms",
          lambda e, k: e / np.maximum(np.sqrt(np.sum(e * e, axis=1, keepdims=True)), 1e-300)),
    _loss("delta-error-averaged-over-outputs", "all outputs get the mean of their errors",
          lambda e, k: np.tile(e.mean(axis=1, keepdims=True), (1, e.shape[1]))),
    _loss("delta-error-summed-over-outputs", "all outputs get the sum of their errors",
          lambda e, k: np.tile(e.sum(axis=1, keepdims=True), (1, e.shape[1]))),
    _loss("delta-error-averaged-over-batch", "all samples get the mean of their errors",
          lambda e, k: np.tile(e.mean(axis=0), (len(e), 1))),
    _loss("delta-error-summed-over-batch", "all samples get the sum of their errors",
          lambda e, k: np.tile(e.sum(axis=0), (len(e), 1))),
    _loss("delta-error-shifted", "the error of another sample is used", lambda e, k: np.roll(e, 1, axis=0)),
    _loss("delta-error-of-first-sample", "the error of the first sample is used for all",
          lambda e, k: np.tile(e[:1], (len(e), 1))),
    _loss("delta-error-of-last-sample", "the error of the last sample is used for all",
          lambda e, k: np.tile(e[-1:], (len(e), 1))),
    _error("delta-error-of-positive-targets", "errors are 0 where the target is negative: it is taken for missing",
           lambda p, a, y, t: p.error(a, y, t) * (t >= 0)),
    _error("delta-error-of-nonzero-targets", "errors are 0 where the target is not above 0",
           lambda p, a, y, t: p.error(a, y, t) * (t > 0)),
    _error("delta-error-of-misclassified",
           "samples whose largest output is that of the target have no error, as in the perceptron rule",
           lambda p, a, y, t: p.error(a, y, t) * _misclassified(_prediction(p, a, y), t)),
    _error("delta-error-of-target-class", "only the output with the largest target has an error",
           lambda p, a, y, t: p.error(a, y, t) * (np.arange(t.shape[1]) == np.argmax(t, axis=1)[:, None])),
    _loss("delta-error-of-first-output", "only the first output has an error",
          lambda e, k: e * (np.arange(e.shape[1]) == 0)),
    _target("delta-target-shifted", "the target of the sample before is used", lambda t: np.roll(t, 1, axis=0)),
    _target("delta-target-shifted-back", "the target of the sample after is used", lambda t: np.roll(t, -1, axis=0)),
    _target("delta-target-reversed", "targets run in the opposite order", lambda t: t[::-1]),
    _target("delta-target-outputs-reversed", "outputs of the target are in the opposite order", lambda t: t[:, ::-1]),
    _target("delta-target-outputs-shifted", "each output has the target of the one before",
            lambda t: np.roll(t, 1, axis=1)),
    _target("delta-target-outputs-shifted-back", "each output has the target of the one after",
            lambda t: np.roll(t, -1, axis=1)),
    _target("delta-target-of-first-sample", "the target of the first sample is used for all",
            lambda t: np.tile(t[:1], (len(t), 1))),
    _target("delta-target-averaged", "the mean of the targets is used for all samples",
            lambda t: np.tile(t.mean(axis=0), (len(t), 1))),
    _target("delta-target-transposed", "the target is transposed, where it is square", transposed_if_square),
    _target("delta-label-smoothing", "targets are smoothed: 0.9 y* + 0.1/K", lambda t: 0.9 * t + 0.1 / t.shape[1]),
    _target("delta-label-smoothing-others", "targets are smoothed: 0.1 goes to the other outputs in equal parts",
            lambda t: 0.9 * t + 0.1 * (1 - t) / max(t.shape[1] - 1, 1)),
    _target("delta-target-one-hot", "the target is 1 where y* is largest, 0 elsewhere", _one_hot),
    _target("delta-target-binary", "the target is 1 where y* is positive, 0 elsewhere",
            lambda t: np.where(t > 0, 1.0, 0.0)),
    _target("delta-target-signs", "the target is the sign of y*", np.sign),
    _target("delta-target-rounded", "targets are rounded to whole numbers", np.rint),
    _target("delta-target-clipped", "targets are clipped to ±1", lambda t: np.clip(t, -1, 1)),
    _target("delta-target-clipped-01", "targets are clipped to [0, 1]", lambda t: np.clip(t, 0, 1)),
    _target("delta-target-softmax", "y* goes through a softmax", softmax),
    _target("delta-target-normalised", "targets are divided by their sum", lambda t: t / t.sum(axis=1, keepdims=True)),
    _target("delta-target-centred", "the mean over the batch is taken from the targets", lambda t: t - t.mean(axis=0)),
    _output("delta-slope-added", "δ_L is f′(a_L) + error for f′(a_L) · error",
            lambda p, a, y, t: _unscaled(p, p.slope(a, y) + _whole_error(p, a, y, t))),
    _output("delta-slope-subtracted", "δ_L is f′(a_L) − error for f′(a_L) · error",
            lambda p, a, y, t: _unscaled(p, p.slope(a, y) - _whole_error(p, a, y, t))),
    _output("delta-slope-divided", "δ_L is f′(a_L)/error for f′(a_L) · error",
            lambda p, a, y, t: _unscaled(p, p.slope(a, y) / _whole_error(p, a, y, t))),
    _loss("delta-factor-added", "the factor of the loss is added to the error", lambda e, k: k + e / k),
    _loss("delta-factor-subtracted", "the error is taken from the factor of the loss", lambda e, k: k - e / k),
    _loss("delta-factor-divided", "the factor of the loss is divided by the error", lambda e, k: k**2 / e),
    Variant("delta-scale-inverse", "the error is divided by the error scale, not multiplied",
            lambda p: None if p.conventions.error_scale == 1 else p.with_changes(
                error=lambda a, y, t: p.error(a, y, t) / p.conventions.error_scale**2)),
    *(
        _error(f"delta-broadcast-{what}-over-{of}",
               f"with one output, errors of all pairs of samples are made by broadcasting, and {done} over the {of}",
               _broadcast(axis, what == "summed"))
        for axis, of in enumerate(("targets", "predictions"))
        for what, done in (("summed", "summed"), ("averaged", "averaged"))
    ),
)  # fmt: skip

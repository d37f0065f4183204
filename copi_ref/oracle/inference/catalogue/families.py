"""Families of mistakes that differ in what they take in a place: tried where none with a name of its own fits."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from copi_ref.oracle.inference.catalogue.learning import learning_mistakes
from copi_ref.oracle.inference.catalogue.mistake import Wrong, down, history, mistake, only_if, slope_at
from copi_ref.oracle.inference.catalogue.slopes import slope_mistakes
from copi_ref.oracle.inference.right import factor_of, is_bent, weighted
from copi_ref.oracle.inference.rules import At, Net, Rules
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.rounding import AnyArray

# --- precisions, rates, feedback, means -------------------------------------------------------------------------------


def _precision_at(k: int, precisions: tuple[float, ...], how: str) -> float:
    L = len(precisions)
    choices: dict[str, float] = {
        "1": 1.0,
        "π²": precisions[k - 1] ** 2,
        "√π": precisions[k - 1] ** 0.5,
        "1/π": 1 / precisions[k - 1] if precisions[k - 1] else np.inf,
        "1/π²": 1 / precisions[k - 1] ** 2 if precisions[k - 1] else np.inf,
        "π in reverse order": precisions[L - k],
        "π of the layer below": precisions[max(0, k - 2)],
        "π of the layer above": precisions[min(L - 1, k)],
    }
    return choices[how]


_PRECISIONS = ("1", "π²", "√π", "1/π", "1/π²", "π in reverse order", "π of the layer below", "π of the layer above")


def _of_precisions() -> Iterator[Variant]:
    for how in _PRECISIONS:
        ratio = _ratio(how)
        own: Wrong = lambda r, at, k, c=ratio: c(at, k) * r.own(at, k)  # noqa: E731
        above: Wrong = lambda r, at, k, c=ratio: c(at, k + 1) * r.above(at, k)  # noqa: E731
        learnt: dict[str, Wrong] = {
            "change": lambda r, at, k, c=ratio: c(at, k) * r.change(at, k),
            "bias_change": lambda r, at, k, c=ratio: c(at, k) * r.bias_change(at, k),
        }
        energy: Wrong = lambda r, at, c=ratio: _energy_with(r, at, c)  # noqa: E731
        for place, wrong in (
            ("the energy", {"energy": energy}),
            ("the own error", {"own": own}),
            ("the error from above", {"above": above}),
            ("inference", {"own": own, "above": above}),
            ("the weights' update", learnt),
            ("the biases' update", {"bias_change": learnt["bias_change"]}),
            ("inference and the weights' update", {"own": own, "above": above, **learnt}),
        ):
            yield _needs_precisions(mistake(f"precision: {how} in {place}", f"{how} stands for π in {place}", **wrong))


def _energy_with(r: Rules, at: At, ratio: Callable[[At, int], float]) -> AnyArray:
    """The energy with other precisions."""
    precisions = tuple(ratio(at, k) * r.conventions.precisions[k - 1] for k in range(1, at.net.layers + 1))
    other = at.rules.with_changes(conventions=replace(at.rules.conventions, precisions=precisions))
    return r.energy(at.with_rules(other))


def _ratio(how: str) -> Callable[[At, int], float]:
    def ratio(at: At, k: int) -> float:
        precisions = tuple(map(float, at.rules.conventions.precisions))
        return _precision_at(k, precisions, how) / precisions[k - 1]

    return ratio


def _needs_precisions(variant: Variant) -> Variant:
    def change(rules: Rules) -> Rules | None:
        return variant.change(rules) if len(rules.conventions.precisions) > 1 else None  # type: ignore[arg-type, return-value]

    return Variant(variant.name, variant.says, change)  # type: ignore[arg-type]


def _has_one_a_layer(rules: Rules) -> bool:
    return rules.conventions.inference_rate == "per-layer"


def _of_rates() -> Iterator[Variant]:
    def of_layer(words: str, other: Callable[[int, int], int]) -> Variant:
        def rate(r: Rules, at: At, k: int) -> float:
            return float(at.net.gamma[other(k, at.net.layers) - 1])

        return only_if(_has_one_a_layer, f"rate: {words}", words, {"rate": rate})

    yield of_layer("γ is that of the layer above", lambda k, L: min(L, k + 1))
    yield of_layer("γ is that of the layer below", lambda k, L: max(1, k - 1))
    yield of_layer("γ are in reverse order", lambda k, L: L + 1 - k)
    yield of_layer("γ of the first layer is that of all", lambda k, L: 1)
    yield of_layer("γ of the last layer is that of all", lambda k, L: L)
    yield mistake(
        "rate: 1/√(1 + t)", "the rate falls: γ/√(1 + t)", rate=lambda r, at, k: r.rate(at, k) / (1 + at.t) ** 0.5
    )
    yield mistake("rate: 1 + t", "the rate grows: γ (1 + t)", rate=lambda r, at, k: r.rate(at, k) * (1 + at.t))
    yield mistake("rate: left out", "γ is left out", rate=lambda r, at, k: 1.0)
    yield mistake("rate: √γ", "the rate is √γ", rate=lambda r, at, k: np.sqrt(r.rate(at, k)))


_FEEDBACK: dict[str, Callable[[AnyArray], AnyArray]] = {
    "sign(W)": np.sign,
    "|W|": np.abs,
    "W²": np.square,
    "W divided by its norm": lambda W: W / max(float(np.linalg.norm(W)), 1e-300),
}


def _of_feedback() -> Iterator[Variant]:
    for name, of in _FEEDBACK.items():

        def above(r: Rules, at: At, k: int, of: Callable[[AnyArray], AnyArray] = of) -> AnyArray:
            if at.rules.conventions.weights_last:
                return slope_at(at, at.bent_state(k)) * (at.rules.through(at, k + 1) @ of(at.net.W[k]))
            return np.asarray(at.rules.through(at, k + 1) @ of(at.net.W[k]))

        yield mistake(f"infer-feedback: {name}", f"{name} stands for W on the way down", above=above)


def _of_means() -> Iterator[Variant]:
    def mean_error(r: Rules, at: At, k: int) -> AnyArray:
        mean = np.broadcast_to(np.mean(at.rules.through(at, k + 1), axis=0), at.h(k + 1).shape)
        below = down(at, k, mean)
        return slope_at(at, at.bent_state(k)) * below if at.rules.conventions.weights_last else below

    def summed(r: Rules, at: At, k: int) -> AnyArray:
        return np.broadcast_to(np.sum(r.above(at, k), axis=0), at.h(k).shape)

    def sum_error(r: Rules, at: At, k: int) -> AnyArray:
        total = np.broadcast_to(np.sum(at.rules.through(at, k + 1), axis=0), at.h(k + 1).shape)
        below = down(at, k, total)
        return slope_at(at, at.bent_state(k)) * below if at.rules.conventions.weights_last else below

    def own_mean(r: Rules, at: At, k: int) -> AnyArray:
        return np.broadcast_to(np.mean(r.own(at, k), axis=0), at.h(k).shape)

    def whole_mean(r: Rules, at: At, k: int) -> AnyArray:
        return np.broadcast_to(np.mean(r.gradient(at, k), axis=0), at.h(k).shape)

    def whole_sum(r: Rules, at: At, k: int) -> AnyArray:
        return np.broadcast_to(np.sum(r.gradient(at, k), axis=0), at.h(k).shape)

    yield mistake("infer-mean-error-above", "the error from above is averaged over the batch", above=mean_error)
    yield mistake("infer-sum-from-above", "what comes from above is summed over the batch", above=summed)
    yield mistake("infer-sum-error-above", "the error from above is summed over the batch", above=sum_error)
    yield mistake("infer-mean-own-error", "the own error is averaged over the batch", own=own_mean)
    yield mistake("infer-mean-gradient", "the gradient is averaged over the batch", gradient=whole_mean)
    yield mistake("infer-sum-gradient", "the gradient is summed over the batch", gradient=whole_sum)


# --- what is done to states and gradients -----------------------------------------------------------------------------

_AFTER: dict[str, Callable[[At, AnyArray], AnyArray]] = {
    "kept at 0 or above": lambda at, h: np.maximum(h, 0),
    "kept between −1 and 1": lambda at, h: np.clip(h, -1, 1),
    "kept between 0 and 1": lambda at, h: np.clip(h, 0, 1),
    "kept between −5 and 5": lambda at, h: np.clip(h, -5, 5),
    "kept between −10 and 10": lambda at, h: np.clip(h, -10, 10),
    "passed through f": lambda at, h: np.asarray(at.rules.f(np.asarray(h))),
    "passed through tanh": lambda at, h: np.tanh(h),
    "divided by their length": lambda at, h: h / np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-300),
}


def _of_states() -> Iterator[Variant]:
    for words, after in _AFTER.items():
        yield mistake(
            f"states: {words}", f"states are {words} after each step",
            moved=lambda r, at, k, after=after: after(at, r.moved(at, k)),
        )  # fmt: skip


def _clipped(g: AnyArray, most: float, size: AnyArray) -> AnyArray:
    return g * np.minimum(1, most / np.maximum(size, 1e-300))


def _of_norms() -> Iterator[Variant]:
    for most in (1.0, 0.1, 0.5, 5.0, 10.0):

        def by_layer(r: Rules, at: At, k: int, most: float = most) -> AnyArray:
            g = r.gradient(at, k)
            return _clipped(g, most, np.linalg.norm(g))

        def by_sample(r: Rules, at: At, k: int, most: float = most) -> AnyArray:
            g = r.gradient(at, k)
            return _clipped(g, most, np.linalg.norm(g, axis=-1, keepdims=True))

        def all_together(r: Rules, at: At, k: int, most: float = most) -> AnyArray:
            total = np.sqrt(sum(np.sum(np.asarray(r.gradient(at, j)) ** 2) for j in at.rules.moves(at)))
            return _clipped(r.gradient(at, k), most, total)

        def by_torch(r: Rules, at: At, k: int, most: float = most) -> AnyArray:
            total = np.sqrt(sum(np.sum(np.asarray(r.gradient(at, j)) ** 2) for j in at.rules.moves(at)))
            return r.gradient(at, k) * min(1.0, most / (float(total) + 1e-6))

        for words, gradient in (
            ("of all layers together (clip_grad_norm_)", by_torch),
            ("of each layer", by_layer),
            ("of each sample in each layer", by_sample),
            ("of all layers together", all_together),
        ):
            yield mistake(
                f"infer-clips-norm-{most:g}: {words}",
                f"gradients {words} are clipped to a norm of {most:g}",
                gradient=gradient,
            )


def _by_optimizer(step: Callable[[list[AnyArray]], AnyArray]) -> Wrong:
    return lambda r, at, k: at.h(k) - r.rate(at, k) * step(history(at, k))


def _velocity(mu: float, damping: float = 0.0, first_whole: bool = True) -> Callable[[list[AnyArray]], AnyArray]:
    def step(gradients: list[AnyArray]) -> AnyArray:
        v = gradients[0] if first_whole else (1 - damping) * gradients[0]
        for g in gradients[1:]:
            v = mu * v + (1 - damping) * g
        return v

    return step


def _nesterov(mu: float) -> Callable[[list[AnyArray]], AnyArray]:
    return lambda gradients: gradients[-1] + mu * _velocity(mu)(gradients)


def _rmsprop(alpha: float) -> Callable[[list[AnyArray]], AnyArray]:
    def step(gradients: list[AnyArray]) -> AnyArray:
        v = 0 * gradients[0]
        for g in gradients:
            v = alpha * v + (1 - alpha) * g * g
        return np.asarray(gradients[-1] / (np.sqrt(v) + 1e-8))

    return step


def _adagrad(gradients: list[AnyArray]) -> AnyArray:
    return np.asarray(gradients[-1] / (np.sqrt(sum(g * g for g in gradients)) + 1e-10))


def _of_optimizers() -> Iterator[Variant]:
    for mu in (0.5, 0.9, 0.99):
        for name, step in (
            (f"Nesterov's momentum {mu:g}", _nesterov(mu)),
            (f"momentum {mu:g} with a gradient times 1 − {mu:g}", _velocity(mu, mu, False)),
            (f"momentum {mu:g} with a dampening of {mu:g}", _velocity(mu, mu)),
        ):
            yield mistake(f"optimizer: {name}", f"states move by {name}", moved=_by_optimizer(step))
    yield mistake("optimizer: RMSprop", "states move by RMSprop (.99)", moved=_by_optimizer(_rmsprop(0.99)))
    yield mistake("optimizer: RMSprop .9", "states move by RMSprop (.9)", moved=_by_optimizer(_rmsprop(0.9)))
    yield mistake("optimizer: Adagrad", "states move by Adagrad", moved=_by_optimizer(_adagrad))
    yield mistake("optimizer: gradients add up", "gradients of states are never zeroed", moved=_added_up)

    def _own_decay(r: Rules, at: At, k: int) -> AnyArray:
        decay = at.rules.conventions.state_decay
        return r.moved(at, k) + (r.rate(at, k) - 1) * decay * at.h(k)

    yield mistake("decay-without-rate", "the decay of states is not multiplied by γ", moved=_own_decay)
    yield mistake("decay-of-moved", "states decay after they moved: h (1 − γ λ)", moved=_decay_of_moved)
    yield mistake("decay-without-factor", "the decay of states has the factor of the gradient", gradient=_scaled_decay)


def _added_up(r: Rules, at: At, k: int) -> AnyArray:
    """Momentum as an optimizer has it, of the sum of all gradients so far."""
    total = v = np.zeros_like(at.h(k))
    for g in history(at, k):
        total = total + g
        v = at.rules.conventions.momentum * v + total
    return at.h(k) - r.rate(at, k) * v


def _decay_of_moved(r: Rules, at: At, k: int) -> AnyArray:
    decay = r.rate(at, k) * at.rules.conventions.state_decay
    return (r.moved(at, k) + decay * at.h(k)) * (1 - decay)


def _scaled_decay(r: Rules, at: At, k: int) -> AnyArray:
    decay = at.rules.conventions.state_decay
    return r.gradient(at, k) + (factor_of(at) - 1) * decay * at.h(k)


# --- fixed predictions, start and output ------------------------------------------------------------------------------


def _start_place(at: At) -> At:
    return at.origin


def _of_fixed() -> Iterator[Variant]:
    """Some of p, f′ and x are those of the start, and some of now."""

    def p_of_start(r: Rules, at: At, k: int) -> AnyArray:
        return at.h(k) - _start_place(at).p(k)

    def x_of_start(r: Rules, at: At, k: int) -> AnyArray:
        return _start_place(at).x(k)

    def slopes_of_start(r: Rules, at: At, k: int) -> AnyArray:
        origin = _start_place(at)
        if at.rules.conventions.weights_last:
            return slope_at(at, origin.h(k)) * down(at, k, weighted(at, k + 1, at.e(k + 1)))
        inner = slope_at(at, origin.a(k + 1)) if is_bent(at, k + 1) else 1.0
        return down(at, k, inner * weighted(at, k + 1, at.e(k + 1)))

    yield mistake(
        "fixed: p alone", "predictions stay those of the start, and slopes and inputs do not", error=p_of_start
    )
    yield mistake("fixed: slopes alone", "slopes stay those of the start", above=slopes_of_start)
    yield mistake("fixed: inputs alone", "the inputs of weights stay those of the start", weight_input=x_of_start)
    yield mistake(
        "fixed: p and inputs", "predictions and inputs stay those of the start, and slopes do not",
        error=p_of_start, weight_input=x_of_start,
    )  # fmt: skip
    yield mistake(
        "fixed: p and slopes", "predictions and slopes stay those of the start, and inputs do not",
        error=p_of_start, above=slopes_of_start,
    )  # fmt: skip


def _top(change: Callable[[Rules, Net, AnyArray], AnyArray]) -> Wrong:
    return lambda r, net, rules, predict: change(rules, net, np.asarray(predict()))


def _of_start() -> Iterator[Variant]:
    tops: dict[str, Callable[[Rules, Net, AnyArray], AnyArray]] = {
        "p + (y* − f(p)), without f′": lambda rules, net, p: p + net.target - rules.f(p),
        "p + 2 f′(p) (y* − f(p))": lambda rules, net, p: p + 2 * rules.f.derivative(p) * (net.target - rules.f(p)),
        "p + f′(p) (y* − p)": lambda rules, net, p: p + rules.f.derivative(p) * (net.target - p),
        "p + 2 (y* − p)": lambda rules, net, p: p + 2 * (net.target - p),
        "p − f′(p) (y* − f(p))": lambda rules, net, p: p - rules.f.derivative(p) * (net.target - rules.f(p)),
        "y*": lambda rules, net, p: net.target,
        "f(p)": lambda rules, net, p: rules.f(p),
        "f(y*)": lambda rules, net, p: rules.f(np.asarray(net.target)),
        "y* − p": lambda rules, net, p: net.target - p,
        "the mean of p and y*": lambda rules, net, p: (net.target + p) / 2,
        "zeros": lambda rules, net, p: np.zeros_like(p),
    }
    for words, change in tops.items():
        yield mistake(f"start-output: {words}", f"the output starts at {words}", top=_top(change))
    yield mistake(
        "start-order", "hidden states start in the other order, from states that are still 0",
        start_order=lambda r, layers: [*r.start_order(layers)][::-1],
    )  # fmt: skip
    begins: dict[str, Callable[[At, int], AnyArray]] = {
        "W_{l+1}ᵀ f(h_{l+1})": lambda at, k: np.asarray(at.rules.f(np.asarray(at.h(k + 1))) @ at.net.W[k]),
        "f(W_{l+1}ᵀ h_{l+1})": lambda at, k: np.asarray(at.rules.f(np.asarray(at.h(k + 1) @ at.net.W[k]))),
        "W_{l+1}ᵀ h_{l+1}": lambda at, k: np.asarray(at.h(k + 1) @ at.net.W[k]),
        "zeros": lambda at, k: np.zeros((at.net.samples, at.net.W[k - 1].shape[0])),
        "their prediction without the bias": lambda at, k: (
            np.asarray(at.p(k)) - (at.net.b[k - 1] if at.net.b is not None else 0)
        ),
        "half their prediction": lambda at, k: np.asarray(at.p(k)) / 2,
    }
    for words, begin in begins.items():
        yield mistake(f"start: {words}", f"hidden states start at {words}", begin=lambda r, at, k, b=begin: b(at, k))


# --- IL-prox ----------------------------------------------------------------------------------------------------------


def _square(x: AnyArray) -> AnyArray:
    return np.sum(x * x, axis=-1, keepdims=True)


_DIVISORS: dict[str, Callable[[AnyArray], AnyArray]] = {
    "‖x‖": lambda x: np.sqrt(_square(x)),
    "1": lambda x: np.ones_like(_square(x)),
    "‖x‖² + 1": lambda x: _square(x) + 1,
    "‖x‖⁴": lambda x: _square(x) ** 2,
    "E[‖x‖²]": lambda x: np.mean(_square(x)),
    "E[‖x‖²] + 1": lambda x: np.mean(_square(x)) + 1,
    "the batch's ‖X‖²": lambda x: np.sum(x * x),
    "the mean of x²": lambda x: np.mean(x * x, axis=-1, keepdims=True),
    "E[x²], input by input": lambda x: np.mean(x * x, axis=0, keepdims=True),
    "the largest ‖x‖²": lambda x: np.max(_square(x)),
    "Σ|x|": lambda x: np.sum(np.abs(x), axis=-1, keepdims=True),
}


def _of_prox() -> Iterator[Variant]:
    for words, divisor in _DIVISORS.items():

        def prox(r: Rules, at: At, k: int, divisor: Callable[[AnyArray], AnyArray] = divisor) -> AnyArray:
            x = np.asarray(at.x(k))
            return np.asarray(at.e(k)).T @ (x / divisor(x)) / at.net.samples

        yield mistake(f"prox-divisor: {words}", f"{words} stands for ‖x‖² of the sample", prox_change=prox)
    yield mistake(
        "prox-sum",
        "the update is a sum over samples",
        prox_change=lambda r, at, k: r.prox_change(at, k) * at.net.samples,
    )
    yield mistake("prox-sign", "the update has the wrong sign", prox_change=lambda r, at, k: -r.prox_change(at, k))

    def of_states_below(r: Rules, at: At, k: int) -> AnyArray:
        x = np.asarray(at.h(k - 1))
        return np.asarray(at.e(k)).T @ (x / _square(x)) / at.net.samples

    def state_over_input(r: Rules, at: At, k: int) -> AnyArray:
        x = np.asarray(at.x(k))
        return np.asarray(at.e(k)).T @ (x / _square(np.asarray(at.h(k - 1)))) / at.net.samples

    def with_slope(r: Rules, at: At, k: int) -> AnyArray:
        x = np.asarray(at.x(k))
        return (slope_at(at, at.a(k)) * at.e(k)).T @ (x / _square(x)) / at.net.samples

    yield mistake("prox-states", "the input is the state below, without f", prox_change=of_states_below)
    yield mistake("prox-length-of-states", "‖h‖² stands for ‖f(h)‖²", prox_change=state_over_input)
    yield mistake("prox-slope", "the update has a factor f′(a)", prox_change=with_slope)


FAMILIES: tuple[Callable[[], Iterator[Variant]], ...] = (
    _of_rates,
    _of_precisions,
    _of_feedback,
    _of_means,
    _of_states,
    _of_norms,
    _of_optimizers,
    _of_fixed,
    _of_start,
    learning_mistakes,
    _of_prox,
    slope_mistakes,
)


def generated() -> Iterator[Variant]:
    """Yield every member of every family."""
    for family in FAMILIES:
        yield from family()

"""Networks as others train them: a linear output, cross-entropy, feedback of every kind, without R, with biases.

Right ones in several ways of writing pass; wrong ones are rejected and named; other choices are suggested.
"""

import functools
import sys
import types

import correct_implementations
import numpy as np
import pytest
from implementations import quietly, right, wrong

from copi_ref import oracle
from copi_ref.oracle import VARIANTS, Conventions
from copi_ref.oracle.calling.program import Program
from copi_ref.oracle.report.explain import as_text, explain
from copi_ref.oracle.vectors.generate import fractions

check = functools.partial(oracle.check, xp=np)

WITHOUT_R = {"lateral_rule": "none", "weight_rule": "sgd"}
CLASSIFIER = {"output_activation": "identity", "loss": "cross-entropy", **WITHOUT_R}


class InLoops:
    """A network without R, sample by sample and unit by unit, from its definition."""

    def __init__(self, conventions):
        self.c = conventions
        self.slope = 0.0 if conventions.activation == "relu" else conventions.slope

    def f(self, a):
        return a if a > 0 else self.slope * a

    def df(self, a):
        return 1.0 if a > 0 else self.slope

    def forward(self, W, y0, b=None):
        a_s, ys, y = [], [], y0
        for layer, w in enumerate(W):
            a = np.zeros((len(y), len(w)), y.dtype)
            out = np.zeros_like(a)
            for n in range(len(y)):
                for i in range(len(w)):
                    a[n, i] = sum(w[i, j] * y[n, j] for j in range(w.shape[1])) + (0 if b is None else b[layer][i])
                    linear = layer == len(W) - 1 and self.c.output_activation == "identity"
                    out[n, i] = a[n, i] if linear else self.f(a[n, i])
            a_s.append(a)
            ys.append(out)
            y = out
        return a_s, ys

    def perturbations(self, W, y0, a, y, target, *more):
        B = more[0] if self.c.has_B else None
        deltas = [np.zeros_like(one) for one in a]
        for n in range(len(y0)):
            p = y[-1][n] if self.c.output == "activation" else a[-1][n]
            if self.c.loss == "cross-entropy":
                e = np.exp(p - max(p))
                error = target[n] - e / sum(e)
            else:
                error = self.c.loss_factor * (target[n] - p)
            linear = self.c.output_activation == "identity"
            for i in range(len(error)):
                deltas[-1][n, i] = error[i] if linear else error[i] * self.df(a[-1][n, i])
            sent = {"drtp": target[n], "sdfa": np.sign(self.what_is_sent(error, deltas[-1][n]))}
            for layer in range(len(W) - 2, -1, -1):
                above = sent.get(self.c.credit, deltas[layer + 1][n])
                if self.c.credit == "dfa":
                    above = self.what_is_sent(error, deltas[-1][n])
                for i in range(len(W[layer])):
                    comes = sum(
                        self.back(W[layer + 1], B, layer, i, m, W, len(above)) * above[m] for m in range(len(above))
                    )
                    deltas[layer][n, i] = comes * self.df(a[layer][n, i])
        return deltas

    def what_is_sent(self, error, delta):
        return delta if self.c.dfa_error == "pre-activation" else error

    def back(self, W, B, layer, i, m, Ws, sent):
        """The weight with which what comes down as m reaches unit i."""
        if self.c.credit == "bp":
            return W[m, i]
        if self.c.credit == "sign-symmetric":
            return np.sign(W[m, i])
        one = B if self.c.feedback == "shared" else B[layer]
        weight = one[i, m] if self.c.feedback_like == "transpose" else one[m, i]
        return abs(weight) * np.sign(W[m, i]) if self.c.credit == "sign-symmetric-magnitudes" else weight

    def step(self, W, y0, target, eta, *more):
        b = more[-1] if self.c.biases else None
        a, y = self.forward(W, y0, *([b] if self.c.biases else []))
        deltas = self.perturbations(W, y0, a, y, target, *more)
        x = [y0, *y[:-1]]
        new = [w.copy() for w in W]
        new_b = [one.copy() for one in b or ()]
        for layer in range(len(W)):
            for n in range(len(y0)):
                for i in range(len(W[layer])):
                    for j in range(W[layer].shape[1]):
                        new[layer][i, j] += eta * deltas[layer][n, i] * x[layer][n, j] / len(y0)
                    if b:
                        new_b[layer][i] += eta * deltas[layer][n, i] / len(y0)
        return (new, new_b, {"a": a, "y": y, "delta": deltas}) if b else new


OTHERS = [
    {"loss_factor": 1},
    CLASSIFIER,
    {**CLASSIFIER, "biases": True, "activation": "relu", "derivative_at_zero": 0},
    {"biases": True, "credit": "fa", "feedback_like": "weights"},
    {"credit": "dfa", "dfa_error": "output", "feedback": "shared", "biases": True},
    {"credit": "fa", "feedback": "shared", "feedback_like": "weights", "output": "pre-activation"},
    {"credit": "sdfa", "feedback_like": "weights"},
    {"credit": "sdfa", "dfa_error": "output", "loss": "cross-entropy"},
    {"credit": "drtp", "biases": True, "output_activation": "identity"},
    {"credit": "sign-symmetric", "biases": True},
    {"credit": "sign-symmetric-magnitudes", "feedback": "shared"},
]


def ids(conventions):
    return ", ".join(f"{name}={value}" for name, value in conventions.items())


def settings_of(conventions):
    return Conventions(**{"derivative_at_zero": conventions.get("slope", 0.1), **WITHOUT_R, **conventions})


class Small:
    """An implementation whose larger calls, slow in loops, are answered by the pieces, which pass by themselves."""

    def __init__(self, conventions):
        self.loops, self.made = InLoops(conventions), WithoutR(right(conventions), conventions)

    def __getattr__(self, name):
        if name not in ("forward", "perturbations", "step"):
            raise AttributeError(name)
        return lambda W, y0, *rest: getattr(self.loops if len(y0) * sum(w.size for w in W) < 200 else self.made, name)(
            W, y0, *rest
        )


class WithoutR:
    """The pieces with arguments and results as networks without R have them."""

    def __init__(self, made, conventions):
        self.made, self.c = made, conventions

    def inputs(self, W, y0, more):
        B, b = None, None
        more = list(more)
        if self.c.biases:
            b = more.pop()
        if more:
            B = correct_implementations.Implementation("numpy", np, self.c, {}).feedback(W, more[0])
        given = {"W": W, "R": [np.eye(w.shape[1], dtype=w.dtype) for w in W], "y0": y0, "eta_r": 1.0}
        return given | ({} if b is None else {"b": b}) | ({} if B is None else {"B": B})

    def forward(self, W, y0, *more):
        found = self.made.pieces.upwards(self.made.pieces, self.inputs(W, y0, more), {})
        return tuple([found[f"{s} of layer {at + 1}"] for at in range(len(W))] for s in "ay")

    def perturbations(self, W, y0, a, y, target, *more):
        given = self.inputs(W, y0, more) | {"a": a, "y": y, "target": target}
        found = self.made.pieces.downwards(self.made.pieces, given, {})
        return [found[f"δ of layer {at + 1}"] for at in range(len(W))]

    def step(self, W, y0, target, eta, *more):
        given = self.inputs(W, y0, more) | {"target": target, "eta_w": eta}
        found = self.made.pieces.step(self.made.pieces, given, {})
        new = [[A + eta * found[f"Δ{s} of layer {at + 1}"] for at, A in enumerate(given[s])]
               for s in ("Wb" if self.c.biases else "W")]  # fmt: skip
        return tuple(new)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("conventions", OTHERS, ids=ids)
def test_loops_over_single_weights_pass(conventions, precision):
    settings = settings_of(conventions)
    report = quietly(check, Small(settings), conventions=settings, precision=precision)
    assert report.ok, report.summary()
    ran = {result.check for result in report.results if result.cases}
    assert ran == {"forward", "perturbations", "step"}
    assert all(result.catches <= oracle.PRECISIONS[precision].limit for result in report.results if result.cases)


class Autograd:
    """A classifier in PyTorch as people write it: modules, labels, cross-entropy, gradients of weights and biases."""

    def __init__(self, biases):
        self.biases = biases

    def net(self, W, b):
        import torch
        from torch import nn

        layers = []
        for at, w in enumerate(W):
            linear = nn.Linear(w.shape[1], w.shape[0], bias=self.biases, dtype=w.dtype)
            linear.weight.data = w.clone()
            if self.biases:
                linear.bias.data = b[at].clone()
            layers += [linear, nn.ReLU()] if at < len(W) - 1 else [linear]
        return torch.nn.Sequential(*layers)

    def forward(self, W, y0, b=()):
        a, y, v = [], [], y0
        for module in self.net(W, b):
            v = module(v)
            (y if type(module).__name__ == "ReLU" else a).append(v)
        return a, [*y, a[-1]]

    def perturbations(self, W, y0, a, y, target, b=()):
        import torch
        from torch.nn import functional

        a, v = [], y0
        for module in self.net(W, b):
            v = module(v)
            if type(module).__name__ == "Linear":
                a.append(v)
        loss = functional.cross_entropy(v, target.argmax(dim=1), reduction="sum")
        return [-one for one in torch.autograd.grad(loss, a)]

    def step(self, W, y0, target, eta, b=()):
        import torch
        from torch.nn import functional

        net = self.net(W, b)
        functional.cross_entropy(net(y0), target).backward()
        with torch.no_grad():
            for one in net.parameters():
                one -= eta * one.grad
        linears = [module for module in net if type(module).__name__ == "Linear"]
        new = [one.weight.data for one in linears]
        return (new, [one.bias.data for one in linears]) if self.biases else new


@pytest.mark.needs("torch")
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("biases", [False, True])
def test_a_classifier_in_pytorch_passes(biases, precision):
    import torch

    settings = Conventions(**CLASSIFIER, biases=biases, activation="relu", derivative_at_zero=0)
    report = check(Autograd(biases), conventions=settings, precision=precision, xp=torch)
    assert report.ok, report.summary()


# --- wrong ones -------------------------------------------------------------------------------------------------------

NAMED = [
    ({"credit": "fa"}, "delta-feedback-over-root-units", "perturbations"),
    ({"credit": "dfa"}, "delta-feedback-over-root-sent", "perturbations"),
    ({"credit": "fa"}, "delta-feedback-of-xavier", "perturbations"),
    ({"credit": "drtp"}, "delta-label-signs-sent", "perturbations"),
    ({"credit": "sign-symmetric-magnitudes"}, "delta-feedback-without-signs", "perturbations"),
    ({"credit": "sign-symmetric-magnitudes"}, "delta-signs-of-weights-times-feedback", "perturbations"),
    ({"biases": True}, "forward-no-bias", "forward"),
    ({"biases": True}, "forward-bias-outside", "forward"),
    ({"biases": True}, "step-bias-frozen", "step"),
    ({"biases": True}, "step-bias-summed", "step"),
    ({**CLASSIFIER, "biases": True}, "step-bias-sign", "step"),
    ({"loss": "cross-entropy"}, "delta-over-n", "perturbations"),
    ({"output_activation": "identity"}, "delta-sign", "perturbations"),
]


@pytest.mark.parametrize(("conventions", "name", "function"), NAMED, ids=[name for _, name, _ in NAMED])
def test_mistakes_are_rejected_and_named(conventions, name, function):
    settings = settings_of({"slope": 0.2, **conventions})
    implementation = WithoutR(wrong(VARIANTS[name], settings), settings)
    report = quietly(check, implementation, conventions=settings, only=(function,))
    assert not report.ok
    assert report.variant == name, report.diagnosis


def softmax(v, axis=1):
    e = np.exp(v - v.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


class Classifier:
    """Biases, ReLU, a linear output, cross-entropy, without R, by hand; what is asked for is written otherwise."""

    conventions = Conventions(**CLASSIFIER, biases=True, activation="relu", derivative_at_zero=0)

    def __init__(self, **otherwise):
        vars(self).update(otherwise)

    error = staticmethod(lambda logits, target: target - softmax(logits))
    output = staticmethod(lambda a: a)
    slope = staticmethod(lambda a, from_top: a > 0)
    new_W = staticmethod(lambda W, delta, x, eta: W + eta * delta.T @ x / len(x))
    new_b = staticmethod(lambda b, delta, eta, from_top: b + eta * delta.mean(axis=0))

    def forward(self, W, y0, b):
        a, y = [], [y0]
        for layer, (one, bias) in enumerate(zip(W, b, strict=True), start=1):
            a.append(y[-1] @ one.T + bias)
            y.append(np.maximum(a[-1], 0) if layer < len(W) else self.output(a[-1]))
        return a, y[1:]

    def perturbations(self, W, y0, a, y, target, b):
        deltas = [self.error(y[-1], target)]
        for layer in range(len(W) - 1, 0, -1):
            deltas.insert(0, deltas[0] @ W[layer] * self.slope(a[layer - 1], len(W) - layer))
        return deltas

    def step(self, W, y0, target, eta, b):
        a, y = self.forward(W, y0, b)
        deltas = self.perturbations(W, y0, a, y, target, b)
        new_W = [self.new_W(*one, eta) for one in zip(W, deltas, [y0, *y[:-1]], strict=True)]
        from_top = range(len(W) - 1, -1, -1)
        return new_W, [self.new_b(*one, eta, n) for *one, n in zip(b, deltas, from_top, strict=True)]


def test_the_classifier_by_hand_is_right():
    assert check(Classifier(), conventions=Classifier.conventions).ok


WRITTEN = {
    "delta-softmax-twice": {"error": lambda logits, target: target - softmax(softmax(logits))},
    "delta-softmax-over-samples": {"error": lambda logits, target: target - softmax(logits, axis=0)},
    "delta-softmax-slope": {
        "error": lambda logits, target: (target - softmax(logits)) * softmax(logits) * (1 - softmax(logits))},
    "delta-softmax-jacobian": {
        "error": lambda logits, target: np.stack([(np.diag(s) - np.outer(s, s)) @ (t - s)
                                                  for s, t in zip(softmax(logits), target, strict=True)])},
    # no COPI: it has no decay that could be another
    "added-decay(0.0001)": {"new_W": lambda W, d, x, eta: W + eta * (d.T @ x / len(x) - 1e-4 * W)},
    "step-decay-of-copi": {"new_W": lambda W, d, x, eta: W + eta * (d.T @ x / len(x) - W * (x**2).mean(axis=0))},
    # an output that is not linear is all that is wrong, also where errors are made of y
    "output_activation='same'": {"output": lambda a: np.maximum(a, 0)},
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_classifier_has_otherwise_is_named(name):
    report = check(Classifier(**WRITTEN[name]), conventions=Classifier.conventions)
    assert report.variant == name, report.diagnosis


class Clipped(Classifier):
    def perturbations(self, *arguments):
        return [np.clip(delta, -1, 1) for delta in super().perturbations(*arguments)]


@pytest.mark.parametrize("function", ["perturbations", "step"])
@pytest.mark.parametrize("seed", range(3))
def test_clipping_shows_where_errors_of_outputs_are_small(seed, function):
    """Those of cross-entropy are at most 1, and only large weights make more of them."""
    report = check(Clipped(), conventions=Classifier.conventions, only=(function,), seed=seed)
    assert report.variant.startswith("delta-clipped"), report.diagnosis


IN_PLACES = [
    ({"new_b": lambda b, d, eta, from_top: b if from_top else b + eta * d.mean(axis=0)},
     "step-bias-frozen", "biases stay as they are, below the last layer"),
    ({"slope": lambda a, from_top: a > 0 if from_top > 1 else 1.0},
     "delta-no-slope", "f′ is missing, in the layer just below the last"),
]  # fmt: skip


@pytest.mark.parametrize(("otherwise", "name", "says"), IN_PLACES, ids=[name for _, name, _ in IN_PLACES])
def test_a_mistake_in_some_layers_is_said_of_these(otherwise, name, says):
    report = check(Classifier(**otherwise), conventions=Classifier.conventions)
    assert report.variant == name
    assert says in report.diagnosis


def test_another_choice_in_some_layers_is_no_convention_to_pass():
    """The highest hidden layer gets what backpropagation sends, those below what the feedback weights do."""

    def perturbations(W, R, x, a, y, target, B):
        deltas = [2 * (target - y[-1]) * np.where(a[-1] >= 0, 1, 0.1)]
        for layer in range(len(W) - 1, 0, -1):
            back = (W[-1] @ R[-1]).T if layer == len(W) - 1 else B[layer - 1]
            deltas.insert(0, deltas[0] @ back.T * np.where(a[layer - 1] >= 0, 1, 0.1))
        return deltas

    report = check(types.SimpleNamespace(perturbations=perturbations), conventions=Conventions(credit="fa"))
    assert report.variant == "credit='bp'"
    assert "in the layer just below the last, and your choice elsewhere" in report.diagnosis
    assert "pass it in Conventions" not in report.diagnosis


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("activation", ["leaky_relu", "tanh"])
@pytest.mark.parametrize(
    ("credit", "name"),
    [("sign-symmetric", "delta-signs-with-R"),
     ("sign-symmetric-magnitudes", "delta-feedback-with-signs-with-R")],
)  # fmt: skip
def test_signs_of_W_R_are_not_those_of_W(credit, name, activation, seed):
    settings = Conventions(credit=credit, activation=activation)

    def perturbations(W, R, x, a, y, target, *B):
        slopes = [1 - np.tanh(one) ** 2 if activation == "tanh" else np.where(one >= 0, 1, 0.1) for one in a]
        deltas = [2 * (target - y[-1]) * slopes[-1]]
        for layer in range(len(W) - 1, 0, -1):
            back = np.sign(W[layer] @ R[layer])
            if B:
                back = back * np.abs(B[0][layer - 1]).T
            deltas.insert(0, deltas[0] @ back * slopes[layer - 1])
        return deltas

    report = check(types.SimpleNamespace(perturbations=perturbations), conventions=settings, seed=seed)
    assert report.variant == name, report.diagnosis


@pytest.mark.parametrize("credit", ["bp", "dfa"])
def test_the_error_scale_can_be_missing_at_the_output_alone(credit):
    """What comes down has it: the loop is right, and what is returned of the last layer is not."""

    def perturbations(W, R, x, a, y, target, *B):
        top = 1000 * (target - a[-1]) * (1 - np.tanh(a[-1]) ** 2)
        deltas, above = [top / 1000], top
        for layer in range(len(W) - 1, 0, -1):
            comes = top @ B[0][layer - 1].T if B else above @ W[layer] @ R[layer]
            above = comes * (1 - np.tanh(a[layer - 1]) ** 2)
            deltas.insert(0, above)
        return deltas

    settings = Conventions(credit=credit, activation="tanh", loss_factor=1, output="pre-activation", error_scale=1000)
    report = check(types.SimpleNamespace(perturbations=perturbations), conventions=settings)
    assert report.variant == "delta-error-scale-missing-at-output", report.diagnosis


CHOICES = [
    ({}, {"output_activation": "identity"}, "output_activation='identity'"),
    ({"credit": "dfa"}, {"dfa_error": "output"}, "dfa_error='output'"),
    ({"credit": "dfa"}, {"credit": "sdfa"}, "credit='sdfa'"),
    ({"credit": "dfa"}, {"credit": "drtp"}, "credit='drtp'"),
    ({"credit": "fa"}, {"credit": "sign-symmetric-magnitudes"}, "credit='sign-symmetric-magnitudes'"),
    ({}, {"credit": "sign-symmetric"}, "credit='sign-symmetric'"),
    ({"output_activation": "identity"}, {"loss": "cross-entropy"}, "loss='cross-entropy'"),
]
SHOWN = [("forward", *CHOICES[0]), *((name, *one) for name in ("perturbations", "step") for one in CHOICES)]


@pytest.mark.parametrize(("function", "asked", "made", "says"), SHOWN, ids=[f"{one[0]}-{one[-1]}" for one in SHOWN])
def test_other_choices_are_suggested(function, asked, made, says):
    implementation = right(Conventions(**asked | made))
    report = quietly(check, implementation, conventions=Conventions(**asked), only=(function,))
    assert report.variant == says, report.diagnosis
    assert "pass it in Conventions" in report.diagnosis


def test_backpropagation_where_feedback_was_asked_for_is_said_in_words():
    for credit in ("fa", "dfa", "sdfa", "drtp"):
        report = quietly(check, right(Conventions()), conventions=Conventions(credit=credit), only=("perturbations",))
        assert "credit='bp' (backpropagation: B is not used)" in report.diagnosis


def test_a_linear_output_from_given_outputs_is_said_too():
    """What is given as y_L is f(a_L): y* − y_L without f′ is what a linear output makes of it."""

    def perturbations(W, R, x, a, y, target):
        deltas = [2 * (target - y[-1])]
        for layer in range(len(W) - 1, 0, -1):
            deltas.insert(0, np.where(a[layer - 1] >= 0, 1, 0.1) * (deltas[0] @ W[layer] @ R[layer]))
        return deltas

    report = check(types.SimpleNamespace(perturbations=perturbations))
    assert report.variant == "delta-no-slope-at-output"
    assert "pass output_activation='identity' in Conventions, if your output is linear" in report.diagnosis


# --- what is called, and how ------------------------------------------------------------------------------------------


def test_the_arguments_are_those_of_the_conventions():
    seen = {}

    class Listens:
        def __getattr__(self, name):
            if name not in oracle.FUNCTIONS:
                raise AttributeError(name)

            def function(*arguments):
                seen.setdefault(name, arguments)
                raise ValueError

            return function

    settings = Conventions(**WITHOUT_R, biases=True, credit="fa", feedback="shared", feedback_like="weights")
    report = check(Listens(), conventions=settings)
    assert {result.check for result in report.results if result.status == "not checked"} == {
        "copi_update", "decorrelation_update"
    }  # fmt: skip
    assert {name: len(arguments) for name, arguments in seen.items()} == {
        "sgd_update": 2, "forward": 3, "perturbations": 7, "step": 6,
    }  # fmt: skip
    W, *_, B, b = seen["perturbations"]
    assert [one.shape for one in b] == [(len(w),) for w in W]
    assert isinstance(B, np.ndarray)


PROGRAM = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["function"] == "functions":
        told = asked["conventions"]
        result = ["forward"] if told["biases"] and "loss" not in told and told["slope"] == 0.1 else []
    else:
        got = asked["arguments"]
        assert list(got) == ["W", "y0", "b"]
        a, y, v = [], [], got["y0"]
        for at, (W, b) in enumerate(zip(got["W"], got["b"])):
            a.append([[sum(w * s for w, s in zip(row, one)) + b_i for row, b_i in zip(W, b)] for one in v])
            last = at == len(got["W"]) - 1
            v = [[u if u > 0 or last else 0.1 * u for u in row] for row in a[-1]]
            y.append(v)
        result = {"a": a, "y": y}
    print(json.dumps({"id": asked["id"], "result": result}), flush=True)
"""


def test_a_program_gets_and_returns_the_same(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    settings = settings_of({"biases": True, "output_activation": "identity"})
    with Program(f"{sys.executable} {path}", settings) as program:
        report = check(program, conventions=settings, only=("forward",))
    assert report.ok, report.summary()


def test_a_shared_matrix_is_large_enough_for_every_layer():
    shapes = []

    def perturbations(W, R, x, a, y, target, B):
        shapes.append(([len(w) for w in W], B.shape))
        raise ValueError

    for credit, like in (("dfa", "transpose"), ("fa", "weights")):
        settings = Conventions(credit=credit, feedback="shared", feedback_like=like)
        check(types.SimpleNamespace(perturbations=perturbations), conventions=settings)
        for units, shape in shapes:
            above = units[-1:] if credit == "dfa" else units[1:]
            needed = (max(units[:-1], default=1), max(above, default=1))
            assert shape == (needed if like == "transpose" else needed[::-1])
        shapes.clear()


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"biases": True}, ValueError, "needs weight_rule='sgd'"),
        ({"biases": 1, "weight_rule": "sgd"}, TypeError, "biases is 1: needs True or False"),
        ({"loss": "hinge"}, ValueError, "loss is 'hinge': choose one of 'quadratic', 'cross-entropy'"),
        ({"output_activation": "softmax"}, ValueError, "output_activation is 'softmax'"),
        ({"feedback": "mine"}, ValueError, "feedback is 'mine': choose one of 'own', 'shared'"),
    ],
)
def test_wrong_conventions_raise(settings, error, says):
    with pytest.raises(error, match=says):
        Conventions(**settings)


@pytest.mark.parametrize("conventions", OTHERS, ids=ids)
def test_every_step_can_be_explained(conventions):
    settings = settings_of(conventions)
    sections = explain(settings)
    assert not any(name.startswith(("R", "eta_r")) for name in sections["given"])
    assert ("Δb1" in sections["layer 1, updates"]) == settings.biases
    assert "delta1" in as_text(sections)


def test_a_softmax_has_an_allowance_that_covers_its_rounding():
    """In float32, by three formulas, against Fractions that are exact to 40 digits."""
    rng = np.random.default_rng(3)
    a = np.float32(rng.uniform(-20, 20, size=(50, 4))).astype(float)
    found = oracle.rounding.softmax(oracle.rounding.tracked(a))
    exact = exact_softmax(a)
    allowed = found.allowance(oracle.PRECISIONS["float32"])
    for name, softmax in correct_implementations.SOFTMAX.items():
        c = correct_implementations.Implementation("numpy", np, None, {})
        error = np.abs(np.float64(softmax(c, np.float32(a))) - exact)
        assert (error <= allowed).all(), name
        assert error.max() > 2.0**-30  # float32 it is


def exact_softmax(a):
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 40
        rows = [[Decimal(float(one)).exp() for one in row] for row in a]
        return np.array([[float(one / sum(row)) for one in row] for row in rows])


def test_cross_entropy_is_no_fraction():
    pieces = right(Conventions(**CLASSIFIER)).pieces
    a = fractions(np.ones((2, 2)))
    with pytest.raises(TypeError):
        pieces.error(a, a, a)

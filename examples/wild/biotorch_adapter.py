"""biotorch: a network of torch's own layers, converted by its BioModule to one of its kinds of feedback."""

import contextlib
import io

import torch
from biotorch.module.biomodule import BioModule
from torch.nn import Linear, ReLU, Sequential, Tanh
from torch.nn.functional import cross_entropy

from copi_ref.oracle import Conventions

library, precisions = "torch", ("float64", "float32")


def half_squares(y, target):
    return ((y - target) ** 2).sum() / 2


def logistic(y, target):
    return cross_entropy(y, target, reduction="sum")


class BioTorch:
    """δ is what autograd finds for the outputs of its layers; W⁺ is a step of torch's SGD."""

    def __init__(self, kind, f=ReLU, loss=half_squares, scaling=None):
        self.kind, self.f, self.loss, self.scaling = kind, f, loss, scaling

    def arguments(self, B_and_b):
        """B comes with the kinds that have one, b behind it where there are biases."""
        B, *b = B_and_b if self.kind != "usf" else ([], *B_and_b)
        return B, b[0] if b else []

    def run(self, W, y0, B=(), b=(), target=None, over=1):
        parts = [part for w in W for part in (Linear(*w.mT.shape, bias=bool(b)), self.f())][:-1]
        for part, *values in zip(parts[::2], W, b) if b else zip(parts[::2], W):
            for parameter, value in zip(part.parameters(), values):
                parameter.data = value.clone()
        with contextlib.redirect_stdout(io.StringIO()):  # it says what it converts
            net = BioModule(Sequential(*parts), mode=self.kind, output_dim=len(W[-1]))
        for layer, feedback in zip(net.module[2::2], B):
            layer.weight_backward.data = feedback.clone()
        outputs = []
        for part in net.module:
            part.scaling_factor = self.scaling or getattr(part, "scaling_factor", None)
            part.register_forward_hook(lambda part, x, out: outputs.append(out))
        if target is None:
            net.module(y0)
            return net, outputs

        def loss(y, target):  # dfa asks for it too, and sends its gradient
            return self.loss(y, target) / over

        y_L = net(y0, target, loss)
        for out in outputs:
            out.retain_grad()
        loss(y_L, target).backward()
        return net, outputs

    def forward(self, W, y0, *b):
        outputs = [v.detach() for v in self.run(W, y0, (), *b)[1]]
        return outputs[::2], [*outputs[1::2], outputs[-1]]

    def perturbations(self, W, y0, a, y, target, *B_and_b):
        return [-v.grad for v in self.run(W, y0, *self.arguments(B_and_b), target)[1][::2]]

    def step(self, W, y0, target, eta, *B_and_b):
        B, b = self.arguments(B_and_b)
        net, _ = self.run(W, y0, B, b, target, over=len(y0))
        trained = [p for layer in net.module[::2] for p in (layer.weight, layer.bias)[: 1 + bool(b)]]
        torch.optim.SGD(trained, lr=eta).step()
        new = [p.detach() for p in trained]
        return (new[::2], new[1::2]) if b else new


def conventions(credit, activation="relu", **others):
    return Conventions(
        credit=credit,
        activation=activation,
        derivative_at_zero=0,
        output_activation="identity",
        loss_factor=1,
        lateral_rule="none",
        weight_rule="sgd",
        feedback_like="weights",
        **others,
    )


checks = {
    "fa": (BioTorch("fa"), conventions("fa")),
    "fa, biases, cross-entropy": (
        BioTorch("fa", loss=logistic),
        conventions("fa", loss="cross-entropy", biases=True),
    ),
    "fa, tanh": (BioTorch("fa", Tanh), conventions("fa", "tanh")),
    "dfa": (BioTorch("dfa"), conventions("dfa")),
    "dfa, biases, cross-entropy": (
        BioTorch("dfa", loss=logistic),
        conventions("dfa", loss="cross-entropy", biases=True),
    ),
    "frsf": (BioTorch("frsf"), conventions("sign-symmetric-magnitudes")),
    "usf, scaling_factor 1": (BioTorch("usf", scaling=1.0), conventions("sign-symmetric")),
    "usf": (BioTorch("usf"), conventions("sign-symmetric")),
}
implementation, conventions = checks["fa"]

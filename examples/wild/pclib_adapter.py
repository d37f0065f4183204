"""pclib: FCPCN with both ends pinned; φ sits before the weights, on the pinned top state too."""

import torch
import torch.nn.functional as F
from pclib.nn.models import FCPCN
from pclib.utils.functional import identity

from copi_ref.oracle import InferenceConventions

library, precisions = "torch", ("float64", "float32")


class PcLib:
    """Its layer 0 is the clamped h_L, its top layer is y0. Temperature None: no noise."""

    def __init__(self, activation, **options):
        self.activation, self.options = activation, options

    def net(self, W, y0, states, b=()):
        sizes = [*map(len, reversed(W)), y0.shape[1]]
        net = FCPCN(sizes, actv_fn=self.activation, bias=bool(b), dtype=y0.dtype, **self.options)
        for layer, w in zip(net.layers[1:], reversed(W)):
            layer.weight.data = w.mT.clone()
        for layer, v in zip(net.layers[1:], reversed(b)):
            layer.bias.data = v.clone()
        state = [{"x": x.clone(), "e": torch.zeros_like(x)} for x in (*reversed(states), y0)]
        for i, layer in enumerate(net.layers[:-1]):
            layer.update_e(state[i], net.layers[i + 1].predict(state[i + 1]))
        return net, state

    def errors(self, W, y0, states, b=()):
        return [layer["e"].detach() for layer in self.net(W, y0, states, b)[1][-2::-1]]

    def energy(self, W, y0, states, b=()):
        net, state = self.net(W, y0, states, b)
        return net.vfe(state, batch_reduction=None).detach()

    def infer(self, W, y0, states, gamma, steps, b=()):
        net, state = self.net(W, y0, states, b)
        for _ in range(steps):
            net.step(state, torch.full_like(y0[:, 0], gamma), pin_obs=True, pin_target=True)
        return [layer["x"].detach() for layer in state[-2::-1]]

    def weight_update(self, W, y0, states, b=()):
        net, state = self.net(W, y0, states, b)
        net.vfe(state).backward()
        dW = [layer.weight.grad.mT for layer in net.layers[:0:-1]]
        return (dW, [layer.bias.grad for layer in net.layers[:0:-1]]) if b else dW


def conventions(activation, biases="none", **others):
    return InferenceConventions(
        activation=activation,
        derivative_at_zero=0,
        input_activation=True,
        biases=biases,
        returns="gradient",
        **others,
    )


checks = {
    "tanh": (PcLib(F.tanh), conventions("tanh")),
    "tanh, biases": (PcLib(F.tanh), conventions("tanh", "inside")),
    "relu": (PcLib(F.relu), conventions("relu")),
    "sigmoid": (PcLib(F.sigmoid), conventions("sigmoid")),
    "identity": (PcLib(identity), conventions("identity")),
    "tanh, x_decay": (PcLib(F.tanh, x_decay=0.25), conventions("tanh", state_decay=0.25)),
    "leaky_relu": (PcLib(F.leaky_relu), conventions("leaky_relu", slope=0.01)),
}
implementation, conventions = checks["tanh"]

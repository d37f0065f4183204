"""torch-pc: the chain below its readout, driven through its training loop; its biases sit inside f."""

import torch
from torch_pc import PCNetwork, train_pcn

from copi_ref.oracle import InferenceConventions

library, precisions = "torch", ("float64", "float32")
RATE = 2.0**60  # so large that W is lost against the update: (W - W⁺)/RATE is the gradient, unrounded


class TorchPC:
    """Its top latent is y0, its input the clamped h_L. A readout of zeros to one unit leaves the label out."""

    def __init__(self, f, slope):
        self.f, self.slope = f, slope

    def train(self, W, y0, states, b=(), gamma=0.0, steps=0, eta=0.0):
        net = PCNetwork([*map(len, reversed(W)), y0.shape[1]], 1, self.f, self.slope, use_bias=bool(b)).to(y0.dtype)
        for layer, w in zip(net.layers, reversed(W)):
            layer.W.data = w.clone()
        for layer, v in zip(net.layers, reversed(b)):
            layer.bias.data = v.clone()
        for p in net.readout.parameters():
            torch.nn.init.zeros_(p)
        latents = [*(h.clone() for h in reversed(states[:-1])), y0.clone()]
        net.init_latents = lambda batch_size, device: latents  # they are moved in place
        batch = [(states[-1], y0[:, :1] * 0)]
        energies, _ = train_pcn(net, batch, 1, gamma, eta, steps, int(eta > 0), lambda y: y, "cpu")
        return net, latents, energies[0][0][0]

    def errors(self, W, y0, states, b=()):
        net, latents, _ = self.train(W, y0, states, b)
        return [e.detach() for e in reversed(net.compute_errors([states[-1], *latents])[0])]

    def energy(self, W, y0, states, b=()):
        return self.train(W, y0, states, b)[2]

    def infer(self, W, y0, states, gamma, steps, b=()):
        for _ in range(steps):  # one at a time: its top latent moves too, and y0 may not
            states = [*self.train(W, y0, states, b, gamma, 1)[1][-2::-1], states[-1]]
        return states

    def weight_update(self, W, y0, states, b=()):
        layers = self.train(W, y0, states, b, eta=RATE)[0].layers[::-1]
        dW = [(layer.W.detach() - w) / RATE for layer, w in zip(layers, W)]
        return (dW, [(layer.bias.detach() - v) / RATE for layer, v in zip(layers, b)]) if b else dW


def conventions(activation, biases):
    return InferenceConventions(
        form="activation-after-weights",
        activation=activation,
        derivative_at_zero=0,
        biases=biases,
        energy_reduction="mean",
    )


relu = TorchPC(torch.relu, lambda a: (a > 0).float())  # its default, and its derivative
tanh = TorchPC(torch.tanh, lambda a: 1 - torch.tanh(a) ** 2)  # as its README has it
checks = {
    "relu": (relu, conventions("relu", "none")),
    "tanh": (tanh, conventions("tanh", "none")),
    "tanh, biases": (tanh, conventions("tanh", "inside")),
}
implementation, conventions = checks["tanh"]

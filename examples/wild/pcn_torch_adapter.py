"""pcn-torch: the chain below its readout, driven through its training loop."""

import torch
from pcn_torch import PredictiveCodingNetwork, TrainCallback, TrainConfig, compute_energy, train_pcn

from copi_ref.oracle import InferenceConventions

library, precisions = "torch", ("float64", "float32")
known = {"float64": {"energy": "computed in float32, as its docstring says"}}
RATE = 2.0**60  # so large that W is lost against the update: (W - W⁺)/RATE is the gradient, unrounded


class PcnTorch:
    """Its top latent is y0, its input the clamped h_L. A readout of zeros to one unit leaves the label out."""

    def __init__(self, activation):
        self.activation = activation

    def net(self, W, y0, states):
        sizes = [len(w) for w in reversed(W)] + [y0.shape[1]]
        net = PredictiveCodingNetwork(sizes, activation=self.activation, output_dim=1).to(y0.dtype)
        for layer, w in zip(net.layers, reversed(W)):
            layer.weight.data = w.clone()
        torch.nn.init.zeros_(net._readout.weight)
        net.latents = [*(h.clone() for h in reversed(states[:-1])), y0.clone()]
        return net

    def train(self, W, y0, states, **rates):
        net = self.net(W, y0, states)
        net.init_latents = lambda batch_size: None  # its loop draws the latents anew: keep those that are given
        config = TrainConfig("regression", 1, T_learn=1, num_epochs=1, callback=TrainCallback(), **rates)
        train_pcn(net, [(states[-1], y0[:, :1] * 0)], config)
        return net

    def errors(self, W, y0, states):
        return self.net(W, y0, states).compute_errors(states[-1]).errors[::-1]

    def energy(self, W, y0, states):
        return compute_energy(self.net(W, y0, states).compute_errors(states[-1]))

    def infer(self, W, y0, states, gamma, steps):
        for _ in range(steps):  # one at a time: its top latent moves too, and y0 may not
            net = self.train(W, y0, states, lr_infer=gamma, lr_learn=0.0)
            states = [*net.latents[-2::-1], states[-1]]
        return states

    def weight_update(self, W, y0, states):
        net = self.train(W, y0, states, lr_infer=0.0, lr_learn=RATE)
        return [(layer.weight.detach() - w) / RATE for layer, w in zip(reversed(net.layers), W)]


def conventions(activation):
    return InferenceConventions(
        form="activation-after-weights", activation=activation, derivative_at_zero=0, energy_reduction="mean"
    )


checks = {name: (PcnTorch(name), conventions(name)) for name in ("tanh", "relu", "sigmoid", "identity")}
implementation, conventions = checks["tanh"]

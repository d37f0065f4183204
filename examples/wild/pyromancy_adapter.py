"""pyromancy: its nodes of unit variance, with torch's linear layers between them, in both forms."""

import torch
from pyromancy import get_estep_params, get_mstep_params
from pyromancy.nodes import StandardGaussianNode
from torch.nn import Identity, Linear, ModuleDict, ModuleList, Sequential, Tanh

from copi_ref.oracle import InferenceConventions

library, precisions = "torch", ("float64", "float32")


class Pyromancy:
    """`before` and `after` the weights of each layer, an activation and an identity or the other way round."""

    def __init__(self, before, after, chained=False):
        self.before, self.after, self.chained = before, after, chained

    def net(self, W, states, b=()):
        edges = [Sequential(self.before, Linear(*w.mT.shape, bias=bool(b)), self.after) for w in W]
        net = ModuleDict({"nodes": ModuleList(StandardGaussianNode(len(w)) for w in W), "edges": ModuleList(edges)})
        net.to(W[0].dtype)
        for parameter, value in zip(get_mstep_params(net), [v for pair in zip(W, b) for v in pair] if b else W):
            parameter.data = value.clone()
        for node, h in zip(net["nodes"], states):
            node.init(h)
        return net

    def pairs(self, net, y0):
        """Each node with its prediction, from the state below it, or as its tutorial has it, from the prediction."""
        for node, edge in zip(net["nodes"], net["edges"]):
            mu = edge(y0)
            yield node, mu
            y0 = mu if self.chained else node.value

    def errors(self, W, y0, states, b=()):
        return [node.error(mu).detach() for node, mu in self.pairs(self.net(W, states, b), y0)]

    def energy(self, W, y0, states, b=()):
        return sum(node.energy(mu).detach() for node, mu in self.pairs(self.net(W, states, b), y0))

    def infer(self, W, y0, states, gamma, steps, b=()):
        net = self.net(W, states, b)
        free = [*get_estep_params(net, exclude=[net["nodes"][-1]])]
        for _ in range(steps if free else 0):
            net.zero_grad()
            sum(node.energy(mu).sum() for node, mu in self.pairs(net, y0)).backward()
            torch.optim.SGD(free, lr=gamma).step()
        return [node.value.detach() for node in net["nodes"]]

    def weight_update(self, W, y0, states, b=()):
        net = self.net(W, states, b)
        sum(node.energy(mu).mean() for node, mu in self.pairs(net, y0)).backward()
        gradients = [p.grad for p in get_mstep_params(net)]
        return (gradients[::2], gradients[1::2]) if b else gradients


def conventions(form, biases, **others):
    return InferenceConventions(form=form, activation="tanh", biases=biases, returns="gradient", **others)


checks = {
    "activation after weights": (Pyromancy(Identity(), Tanh()), conventions("activation-after-weights", "none")),
    "activation after weights, biases": (
        Pyromancy(Identity(), Tanh()),
        conventions("activation-after-weights", "inside"),
    ),
    "weights after activation, biases": (
        Pyromancy(Tanh(), Identity()),
        conventions("weights-after-activation", "inside", input_activation=True),
    ),
    "its tutorial's energy": (
        Pyromancy(Tanh(), Identity(), chained=True),
        conventions("weights-after-activation", "inside", input_activation=True),
    ),
}
implementation, conventions = checks["activation after weights"]

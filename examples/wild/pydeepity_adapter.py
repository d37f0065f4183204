"""pydeepity: SimplePCN, written in C++; f sits before the weights, on y0 too; float32 alone."""

import numpy as np
from deepity import Linear, ReLU, Sigmoid, SimplePCN, TanH

from copi_ref.oracle import InferenceConventions

library, precisions = "numpy", ("float32",)
known = {"float32": {"step": "weights learn from the states before the last move"}}
RATE = 2.0**60  # so large that W is lost against the update: (W⁺ - W)/RATE is the update, unrounded


class Deepity:
    """Its layer l holds the states h_l, f and the weights to h_{l+1}: one f behind each `Linear` of the declaration."""

    def __init__(self, *f):
        self.f = f

    def net(self, W, y0, states, b=(), gamma=0.0, eta=RATE):
        net = SimplePCN(*(part for w in W for part in (Linear(*w.T.shape), *self.f)), batch_size=len(y0))
        net.configure(eta, gamma, lmbda=0.0)
        for layer, w, v in zip(net.layers, W, b or [w[:, 0] * 0 for w in W]):
            layer.set_weights(np.ascontiguousarray(w))
            layer.set_biases(np.ascontiguousarray(v))
        net.reset_state()
        net.clamp_input(y0.ravel())
        net.project_forward()
        net.get_terminal_layer().clamp_state(states[-1].ravel())
        for layer, h in zip(net.layers[1:-1], states[:-1]):
            layer.beliefs[:] = h
        return net

    def errors(self, W, y0, states, b=()):
        net = self.net(W, y0, states, b)
        net.calculate_state(False)
        return [layer.errors.copy() for layer in net.layers[1:]]

    def energy(self, W, y0, states, b=()):
        return self.net(W, y0, states, b).calculate_state(True)

    def start(self, W, y0, target, b=()):
        net = self.net(W, y0, [target], b)
        return [layer.beliefs.copy() for layer in net.layers[1:]]

    def infer(self, W, y0, states, gamma, steps, b=()):
        net = self.net(W, y0, states, b, gamma)
        for _ in range(steps):
            net.calculate_state(False)
            net.update_state()
        return [layer.beliefs.copy() for layer in net.layers[1:]]

    def weight_update(self, W, y0, states, b=()):
        net = self.net(W, y0, states, b)
        net.calculate_state(False)
        net.update_weights()
        dW = [(layer.weights - w) / np.float32(RATE) for layer, w in zip(net.layers, W)]
        return (dW, [(layer.biases - v) / np.float32(RATE) for layer, v in zip(net.layers, b)]) if b else dW

    def step(self, W, y0, target, gamma, steps, eta, b=()):
        net = self.net(W, y0, [target], b, gamma, eta)
        net.train_step_with_projection(y0.ravel(), target.ravel(), steps)
        new = [layer.weights.copy() for layer in net.layers[:-1]]
        return (new, [layer.biases.copy() for layer in net.layers[:-1]]) if b else new


def conventions(activation, biases="none"):
    return InferenceConventions(
        activation=activation, derivative_at_zero=0, input_activation=True, biases=biases, energy_reduction="sum"
    )


checks = {
    "tanh": (Deepity(TanH()), conventions("tanh")),
    "tanh, biases": (Deepity(TanH()), conventions("tanh", "inside")),
    "relu": (Deepity(ReLU()), conventions("relu")),
    "sigmoid": (Deepity(Sigmoid()), conventions("sigmoid")),
    "linear": (Deepity(), conventions("identity")),
}
implementation, conventions = checks["tanh"]

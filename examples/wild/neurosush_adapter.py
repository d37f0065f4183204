"""neuroSush: its network from the top down, as its docstring has it; φ sits before the weights, on the top too."""

from neurosush.predictive_coding import PredictiveCodingNetwork

from copi_ref.oracle import InferenceConventions

library, precisions = "torch", ("float64", "float32")
RATE = 2.0**60  # so large that W is lost against the update: (W⁺ - W)/RATE is the update, unrounded


class NeuroSush:
    """Its top layer is y0, its layer 0 the clamped h_L; the prior of the top is put at y0, so that it costs nothing."""

    def __init__(self, activation, variances=()):
        self.activation, self.variances = activation, variances

    def net(self, W, y0):
        sizes = [*map(len, reversed(W)), y0.shape[1]]
        variances = [*reversed(self.variances), 1.0] if self.variances else None
        net = PredictiveCodingNetwork(sizes, activation=self.activation, variances=variances, dtype=y0.dtype)
        net.weights, net.prior_mean = [w.clone() for w in reversed(W)], y0
        return net

    def errors(self, W, y0, states):
        return self.net(W, y0).errors([*reversed(states), y0])[-2::-1]

    def energy(self, W, y0, states):
        return self.net(W, y0).free_energy([*reversed(states), y0])

    def start(self, W, y0, target):
        return self.net(W, y0).infer(target, top=y0, steps=0)[-2::-1]

    def infer(self, W, y0, states, gamma, steps):
        mu = [*reversed(states), y0]
        return self.net(W, y0).infer(states[-1], top=y0, steps=steps, rate=gamma, mu=mu)[-2::-1]

    def weight_update(self, W, y0, states):
        net = self.net(W, y0)
        net.learn([*reversed(states), y0], RATE)
        return [(new - w) / RATE for new, w in zip(reversed(net.weights), W)]


def conventions(activation, **others):
    return InferenceConventions(activation=activation, input_activation=True, **others)


checks = {
    "tanh": (NeuroSush("tanh"), conventions("tanh")),
    "linear": (NeuroSush("linear"), conventions("identity")),
}
implementation, conventions = checks["tanh"]

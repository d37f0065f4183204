"""ngc-learn: a circuit of rate cells, error cells and synapses; f sits before the weights."""

import functools
from itertools import count, pairwise

from ngclearn import Context, MethodProcess
from ngclearn.components.neurons.graded.gaussianErrorCell import GaussianErrorCell
from ngclearn.components.neurons.graded.rateCell import RateCell
from ngclearn.components.synapses.hebbian.hebbianSynapse import HebbianSynapse
from ngclearn.components.synapses.staticSynapse import StaticSynapse

from copi_ref.oracle import InferenceConventions

library, precisions = "jax", ("float64", "float32")
names = count()  # a context of a name that was there before is the old one


@functools.cache  # building and compiling take a second
def circuit(activation, sigmas, sizes, N):
    """Cells z_l and errors e_l; synapses W_l up, and E_l down with the same weights."""
    with Context(f"circuit {next(names)}"):
        z = [RateCell(f"z{i}", n, 1.0, act_fx=activation, batch_size=N) for i, n in enumerate(sizes[1:-1])]
        sigmas = sigmas or [1.0 for _ in sizes]
        e = [GaussianErrorCell(f"e{i}", n, batch_size=N, sigma=sigmas[i]) for i, n in enumerate(sizes[1:])]
        up = [HebbianSynapse(f"W{i}", pair, w_bound=0.0, batch_size=N) for i, pair in enumerate(pairwise(sizes))]
        down = [StaticSynapse(f"E{i}", pair[::-1], batch_size=N) for i, pair in enumerate(pairwise(sizes[1:]))]
        for i, cell in enumerate(e):
            up[i].outputs >> cell.mu
            cell.dmu >> up[i].post
        for i, cell in enumerate(z):
            cell.zF >> up[i + 1].inputs
            cell.zF >> up[i + 1].pre
            cell.z >> e[i].target
            e[i + 1].dmu >> down[i].inputs
            down[i].outputs >> cell.j
            e[i].dtarget >> cell.j_td
        look, move, learn = MethodProcess("look"), MethodProcess("move"), MethodProcess("learn")
        for part in (*up, *e):
            look = look >> part.advance_state
        for part in (*down, *z):
            move = move >> part.advance_state
        for part in up:
            learn = learn >> part.calc_update
    return z, e, up, down, look, move, learn


class NgcLearn:
    """γ is dt, at a time constant of 1."""

    def __init__(self, activation, sigmas=()):
        self.activation, self.sigmas = activation, sigmas

    def look(self, W, y0, states, b=()):
        parts = circuit(self.activation, self.sigmas, (y0.shape[1], *map(len, W)), len(y0))
        z, e, up, down, look = parts[:5]
        for i, w in enumerate(W):
            up[i].weights.set(w.T)
            up[i].biases.set(b[i][None] if b else w[:1, 0] * 0)
        for i, h in enumerate(states[:-1]):
            down[i].weights.set(W[i + 1])
            z[i].z.set(h)
            z[i].zF.set(z[i].fx(h))
        for compartment, value in ((up[0].inputs, y0), (up[0].pre, y0), (e[-1].target, states[-1])):
            compartment.set(value)
        look.run(dt=1.0)
        return parts

    def errors(self, W, y0, states, b=()):
        return [cell.target.get() - cell.mu.get() for cell in self.look(W, y0, states, b)[1]]

    def energy(self, W, y0, states, b=()):
        return -sum(cell.L.get() for cell in self.look(W, y0, states, b)[1])  # L is a log density

    def infer(self, W, y0, states, gamma, steps, b=()):
        z, _, _, _, look, move, _ = self.look(W, y0, states, b)
        for _ in range(steps):
            move.run(dt=gamma)
            look.run(dt=gamma)
        return [*(cell.z.get() for cell in z), states[-1]]

    def weight_update(self, W, y0, states, b=()):
        _, _, up, *_, learn = self.look(W, y0, states, b)
        learn.run(dt=1.0)
        dW = [synapse.dWeights.get().T for synapse in up]
        return (dW, [synapse.dBiases.get()[0] for synapse in up]) if b else dW


def conventions(activation, biases="none", **others):
    return InferenceConventions(activation=activation, biases=biases, energy_reduction="sum", reduction="sum", **others)


checks = {
    "tanh, biases": (NgcLearn("tanh"), conventions("tanh", "inside")),
    "relu": (NgcLearn("relu"), conventions("relu", derivative_at_zero=1)),
    "tanh, sigma": (NgcLearn("tanh", (2.0, 1.0, 4.0)), conventions("tanh", precisions=(1 / 4, 1.0, 1 / 16))),
}
implementation, conventions = checks["tanh, biases"]

"""FabricPC: a chain of its Linear nodes; activation after weights, biases inside."""

from itertools import pairwise

import jax
import optax
from fabricpc.core.activations import LeakyReLUActivation, ReLUActivation, TanhActivation
from fabricpc.core.energy import GaussianEnergy, graph_energy
from fabricpc.core.inference import InferenceSGD, run_inference
from fabricpc.core.state_ops import update_node_in_state
from fabricpc.core.topology import Edge
from fabricpc.core.types import GraphParams, NodeParams
from fabricpc.graph_assembly import TaskMap, graph
from fabricpc.graph_initialization.state_initializer import initialize_graph_state
from fabricpc.nodes import Linear
from fabricpc.nodes.linear_explicit_grad import LinearExplicitGrad
from fabricpc.training import make_train_step, pc_weight_gradients

from copi_ref.oracle import InferenceConventions

library, precisions = "jax", ("float64", "float32")


class FabricPC:
    """A node a layer, y0 among them; `precisions` are given where each is the energy's own."""

    def __init__(self, f, kind=Linear, precisions=(), latent_decay=0.0):
        self.f, self.kind, self.precisions, self.latent_decay = f, kind, precisions, latent_decay

    def net(self, W, y0, states, b=(), gamma=0.0, steps=0):
        sizes, pi = [y0.shape[1], *map(len, W)], [1.0, *self.precisions] if self.precisions else [1.0] * (len(W) + 1)
        nodes = [
            self.kind((size,), f"h{i}", activation=self.f, energy=GaussianEnergy(precision=p), use_bias=bool(b))
            for i, (size, p) in enumerate(zip(sizes, pi))
        ]
        structure = graph(
            nodes=nodes,
            edges=[Edge(source=low, target=high.slot("in")) for low, high in pairwise(nodes)],
            task_map=TaskMap(x=nodes[0], y=nodes[-1]),
            inference=InferenceSGD(gamma, steps, self.latent_decay),
        )
        params = {"h0": NodeParams({}, {})}
        for i, w in enumerate(W):
            params[f"h{i + 1}"] = NodeParams({f"h{i}->h{i + 1}:in": w.T}, {"b": b[i][None]} if b else {})
        clamps = {"h0": y0, f"h{len(W)}": states[-1]}
        params = GraphParams(params)
        state = initialize_graph_state(structure, len(y0), jax.random.PRNGKey(0), clamps=clamps, params=params)
        for i, h in enumerate(states[:-1]):
            state = update_node_in_state(state, f"h{i + 1}", z_latent=h)
        return params, state, clamps, structure

    def of(self, state, field):
        return [getattr(state.nodes[f"h{i + 1}"], field) for i in range(len(state.nodes) - 1)]

    def parameters(self, nodes, b):
        layers = [nodes[f"h{i + 1}"] for i in range(len(nodes) - 1)]
        W = [w.T for layer in layers for w in layer.weights.values()]
        return (W, [layer.biases["b"][0] for layer in layers]) if b else W

    def errors(self, W, y0, states, b=()):
        return self.of(InferenceSGD.forward_value_and_grad(*self.net(W, y0, states, b)), "error")

    def energy(self, W, y0, states, b=()):
        net = self.net(W, y0, states, b)
        return graph_energy(InferenceSGD.forward_value_and_grad(*net), net[-1])

    def start(self, W, y0, target, b=()):
        return self.of(self.net(W, y0, [target], b)[1], "z_latent")

    def infer(self, W, y0, states, gamma, steps, b=()):
        return self.of(run_inference(*self.net(W, y0, states, b, gamma, steps)), "z_latent")

    def weight_update(self, W, y0, states, b=()):
        params, state, clamps, structure = self.net(W, y0, states, b)
        return self.parameters(pc_weight_gradients(params, state, structure, clamps).nodes, b)

    def step(self, W, y0, target, gamma, steps, eta, b=()):
        params, _, _, structure = self.net(W, y0, [target], b, gamma, steps)
        sgd = optax.sgd(eta)
        step = make_train_step(structure, sgd)
        params, *_ = step(params, sgd.init(params), {"x": y0, "y": target}, jax.random.PRNGKey(0))
        return self.parameters(params.nodes, b)


def conventions(activation, biases="none", **others):
    return InferenceConventions(
        form="activation-after-weights",
        activation=activation,
        biases=biases,
        energy_reduction="sum",
        returns="gradient",
        **others,
    )


three = (0.5, 1.0, 2.0)
checks = {
    "tanh, biases": (FabricPC(TanhActivation()), conventions("tanh", "inside")),
    "relu": (FabricPC(ReLUActivation()), conventions("relu", derivative_at_zero=0)),
    "leaky relu": (FabricPC(LeakyReLUActivation()), conventions("leaky_relu", slope=0.01, derivative_at_zero=0.01)),
    "tanh, latent decay": (FabricPC(TanhActivation(), latent_decay=0.25), conventions("tanh", state_decay=0.25)),
    "tanh, precisions": (FabricPC(TanhActivation(), precisions=three), conventions("tanh", precisions=three)),
    "tanh, explicit gradients, precisions": (
        FabricPC(TanhActivation(), LinearExplicitGrad, three),
        conventions("tanh", precisions=three),
    ),
}
implementation, conventions = checks["tanh, biases"]

"""pcx: linear layers and vodes as its tutorials have them, in both forms; optax moves the states."""

import jax
import jax.numpy as jnp
import optax
import pcx.functional as pxf
import pcx.nn as pxnn
import pcx.predictive_coding as pxc
import pcx.utils as pxu
from pcx import static

from copi_ref.oracle import InferenceConventions

library, precisions = "jax", ("float64", "float32")


def free():
    return pxu.M_hasnot(pxc.VodeParam, frozen=True)  # anew each time: `to` changes a mask


def weights():
    return pxu.M(pxnn.LayerParam)


class Model(pxc.EnergyModule):
    """h_l ← vode(after(layer(before(h_{l−1})))), of which one is an activation and the other the identity."""

    def __init__(self, before, after, W, b, states):
        super().__init__()
        self.before, self.after = static(before), static(after)
        self.layers, self.vodes = [pxnn.Linear(*w.T.shape, bias=bool(b)) for w in W], [pxc.Vode() for _ in W]
        for i, (layer, vode) in enumerate(zip(self.layers, self.vodes)):
            layer.nn.weight.set(W[i])
            vode.h.set(states[i])
            if b:
                layer.nn.bias.set(b[i])
        self.vodes[-1].h.frozen = True

    def __call__(self, x):
        for layer, vode in zip(self.layers, self.vodes):
            x = vode(self.after(layer(self.before(x))))
        return [vode.get("h") - vode.get("u") for vode in self.vodes]


samples = pxu.M(pxc.VodeParam | pxc.VodeParam.Cache).to((None, 0))


@pxf.vmap(samples, in_axes=(0,), out_axes=(None, 0), axis_name="batch")
def energy_and_errors(x, *, model):
    errors = model(x)
    return jax.lax.psum(model.energy(), "batch"), errors


def evaluate(model, y0, mask):
    with pxu.step(model, clear_params=pxc.VodeParam.Cache):
        (energy, (errors,)), gradient = pxf.value_and_grad(mask.to([False, True]), has_aux=True)(energy_and_errors)(
            y0, model=model
        )
    return energy, errors, gradient["model"]


class Pcx:
    """The energy is a sum over samples, as `psum` in its tutorials."""

    def __init__(self, before, after):
        self.activations = before, after

    def errors(self, W, y0, states, b=()):
        return evaluate(Model(*self.activations, W, b, states), y0, weights())[1]

    def energy(self, W, y0, states, b=()):
        return evaluate(Model(*self.activations, W, b, states), y0, weights())[0]

    def infer(self, W, y0, states, gamma, steps, b=()):
        model = Model(*self.activations, W, b, states)
        optimizer = pxu.Optim(lambda: optax.sgd(gamma), free()(model))
        for _ in range(steps if len(W) > 1 else 0):
            optimizer.step(model, evaluate(model, y0, free())[2])
        return [vode.h.get() for vode in model.vodes]

    def weight_update(self, W, y0, states, b=()):
        gradient = evaluate(Model(*self.activations, W, b, states), y0, weights())[2]
        dW = [layer.nn.weight.get() for layer in gradient.layers]
        return (dW, [layer.nn.bias.get() for layer in gradient.layers]) if b else dW


def identity(x):
    return x


def conventions(form, activation, biases="none", **others):
    return InferenceConventions(
        form=form,
        activation=activation,
        biases=biases,
        energy_reduction="sum",
        reduction="sum",
        returns="gradient",
        **others,
    )


checks = {
    "tanh": (Pcx(identity, jnp.tanh), conventions("activation-after-weights", "tanh")),
    "tanh, biases": (Pcx(identity, jnp.tanh), conventions("activation-after-weights", "tanh", "inside")),
    "relu": (Pcx(identity, jax.nn.relu), conventions("activation-after-weights", "relu", derivative_at_zero=0)),
    "leaky relu": (
        Pcx(identity, jax.nn.leaky_relu),
        conventions("activation-after-weights", "leaky_relu", slope=0.01, derivative_at_zero=1),
    ),
    "tanh before the weights, biases": (
        Pcx(jnp.tanh, identity),
        conventions("weights-after-activation", "tanh", "inside", input_activation=True),
    ),
}
implementation, conventions = checks["tanh"]

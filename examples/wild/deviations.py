"""What was found in public implementations: each a few lines whose asserts hold as long as it is so."""

from contextlib import contextmanager


@contextmanager
def raises(kind):
    """Fail unless what is inside raises an error of this kind."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"it raises no {kind.__name__}")


def pclib_leaky_relu():
    """`d_actv_fn` is "inferred from actv_fn": below 0 it is −0.01, and F.leaky_relu has the slope 0.01."""
    import torch
    from pclib.nn.layers import FC

    below = torch.tensor([-1.0])
    assert FC(2, 2, actv_fn=torch.nn.functional.leaky_relu).d_actv_fn(below) == -0.01


def pclib_elu_and_gelu():
    """The same of elu: 2 at 1 and 0.99 at −1, for 1 and 0.37; of gelu: 1.5 at 0, for 0.5."""
    import torch
    from pclib.nn.layers import FC

    x = torch.tensor([1.0, -1.0, 0.0])
    assert torch.allclose(FC(2, 2, actv_fn=torch.nn.functional.elu).d_actv_fn(x)[:2], torch.tensor([2.0, 0.99]))
    assert FC(2, 2, actv_fn=torch.nn.functional.gelu).d_actv_fn(x)[2] == 1.5


def pclib_noise_at_temperature_zero():
    """`temp_k` is the "temperature constant for inference"; at 0 the errors at the start still have noise."""
    import torch
    from pclib.nn.models import FCPCN

    net = FCPCN([3, 2], temp_k=0.0)
    errors = [net.forward(torch.ones(1, 3), torch.ones(1, 2), steps=0)[1][0]["e"] for _ in range(2)]
    assert not torch.equal(*errors)


def pydeepity_activations_come_a_layer_early():
    """ "Declare the layers, the same way you would in PyTorch": Linear, TanH, Linear makes W₂(W₁ tanh(x) + b₁) + b₂."""
    import numpy as np
    from deepity import Linear, SimplePCN, TanH

    net, x = SimplePCN(Linear(2, 8), TanH(), Linear(8, 1), batch_size=1), np.array([1, -1], np.float32)
    net.configure(seed=0)
    (W1, b1), (W2, b2) = ((layer.weights, layer.biases) for layer in net.layers[:2])
    y = net.predict_with_projection(x, 0)
    assert np.allclose(y, W2 @ (W1 @ np.tanh(x) + b1) + b2)
    assert not np.allclose(y, W2 @ np.tanh(W1 @ x + b1) + b2, atol=1e-3)


def pydeepity_last_move_is_lost():
    """Weights learn "after enough steps"; `train_step` with 3 steps learns from the states and errors after 2."""
    import numpy as np
    from deepity import Linear, SimplePCN, TanH

    x, y = np.array([1, -1], np.float32), np.ones(1, np.float32)
    nets = [SimplePCN(Linear(2, 8), TanH(), Linear(8, 1), batch_size=1) for _ in range(2)]
    for net in nets:
        net.configure(0.1, 0.3, seed=0)
    nets[0].train_step(x, y, steps=3)
    nets[1].reset_state()
    nets[1].clamp_input(x)
    nets[1].get_terminal_layer().clamp_state(y)
    for move in (True, True, False):
        nets[1].calculate_state(True)
        nets[1].update_state() if move else nets[1].update_weights()
    assert all(np.array_equal(*(net.layers[i].weights for net in nets)) for i in (0, 1))


def pydeepity_energy_of_a_step():
    """What `train_step` returns "is this energy", of the network: it is the sum of it over the steps."""
    import numpy as np
    from deepity import Linear, SimplePCN, TanH

    net = SimplePCN(Linear(2, 8), TanH(), Linear(8, 1), batch_size=1)
    net.configure(0.0, 0.0, lmbda=0.0, seed=0)  # nothing moves
    x, y = np.array([1, -1], np.float32), np.ones(1, np.float32)
    assert np.isclose(net.train_step(x, y, steps=3), 3 * net.train_step(x, y, steps=1))


def pyromancy_tutorial_predicts_from_predictions():
    """Its tutorial chains predictions through `energy`: hidden states stay, and weights learn by backpropagation."""
    import torch
    from pyromancy.nodes import StandardGaussianNode

    x, y, W1, W2 = (torch.randn(*shape) for shape in ((4, 3), (4, 2), (5, 3), (2, 5)))
    hidden, output = StandardGaussianNode(5), StandardGaussianNode(2)
    W1.requires_grad_()
    hidden.init(x.relu() @ W1.T)
    output.init(y)
    mu = x.relu() @ W1.T
    energy = (hidden.energy(mu) + output.energy(mu.relu() @ W2.T)).sum()  # mu, not hidden.value
    loss = ((x.relu() @ W1.T).relu() @ W2.T - y).square().sum() / 2
    moves, learns = torch.autograd.grad(energy, (hidden.value, W1))
    assert not moves.any()
    assert torch.allclose(learns, *torch.autograd.grad(loss, W1))


def fabricpc_explicit_gradients_leave_precisions_out():
    """`LinearExplicitGrad`, for "verifying correctness", and `Linear` differ where a precision is not 1."""
    import jax.numpy as jnp
    from fabricpc.core.activations import TanhActivation
    from fabricpc.core.inference import InferenceSGD
    from fabricpc.nodes import Linear
    from fabricpc.nodes.linear_explicit_grad import LinearExplicitGrad
    from fabricpc_adapter import FabricPC

    W, ones = [jnp.ones((3, 2)), jnp.ones((2, 3))], [jnp.ones((1, 3)), jnp.ones((1, 2))]
    for precision, same in ((1.0, True), (2.0, False)):
        nets = [FabricPC(TanhActivation(), kind, (1.0, precision)) for kind in (Linear, LinearExplicitGrad)]
        states = [InferenceSGD.forward_value_and_grad(*net.net(W, ones[1], ones)) for net in nets]
        assert jnp.allclose(*(state.nodes["h1"].latent_grad for state in states)) == same


def fabricpc_energy_before_the_last_move():
    """`metrics["energy"]` is of the "settled" state by its docstring: it is that of the state one move before."""
    import jax
    import jax.numpy as jnp
    import optax
    from fabricpc.core.activations import TanhActivation
    from fabricpc.core.energy import graph_energy
    from fabricpc.core.inference import InferenceSGD
    from fabricpc.training import make_train_step
    from fabricpc_adapter import FabricPC

    W, x, y, sgd = [jnp.ones((3, 2)) / 4, jnp.ones((2, 3)) / 4], jnp.ones((1, 2)), -jnp.ones((1, 2)), optax.sgd(0.0)
    params, _, clamps, structure = FabricPC(TanhActivation()).net(W, x, [y], (), 0.1, 3)
    step = make_train_step(structure, sgd)
    _, _, metrics, settled = step(params, sgd.init(params), {"x": x, "y": y}, jax.random.PRNGKey(0))
    again = InferenceSGD.forward_value_and_grad(params, settled, clamps, structure)
    assert graph_energy(again, structure) < 0.99 * metrics["energy"]


def ngclearn_sigma_is_a_variance():
    """`sigma` is "a scalar standard deviation", L is ln p "= -(x - mu)^2 * 1/(2 sigma^2)": L is −(x − μ)²/(2 sigma)."""
    import jax.numpy as jnp
    from ngclearn import Context, MethodProcess
    from ngclearn.components.neurons.graded.gaussianErrorCell import GaussianErrorCell

    with Context("sigma"):
        cell = GaussianErrorCell("e", 1, sigma=2.0)
        look = MethodProcess("look") >> cell.advance_state
    cell.target.set(jnp.ones((1, 1)))
    look.run(dt=1.0)
    assert cell.L.get() == -1 / 4  # and -1 / 8 with the variance 4
    assert cell.dmu.get() == 1 / 2


def ngclearn_slope_multiplies_the_other_input():
    """`RateCell.help` says of j_td that f′ multiplies it: f′ multiplies j."""
    import jax.numpy as jnp
    from ngclearn import Context, MethodProcess
    from ngclearn.components.neurons.graded.rateCell import RateCell

    moved = {}
    for name in ("j", "j_td"):
        with Context(f"slope {name}"):
            cell = RateCell("z", 1, 1.0, act_fx="tanh")
            move = MethodProcess("move") >> cell.advance_state
        cell.z.set(jnp.ones((1, 1)))
        getattr(cell, name).set(jnp.ones((1, 1)))
        move.run(dt=1.0)
        moved[name] = float(cell.z.get()[0, 0]) - 1
    assert moved["j_td"] == 1
    assert abs(moved["j"] - 0.41997) < 1e-4  # 1 − tanh²(1)


def biotorch_one_output_with_a_bias():
    """A linear layer with one unit and a bias raises in its backward pass: the bias's gradient has lost its axis."""
    import torch
    from biotorch.layers.fa import Linear

    with raises(RuntimeError):
        Linear(3, 1)(torch.ones(2, 3)).sum().backward()


def biotorch_signs_are_scaled():
    """uSF is "weight_backward = sign(weight)": it is √(2/(inputs + units)) of it, or 1/√(3 inputs) of it."""
    import torch
    from biotorch.layers.usf import Linear

    layer = Linear(6, 2)
    layer(torch.ones(1, 6))
    assert torch.allclose(layer.weight_backward, layer.weight.sign() / 2)


def biotorch_alignment_without_signs():
    """frSF sends |M| ∘ sign(W) back, and `compute_alignment` is the angle of |M| to W."""
    import torch
    from biotorch.layers.frsf import Linear

    layer = Linear(6, 2)
    M, W = layer.weight_backward, layer.weight.detach()
    assert torch.isclose(
        layer.compute_alignment(), torch.rad2deg(torch.acos((M.abs() * W).sum() / M.norm() / W.norm()))
    )


def biotorch_redrawn_signs_with_kaiming():
    """brSF with an initialization other than "xavier" raises NameError in its first forward pass."""
    import torch
    from biotorch.layers.brsf import Linear

    options = {"constrain_weights": False, "gradient_clip": False, "init": "kaiming"}
    with raises(NameError):
        Linear(3, 2, layer_config={"options": options})(torch.ones(1, 3))


def torch_pc_loads_relu():
    """ "Saving and loading is easy": what `load` returns has ReLU, whatever was saved."""
    import tempfile

    import torch
    from torch_pc import PCNetwork

    with tempfile.TemporaryDirectory() as folder:
        PCNetwork([3, 4], 2, torch.tanh, lambda a: 1 - torch.tanh(a) ** 2).save(f"{folder}/net.pt")
        assert PCNetwork.load(f"{folder}/net.pt").layers[0].activation_fn is torch.relu


def pcx_an_error_inside_lasts():
    """An exception inside `vmap` leaves the global random keys split: the next, right call fails too."""
    import jax
    import jax.numpy as jnp
    import pcx.functional as pxf

    def wrong(x):
        raise ZeroDivisionError

    with raises(ZeroDivisionError):
        pxf.vmap(in_axes=(0,), out_axes=0)(wrong)(jnp.ones(3))
    with raises(jax.errors.UnexpectedTracerError):
        pxf.vmap(in_axes=(0,), out_axes=0)(jnp.negative)(jnp.ones(3))

"""
Test your own JAX functions
===========================

COPI as you would write it in JAX, compiled with jax.jit, and its test against the oracle.

Run: python examples/test_your_own_jax.py   or   pytest examples/test_your_own_jax.py
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/test_your_own_jax.png"

import sys
from types import SimpleNamespace

try:
    import jax
    import jax.numpy as jnp
    from jax.nn import leaky_relu
except ImportError as error:
    if __name__ != "__main__":
        import pytest

        pytest.skip(f"JAX is not installed: {error}", allow_module_level=True)
    print(f"skipped: JAX is not installed ({error})")
    sys.exit(0)

from copi_ref.oracle import Conventions, check

# On a GPU JAX's products have factors of 11 bits (TF32) unless it is told otherwise, and the oracle finds it out.
jax.config.update("jax_default_matmul_precision", "highest")

# --- your code --------------------------------------------------------------------------------------------------------


def copi_update(x, z, W):
    """ΔW = E[z xᵀ] − W diag(E[x²])."""
    return z.T @ x / len(x) - W * jnp.mean(x**2, axis=0)


def decorrelation_update(x, R):
    """ΔR = −(E[x xᵀ] − diag(E[x²])) R: the rule `left`."""
    C = x.T @ x / len(x)
    return -(C - jnp.diag(jnp.diag(C))) @ R


def f(a):
    """Leaky ReLU with the paper's slope. JAX writes it as where(a >= 0, a, slope * a), so that its f′(0) is 1."""
    return leaky_relu(a, 0.1)


def forward(W, R, y):
    """Return x = R y, a = W x and y = f(a) of all layers."""
    states = []
    for W_l, R_l in zip(W, R, strict=True):
        x = y @ R_l.T
        a = x @ W_l.T
        y = f(a)
        states.append((x, a, y))
    return tuple(zip(*states, strict=True))


def perturbations(W, R, x, a, y, target):
    """Return δ = −dℓ/da of all layers, ℓ = ‖y_L − y*‖², by vector-Jacobian products."""
    deltas = [-jax.grad(lambda a: jnp.sum((f(a) - target) ** 2))(a[-1])]
    for W_above, R_above, a_l in zip(W[:0:-1], R[:0:-1], a[-2::-1], strict=True):
        _, down = jax.vjp(lambda a, W=W_above, R=R_above: f(a) @ R.T @ W.T, a_l)
        deltas.insert(0, *down(deltas[0]))
    return deltas


def step(W, R, y0, target, eta_w, eta_r):
    """Return new W and R; a third result, a dict of states, lets the oracle name the first that is wrong."""
    x, a, y = forward(W, R, y0)
    delta = perturbations(W, R, x, a, y, target)
    z = [a_l + delta_l for a_l, delta_l in zip(a, delta, strict=True)]
    new_W = [W_l + eta_w * copi_update(x_l, z_l, W_l) for W_l, x_l, z_l in zip(W, x, z, strict=True)]
    new_R = [R_l + eta_r * decorrelation_update(x_l, R_l) for R_l, x_l in zip(R, x, strict=True)]
    return new_W, new_R, {"x": x, "a": a, "y": y, "delta": delta}


# --- its test ---------------------------------------------------------------------------------------------------------

functions = (copi_update, decorrelation_update, forward, perturbations, step)
mine = {function.__name__: jax.jit(function) for function in functions}
# Everything else is as printed: ‖·‖² with its factor 2, slope 0.1, f′(0) = 1.
MINE = Conventions(lateral_rule="left")


def test_it_is_copi():
    """Every function, in float32, JAX's default."""
    check(SimpleNamespace(**mine), conventions=MINE, precision="float32", xp=jnp).raise_if_failed()


@jax.jit
def copi_update_with_batch_sum(x, z, W):
    """Sums z xᵀ over the batch, and takes the mean of x²."""
    return z.T @ x - W * jnp.mean(x**2, axis=0)


if __name__ == "__main__":
    report = check(SimpleNamespace(**mine), conventions=MINE, precision="float32", xp=jnp).raise_if_failed()
    print(report.summary(), end="\n\n")
    changed = SimpleNamespace(**mine | {"copi_update": copi_update_with_batch_sum})
    wrong = check(changed, conventions=MINE, precision="float32", xp=jnp)
    print("And a copy that sums where it should average:", wrong.summary().splitlines()[0], sep="\n")

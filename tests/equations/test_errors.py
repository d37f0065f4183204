"""Bad arguments: the message has the argument's name, what came and what is needed."""

from fractions import Fraction

import numpy as np
import pytest

import copi_ref as copi

x, z, W, R = np.ones((7, 5)), np.ones((7, 3)), np.ones((3, 5)), np.eye(5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: copi.copi_update(x, z, np.ones((3, 4))), ValueError,
         r"W has shape \(3, 4\) but x has 5 features: W must be \(…, 3, 5\)"),
        (lambda: copi.copi_update(x, z, np.ones((2, 5))), ValueError,
         r"W has shape \(2, 5\) but z has 3 units: W must be \(…, 3, 5\)"),
        (lambda: copi.copi_update(x, np.ones((6, 3)), W), ValueError,
         r"z has shape \(6, 3\) but x has 7 samples: z must be \(…, 7, M\)"),
        (lambda: copi.decorrelation_update(x, np.ones((4, 4))), ValueError,
         r"R has shape \(4, 4\) but x has 5 features: R must be \(…, 5, 5\)"),
        (lambda: copi.forward(copi.Params((W,), (np.ones((5, 4)),)), x), ValueError,
         r"R of layer 1 has shape \(5, 4\) but y0 has 5 features"),
        (lambda: copi.forward(copi.Params((W, np.ones((2, 4))), (R, np.eye(3))), x), ValueError,
         r"W of layer 2 has shape \(2, 4\) but y1 has 3 features"),
        (lambda: copi.forward(copi.Params((W,), ()), x), ValueError, "R has 0 entries: needs 1 for this network"),
        (lambda: copi.sgd_update(np.ones(5), z), ValueError,
         r"x has shape \(5,\): needs \(…, N, K\); one sample is x\[None, :\]"),
        (lambda: copi.sgd_update(np.ones((0, 5)), np.ones((0, 3))), ValueError,
         r"x has shape \(0, 5\): needs at least one of each"),
        (lambda: copi.copi_update(np.ones((2, 7, 5)), np.ones((4, 7, 3)), W), ValueError,
         r"leading \(ensemble\) axes don't fit together: x has \(2,\), z has \(4,\)"),
        (lambda: copi.copi_update(x.tolist(), z, W), TypeError, "x is a list: needs an array"),
        (lambda: copi.copi_update(x, np.float64(1), W), TypeError, "z is a float64: needs an array"),
        (lambda: copi.copi_update(x.astype(np.uint8), z.astype(np.uint8), W.astype(np.uint8)), TypeError,
         "x has dtype uint8: needs a floating dtype"),
        (lambda: copi.copi_update(x * 1j, z * 1j, W * 1j), TypeError, "x has dtype complex128: needs a floating"),
        (lambda: copi.copi_update(x, z.astype(np.float32), W), TypeError,
         "z has dtype float32 but x has float64: cast one of them"),
        (lambda: copi.leaky_relu([1.0]), TypeError, "a is a list: needs an array"),
        (lambda: copi.quadratic.perturbation(z, z, x, copi.relu), ValueError,
         r"target has shape \(7, 5\) but prediction has 3 units"),
        (lambda: copi.feedback_alignment(*_traced(), copi.Task(z)), ValueError, "feedback is None: feedback alignment"),
        (lambda: copi.feedback_alignment(*_traced(), copi.Task(z, feedback=(x,))), ValueError,
         "feedback has 1 entries: needs 0 for this network"),
        (lambda: copi.backpropagation(*_traced(), copi.Task(z, output="logits")), ValueError,
         "output is 'logits': choose one of 'activation', 'pre-activation'"),
        (lambda: copi.init_params((5,), np.random.default_rng(0)), ValueError, r"sizes is \(5,\): needs at least"),
        (lambda: copi.init_params((5, 0), np.random.default_rng(0)), ValueError, r"sizes\[1\] is 0: needs at least 1"),
        (lambda: copi.init_params((5, 2.5), np.random.default_rng(0)), TypeError, r"sizes\[1\] is 2.5: needs a whole"),
        (lambda: copi.init_params((5, 3), 42), TypeError, "rng is 42: needs a numpy.random.Generator"),
        (lambda: copi.init_params(5, np.random.default_rng(0)), TypeError, "sizes is 5: needs the units of each layer"),
        (lambda: copi.init_params((5, 3), np.random.default_rng(0), xp="numpy"), TypeError,
         "xp is 'numpy': needs an array module such as numpy or cupy; names go to use_backend"),
        (lambda: copi.init_feedback("fa", (5, 3), 42), TypeError, "rng is 42: needs a numpy.random.Generator"),
        (lambda: copi.init_feedback("fa", (5,), np.random.default_rng(0)), ValueError, r"sizes is \(5,\): needs"),
        (lambda: copi.backpropagation(copi.Params((W, W), (R, R)), _traced()[1], copi.Task(z)), ValueError,
         "trace has 1 entries: needs 2 for this network"),
        (lambda: copi.feedback_alignment(*_two_layers(), copi.Task(np.ones((7, 2)), feedback=(np.ones((2, 3)),))),
         ValueError, r"B has shape \(2, 3\) but a has 3 features: B must be \(…, 3, 2\)"),
        (lambda: copi.init_feedback("hebb", (5, 3), np.random.default_rng(0)), ValueError,
         "method is 'hebb': choose one of 'bp', 'fa', 'dfa'"),
    ],
)  # fmt: skip
def test_message(call, error, message):
    with pytest.raises(error, match=message):
        call()


def _traced():
    params = copi.Params((W,), (R,))
    return params, copi.forward(params, x)


def _two_layers():
    params = copi.Params((W, np.ones((2, 3))), (R, np.eye(3)))
    return params, copi.forward(params, x)


def test_networks_can_be_compared():
    """By identity: comparing their arrays entry by entry has no single answer."""
    assert copi.Params((W,), (R,)) != copi.Params((W,), (R,))


def test_exact_mode_takes_fractions_of_python_ints_only():
    """Fraction(np.int64(…)) keeps the np.int64, which overflows silently."""
    hidden = np.full((7, 5), Fraction(np.int64(2**40)), dtype=object)
    with pytest.raises(TypeError, match="exact mode needs fractions.Fraction of Python ints"):
        copi.sgd_update(hidden, np.full((7, 3), Fraction(1), dtype=object))


@pytest.mark.parametrize("entry", [0.5, 1, np.float64(1)])
def test_exact_mode_takes_fractions_only(entry):
    """An int among them would become a float at the first division, silently."""
    leaky = np.full((7, 5), Fraction(1), dtype=object)
    leaky[3, 2] = entry
    with pytest.raises(TypeError, match=f"x is an object array that holds a {type(entry).__name__}: exact mode needs"):
        copi.sgd_update(leaky, np.full((7, 3), Fraction(1), dtype=object))


@pytest.mark.needs("torch")
def test_arrays_of_two_libraries():
    import torch

    with pytest.raises(TypeError, match="x is a numpy ndarray, delta is a torch Tensor: needs arrays of one library"):
        copi.sgd_update(x, torch.ones(7, 3, dtype=torch.float64))


def test_a_target_with_one_column_is_not_broadcast():
    with pytest.raises(ValueError, match=r"target has shape \(7, 1\) but prediction has 3 units"):
        copi.quadratic(z, np.ones((7, 1)))

"""The forms of Inference Learning: against the naive loops, exactly, and what tells one from another."""

import itertools
from fractions import Fraction

import naive_credit
import numpy as np
import pytest
from compare import N, assert_close, assert_exact, draw, fractions
from networks import SIZES, lists, network, scaled

import copi_ref as copi
from copi_ref.inference_learning import BIASES, INCREMENTAL_ORDERS, ORDERS, OUTPUT_STATES, SCHEDULES

HALF = Fraction(1, 2)
FORMS = [
    copi.Form(order=order, input_activation=on_input, output_activation=at_output, biases=biases)
    for order in ORDERS
    for on_input, at_output, biases in [
        (False, "same", "none"), (True, "same", "inside"), (False, "identity", "outside"), (True, "identity", "none"),
    ]
]  # fmt: skip
ENERGY = copi.Energy(precisions=(Fraction(2), Fraction(1, 3), Fraction(3, 2)), decay=Fraction(1, 5))
by_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, vars(form).values())))


def words(form):
    return form.order, form.input_activation, form.output_activation, form.biases


def weights_of(rng, form, make=fractions, R=False):
    """A network without R (or with it), with biases where the form has a place for them, its input and states."""
    W, lateral, _, y0, _ = network(rng, make)
    b = None if form.biases == "none" else tuple(make(rng, units) for units in SIZES[1:])
    return copi.Weights(W, lateral if R else None, None, b), y0, tuple(make(rng, N, w.shape[0]) for w in W)


def parts(weights):
    return lists(weights.W), weights.R and lists(weights.R), weights.b and lists(weights.b)


@pytest.mark.parametrize("with_R", [False, True])
@by_form
def test_energy_and_inference_equal_the_loops_exactly(form, with_R, rng):
    """With precisions, decay, a γ a layer, in every order, with current and with fixed predictions."""
    weights, y0, h = weights_of(rng, form, R=with_R)
    gammas, f = (Fraction(1, 2), Fraction(1, 3), Fraction(5)), copi.leaky_relu
    settings = ENERGY.precisions, ENERGY.decay
    energies = copi.il_energy(copi.predictions(weights, y0, h, f, form), ENERGY)
    ends = {
        (schedule, prediction): copi.infer(
            weights, y0, h, f, 2, gammas, form, energy=ENERGY, schedule=schedule, prediction=prediction
        )
        for schedule, prediction in itertools.product(SCHEDULES, ("current", "fixed"))
    }
    for n in range(0, N, 3):
        at = y0[n].tolist(), [h_l[n].tolist() for h_l in h], "leaky_relu", words(form)
        assert energies[n] == naive_credit.energy_of_form(*parts(weights), *at, *settings)
        for (schedule, prediction), states in ends.items():
            fixed = prediction == "fixed"
            by_hand = naive_credit.infer_form(*parts(weights), *at, *settings, 2, gammas, schedule, fixed)
            for h_l, expected in zip(states, by_hand, strict=True):
                assert_exact(h_l[n], expected)
    different = {tuple(state[0].ravel()) for state in ends.values()}
    # From below, a layer has not seen the one above move, and with fixed predictions nothing else matters.
    assert len(different) == 5, "two layers that move, and two steps, tell all others apart"


@by_form
def test_updates_equal_the_loops_exactly(form, rng):
    weights, y0, h = weights_of(rng, form, R=True)
    settled = copi.predictions(weights, y0, h, copi.leaky_relu, form)
    dW, db = naive_credit.updates_of_form(
        *parts(weights), y0.tolist(), lists(h), "leaky_relu", words(form), ENERGY.precisions
    )
    for ours, theirs in zip(copi.il_update(settled, ENERGY), dW, strict=True):
        assert_exact(ours, theirs)
    if form.biases == "none":
        with pytest.raises(ValueError, match="biases of the form is 'none': choose one of 'inside', 'outside'"):
            copi.il_bias_update(settled)
    else:
        for ours, theirs in zip(copi.il_bias_update(settled, ENERGY), db, strict=True):
            assert_exact(ours, theirs)


@by_form
def test_inference_on_every_library(form, xp, rng):
    """tanh and a stack of two, in every library: what NumPy's Fractions can't show."""
    weights, y0, h = weights_of(rng, form, scaled, R=True)
    both = [np.stack([w, w / 2]) for w in weights.W]
    moved = {name: part and xp.asarray(part) for name, part in vars(weights).items()}
    stack = copi.Weights(**{**moved, "W": tuple(map(xp.asarray, both))})
    states = copi.infer(stack, xp.asarray(y0), tuple(map(xp.asarray, h)), copi.tanh, 2, 0.25, form)
    for member, divisor in enumerate((1, 2)):
        W = [(w / divisor).tolist() for w in weights.W]
        for n in (0, N - 1):
            by_hand = naive_credit.infer_form(
                W, *parts(weights)[1:], y0[n].tolist(), [h_l[n].tolist() for h_l in h], "tanh", words(form), (1,) * 3,
                0, 2, (0.25,) * 3, "all-at-once", False,
            )  # fmt: skip
            for h_l, expected in zip(states[:-1], by_hand, strict=False):
                assert_close(xp.numpy(h_l)[member, n], expected)


@by_form
def test_the_gradient_is_that_of_the_energy(form, rng):
    """Central differences along one random direction, with precisions and decay, of a smooth f."""
    weights, y0, h = weights_of(rng, form, scaled, R=True)
    energy, f = copi.Energy(precisions=(0.5, 3, 2), decay=0.25), copi.tanh
    gradients = copi.il_gradient(weights, copi.predictions(weights, y0, h, f, form), energy)
    for layer in range(3):
        direction, ends = draw(rng, *h[layer].shape), []
        for sign in (1, -1):
            moved = (*h[:layer], h[layer] + sign * 1e-5 * direction, *h[layer + 1 :])
            ends.append(copi.il_energy(copi.predictions(weights, y0, moved, f, form), energy))
        # The decay is of hidden layers; the output's state is in the energy by its error alone.
        slope = np.sum(gradients[layer] * direction, axis=1)
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@by_form
def test_a_forward_pass_has_no_errors(form, rng):
    weights, y0, _ = weights_of(rng, form, R=True)
    start = copi.forward_states(weights, y0, copi.relu, form)
    settled = copi.predictions(weights, y0, start, copi.relu, form)
    assert all((e == 0).all() for e in settled.errors)
    for h, moved in zip(start, copi.infer(weights, y0, start, copi.relu, 3, HALF, form), strict=True):
        assert (h == moved).all()


def test_weights_without_R_are_params_with_R_the_identity(rng):
    W, _, _, y0, _ = network(rng, fractions)
    eyes = tuple(np.array([[Fraction(int(i == j)) for j in range(k)] for i in range(k)]) for k in SIZES[:-1])
    for order in ORDERS:
        for one in zip(*(copi.forward_states(net, y0, copi.relu, order) for net in
                         (copi.Weights(W), copi.Params(W, eyes))), strict=True):  # fmt: skip
            assert (one[0] == one[1]).all()
    trace = copi.forward(copi.Params(W, eyes), y0, copi.relu)
    assert trace.y0 is y0
    assert all(
        (a == h).all() for a, h in zip(trace.a, copi.forward_states(copi.Weights(W), y0, copi.relu), strict=True)
    )


def test_where_biases_outside_are_the_same_as_inside(rng):
    """Weights after activation have no ψ: only then. With f after W they differ."""
    for order in ORDERS:
        weights, y0, h = weights_of(rng, copi.Form(order=order, biases="inside"))
        inside, outside = (
            copi.predictions(weights, y0, h, copi.relu, copi.Form(order=order, biases=name)).errors
            for name in ("inside", "outside")
        )
        same = all((one == other).all() for one, other in zip(inside, outside, strict=True))
        assert same == (order == "weights-after-activation")


# --- the output ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["activation", "linear"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_pulled_output_lowers_energy_and_loss_together(order, output, rng):
    """F + ℓ over all states: what `infer` moves along is its gradient, by central differences."""
    weights, y0, h = weights_of(rng, copi.Form(), scaled)
    form = copi.Form(order=order, output_activation="identity" if output == "linear" else "same")
    task = copi.Task(draw(rng, N, SIZES[-1]), copi.half_quadratic, copi.tanh, output=output)
    prediction = copi.tanh if output == "activation" and order == "weights-after-activation" else copi.identity

    def total(states):
        settled = copi.predictions(weights, y0, states, copi.tanh, form)
        return copi.il_energy(settled) + task.loss(prediction(states[-1]), task.target)

    moved = copi.infer(weights, y0, h, copi.tanh, 1, 1.0, form, task=task)
    for layer in range(3):
        direction, ends = draw(rng, *h[layer].shape), []
        for sign in (1, -1):
            ends.append(total((*h[:layer], h[layer] + sign * 1e-5 * direction, *h[layer + 1 :])))
        slope = np.sum((h[layer] - moved[layer]) * direction, axis=1)
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("output", ["activation", "linear", "pre-activation"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", OUTPUT_STATES)
def test_what_an_output_can_be(name, order, output, rng):
    """Each of the three in both orders and under each meaning of the prediction: it works, or is refused by name."""
    W, R, _, y0, target = network(rng, scaled)
    params, task = copi.Params(W, R), copi.Task(target, copi.half_quadratic, copi.tanh, output=output)
    method, trace = copi.InferenceLearning(3, 0.25, order, name), copi.forward(params, y0, copi.tanh)
    after = order == "weights-after-activation"
    refused = {
        "nudged": output == "pre-activation" and not after,
        "clamped": (output == "activation" and after) or (output == "pre-activation" and not after),
        "pulled": output == "pre-activation",
    }[name]
    if refused:
        with pytest.raises(ValueError, match="output is '(pre-)?activation'.*needs"):
            method(params, trace, task)
        return
    top = method(params, trace, task)[-1]
    state = trace.y[-1] if not after and output == "activation" else trace.a[-1]
    slope = copi.tanh.derivative(trace.a[-1])
    if name == "clamped":
        assert_close(top, (slope if not after and output == "activation" else 1) * (target - state))
    elif name == "nudged":
        prediction = trace.y[-1] if output == "activation" else trace.a[-1]
        assert_close(top, (1 if output == "linear" else slope) * (target - prediction))
    else:
        assert (np.sign(top) == np.sign(target - (trace.y[-1] if output == "activation" else trace.a[-1]))).mean() > 0.9


def test_a_linear_output_has_the_gradient_of_its_loss_and_the_published_one_has_not(rng):
    """δ_L = −∂ℓ/∂a_L by central differences; with "pre-activation" it is f′(a_L) times that, on purpose."""
    W, R, _, y0, target = network(rng, scaled)
    params = copi.Params(W, R)
    trace = copi.forward(params, y0, copi.tanh)
    linear, published = (
        copi.backpropagation(params, trace, copi.Task(target, copi.softmax_cross_entropy, copi.tanh, output=output))[-1]
        for output in ("linear", "pre-activation")
    )
    a = trace.a[-1]
    for i in range(a.shape[1]):
        step = 1e-5 * np.eye(a.shape[1])[i]
        slope = (copi.softmax_cross_entropy(a + step, target) - copi.softmax_cross_entropy(a - step, target)) / 2e-5
        np.testing.assert_allclose(linear[:, i], -slope, rtol=1e-6, atol=1e-9)
    assert_close(published, copi.tanh.derivative(a) * linear)


@pytest.mark.parametrize(
    "call",
    [
        lambda params, y0, states, task: copi.infer_prox(params, y0, states, task, 1, 1, 0.5),
        lambda params, y0, states, task: copi.infer_prox_to_convergence(params, y0, states, task, 1),
        lambda params, y0, states, task: copi.implicit_sgd_step(params, y0, task, 1),
        lambda params, y0, states, task: copi.infer(params, y0, states, copi.tanh, 1, 0.5, task=task),
        lambda params, y0, states, task: copi.NodePerturbation()(params, copi.forward(params, y0), task),
    ],
    ids=["prox", "prox to convergence", "implicit", "pulled", "node"],
)
def test_what_goes_by_a_loss_refuses_the_output_that_has_none(call, rng):
    W, R, _, y0, target = network(rng, scaled)
    params = copi.Params(W, R)
    task = copi.Task(target, activation=copi.tanh, output="pre-activation", rng=np.random.default_rng(0))
    states = copi.forward_states(params, y0, copi.tanh)
    with pytest.raises(ValueError, match="output is 'pre-activation', whose δ_L is the gradient of no loss: .* needs"):
        call(params, y0, states, task)


# --- incremental -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", INCREMENTAL_ORDERS)
@pytest.mark.parametrize("biases", BIASES)
def test_incremental_learning_equals_the_loops_exactly(biases, order, rng):
    form, eta, f = copi.Form(order="activation-after-weights", biases=biases), Fraction(1, 3), copi.leaky_relu
    weights, y0, h = weights_of(rng, form)
    after, states = copi.incremental_il(weights, y0, h, f, 2, HALF, eta, form, order=order)
    W, _, b = parts(weights)
    h = lists(h)

    def move(h):
        def one(y0, *h):
            return naive_credit.infer_form(
                W, None, b, y0[0], [h_l[0] for h_l in h], "leaky_relu", words(form), (1,) * 3, 0, 1, (HALF,) * 3,
                "all-at-once", False,
            )  # fmt: skip

        return naive_credit.by_sample(one, [y0.tolist()], *([h_l] for h_l in h))

    def learn(h):
        dW, db = naive_credit.updates_of_form(W, None, b, y0.tolist(), h, "leaky_relu", words(form), (1,) * 3)
        new = [[[w + eta * d for w, d in zip(*rows, strict=True)] for rows in zip(*pair, strict=True)]
               for pair in zip(W, dW, strict=True)]  # fmt: skip
        return new, b and [[v + eta * d for v, d in zip(*pair, strict=True)] for pair in zip(b, db, strict=True)]

    for _ in range(2):
        if order == "states-first":
            h = move(h)
            W, b = learn(h)
        elif order == "weights-first":
            W, b = learn(h)
            h = move(h)
        else:
            moved = move(h)
            (W, b), h = learn(h), moved
    for ours, theirs in zip((*after.W, *states, *(after.b or ())), (*W, *h, *(b or ())), strict=True):
        assert_exact(ours, theirs)
    assert after.R is None


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"form": "weights-last"}, ValueError, "form is 'weights-last': choose one of 'weights-after-activation'"),
        ({"form": copi.Form(biases="inside")}, ValueError, "biases of the form is 'inside', but the network has"),
        ({"schedule": "random"}, ValueError, "schedule is 'random': choose one of 'all-at-once', 'bottom-up'"),
        ({"prediction": "held"}, ValueError, "prediction is 'held': choose one of 'current', 'fixed'"),
        ({"gamma": (0.1, 0.2)}, ValueError, "gamma has 2 entries: needs 3 for this network"),
        ({"gamma": (0.1, 0.2, -1)}, ValueError, "gamma of layer 3 is -1: needs at least 0"),
        ({"steps": -1}, ValueError, "steps is -1: needs at least 0"),
        ({"energy": copi.Energy(precisions=(1, 2))}, ValueError, "precisions has 2 entries: needs 3"),
        ({"y0": np.ones((N, 4))}, ValueError, "W of layer 1 has shape"),
        ({"states": (np.ones((N, 4)),)}, ValueError, "states has 1 entries: needs 3"),
        ({"states": tuple(np.ones((N, k)) for k in (4, 5, 3))}, ValueError, "states of layer 2 has shape"),
    ],
)  # fmt: skip
def test_inference_refuses(change, error, message, rng):
    W, _, _, y0, _ = network(rng, scaled)
    given = {"y0": y0, "states": tuple(np.ones((N, w.shape[0])) for w in W), "steps": 1, "gamma": 0.1, **change}
    y0, states, steps, gamma = (given.pop(name) for name in ("y0", "states", "steps", "gamma"))
    with pytest.raises(error, match=message):
        copi.infer(copi.Weights(W), y0, states, copi.relu, steps, gamma, **given)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: copi.Form(order="both"), ValueError, "order is 'both': choose one of"),
        (lambda: copi.Form(input_activation="yes"), TypeError, "input_activation is 'yes': needs True or False"),
        (lambda: copi.Form(biases="b"), ValueError, "biases is 'b': choose one of 'none', 'inside', 'outside'"),
        (lambda: copi.Energy(precisions=(1, 0)), ValueError, r"precisions\[1\] is 0: needs a number above 0"),
        (lambda: copi.Energy(decay=-1), ValueError, "decay is -1: needs at least 0"),
        (lambda: copi.InferenceLearning(output_state="free"), ValueError, "output_state is 'free': choose one of"),
    ],
)
def test_settings_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_trace_without_its_input_is_named(rng):
    W, R, _, y0, target = network(rng, scaled)
    trace = copi.forward(copi.Params(W, R), y0)
    bare = copi.Trace(trace.x, trace.a, trace.y)
    with pytest.raises(ValueError, match="y0 of the trace is None: Inference Learning needs the input"):
        copi.CREDIT["il"](copi.Params(W, R), bare, copi.Task(target))

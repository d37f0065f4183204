"""A user's script, for the type checker alone: every line that ends in `# must fail` is refused, and no other."""

from fractions import Fraction
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import copi_ref as copi
from copi_ref.arrays.array import Array
from copi_ref.data import load_digits
from copi_ref.experiments.folder import FinishedRun, find_runs, read_run
from copi_ref.experiments.presets import experiment
from copi_ref.oracle import Conventions, check

rng = np.random.default_rng(0)
x: NDArray[np.float64] = rng.normal(size=(50, 4))
z, W, R = rng.normal(size=(50, 3)), rng.normal(size=(3, 4)), np.eye(4)
exact = np.array([[Fraction(1, 2)]], dtype=object)

# --- arrays go in, and arrays come out --------------------------------------------------------------------------------

assert_type(copi.copi_update(x, z, W), Array)
assert_type(copi.copi_update(exact, exact, exact), Array)
assert_type(copi.decorrelation_update(x, R, "left"), Array)
assert_type(copi.fixed_point(x, z).shape, tuple[int, ...])
W_next = W + 0.1 * copi.copi_update(x, z, W)
copi.copi_update("a", 3, None)  # must fail
copi.copi_update([[1.0, 2.0]], z, W)  # must fail
copi.sgd_update(x, 0.5)  # must fail
shape = copi.fixed_point(x).shape  # must fail
shap = copi.copi_update(x, z, W).shap  # must fail

# --- a network --------------------------------------------------------------------------------------------------------

params = copi.init_params((4, 3), rng)
trace = copi.forward(params, x)
assert_type(params.W, tuple[Array, ...])
assert_type(trace.y[0], Array)
copi.forward(params, [[1.0, 2.0, 3.0, 4.0]])  # must fail
copi.forward(W, x)  # must fail
copi.init_params((4, 3), 0)  # must fail
task = copi.Task(z, loss=copi.half_quadratic, output="pre-activation")
assert_type(copi.backpropagation(params, trace, task), tuple[Array, ...])
copi.Task(z, output="pre_activation")  # must fail
copi.Task(None)  # must fail
host: NDArray[np.float64] = np.asarray(trace.y[-1])

# --- names ------------------------------------------------------------------------------------------------------------

copi.decorrelation_update(x, R, "lef")  # must fail
copi.decorrelation_update(x, R, "none")  # must fail
copi.init_feedback("fa", (4, 3, 2), rng)
copi.init_feedback("fb", (4, 3, 2), rng)  # must fail
copi.Adam(bias_correction="none")  # must fail
copi.GaitProp(inverse="transpose")  # must fail
copi.InferenceLearning(order="activation-after-weights")
copi.InferenceLearning(order="weights-last")  # must fail
Conventions(lateral_rule="left", credit="dfa", activation="tanh", samples="columns", reduction="sum")
Conventions(lateral_rule="lef")  # must fail
Conventions(credit="tp")  # must fail
Conventions(sample="rows")  # must fail
check(object(), precision="float32", only=("copi_update",))
check(object(), precision="float63")  # must fail
check(object(), only=("copi",))  # must fail
with copi.use_backend("cupi"):  # must fail
    pass

# --- training ---------------------------------------------------------------------------------------------------------


def my_credit(params: copi.Params, trace: copi.Trace, task: copi.Task) -> tuple[Array, ...]:
    return tuple(-a for a in trace.a)


def my_rule(x: Array, R: Array) -> Array:
    dR: Array = -0.5 * (R @ (x.mT @ x))  # what arithmetic makes is Any, and takes a name for `--strict`
    return dR


recipe = copi.Recipe(eta_w=0.1, eta_r=lambda epoch: 0.1 / (1 + epoch), credit=my_credit, lateral_rule=my_rule)
copi.Recipe(eta_w=0.1, eta_r=0.1, credit="fa", lateral_rule="none", weight_rule="sgd", output="pre-activation")
copi.Recipe(eta_w=0.1, eta_r=0.1, lateral_rule=copi.Whitening(0.25), optimizer=copi.adam, dtype="float64")
named = copi.Recipe(eta_w=0.1, eta_r=0.1, activation="relu", loss="quadratic", optimizer="adam")
assert_type(named.activation, copi.Activation)
copi.forward(params, x, named.activation)
copi.Recipe(eta_w="0.1", eta_r=0.1)  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, activation="gelu")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, loss="mse")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, optimizer="sgd")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, lateral_rule="lef")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, credit="bpp")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, weight_rule="copy")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, dtype="float63")  # must fail
copi.Recipe(eta_w=0.1, eta_r=0.1, etaw=0.2)  # must fail
state = copi.init_state(recipe, (64, 10), rng)
copi.step(recipe, state, x, z)
copi.step(recipe, state, x)  # must fail
result = copi.fit(recipe, state, load_digits(), epochs=1)
assert_type(result.state.epoch, int)
assert_type(copi.predict(recipe, state.params, x), Array)
assert_type(copi.scores(recipe, state.params, x), Array)
copi.predict(recipe, state, x)  # must fail
copi.predict(state.params, recipe, x)  # must fail
copi.fit(recipe, state, load_digits(), epochs=1, progress=True)
copi.fit(recipe, state, (x, z), epochs=1)  # must fail
copi.fit(recipe, params, load_digits(), epochs=1)  # must fail
copi.fit(recipe, state, load_digits(), epochs="1")  # must fail

# --- experiments ------------------------------------------------------------------------------------------------------

assert_type(find_runs("results"), list[FinishedRun])
run = read_run(Path("results") / "copi-bp" / "seed-0")
assert_type(run.recipe, copi.Recipe)
assert_type(copi.predict(run.recipe, run.params, x), Array)
read_run("results/copi-bp/seed-0")
experiment("tmlr", "copi-bp", "mnist")
experiment("tmlrr", "copi-bp", "mnist")  # must fail

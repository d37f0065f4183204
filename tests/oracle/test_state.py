"""State that leaks between calls: what is said of it, and that the code to reproduce a failure does so."""

import importlib
import re
import sys
import threading
import types
from functools import lru_cache, partial

import numpy as np
import pytest
import stateful
from implementations import wrong
from mutants import plain

from copi_ref import oracle
from copi_ref.oracle import FUNCTIONS, VARIANTS, Conventions

check = partial(oracle.check, xp=np)

KEPT = {
    "MovingPower": "E[x²] is 0.9 of the earlier + 0.1 of this call's",
    "MomentumOfR": "0.9 times the last ΔR is added (momentum)",
    "MomentumOfSteps": "0.9 times the last ΔW is added (momentum)",
    "CachedProduct": "W and R of an earlier call are used",
    "ProductByLayer": "in the forward pass the product W R of an earlier call is used",
    "StaleRows": "rows of an earlier, larger batch are still there",
    "FrozenN": "N is that of an earlier call; right in a new object, wrong after a call with N = 4",
    "FrozenRates": "eta_w and eta_r of an earlier call are used",
    "RunningC": "E[x xᵀ] is 0.95 of the earlier + 0.05 of this call's",
    "KeptBias": "something is added to a, the same for all samples of a batch (a bias?)",
    "MaskChangedInPlace": "ΔR has the factor 0.5 then",
    "EveryFifth": "right in a new object, wrong after 4 calls with the same arguments",
    "FirstWeights": "W of an earlier call is used",
    "FirstShapes": "wrong after a call with N = 1: raised ValueError",
    "LastTrace": "target of an earlier call is used",
    "StepAfterForward": "right in a new object, wrong after a call of forward",
    "ProductOfForward": "right in a new object, wrong after a call of forward",
}


@pytest.mark.parametrize("kind", stateful.STATEFUL, ids=lambda kind: kind.__name__)
def test_what_is_kept_is_said(kind):
    report = check(kind())
    assert report.variant == "state-leak"
    if kind is not stateful.SharedBuffer:
        assert "state is kept from call to call" in report.diagnosis
        assert KEPT[kind.__name__] in report.diagnosis


def of_closures(kind):
    """The same as functions that share what they enclose."""
    enclosed = kind()

    def method(name):
        return lambda *arguments: getattr(enclosed, name)(*arguments)

    return types.SimpleNamespace(**{name: method(name) for name in FUNCTIONS if hasattr(enclosed, name)})


@pytest.mark.parametrize("kind", KEPT)
def test_functions_are_copied_with_what_they_enclose(kind):
    assert KEPT[kind] in check(of_closures(getattr(stateful, kind))).diagnosis


def in_a_class(kind):
    """The same with its state behind a class, which all copies share."""
    enclosed = kind()
    names = {name: staticmethod(getattr(enclosed, name)) for name in FUNCTIONS if hasattr(kind, name)}
    return type(kind.__name__, (), names)()


@pytest.mark.parametrize(
    "kind", ["MomentumOfR", "FrozenN", "FirstWeights", "RunningC", "FrozenRates", "MaskChangedInPlace"]
)
def test_state_that_all_copies_share_is_found_and_reproduced(kind):
    made = partial(in_a_class, getattr(stateful, kind))
    report = check(made())
    assert "state is kept from call to call" in report.diagnosis
    assert "it is so in a new object too: it is kept in a module, a class or a closure" in report.diagnosis
    element, expected = run(report.reproducer, made())
    assert abs(element - expected) > 1e-9 * abs(expected)


def test_a_mistake_is_named_beside_the_state():
    class Both(stateful.MomentumOfR):
        def decorrelation_update(self, x, R):
            self.velocity[R.shape] = 0.9 * self.velocity.get(R.shape, 0) - R @ (x.T @ x / len(x))
            return self.velocity[R.shape]

    report = check(Both())
    assert report.variant == "lateral-diagonal + state-leak"
    assert "besides, state is kept from call to call" in report.diagnosis
    element, expected = run(report.reproducer, Both())
    assert element != expected


def test_what_wrong_calls_have_in_common_is_said():
    assert "wrong are calls with another N than the first" in check(stateful.FrozenN()).diagnosis
    shapes = "wrong are calls whose layers have the shapes of an earlier call's"
    assert shapes in check(stateful.FirstWeights()).diagnosis


# --- reproducers ------------------------------------------------------------------------------------------------------


def printed_element(printed, quantity, index):
    """The element that a comment in a reproducer is about."""
    symbol, _, layer = quantity.removeprefix("new ").partition(" of layer ")
    if not layer:
        return printed[index]
    if isinstance(printed, tuple):
        printed = printed["xay".index(symbol) if symbol in "xay" else "WR".index(symbol)]
    return printed[int(layer) - 1][index]


def run(code, implementation):
    """Run it, and return what it printed at the element that it names, and what has to be there."""
    printed = []
    exec(code, {"implementation": implementation, "print": printed.append})
    found = re.search(r"^# (.+?)(\[[\d, ]+\]) is (\S+), has to be (\S+?):", code, re.MULTILINE)
    quantity, index, actual, expected = found.groups()
    element = float(printed_element(printed[-1], quantity, tuple(map(int, index[1:-1].split(", ")))))
    assert element == pytest.approx(float(actual), rel=1e-12)
    return element, float(expected)


COMPARABLE = [kind for kind in stateful.STATEFUL if kind not in (stateful.FirstShapes, stateful.SharedBuffer)]


@pytest.mark.parametrize("kind", COMPARABLE, ids=lambda kind: kind.__name__)
def test_the_reproducer_of_state_reproduces(kind):
    code = check(kind()).reproducer
    assert "# State is kept from call to call: make a new `implementation`. What comes first:" in code
    element, expected = run(code, kind())
    assert abs(element - expected) > 1e-9 * abs(expected)


@pytest.mark.parametrize(
    "name",
    [
        "weight-n-minus-1", "weight-decay-by-output", "sgd-sign", "lateral-diagonal", "lateral-R-transposed",
        "forward-R-transposed", "forward-a-from-y", "delta-no-R", "delta-no-slope-at-output", "step-updated-on-the-way",
        "step-subtracted", "step-sgd",
    ],
)  # fmt: skip
def test_the_reproducer_of_a_mistake_without_state_reproduces(name):
    implementation = wrong(VARIANTS[name], Conventions())
    for result in check(implementation).results:
        if result.status == "failed":
            assert "State is kept" not in result.reproducer
            element, expected = run(result.reproducer, implementation)
            assert abs(element - expected) > 1e-9 * abs(expected)


def test_the_reproducer_of_what_raises_raises():
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        exec(check(stateful.FirstShapes()).reproducer, {"implementation": stateful.FirstShapes(), "print": str})


def test_the_reproducer_of_memory_that_is_used_again_shows_both_calls():
    report = check(stateful.SharedBuffer())
    assert "a later call overwrites what an earlier returned" in report.diagnosis
    shown = []
    exec(report.reproducer, {"implementation": stateful.SharedBuffer(), "print": lambda array: shown.append(array * 1)})
    assert len(shown) == 2
    assert not np.array_equal(*shown)


def test_samples_in_columns_are_shown_where_they_are():
    class InColumns:
        def forward(self, W, R, y0):
            x, a, y = plain.forward(W, R, y0.T)
            a[0] = a[0] * np.where(np.arange(len(a[0])) == 0, 2, 1)[:, None]
            return tuple([one.T for one in part] for part in (x, a, y))

    report = check(InColumns(), conventions=Conventions(samples="columns"))
    element, expected = run(report.reproducer, InColumns())
    assert element == 2 * expected


def test_a_step_shows_the_new_weight():
    report = check(wrong(VARIANTS["step-subtracted"], Conventions()), only=("step",))
    assert re.search(r"# new W of layer \d\[\d, \d\] is \S+, has to be \S+: Alg. 1", report.reproducer)
    assert "(new W − W)/eta_w is" in report.reproducer
    assert "; the new W of layer" in report.summary()


def test_the_smallest_failing_case_is_shown():
    report = check(wrong(VARIANTS["lateral-diagonal"], Conventions()))
    assert report.reproducer.count(".") < 25
    assert "On the case 'one input'" in report.summary()


# --- where no copy helps ----------------------------------------------------------------------------------------------


def momentum():
    """State in a closure: a copy of the object shares it."""
    velocity = {}

    class Closure:
        def sgd_update(self, x, delta):
            now = plain.sgd_update(x, delta)
            velocity[now.shape] = now + 0.75 * velocity.get(now.shape, 0 * now)
            return velocity[now.shape]

    return Closure()


def test_state_in_a_closure_is_no_chance():
    report = check(momentum())
    assert report.variant == "state-leak"
    assert "state is kept from call to call" in report.diagnosis


def test_chance_is_told_from_state():
    class Random:
        def sgd_update(self, x, delta):
            return plain.sgd_update(x, delta) + np.random.default_rng().normal()

    assert "not deterministic: two calls with the same arguments" in check(Random()).diagnosis


def test_what_has_no_state_has_another_name():
    class SlopeAtMean:
        def perturbations(self, W, R, x, a, y, target):
            return plain.perturbations(W, R, x, [one * 0 + one.mean(axis=0) for one in a], y, target)

    assert "call" not in check(SlopeAtMean()).diagnosis


# --- modules, and what can't be copied --------------------------------------------------------------------------------

MODULE = """
import numpy as np
last = {}
def sgd_update(x, delta):
    now = delta.T @ x / len(x)
    last[now.shape] = now + 0.5 * last.get(now.shape, 0)
    return last[now.shape]
class InClass:
    @staticmethod
    def sgd_update(x, delta):
        return sgd_update(x, delta)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "with_momentum.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("with_momentum")
    sys.modules.pop("with_momentum", None)


def test_a_module_is_loaded_anew(module):
    report = check(module)
    assert "0.5 times the last ΔW is added (momentum); right in a module loaded anew" in report.diagnosis
    assert sys.modules["with_momentum"] is module


def test_so_is_that_of_a_class(module):
    assert "right in a class from a module loaded anew" in check(module.InClass).diagnosis


def test_a_module_that_checks_itself_ends(tmp_path, monkeypatch):
    itself = "import sys\nfrom copi_ref.oracle import check\nreport = check(sys.modules[__name__])\n"
    (tmp_path / "checks_itself.py").write_text(MODULE + itself)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert importlib.import_module("checks_itself").report.variant == "state-leak"
    finally:
        sys.modules.pop("checks_itself", None)


class WithLock:
    """Can't be copied."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = (number for number in range(10))

    def sgd_update(self, x, delta):
        with self.lock:
            return plain.sgd_update(x, delta)


class AnswersToEveryName:
    """Copies of it are anything."""

    def __getattr__(self, name):
        return getattr(plain, name, lambda *arguments: 0)


class MasksByShape:
    """A cache that is right: what is kept depends on nothing but the shape."""

    def __init__(self):
        self.masks = {}

    def decorrelation_update(self, x, R):
        mask = self.masks.setdefault(len(R), 1 - np.eye(len(R)))
        return -R @ (x.T @ x / len(x) * mask)


@lru_cache
def off_diagonal(size):
    return 1 - np.eye(size)


class Cached:
    def decorrelation_update(self, x, R):
        return -R @ (x.T @ x / len(x) * off_diagonal(len(R)))


class NewEachTime:
    """An adapter that makes its layers at each call, and keeps the last ones."""

    def forward(self, W, R, y0):
        self.layers = plain.forward(W, R, y0)
        return self.layers


@pytest.mark.parametrize("kind", [WithLock, AnswersToEveryName, MasksByShape, Cached, NewEachTime])
def test_what_is_right_stays_right(kind):
    check(kind()).raise_if_failed()


def test_state_that_can_not_be_copied_is_found_by_what_it_does():
    class Locked(stateful.FirstWeights):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    report = check(Locked())
    assert report.variant == "state-leak"
    assert "W of an earlier call is used; no new copy could be made to try it on" in report.diagnosis


@pytest.mark.needs("torch")
def test_modules_of_torch_are_copied():
    import torch

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("velocity", torch.zeros(()))

        def sgd_update(self, x, delta):
            now = delta.mT @ x / len(x)
            last = self.velocity if self.velocity.shape == now.shape else 0
            self.velocity = now + 0.5 * last
            return self.velocity.clone()

    report = oracle.check(Layer(), precision="float32", xp=torch)
    assert "0.5 times the last ΔW is added (momentum)" in report.diagnosis
    exec(report.reproducer, {"implementation": Layer()})


# --- stubs ------------------------------------------------------------------------------------------------------------


class Stubs:
    sgd_update = staticmethod(plain.sgd_update)

    def copi_update(self, x, z, W):
        raise NotImplementedError

    def forward(self, W, R, y0):
        if len(W) > 1:
            raise NotImplementedError("one layer for now")
        return plain.forward(W, R, y0)


def test_a_stub_is_not_implemented():
    report = check(Stubs())
    statuses = {result.check: result.status for result in report.results}
    assert statuses["copi_update"] == "not implemented"
    assert statuses["sgd_update"] == "passed"
    assert statuses["forward"] == "failed", "it is there"
    assert "asked for, but did not run: copi_update" in check(Stubs(), only=("copi_update",)).diagnosis

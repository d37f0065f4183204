"""Junk for every argument of every public callable: what `tests/project/test_fuzz.py` and `benchmarks/fuzz.py` share.

Callables are found, not listed: functions, classes and their methods, records that are called, and tables. What an
argument takes is known by its name, so that a new function is in it at once, or `callables` says what it lacks.
"""

import importlib
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from io import StringIO
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import copi_ref as copi
from copi_ref.analysis import compression
from copi_ref.data import DataError
from copi_ref.training.checkpoint import CheckpointError
from copi_ref.training.epoch import Begun

MODULES = (
    "copi_ref",
    "copi_ref.data",
    "copi_ref.inference_learning",
    "copi_ref.analysis.diagnostics",
    "copi_ref.analysis.linear_maps",
    "copi_ref.analysis.receptive_fields",
    "copi_ref.analysis.spectrum",
    "copi_ref.analysis.whitening",
    "copi_ref.analysis.compression",
    "copi_ref.training.checkpoint",
)

# Records hold what they are given: what uses them looks at it. Their own arguments are no place for junk.
RECORDS = (
    *("Params", "Trace", "Fused", "Weights", "Settled", "State", "Task", "FitResult", "Evaluation"),
    *("Checkpoint", "Responses"),
)
ERRORS = tuple(
    name
    for name in copi.__all__
    if isinstance(getattr(copi, name), type) and issubclass(getattr(copi, name), Exception)
)
DOCUMENTED = (TypeError, ValueError, *(getattr(copi, name) for name in ERRORS))

N, SIZES = 5, (3, 4, 2)
NO_FILE = "no/such/file"


def numbers(*shape: int, of: int = 0) -> Any:
    return np.random.default_rng([of, *shape]).normal(size=shape)


def targets() -> Any:
    return np.eye(SIZES[-1])[np.arange(N) % SIZES[-1]]


def network(sizes: tuple[int, ...] = SIZES) -> copi.Params:
    return copi.init_params(sizes, np.random.default_rng(0), "float64")


def recipe(**changed: Any) -> copi.Recipe:
    return copi.Recipe(**{"eta_w": 0.01, "eta_r": 0.01, "dtype": "float64", "batch_size": N, **changed})


def state(**changed: Any) -> copi.State:
    return copi.init_state(recipe(**changed), SIZES, np.random.default_rng(0))


def states() -> tuple[Any, ...]:
    return copi.forward_states(network(), numbers(N, 3), copi.tanh)


def settled() -> copi.Settled:
    return copi.predictions(network(), numbers(N, 3), tuple(h + 0.1 for h in states()), copi.tanh)


def dataset() -> copi.Dataset:
    labels = np.arange(N) % SIZES[-1]
    return copi.Dataset(numbers(N, 3), labels, numbers(N, 3, of=1), labels)


def task() -> copi.Task:
    return copi.Task(targets(), activation=copi.tanh, feedback=(numbers(4, 2),), rng=np.random.default_rng(0))


TAKES: dict[str, Callable[[], Any]] = {
    # equations
    **dict.fromkeys(("x", "inputs"), lambda: numbers(N, 3)),
    "z": lambda: numbers(N, 2),
    "y": lambda: numbers(N, 2),
    "a": lambda: numbers(N, 2),
    "delta": lambda: numbers(N, 2),
    "reference": lambda: numbers(N, 2, of=1),
    "prediction": lambda: numbers(N, 2),
    "target": targets,
    **dict.fromkeys(("W", "M", "update"), lambda: numbers(2, 3)),
    "R": lambda: np.eye(3) + 0.1 * numbers(3, 3),
    "C": lambda: np.diag([1.0, 2.0, 3.0]),
    "covariance": lambda: np.diag([1.0, 2.0, 3.0]),
    "zx": lambda: numbers(2, 3),
    "yx": lambda: numbers(2, 3),
    "power": lambda: numbers(3) ** 2,
    "x_power": lambda: numbers(3) ** 2,
    "y_power": lambda: numbers(2) ** 2,
    "rule": lambda: "left",
    "exponent": lambda: 0.5,
    # settings
    **dict.fromkeys(
        ("kappa", "share", "epsilon", "eta", "eta_b", "alpha", "gamma", "momentum", "beta", "beta1", "beta2", "rate"),
        lambda: 0.1,
    ),
    **dict.fromkeys(("sigma", "slope", "decay", "factor", "tolerance"), lambda: 0.1),
    **dict.fromkeys(("gamma_top", "gamma_bot", "centring", "weight_decay", "error_scale"), lambda: 0.1),
    **dict.fromkeys(("eta_w", "eta_r"), lambda: 0.01),
    **dict.fromkeys(("steps", "epochs", "lateral_only_epochs", "lateral_every"), lambda: 1),
    **dict.fromkeys(("batch_size", "samples", "count", "removed", "layers"), lambda: 1),
    "held_out": lambda: 2,
    "classes": lambda: 3,
    "run": lambda: {"seed": 0},
    "index": lambda: 0,
    "magic": lambda: 0x801,
    "precisions": lambda: (1.0, 2.0),
    "sizes": lambda: SIZES,
    "rng": lambda: np.random.default_rng(0),
    "dtype": lambda: "float64",
    "xp": lambda: np,
    "name": lambda: "numpy",
    "method": lambda: "fa",
    "bias_correction": lambda: "power",
    "inverse": lambda: "pseudo-inverse",
    "order": lambda: "weights-after-activation",
    "output_state": lambda: "nudged",
    "output_activation": lambda: "same",
    "biases": lambda: "none",
    "input_activation": lambda: False,
    "progress": lambda: False,
    "schedule": lambda: "all-at-once",
    "measure": lambda: "correlation",
    "formula": lambda: "diagonal",
    "output": lambda: "activation",
    "loss": lambda: copi.quadratic,
    "optimizer": lambda: copi.plain,
    "credit": lambda: "bp",
    "weight_rule": lambda: "copi",
    "lateral_rule": lambda: "left",
    "lateral_gain": lambda: "none",
    # functions
    **dict.fromkeys(("f", "phi", "psi", "activation"), lambda: copi.tanh),
    **dict.fromkeys(("f_prime", "f_inverse", "value", "descent"), lambda: lambda a, xp: a),
    "rational": lambda: False,
    **dict.fromkeys(("callback", "after_batch"), lambda: lambda state, row: None),
    "diagnostics": lambda: lambda recipe, state, samples: {},
    # records
    "params": network,
    "network": network,
    "fused": lambda: copi.fuse(network()),
    "trace": lambda: copi.forward(network(), numbers(N, 3), copi.tanh),
    "task": task,
    "recipe": recipe,
    "state": state,
    "like": state,
    "states": states,
    "errors": states,
    "y0": lambda: numbers(N, 3),
    "settled": settled,
    "energy": copi.Energy,
    "form": copi.Form,
    "dataset": dataset,
    "begun": lambda: Begun(state().rng_state, 0),
    "feedback": lambda: (numbers(4, 2),),
    # data
    **dict.fromkeys(("x_train", "x_test"), lambda: numbers(N, 3)),
    **dict.fromkeys(("y_train", "y_test"), lambda: np.arange(N) % 2),
    **dict.fromkeys(("path", "folder", "data_dir"), lambda: NO_FILE),
}

# Where a name takes something else than everywhere.
ELSEWHERE: dict[str, dict[str, Callable[[], Any]]] = {
    "preserving_gain": {"y": lambda: numbers(N, 3)},
    "LATERAL_GAINS['power']": {"y": lambda: numbers(N, 3)},
    "LATERAL_GAINS['norms']": {"y": lambda: numbers(N, 3)},
    "NormGain()": {"y": lambda: numbers(N, 3)},
    "stack": {"states": lambda: [state(), state()]},
    "member": {"state": lambda: copi.stack([state(), state()])},
    "il_bias_update": {
        "settled": lambda: copi.predictions(
            copi.Weights(network().W, b=(numbers(4), numbers(2))), numbers(N, 3), states(), copi.tanh,
            copi.Form(biases="inside"),
        )
    },
    "incremental_il": {"order": lambda: "states-first"},
    "infer": {"prediction": lambda: "current"},
    "layer_diagnostics": {"samples": lambda: (numbers(N, 3), targets())},
    "responses": {"params": lambda: network((3, 4, 4, 2))},
    "compress": {
        "params": lambda: network((3, 4, 4, 2)),
        "responses": lambda: compression.responses(network((3, 4, 4, 2)), numbers(N, 3), copi.tanh),
    },
    "split": {"x": lambda: numbers(N, 3), "y": lambda: np.arange(N) % 2},
    "load_named": {"name": lambda: "x.npz"},
    "Activation": {
        "name": lambda: "mine", "f": lambda: lambda a, xp: a, "f_inverse": lambda: None, "slope": lambda: None,
    },
    "Loss": {"name": lambda: "mine"},
    "Task": {"rng": lambda: None},
    "Recipe": {"states": lambda: "forward"},
    "pull_energy": {"states": lambda: states()[-1:], "psi": lambda: copi.identity},
    "pull_gradient": {"states": lambda: states()[-1:], "psi": lambda: copi.identity},
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A public callable and what its arguments take."""

    label: str
    call: Callable[..., Any]
    takes: dict[str, Callable[[], Any]]

    @cached_property
    def valid(self) -> dict[str, Any]:
        """Arguments that it takes, made once: no call may change them."""
        return {name: take() for name, take in self.takes.items()}

    @cached_property
    def places(self) -> list["Place"]:
        """Where junk goes: the arguments, and what is in those that are records or tuples."""
        return [place for name, value in self.valid.items() for place in ((name,), *_within((name,), value))]

    def __str__(self) -> str:
        return self.label


def callables() -> list[Target]:
    """Return all public callables.

    Raises:
        LookupError: an argument of one of them has a name that `TAKES` does not know.
    """
    found: dict[Any, Target] = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", None) or _defined(module):
            for label, thing in _callables(name, getattr(module, name)):
                found.setdefault(_same(thing), _target(label, thing))
    return list(found.values())


def _same(thing: Any) -> Any:
    """What two names of one callable have in common: `adam` is `OPTIMIZERS["adam"]`, and ``Adam()`` the same code."""
    if not hasattr(thing, "__self__"):
        return thing
    owner = thing.__self__
    return thing.__func__, owner.name if isinstance(owner, copi.Activation | copi.Loss) else type(owner)


def _defined(module: Any) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and callable(thing) and getattr(thing, "__module__", "") == module.__name__
    ]


def _callables(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, dict):  # a table; what stands in LATERAL_RULES is called by decorrelation_update
        for key, entry in thing.items():
            if not inspect.isfunction(entry) or entry.__name__[0] not in "<_":
                yield from _callables(f"{name}[{key!r}]", entry)
    elif isinstance(thing, type):
        if issubclass(thing, Exception) or (name in RECORDS and thing is not copi.Task):
            return
        yield name, thing
        if is_dataclass(thing) and name not in ("Activation", "Loss", "Recipe", "Task", "Dataset"):
            yield from _methods(f"{name}()", TAKES["energy"]() if thing is copi.Energy else thing())
    elif inspect.isfunction(thing):
        yield name, thing
    elif is_dataclass(thing):
        yield from _methods(name, thing)


def _methods(label: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if callable(thing):
        yield label, thing.__call__
    for kind in type(thing).__mro__[:-1]:
        for name, method in vars(kind).items():
            lacks = isinstance(thing, copi.Activation) and name == "inverse" and thing.f_inverse is None
            if inspect.isfunction(method) and not name.startswith("_") and not lacks:
                yield f"{label}.{name}", getattr(thing, name)


def _target(label: str, thing: Any) -> Target:
    own = ELSEWHERE.get(label, {}) | ELSEWHERE.get(label.rpartition(".")[2], {})
    if hasattr(thing, "__self__") and hasattr(thing.__self__, "init"):
        own = {"memory": lambda: thing.__self__.init(numbers(2, 3)), **own}
    takes = {}
    for name in inspect.signature(thing).parameters:
        if name not in own and name not in TAKES:
            raise LookupError(f"{label} has the argument {name!r}: tests/fuzzing.py does not know what it takes")
        takes[name] = own.get(name) or TAKES[name]
    return Target(label, thing, takes)


CALLABLES = callables()


# --- junk -------------------------------------------------------------------------------------------------------------


class Plain(np.ndarray):
    """A subclass that behaves, as memmaps do."""


TAKEN_FOR_OTHERS = {
    "masked": lambda a: np.ma.masked_array(a, mask=np.zeros(a.shape, bool)),
    "masked out": lambda a: np.ma.masked_array(a, mask=np.arange(a.size).reshape(a.shape) % 2 == 0),
    "integers": lambda a: a.astype(np.int64),
    "bytes": lambda a: a.astype(np.uint8),
    "booleans": lambda a: a > 0,
    "complex": lambda a: a + 0j,
    "matrix": lambda a: np.asmatrix(a.reshape(a.shape[0], -1) if a.ndim else a),
    "text": lambda a: a.astype(str),
    "objects": lambda a: a.astype(object),
    "times": lambda a: a.astype(np.int64).astype("timedelta64[s]"),
    "fields": lambda a: a.astype([("u", "f8")]),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
}
"""Arrays that no argument for samples or weights may take."""

ODD = {
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "long double": lambda a: a.astype(np.longdouble),
    "nothing": lambda a: a[:0],
    "one axis less": lambda a: a[0] if a.ndim else a,
    "one axis more": lambda a: a[None],
    "an ensemble": lambda a: np.stack([a, a]),
    "no axes": lambda a: a.reshape(-1)[:1].reshape(()),
    "a column less": lambda a: a[..., :-1] if a.ndim else a,
    "transposed": lambda a: a.T,
    "NaN": lambda a: a * np.nan,
    "infinite": lambda a: a * np.inf,
    "huge": lambda a: a * 1e300,
    "tiny": lambda a: a * 1e-300,
    "zero": lambda a: a * 0,
    "read-only": lambda a: _read_only(a),
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2] if a.ndim else a,
    "Fortran": np.asfortranarray,
    "a subclass": lambda a: a.view(Plain),
    "a rate as a matrix": lambda a: np.asmatrix([[0.5]]),
    "Fractions": lambda a: np.vectorize(Fraction, otypes=[object])(np.round(a, 2)) if a.size else a,
}
"""Arrays that some arguments take."""


def _read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


@dataclass(frozen=True)
class Junk:
    """Something to put in the place of an argument: `make` gets what belongs there."""

    kind: str
    make: Callable[[Any], Any]

    def __repr__(self) -> str:
        return self.kind


def _of_array(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # NumPy's warnings of a cast are not what is tested
    def make(valid: Any) -> Any:
        with np.errstate(all="ignore"):
            return change(valid if isinstance(valid, np.ndarray) else numbers(2, 3))

    return make


ARRAYS = [Junk(kind, _of_array(change)) for kind, change in {**TAKEN_FOR_OTHERS, **ODD}.items()]
OTHER_THINGS = {
    "None": None,
    "a class": copi.Params,
    "a function": len,
    "a module": np,
    "an object": object(),
    "a set": {1.0},
    "a dict": {"W": 1},
    "an empty tuple": (),
    "an empty list": [],
    "a tuple of None": (None, None),
    "a date": date(2020, 1, 1),
    "np.datetime64": np.datetime64("2020-01-01"),
    "np.timedelta64": np.timedelta64(3, "s"),
    "np.bool_": np.bool_(True),
    "np.float32": np.float32(0.5),
    "masked constant": np.ma.masked,
    "a Decimal": Decimal("0.5"),
    "10**400": 10**400,
    "-10**400": -(10**400),
    "10**5000": 10**5000,
    "a huge Fraction": Fraction(10**400),
    "rates": np.full((2, 1, 1), 0.5),
    "rates of bool": np.full((2, 1, 1), True),
    "masked rates": np.ma.masked_array(np.full((2, 1, 1), 0.5)),
    "an Energy": copi.Energy(),
    "a Form": copi.Form(),
    "relu": copi.relu,
    "adam": copi.adam,
}
RECORDS_AS_JUNK = {
    "Params": network, "a Trace": TAKES["trace"], "a Task": task, "a State": state, "a Recipe": recipe,
    "a Dataset": dataset, "a Settled": settled, "a Fused": TAKES["fused"], "a generator": TAKES["rng"],
}  # fmt: skip


def _constant(value: Any) -> Junk:
    return Junk(repr(value)[:40], lambda valid: value)


def junk() -> st.SearchStrategy[Junk]:
    """Anything: arrays of every kind made of what belongs there, numbers, text, records in the place of others."""
    things = [Junk(kind, lambda valid, value=value: value) for kind, value in OTHER_THINGS.items()]
    records = [Junk(kind, lambda valid, make=make: make()) for kind, make in RECORDS_AS_JUNK.items()]
    values = st.one_of(
        st.sampled_from([True, False, -1, 0, 1, 2, 3, 2**64]),
        st.sampled_from([0.0, -1.0, 0.5, 1.0, 1e300, float("inf"), float("nan"), -0.0, 1e-300]),
        st.fractions(-2, 2, max_denominator=9),
        st.complex_numbers(max_magnitude=2),
        st.text(max_size=4),
        st.binary(max_size=4),
        st.lists(st.floats(-2, 2), max_size=3),
        st.tuples(st.integers(0, 3), st.floats(-1, 1)),
    ).map(_constant)
    return st.one_of(st.sampled_from(ARRAYS), st.sampled_from(things), st.sampled_from(records), values)


# --- a call, and what to say of it ------------------------------------------------------------------------------------

Place = tuple[Any, ...]
"""Where junk goes: an argument, or a field or entry of what an argument holds: ``("params", "W", 0)``."""


OPEN = (copi.Params, copi.Weights, copi.Fused, copi.Trace, tuple)


def _within(place: Place, value: Any) -> Iterator[Place]:
    if isinstance(value, OPEN) and not hasattr(value, "_fields"):
        entries = (
            enumerate(value) if isinstance(value, tuple) else ((f.name, getattr(value, f.name)) for f in fields(value))
        )
        for name, entry in entries:
            yield (*place, name)
            yield from _within((*place, name), entry)


def put(value: Any, place: Place, made: Junk) -> Any:
    """Return a value with junk at a place in it."""
    if not place:
        return made.make(value)
    first, *rest = place
    if isinstance(value, tuple):
        return (*value[:first], put(value[first], tuple(rest), made), *value[first + 1 :])
    return replace(value, **{first: put(getattr(value, first), tuple(rest), made)})


def flat(value: Any) -> Any:
    """Return a value as something that can be compared: arrays as their bytes, what can't be changed as itself."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tolist() if value.dtype.hasobject else np.asarray(value).tobytes()
    if isinstance(value, (tuple, list)):
        return [flat(one) for one in value]
    if is_dataclass(value) and not isinstance(value, (type, copi.Activation, copi.Loss)):
        return [flat(getattr(value, field.name)) for field in fields(value)]
    return list(value.items()) if isinstance(value, dict) else id(value)


ACCEPTED, REFUSED = "accepted", "refused"


def attempt(target: Target, place: Place, made: Junk) -> tuple[str, str]:
    """Call with junk at a place, and return what came of it: accepted, refused or a kind of failure; and the error."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        arguments = dict(target.valid)
        arguments[place[0]] = put(arguments[place[0]], place[1:], made)
        before = flat(tuple(arguments.values()))
        valid = _at(target.valid[place[0]], place[1:])
        theirs = callable(valid) and callable(
            _at(arguments[place[0]], place[1:])
        )  # another function has its own errors
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            result = target.call(**arguments)
            with result if target.label == "use_backend" else nullcontext():
                pass
        except DOCUMENTED as error:
            outcome, message = REFUSED, f"{type(error).__name__}: {error}"
            if isinstance(error, (DataError, CheckpointError)) and str(error).startswith((NO_FILE, "x.npz")):
                outcome = ACCEPTED  # all but the file
            elif not theirs and not _names(error, target, place) and not isinstance(error, np.linalg.LinAlgError):
                outcome = "refused without a name"
        except IndexError as error:
            outcome, message = (REFUSED if "index" in str(error) else "IndexError"), str(error)
        except Exception as error:
            outcome, message = type(error).__name__, str(error)
        else:
            outcome, message = ACCEPTED, ""
            if made.kind in TAKEN_FOR_OTHERS and isinstance(valid, np.ndarray) and _is_read(target, place):
                outcome = f"took {made.kind}"
        if flat(tuple(arguments.values())) != before:
            outcome = "changed an argument"
        return outcome, f"{target}, {made} at {'.'.join(map(str, place))}: {message}"


def drawn(count: int, by: int | None = None) -> list[Junk]:
    """Return so much junk, drawn once for all callables, as drawing takes longer than a call; `by` is a seed."""
    found: list[Junk] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(junk())
    def collect(one: Junk) -> None:
        found.append(one)

    (collect if by is None else seed(by)(collect))()
    return found


ALWAYS = [one for one in ARRAYS if one.kind in TAKEN_FOR_OTHERS]
ALWAYS += map(_constant, (None, 0.5, "text", np.bool_(True), 10**400))
"""What every argument gets, besides what is drawn."""


def failures(target: Target, draws: list[Junk]) -> list[tuple[str, str]]:
    """Return what goes wrong: every argument gets all of `ALWAYS`, and each draw goes to one place after the other."""
    chosen = [((name,), one) for name in target.valid for one in ALWAYS]
    if target.places:
        chosen += [(target.places[at % len(target.places)], one) for at, one in enumerate(draws)]
    found = (attempt(target, place, one) for place, one in chosen)
    return [one for one in found if one[0] not in (ACCEPTED, REFUSED)]


def _at(value: Any, place: Place) -> Any:
    for one in place:
        value = value[one] if isinstance(value, tuple) else getattr(value, one)
    return value


def _is_read(target: Target, place: Place) -> bool:
    """Whether samples or weights at a place are calculated with; of a network and a trace each method reads a part."""
    labels = place[0] in ("y_train", "y_test") or (target.label, place[0]) == ("split", "y")
    return not labels and place[0] not in ("trace", "params") and target.label not in RECORDS


TEXTS = ("path", "folder", "data_dir", "name")


def _names(error: Exception, target: Target, place: Place) -> bool:
    """Whether a message names an argument or a part of it: “x is …”, “W of layer 1 has …”, “sizes[0] is …”, “x_test …”.

    Errors of files and backends name these, what has an entry for each layer needs as many as W has, and where a
    function is not rational its name is what matters: all of its arrays are exact.
    """
    message = str(error)
    if place[0] in TEXTS and isinstance(error, (DataError, CheckpointError, copi.BackendError)):
        return True
    if message.endswith("for this network") or "is not rational" in message:
        return True
    words = {*target.takes, *(one for one in place if isinstance(one, str))}
    words |= {f"{place[0]}_{part}" for part in ("train", "test")}  # what `split` makes of it, and `Dataset` looks at
    if is_dataclass(target.valid[place[0]]):
        words |= {field.name for field in fields(target.valid[place[0]])}
    said = (
        rf"(?<![\w.])({'|'.join(words)})(?:_train|_test)?\b(\[|:|,|[\w ]*? (is|are|has|have|holds|must|needs|came)\b)"
    )
    return bool(re.search(said, message))

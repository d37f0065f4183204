"""What training changes (`State`), and several of them as one: an ensemble, whose arrays have a leading axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, HostArray, device_of, from_numpy, namespace
from copi_ref.arrays.shown import kind_of
from copi_ref.network import Params
from copi_ref.recipe import Recipe
from copi_ref.task import Generators


@dataclass(frozen=True, eq=False)
class State:
    """What training changes. `step` and `fit` return a new one and leave the old one as it was.

    Of an ensemble of S networks every array has a leading axis of length S.

    Args:
        params: the network's weights.
        optimizer: the optimizer's memory, one entry a layer.
        feedback: feedback weights, if the credit method has some; fixed, unless the method learns them.
        rng_state: state of the generator that shuffles, and that random credit methods draw from; of an ensemble a
            tuple with that of each network.
        epoch: epochs finished.
        step: steps taken.
    """

    params: Params
    optimizer: tuple[Any, ...]
    feedback: tuple[Array, ...] | None
    rng_state: dict[str, Any] | tuple[dict[str, Any], ...]
    epoch: int = 0
    step: int = 0

    def __repr__(self) -> str:
        sizes = "-".join(str(R.shape[-1]) for R in self.params.R) + f"-{self.params.W[-1].shape[-2]}"
        network = sizes if self.members is None else f"{self.members} networks {sizes}"
        return f"State({network}, {kind_of(self.params.W[0])}, epoch {self.epoch}, step {self.step})"

    @property
    def members(self) -> int | None:
        """Number S of networks in an ensemble; None for a single network."""
        return len(self.rng_state) if isinstance(self.rng_state, tuple) else None


def generator_of(state: State) -> Generators:
    """Return a generator that stands where the state's does; of an ensemble a tuple of them."""
    if isinstance(state.rng_state, tuple):
        return tuple(map(_generator, state.rng_state))
    return _generator(state.rng_state)


def _generator(rng_state: dict[str, Any]) -> np.random.Generator:
    bit_generator = getattr(np.random, rng_state["bit_generator"])(0)
    bit_generator.state = rng_state
    return np.random.Generator(bit_generator)


def standing_of(rng: Generators) -> dict[str, Any] | tuple[dict[str, Any], ...]:
    """Return where generators stand, as a `State` keeps it."""
    if isinstance(rng, tuple):
        return tuple(dict(one.bit_generator.state) for one in rng)
    return dict(rng.bit_generator.state)


def stack(states: Sequence[State]) -> State:
    """Return an ensemble: networks of one shape as one state, whose arrays have a leading axis.

    Raises:
        TypeError: `states` is no sequence, or an entry no `State`.
        ValueError: there are none, one is an ensemble already, or they differ in more than their numbers: in their
            shapes, in the kind of their optimizer, in how long they have been trained.
    """
    if not isinstance(states, Sequence) or isinstance(states, (str, bytes)):
        raise TypeError(f"states is a {type(states).__name__}: needs a sequence of them, as [one, other]")
    if not states:
        raise ValueError("states is empty: an ensemble needs at least one")
    for place, state in enumerate(states):
        check_state(state, f"states[{place}]")
        if state.members is not None:
            raise ValueError(f"states[{place}] is an ensemble of {state.members}: needs the State of one network")
    stacked: State = rebuilt([replace(state, rng_state={}) for state in states], partial(_merged, _stacked))
    return replace(stacked, rng_state=tuple(cast(dict[str, Any], state.rng_state) for state in states))


def member(state: State, index: int) -> State:
    """Return one network of an ensemble as a state of its own.

    Raises:
        TypeError: the state is of a single network, or the index no integer.
        IndexError: there is no such network.
    """
    place = number_of_member(state, index)
    alone = each_array(state, lambda array: array[place, ...])
    return replace(alone, rng_state=cast(tuple[dict[str, Any], ...], state.rng_state)[place])


def number_of_member(state: State, index: int) -> int:
    """Return the number, from 0, of a network of an ensemble; −1 is the last. Errors as `member`."""
    check_state(state)
    if state.members is None:
        raise TypeError("state is of a single network: needs an ensemble, as stack makes it")
    checks.whole_number("index", index, minimum=-checks.LARGEST)
    if not -state.members <= index < state.members:
        raise IndexError(f"index is {index}, but the ensemble has {state.members} networks")
    return int(index) % state.members


def check_state(state: State, name: str = "state") -> None:
    """Check that an argument is a state.

    Raises:
        TypeError: it is not; the message says where one is found.
    """
    checks.instance(name, state, State, "result.state" if hasattr(state, "metrics") else "init_state makes it")


def check_members(state: State) -> None:
    """Check that the arrays of a state and its generators speak of the same number of networks.

    Raises:
        ValueError: they don't.
    """
    axes, members = ((), None) if state.members is None else ((state.members,), state.members)
    for layer, W in enumerate(state.params.W, start=1):
        if tuple(W.shape[:-2]) != axes:
            needed = "(M, K)" if members is None else f"({members}, M, K)"
            raise ValueError(
                f"W of layer {layer} has shape {tuple(W.shape)}, but rng_state is of {members or 'a single network'}: "
                f"needs {needed}; stack makes an ensemble"
            )


def recipe_of_member(recipe: Recipe, index: int) -> Recipe:
    """Return the recipe that trains one network of an ensemble alone: with its own rates, if they differ."""

    def own(rate: Any) -> Any:
        if callable(rate):
            return lambda epoch: own(rate(epoch))
        return rate[index if rate.shape[0] > 1 else 0] if getattr(rate, "ndim", 0) > 2 else rate

    return replace(recipe, eta_w=own(recipe.eta_w), eta_r=own(recipe.eta_r))


def without(stopped: HostArray, state: State) -> State:
    """Return an ensemble in which the networks where `stopped` (S,) is true are NaN: nothing can go on with them."""

    def blank(array: Array) -> Array:
        xp = namespace(array)
        mask = from_numpy(stopped, xp, device=device_of(array))
        return xp.where(xp.reshape(mask, (-1,) + (1,) * (array.ndim - 1)), xp.full_like(array, float("nan")), array)

    return each_array(state, blank)


def own(state: State) -> State:
    """Return a state with the same numbers in arrays of its own."""
    return each_array(state, lambda array: namespace(array).asarray(array, copy=True))


def arrays_of(state: State) -> list[Array]:
    """Return all arrays of a state, always in the same order."""
    arrays: list[Array] = []
    each_array(state, arrays.append)
    return arrays


def each_array(state: State, change: Callable[[Array], Any]) -> State:
    """Return the state with every array changed; its generators stay."""
    changed: State = rebuilt([replace(state, rng_state={})], partial(_merged, lambda arrays: change(arrays[0])))
    return replace(changed, rng_state=state.rng_state)


def same_but_for_arrays(one: State, other: State) -> None:
    """Check that two states differ at most in what their arrays hold, and in their generators.

    Raises:
        ValueError: they differ in more; the message says in what.
    """
    rebuilt([replace(state, rng_state={}) for state in (one, other)], partial(_merged, lambda arrays: arrays[0]))


def _stacked(arrays: list[Array]) -> Array:
    return namespace(*arrays).stack(arrays)


Place = tuple[str | int, ...]
"""Where an entry stands in a record: names of fields, and places in tuples."""


def rebuilt(records: list[Any], leaf: Callable[[Place, list[Any]], Any], place: Place = ()) -> Any:
    """Go through records of one structure together, and make one like them of what `leaf` makes of their entries.

    Records are dataclasses and tuples; all else is an entry: ``leaf(place, entries)``.

    Raises:
        ValueError: the structures differ.
    """
    first = records[0]
    _same(f"the type of {_named(place)}", [type(record).__name__ for record in records])
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return type(first)(
            **{name: rebuilt([getattr(one, name) for one in records], leaf, (*place, name)) for name in names}
        )
    if isinstance(first, tuple):
        _same(f"the length of {_named(place)}", [len(record) for record in records])
        places = getattr(first, "_fields", range(len(first)))
        columns = zip(*records, strict=True)
        entries = [rebuilt(list(column), leaf, (*place, one)) for one, column in zip(places, columns, strict=True)]
        return first._make(entries) if hasattr(first, "_make") else tuple(entries)
    return leaf(place, records)


def _merged(merge: Callable[[list[Array]], Any], place: Place, entries: list[Any]) -> Any:
    """Make one of arrays by `merge`; all else has to be equal."""
    first, name = entries[0], _named(place)
    if hasattr(first, "shape"):
        _same(f"the shape of {name}", [tuple(entry.shape) for entry in entries])
        _same(f"the dtype of {name}", [entry.dtype for entry in entries])
        return merge(entries)
    if not (first is None or first == {} or isinstance(first, (bool, int, float, str))):
        raise TypeError(f"{name} is a {type(first).__name__}: needs arrays, numbers, or tuples or dataclasses of them")
    _same(name, entries)
    return first


def _named(place: Place) -> str:
    """Return ``W[0]`` for ("params", "W", 0), and ``optimizer[2].m`` for ("optimizer", 2, "m")."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".params").removeprefix(".") or "state"


def _same(name: str, values: list[Any]) -> None:
    for value in values[1:]:
        if value != values[0]:
            raise ValueError(f"{name} is {values[0]} in one state and {value} in another: needs the same in all")

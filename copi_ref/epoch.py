"""One epoch of training: shuffled batches through Algorithm 1 in place, eagerly or as replays of a CUDA graph."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from copi_ref import backend
from copi_ref.algorithm import rate
from copi_ref.batches import Samples, shuffled, there
from copi_ref.in_place import LATERAL, WEIGHTS, Scratch, step_in_place
from copi_ref.optimizers import Plain
from copi_ref.recipe import Recipe
from copi_ref.state import State, generator_of, own, standing_of

CAPTURED_CREDIT = ("bp", "fa", "dfa")
"""Credit methods that a graph can hold: the others draw on the host, look at numbers or learn feedback weights."""


def train_epoch(recipe: Recipe, state: State, train: Samples, graph: bool = False) -> State:
    """Return the state after one more epoch; the one that came in stays as it was.

    Nothing in it waits for a device: what is drawn on the host is drawn before, and nothing is looked at.
    """
    recipe = with_rates(recipe, state)
    state, batches = shuffle(recipe, state, train)
    state = own(state)  # what the steps write into
    state = _replay(recipe, state, batches) if graph else _steps(recipe, state, batches)
    return replace(state, epoch=state.epoch + 1)


def with_rates(recipe: Recipe, state: State) -> Recipe:
    """Return the recipe with the rates of the state's epoch, as numbers or as arrays where the network is.

    Raises:
        TypeError, ValueError: a schedule gives what is no rate, or there are rates for another number of networks.
    """
    W = state.params.W[0]
    rates = {name: rate(name, getattr(recipe, name), state.epoch, W) for name in ("eta_w", "eta_r")}
    for name, value in rates.items():
        shape = tuple(getattr(value, "shape", ()))
        if len(shape) > W.ndim or (len(shape) == 3 and shape[0] not in (1, state.members)):
            needed = "one number" if state.members is None else f"({state.members}, 1, 1)"
            raise ValueError(f"{name} has shape {shape}, and the state is of {state.members or 1}: needs {needed}")
    return replace(recipe, **rates)


def shuffle(recipe: Recipe, state: State, train: Samples) -> tuple[State, Iterator[Samples]]:
    """Return the state with its generators advanced, and the batches of one epoch, where the network is."""
    rng, W = generator_of(state), state.params.W[0]
    batches = (Samples(*(there(array, W) for array in batch)) for batch in shuffled(train, recipe.batch_size, rng))
    return replace(state, rng_state=standing_of(rng)), batches


def _steps(recipe: Recipe, state: State, batches: Iterator[Samples]) -> State:
    scratch = Scratch()
    for y0, target in batches:
        state = step_in_place(recipe, state, y0, target, scratch)
    return state


def _replay(recipe: Recipe, state: State, batches: Iterator[Samples]) -> State:
    """Take the first step eagerly, which compiles and allocates, capture the second, and replay it from then on.

    A graph reads and writes fixed places: each batch is copied to one, and every step writes into the state's arrays.
    The last batch, if it is smaller, is an eager step again.
    """
    place, replay, scratch = None, None, Scratch()
    with backend.capturing(state.params.W[0]) as capture:
        for number, batch in enumerate(batches):
            if number == 0 or batch.x.shape[-2] < recipe.batch_size:
                state = step_in_place(recipe, state, *batch, scratch)
                continue
            if place is None or replay is None:
                place = batch
                replay = capture(partial(step_in_place, recipe, state, *place, scratch))
            else:
                place.x[...], place.target[...] = batch
            replay()
            state = replace(state, step=state.step + 1)
    return state


def check_graph(recipe: Recipe) -> None:
    """Check that a CUDA graph can hold the recipe's step: that all of it is written in place, on the device.

    Raises:
        ValueError: it can't; the message names what is in the way.
    """
    needed = {
        "credit": (recipe.credit in CAPTURED_CREDIT, f"one of {', '.join(map(repr, CAPTURED_CREDIT))}"),
        "weight_rule": (recipe.weight_rule in WEIGHTS, f"one of {', '.join(map(repr, WEIGHTS))}"),
        "lateral_rule": (
            recipe.lateral_rule in (*LATERAL, "none"),
            f"one of {', '.join(map(repr, (*LATERAL, 'none')))}",
        ),
        "optimizer": (isinstance(recipe.optimizer, Plain), "plain"),
        "weight_decay": (recipe.weight_decay == 0, "0"),
        "lateral_gain": (recipe.lateral_gain == "none", "'none'"),
        "centring": (recipe.centring == 0, "0"),
        "states": (recipe.states == "forward", "'forward'"),
    }
    for name, (fits, choice) in needed.items():
        if not fits:
            raise ValueError(f"{name} is {getattr(recipe, name)!r}: with graph=True it has to be {choice}")

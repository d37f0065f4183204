"""One epoch of training: shuffled batches through Algorithm 1 in place."""

from collections.abc import Iterator
from dataclasses import replace

from copi_ref.algorithm import rate
from copi_ref.batches import Samples, shuffled, there
from copi_ref.in_place import Scratch, step_in_place
from copi_ref.recipe import Recipe
from copi_ref.state import State, generator_of, own, standing_of


def train_epoch(recipe: Recipe, state: State, train: Samples) -> State:
    """Return the state after one more epoch; the one that came in stays as it was.

    Nothing in it waits for a device, but for credit methods that do: node perturbation draws on the host in each step.
    """
    recipe = with_rates(recipe, state)
    state, batches = shuffle(recipe, state, train)
    state = own(state)  # what the steps write into
    scratch = Scratch()
    for y0, target in batches:
        state = step_in_place(recipe, state, y0, target, scratch)
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

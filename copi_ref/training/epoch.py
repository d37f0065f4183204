"""One epoch of training: shuffled batches through Algorithm 1 in place."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, cast

from copi_ref.algorithm import rate
from copi_ref.arrays.backend import graph_wanted
from copi_ref.arrays.pieces import there
from copi_ref.recipe import Recipe
from copi_ref.state import State, generator_of, own, standing_of
from copi_ref.training.batches import Samples, shuffled
from copi_ref.training.cuda_graph import GraphSteps, samples_for_graph, state_for_graph, state_from_graph
from copi_ref.training.in_place import Scratch, step_in_place


class Begun(NamedTuple):
    """How far an epoch has got: with the state after that batch, all that is needed to go on with it.

    Args:
        rng_state: where the generators stood when the epoch began, and drew the order of its samples; as in `State`.
        batches: batches that are done, at least one.
        seconds: what they took.
    """

    rng_state: dict[str, Any] | tuple[dict[str, Any], ...]
    batches: int
    seconds: float = 0.0

    def member(self, index: int) -> "Begun":
        """Return the same of one network of an ensemble."""
        return self._replace(rng_state=cast(tuple[dict[str, Any], ...], self.rng_state)[index])


AfterBatch = Callable[[State, Begun], None]
"""``(state, begun)``, called after a batch. The next step writes into the state's arrays: copy what is to stay."""


def train_epoch(
    recipe: Recipe, state: State, train: Samples, begun: Begun | None = None, after_batch: AfterBatch | None = None
) -> State:
    """Return the state after one more epoch, or after the rest of one; the state that came in stays as it was.

    Nothing in it waits for a device, but for credit methods that do: node perturbation draws on the host in each step.
    With COPI_REF_CUDA_GRAPH=1 the steps are replayed from a recording.
    """
    done, seconds = (begun.batches, begun.seconds) if begun else (0, 0.0)
    standing, start = begun.rng_state if begun else state.rng_state, perf_counter() - seconds
    given, graph = state, graph_wanted()
    if graph:
        state, train = state_for_graph(state), samples_for_graph(train)
    recipe = with_rates(recipe, state)
    state, batches = shuffle(recipe, state, train, begun)
    state = own(state)  # what the steps write into
    take = GraphSteps(recipe) if graph else partial(step_in_place, recipe, scratch=Scratch())
    views = state_from_graph(state, given) if graph else None

    def returned(state: State) -> State:
        return state if views is None else replace(views, step=state.step)

    for batch, (y0, target) in enumerate(batches, start=done + 1):
        state = take(state, y0, target)
        if after_batch is not None:
            after_batch(returned(state), Begun(standing, batch, perf_counter() - start))
    return replace(returned(state), epoch=state.epoch + 1)


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


def shuffle(
    recipe: Recipe, state: State, train: Samples, begun: Begun | None = None
) -> tuple[State, Iterator[Samples]]:
    """Return the state with its generators advanced, and the batches of one epoch, where the network is.

    Of an epoch that has begun they are the batches that are left, and the generators have advanced already.
    """
    W = state.params.W[0]
    rng = generator_of(state if begun is None else replace(state, rng_state=begun.rng_state))
    batches = (Samples(*(there(array, W) for array in batch)) for batch in shuffled(train, recipe.batch_size, rng))
    if begun is not None:
        return state, islice(batches, begun.batches, None)
    return replace(state, rng_state=standing_of(rng)), batches

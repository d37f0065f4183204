"""The step as a CUDA graph: recorded once an epoch, then replayed by one launch in the place of hundreds.

With COPI_REF_CUDA_GRAPH=1 `fit` takes its steps so. It is the same `step_in_place`, on the same memory; only the Python
between the launches is left out. CuPy can't record it, as it refuses cuBLAS meanwhile, and PyTorch can: so the lines
run on PyTorch's arrays, which share the memory of CuPy's.
"""

from collections.abc import Callable
from dataclasses import replace

from copi_ref.algorithm import R_learns
from copi_ref.arrays.backend import GRAPH_VARIABLE, Array, capture, for_graph, from_graph, is_host, namespace
from copi_ref.recipe import Recipe
from copi_ref.state import State, arrays_of, each_array, same_but_for_arrays
from copi_ref.training.batches import Samples
from copi_ref.training.in_place import Scratch, step_in_place


def state_for_graph(state: State) -> State:
    """Return the state in arrays that a graph can be made of, and that share its memory.

    Raises:
        BackendError: it does not lie on a GPU, or PyTorch can't use that.
    """
    return each_array(state, for_graph)


def samples_for_graph(samples: Samples) -> Samples:
    """Return samples in such arrays; those that stayed with the host stay there."""
    return Samples(*(array if is_host(array) else for_graph(array) for array in samples))


def state_from_graph(state: State, like: State) -> State:
    """Return the state in arrays of the library that `like` has."""
    return each_array(state, lambda array: from_graph(array, like.params.W[0]))


class GraphSteps:
    """Takes one `step_in_place` after the other, in the arrays of the first state that comes.

    The first step warms the libraries up, the second is recorded, and from then on the recording is replayed on what
    is copied into its batch. Steps in which R learns and those in which it does not are two kinds, each with a first
    step, which shows whether it can be recorded, and a recording. A batch of another length, an epoch's last, is not
    replayed.
    """

    def __init__(self, recipe: Recipe):
        self._recipe, self._scratch = recipe, Scratch()
        self._batch: Samples | None = None
        self._checked: set[bool] = set()
        self._replays: dict[bool, Callable[[], None]] = {}

    def __call__(self, state: State, y0: Array, target: Array) -> State:
        """Return the state after one more batch, in the same arrays.

        Raises:
            ValueError: a step changes more than arrays, which a recording would not.
        """
        learns = R_learns(self._recipe, state)
        if self._batch is None:
            self._batch = Samples(*(namespace(array).asarray(array, copy=True) for array in (y0, target)))
        batch = self._batch
        if learns not in self._checked or y0.shape != batch.x.shape:
            after = self._step(state, Samples(y0, target))
            _check_recordable(state, after)
            self._checked.add(learns)
            return after
        batch.x[...], batch.target[...] = y0, target
        if learns not in self._replays:
            self._replays[learns] = capture(lambda: self._step(state, batch))
        self._replays[learns]()
        return replace(state, step=state.step + 1)

    def _step(self, state: State, batch: Samples) -> State:
        """Take a step, and write what came in new arrays (a memory, means, feedback) into the state's."""
        after = step_in_place(self._recipe, state, *batch, self._scratch)
        places = iter(arrays_of(state))

        def kept(array: Array) -> Array:
            place = next(places)
            if array is not place:
                place[...] = array
            return place

        return each_array(after, kept)


def _check_recordable(before: State, after: State) -> None:
    needed = f"unset {GRAPH_VARIABLE}, or choose"
    if after.rng_state != before.rng_state:
        raise ValueError(
            f"{GRAPH_VARIABLE} is 1, but the credit method, or the lateral rule, draws on the host in each step, "
            f"which a recording would not: {needed} another"
        )
    try:
        same_but_for_arrays(replace(before, step=0), replace(after, step=0))
    except ValueError as error:
        raise ValueError(
            f"{GRAPH_VARIABLE} is 1, but a step changes more than arrays, which a recording would not ({error}): "
            f"{needed} the optimizer plain or momentum"
        ) from error

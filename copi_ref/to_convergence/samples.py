"""The states of one sample as a vector, its energy with f's kinks, and a batch sample by sample."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from copi_ref.activations import Activation
from copi_ref.arrays.backend import Array, HostArray, device_of, from_numpy, namespace, to_numpy
from copi_ref.inference_learning import Form, Settled, States, Weights
from copi_ref.inference_learning.states import first_layer, predicted
from copi_ref.to_convergence.kinks import Bent, Vector, bend_of, minimum_at_kinks, with_slopes
from copi_ref.to_convergence.minimise import NotConvergedError, minimise, on_host

Pieces = tuple[HostArray, ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """The states of one sample, h (1, K_l) a layer, that are to lower an energy.

    Args:
        weights: the network, on the host.
        y0: (1, K_0).
        form: how states are predicted.
        f: the activation.
        energy_and_gradient: of a `Settled`, and of f, or what stands in its place at the output.
        clamped: states above those that move.
        bends_at_top: the task's output where the loss is a part of the energy: under "activation" f is applied to h_L.
    """

    weights: Weights
    y0: HostArray
    form: Form
    f: Activation
    energy_and_gradient: Callable[[Settled, Activation], tuple[Any, States]]
    clamped: Pieces = ()
    bends_at_top: str = ""

    def solve(self, start: Pieces, tolerance: float) -> Pieces:
        """Return states at a minimum.

        Raises:
            NotConvergedError: none was found.
        """
        if not start:
            return ()
        shapes, bend = [one.shape for one in start], bend_of(self.f)
        first = first_layer(self.weights, self.y0, self.f, self.form)

        def settled(point: Vector, f: Activation) -> Settled:
            states = (*_split(point, shapes), *self.clamped)
            return predicted(self.weights, first, self.y0, states, f, self.form)

        def with_activation(change: Callable[[Activation], Activation]) -> Callable[[Vector], tuple[float, Vector]]:
            f = change(self.f)

            def value_and_gradient(point: Vector) -> tuple[float, Vector]:
                value, gradient = self.energy_and_gradient(settled(point, f), f)
                return float(np.sum(value)), _joined(gradient)

            return value_and_gradient

        def arguments(point: Vector) -> Vector:
            return _joined([argument for *_, argument in self._bends(settled(point, self.f))])

        def slopes_at(point: Vector) -> Vector:
            return to_numpy(self.f.derivative(arguments(point)))

        def gradient_with_slopes(point: Vector, slopes: Vector) -> Vector:
            there, top = settled(point, self.f), self.f
            phi, psi = list(there.phi), list(there.psi)
            bends = list(self._bends(there))
            for (kind, layer, _), own in zip(bends, _split(slopes, [one.shape for *_, one in bends]), strict=True):
                bent = with_slopes(self.f, own)
                if kind == "phi":
                    phi[layer] = bent
                elif kind == "psi":
                    psi[layer] = bent
                else:
                    top = bent
            return _joined(self.energy_and_gradient(replace(there, phi=tuple(phi), psi=tuple(psi)), top)[1])

        value_and_gradient, begun = with_activation(lambda f: f), _joined(start)
        try:
            return _split(minimise(value_and_gradient, begun, tolerance), shapes)
        except NotConvergedError as error:
            best, found = error, None
        if bend is not None:
            bent = Bent(bend, with_activation, gradient_with_slopes, arguments, slopes_at)
            found = minimum_at_kinks(bent, best.point, tolerance)
        highest = value_and_gradient(begun)[0]
        if found is None or value_and_gradient(found)[0] > highest + 1e-9 * abs(highest):
            raise NotConvergedError(str(best), _split(best.point, shapes), best.residual)
        return _split(found, shapes)

    def _bends(self, settled: Settled) -> Iterator[tuple[str, int, Array]]:
        """Yield where f is applied to what moves: to states below a layer, to a_l, or to the output's state."""
        for layer in range(1, len(settled.states)):
            if settled.phi[layer] is self.f:
                yield "phi", layer, settled.states[layer - 1]
            if settled.psi[layer] is self.f:
                yield "psi", layer, settled.trace.a[layer]
        if self.bends_at_top == "activation" and settled.psi[-1] is not self.f:
            yield "top", -1, settled.states[-1]


def sample_by_sample(
    weights: Weights,
    y0: Array,
    states: States,
    problem_of: Callable[..., tuple[Problem, Pieces]],
    tolerance: float,
    *others: Array,
) -> tuple[States, dict[tuple[int, ...], NotConvergedError]]:
    """Solve the problem of each sample of each network, and return the states, and which did not converge.

    Args:
        weights: the network, or an ensemble.
        y0: (…, N, K_0).
        states: where to start.
        problem_of: from the network, y_0, the states and `others` of a sample: its problem, and where that starts.
        tolerance: as `minimise`.
        others: arrays with one row a sample, which `problem_of` gets too.
    """
    parts = {name: getattr(weights, name) for name in ("W", "R", "mean", "b")}
    host = {name: None if part is None else on_host(part) for name, part in parts.items()}
    axes = {"W": 2, "R": 2, "mean": 1, "b": 1}
    rows, begun = on_host((y0, *others)), on_host(states)
    matrices = [(array, axes[name]) for name, part in host.items() for array in part or ()]
    every = [*matrices, *((array, 2) for array in (*rows, *begun))]
    leading = np.broadcast_shapes(*(array.shape[: array.ndim - kept] for array, kept in every))

    def member(array: HostArray, kept: int, index: tuple[int, ...]) -> HostArray:
        return np.asarray(np.broadcast_to(array, (*leading, *array.shape[array.ndim - kept :]))[index])

    found: list[HostArray] = []
    failures: dict[tuple[int, ...], NotConvergedError] = {}
    for index in np.ndindex(leading):
        own = {name: part and tuple(member(one, axes[name], index) for one in part) for name, part in host.items()}
        network = Weights(**own)  # type: ignore[arg-type]
        of_rows, of_states = ([member(one, 2, index) for one in arrays] for arrays in (rows, begun))
        for sample in range(y0.shape[-2]):
            row = slice(sample, sample + 1)
            start = tuple(h[row] for h in of_states)
            problem, free = problem_of(network, of_rows[0][row], start, *(one[row] for one in of_rows[1:]))
            try:
                ends = problem.solve(free, tolerance)
            except NotConvergedError as error:
                failures[(*index, sample)], ends = error, error.point
            for layer, h in enumerate(ends):
                if len(found) == layer:
                    found.append(np.empty((*leading, *begun[layer].shape[-2:])))
                found[layer][(*index, row)] = h
    pairs = zip(found, states, strict=False)
    return tuple(from_numpy(h, namespace(like), like.dtype, device_of(like)) for h, like in pairs), failures


def _joined(pieces: Any) -> Vector:
    return np.concatenate([np.ravel(piece) for piece in pieces])


def _split(point: Vector, shapes: list[tuple[int, ...]]) -> Pieces:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = zip(np.split(point, ends[:-1]), shapes, strict=True)
    return tuple(part.reshape(shape) for part, shape in parts)

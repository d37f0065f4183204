"""One epoch of training as different programs write it, or one step: the contenders of `gpu.py`.

python benchmarks/epochs.py NAME     # a worker, as `contenders.py`; the name is for those who list processes
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contenders import (
    CONTENDERS,
    GRAPH,
    LIBRARY,
    LITERAL,
    ORDERED,
    copi_ref_start,
    copi_ref_wait,
    draw_problem,
    literal_step,
    ordered_step,
    pytorch_start,
    pytorch_wait,
)
from turns import Contender, Request, serve

MNIST_SAMPLES = 60_000


def make(request: Request) -> Contender:
    """Return what a request describes: one step as in `contenders.py`, or one epoch."""
    device, name = request["device"], request["contender"]
    problem = draw_problem(request["sizes"], request["batch"], request["members"])
    rates = request["eta_w"], request["eta_r"]
    if request["what"] == "step":
        return CONTENDERS[name](problem, *rates, device)
    x, labels = _samples(request["samples"], request["sizes"])
    if name in (LIBRARY, GRAPH):
        os.environ["COPI_REF_CUDA_GRAPH"] = str(int(name == GRAPH))
        epoch, wait = (
            _copi_ref_epoch(request, copi_ref_start(problem, *rates, device), x, labels),
            copi_ref_wait(device),
        )
    else:
        start, wait = pytorch_start(problem, device), pytorch_wait(device)
        epoch = _pytorch_epoch(request, start, x, labels)
    epoch()  # compiles and allocates
    wait()
    return Contender(epoch, lambda: ([], []), wait, warms_up=False)


def _samples(count: int, sizes: Sequence[int]) -> tuple[Any, Any]:
    if (folder := os.environ.get("COPI_REF_DATA")) and (count, sizes[0]) == (MNIST_SAMPLES, 784):
        from copi_ref.data import load_mnist

        at = Path(folder)
        dataset = load_mnist(at / "mnist" if (at / "mnist").is_dir() else at)
        return dataset.x_train, dataset.y_train
    rng = np.random.default_rng(1)
    return rng.random((count, sizes[0]), dtype=np.float32), rng.integers(sizes[-1], size=count)


def _copi_ref_epoch(request: Request, start: Any, x: Any, labels: Any) -> Callable[[], None]:
    """What `fit` does in an epoch, without the metrics at its end."""
    from copi_ref import Dataset
    from copi_ref.training.batches import move
    from copi_ref.training.epoch import train_epoch

    recipe, state, *_ = start
    held = [state]
    train, _ = move(state.params, Dataset(x, labels, x[:1], labels[:1]))

    def epoch() -> None:
        held[0] = train_epoch(recipe, held[0], train)

    return epoch


def _pytorch_epoch(request: Request, start: Any, x: Any, labels: Any) -> Callable[[], None]:
    """The same: a new order from the host, batches gathered on the device."""
    import torch

    W, R, y0, _ = start
    step = {LITERAL: literal_step, ORDERED: ordered_step}[request["contender"]]
    samples = torch.tensor(x, device=y0.device)
    targets = torch.nn.functional.one_hot(torch.tensor(labels), request["sizes"][-1]).to(samples)
    rng = np.random.default_rng(0)

    def epoch() -> None:
        order = torch.tensor(rng.permutation(len(samples)), device=y0.device)
        for first in range(0, len(order), request["batch"]):
            rows = order[first : first + request["batch"]]
            step(W, R, samples[rows], targets[rows], request["eta_w"], request["eta_r"])

    return epoch


if __name__ == "__main__":
    serve(make)

"""Training on MNIST as different programs write it: the contenders of `time_to_accuracy.py`.

    python benchmarks/trained.py NAME     # a worker, as `contenders.py`: `make`, then `train` so many steps, and again

The network is that of the later (TMLR) experiments, 784-500×6-10 without biases, in batches of 50, float32.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from contenders import BATCH, NETWORKS
from turns import SETTLE, Request

SIZES = NETWORKS["mnist"]
ADAM = "PyTorch, BP with Adam"


def halved(epoch: int) -> float:
    """Return a rate that is halved after each epoch, over the first one."""
    return 0.5**epoch


def constant(epoch: int) -> float:
    """Return 1."""
    return 1.0


FAST: dict[str, Any] = {"eta_r": 7e-3, "lateral_every": 8, "error_scale": 2000, "lateral_only_epochs": 0}
"""Chosen on held-out training images, as was the rate of W that goes with it."""

RECIPES: dict[str, dict[str, Any]] = {
    "copi_ref, tmlr": {},
    "copi_ref, tmlr, W from the start": {"lateral_only_epochs": 0},
    "copi_ref, R in every 8th step": {**FAST, "eta_w": 5e-4},
    "copi_ref, R in every 8th step, halved": {**FAST, "eta_w": lambda epoch: 5e-4 * halved(epoch)},
}
"""What differs from the preset `tmlr`. *Halved* is the rate of W, after each epoch."""

ADAM_RATES = {
    f"{ADAM}, {rate:g}{', halved' if over is halved else ''}": (rate, over)
    for over in (constant, halved)
    for rate in (1e-4, 3e-4, 1e-3)
}

Samples = tuple[Any, Any, Any, Any]
"""x and labels to train on, x and labels to test on."""

Trainer = tuple[Iterator[None], Callable[[], float]]
"""What takes a step each time it is asked, and what measures the accuracy on the samples to test on."""


def samples(folder: str, held_out: int) -> Samples:
    """Load MNIST; test on so many training samples, which are then not trained on, or on the test images."""
    from copi_ref.data import load_named

    data = load_named("mnist", folder, held_out or None)
    return data.x_train, data.y_train, data.x_test, data.y_test


def _copi_ref(name: str, seed: int, data: Samples) -> Trainer:
    """What `fit` does, without its metrics."""
    import copi_ref as copi
    from copi_ref.data import Dataset
    from copi_ref.experiments.presets import experiment
    from copi_ref.state import own
    from copi_ref.training.batches import move
    from copi_ref.training.epoch import shuffle
    from copi_ref.training.in_place import Scratch, step_in_place

    recipe = replace(experiment("tmlr", "copi-bp", "mnist").recipe, **RECIPES[name])
    held = [own(copi.init_state(recipe, SIZES, np.random.default_rng(seed), np))]
    train, test = move(held[0].params, Dataset(*data))

    def steps() -> Iterator[None]:
        scratch = Scratch()
        while True:
            held[0], batches = shuffle(recipe, held[0], train)
            for y0, target in batches:
                held[0] = step_in_place(recipe, held[0], y0, target, scratch)
                yield
            held[0] = replace(held[0], epoch=held[0].epoch + 1)

    def accuracy() -> float:
        return float(np.mean(copi.predict(recipe, held[0].params, test.x) == data[3]))

    return steps(), accuracy


def _pytorch(name: str, seed: int, data: Samples) -> Trainer:
    """Adam as one would write it: fused, cross-entropy, Xavier-normal weights."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, labels, x_test, labels_test = (torch.tensor(each) for each in data)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.LeakyReLU(0.1)]
        nn.init.xavier_normal_(layers[-2].weight)
    network = nn.Sequential(*layers[:-1])
    rate, over = ADAM_RATES[name]
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, over)

    def steps() -> Iterator[None]:
        while True:
            for rows in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x[rows]), labels[rows].long()).backward()
                optimizer.step()
                yield
            schedule.step()

    def accuracy() -> float:
        with torch.no_grad():
            return float((network(x_test).argmax(1) == labels_test).float().mean())

    return steps(), accuracy


def serve(name: str) -> None:
    """Answer the requests on stdin until it ends; only the steps are timed."""
    for line in sys.stdin:
        request: Request = json.loads(line)
        answer: dict[str, Any] = {}
        if request["do"] == "make":
            make = _copi_ref if name in RECIPES else _pytorch
            steps, accuracy = make(name, request["seed"], samples(request["folder"], request["held_out"]))
        else:
            time.sleep(SETTLE)
            start = time.perf_counter()
            for _ in itertools.islice(steps, request["steps"]):
                pass
            answer = {"seconds": time.perf_counter() - start, "accuracy": accuracy()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])

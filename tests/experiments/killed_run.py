"""A training run in a process of its own that kills itself, as ``python killed_run.py DATA FOLDER METHOD POINT COUNT``.

It dies by SIGKILL at a point of the program, the COUNT-th time that it comes there; POINT "none" leaves that to others.
"""

import os
import signal
import sys
from pathlib import Path

from copi_ref.data import load_npz
from copi_ref.experiments import metrics, recorded
from copi_ref.experiments.config import Plan, surroundings

EPOCHS = 3


def plan_of(method):
    return Plan(dataset="digits", preset="demo", method=method, seed=5, epochs=EPOCHS, hidden=(20,))


def train(data, folder, method, **options):
    """Train, with a checkpoint after every batch."""
    dataset, plan = load_npz(data), plan_of(method)
    return recorded.run_into(Path(folder), plan, dataset, surroundings(dataset), checkpoint_seconds=0, **options)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function, place, count):
    """Return the function as it is, but for the count-th call: then the process dies before or after it."""
    calls = 0

    def call(*arguments):
        nonlocal calls
        calls += 1
        if calls == count and place == "before":
            die()
        result = function(*arguments)
        if calls == count and place == "after":
            die()
        return result

    return call


def die_at(point, count):
    place, _, thing = point.partition(" ")
    if thing in ("append_metrics", "write_outcome"):
        setattr(recorded, thing, dying(getattr(recorded, thing), place, count))
    elif thing == "line":  # half of it is written

        def half(folder, row):
            if row["epoch"] + 1 == count:
                with (folder / metrics.METRICS).open("ab") as file:
                    file.write(b"" if place == "no" else b"1,0.12" if place == "half" else b"1,0.1,1,0.1,1,1\n2,0.")
                    file.flush()
                    die()
            metrics.append_metrics(folder, row)

        recorded.append_metrics = half
    elif thing.endswith(".npz") or thing.endswith(".json"):  # renaming it
        rename, dies = os.replace, dying(os.replace, place, count)
        os.replace = lambda one, other: (dies if Path(other).name == thing else rename)(one, other)


if __name__ == "__main__":
    data, folder, method, point, count = sys.argv[1:]
    die_at(point, int(count))
    print("begins", flush=True)
    train(data, folder, method, resume=True)

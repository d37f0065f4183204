"""The command `copi-ref sweep`: all runs that a file describes."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from copi_ref.arrays.backend import backend_name, load_backend, usable_cores
from copi_ref.cli.before_training import remarks
from copi_ref.cli.options import count, folder
from copi_ref.cli.train import add_checkpoint_seconds
from copi_ref.data import load_named
from copi_ref.data.named import DATA_VARIABLE, named_folder
from copi_ref.experiments.sweep import (
    MOST_PER_CORE,
    NEEDED,
    OPTIONAL,
    Job,
    Load,
    Outcome,
    imported,
    jobs_of,
    loaded,
    processes_for,
    read_sweep,
    run_jobs,
    run_jobs_on_cluster,
)

EXAMPLE = f"""\
Keys of the file. Required: {", ".join(NEEDED)}.
Optional: {", ".join(OPTIONAL)}.

A file such as

  dataset = "mnist"
  preset = "tmlr"
  methods = ["copi-bp", "bp-adam"]
  seeds = 3
  epochs = 10
  eta_w = [0.001, 0.01]

makes 2 × 2 × 3 runs. In the place of eta_w and eta_r, eta is both at once.
A method without R, such as bp-adam, has no use for eta_r and is not trained
once for each. Run again, the command skips what has ended and goes on with
what was interrupted.
"""


def add_commands(commands: Any) -> None:
    """Add `sweep` to the command's parsers."""
    sweep = commands.add_parser(
        "sweep", help="train methods × learning rates × seeds, in several processes or on a cluster", epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sweep.add_argument("config", metavar="CONFIG", type=folder, help="a .toml file")
    sweep.add_argument("--out", type=folder, required=True, help="folder for results, METHOD/…/seed-N for each run")
    sweep.add_argument("--data-dir", type=folder, help=f"folder with the data's files (default: ${DATA_VARIABLE})")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=count, default=1, metavar="N", help="processes on this machine (default 1)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that runs, as tcp://host:8786")
    sweep.add_argument(
        "--threads", type=count, metavar="N",
        help="threads of BLAS in each process (default: the cores shared out among the jobs; 1 on a cluster)",
    )  # fmt: skip
    add_checkpoint_seconds(sweep)
    sweep.set_defaults(command=_sweep, after_interrupt="; the same command again goes on, and skips what has ended")


def _sweep(options: argparse.Namespace) -> int:
    load_backend(backend_name())
    sweep = read_sweep(options.config)
    runs = len(sweep.plans())
    options.jobs, asked = processes_for(runs, options.jobs), options.jobs
    threads = _threads(options)
    if options.jobs < asked and not options.scheduler:
        why = f"{runs} run(s), and at most {MOST_PER_CORE} processes for each of {usable_cores()} core(s)"
        print(f"copi-ref: note: --jobs {asked} starts {options.jobs} process(es): there are {why}", file=sys.stderr)
    jobs = jobs_of(sweep, options.out, named_folder(options.data_dir), threads, options.checkpoint_seconds)
    load = load_named if sweep.classes is None else partial(load_named, classes=sweep.classes)
    # Raises now what would fail in every run; kept only if they run in this process.
    read = partial(loaded, load) if options.jobs == 1 and not options.scheduler else load
    dataset = read(jobs[0].source, jobs[0].data_dir, sweep.held_out)
    for text in remarks([job.plan for job in jobs], dataset):
        print(f"copi-ref: {text}", file=sys.stderr)
    taken = "as many threads of BLAS as it takes: threadpoolctl is not installed"
    each = taken if threads is None else f"{threads} thread(s) of BLAS each"
    print(f"{len(jobs)} runs into {options.out}/, with {each}")
    return _report(jobs, _outcomes(jobs, load, options), options.out.resolve())


def _threads(options: argparse.Namespace) -> int | None:
    """Return the threads of a run; None, where nobody asked for a number, and a plain install can't set it.

    Raises:
        ImportError: the extra `sweep` is not installed, and is needed.
    """
    if options.jobs > 1:
        imported("joblib")
    if options.threads is None and options.jobs == 1 and not options.scheduler and find_spec("threadpoolctl") is None:
        return None
    imported("threadpoolctl")
    return options.threads or (1 if options.scheduler else max(1, usable_cores() // options.jobs))


def _outcomes(jobs: Sequence[Job], load: Load, options: argparse.Namespace) -> Iterator[Outcome]:
    if options.scheduler:
        return run_jobs_on_cluster(jobs, load, options.scheduler)
    return run_jobs(jobs, load, options.jobs)


def _report(jobs: Sequence[Job], outcomes: Iterator[Outcome], out: Path) -> int:
    """Print a line per run as it ends, and those that failed at the end; return the exit status."""
    errors = []
    for done, outcome in enumerate(outcomes, start=1):
        if outcome.error is not None:
            errors.append(outcome.error)
        note = "failed" if outcome.test_accuracy is None else f"test accuracy {outcome.test_accuracy:.4f}"
        print(f"{done}/{len(jobs)} {outcome.folder.relative_to(out)}: {note}{outcome.note}", flush=True)
    for error in errors:
        print(f"copi-ref: {error}", file=sys.stderr)
    print(f"{len(jobs) - len(errors)} of {len(jobs)} runs finished")
    return 1 if errors else 0

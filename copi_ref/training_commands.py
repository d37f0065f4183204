"""The commands `copi-ref demo` and `copi-ref train`: train methods over seeds, and leave figures and tables."""

import argparse
import itertools
import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.backend import backend_name, environment, load_backend
from copi_ref.data import Dataset, load_named
from copi_ref.data.named import DATA_VARIABLE, FILE_NAMES
from copi_ref.experiments.presets import METHODS, PAPER_METHODS, PRESETS, Experiment, experiment
from copi_ref.experiments.results import claim, write_metrics, write_summary
from copi_ref.experiments.runner import Run, Spread, run, run_ensemble, summarize
from copi_ref.recipe import Recipe
from copi_ref.state import State
from copi_ref.training import NonFiniteError, Row

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table


def add_commands(commands: Any) -> None:
    """Add `demo` and `train` to the command's parsers."""
    demo = commands.add_parser("demo", help="train the paper's four methods on digits and show what decorrelation does")
    demo.add_argument("--seeds", type=_count, default=3, help="seeds 0 to SEEDS-1 (default 3)")
    demo.add_argument("--epochs", type=_count, default=30, help="default 30")
    demo.add_argument(
        "--out", type=Path, default=Path("copi-ref-demo"), help="folder for results (default %(default)s)"
    )
    _add_options(demo)
    demo.set_defaults(
        command=_train, dataset="digits", preset="demo", method=list(PAPER_METHODS), data_dir=None,
        held_out=None, hidden=None, eta_w=None, eta_r=None, error_scale=None,
    )  # fmt: skip

    train = commands.add_parser(
        "train", help="train on digits, a published data set or your own .npz", epilog=_methods(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    train.add_argument("dataset", metavar="DATASET", help=f"digits, {', '.join(FILE_NAMES)}, or a path to an .npz file")
    train.add_argument("--preset", choices=PRESETS, help="settings (default: demo for digits and .npz, else tmlr)")
    train.add_argument(
        "--method", choices=METHODS, metavar="METHOD", nargs="+", default=["copi-bp"],
        help="one or more of those listed below (default copi-bp)",
    )  # fmt: skip
    train.add_argument("--seeds", type=_count, default=1, help="seeds 0 to SEEDS-1 (default 1)")
    train.add_argument("--epochs", type=_count, default=10, help="default 10")
    train.add_argument("--hidden", type=_sizes, help="units of the hidden layers, as 500,500 (default: the preset's)")
    train.add_argument("--eta-w", type=_rate, help="learning rate of W (default: the preset's)")
    train.add_argument("--eta-r", type=_rate, help="learning rate of R (default: the preset's)")
    train.add_argument("--error-scale", type=_rate, help="factor on every δ (default: the preset's)")
    train.add_argument(
        "--data-dir", type=Path, help=f"folder that `copi-ref data fetch` has filled (default: ${DATA_VARIABLE})"
    )
    train.add_argument(
        "--held-out", type=_count, metavar="N", help="test on the last N training samples, and don't train on them"
    )
    train.add_argument(
        "--out", type=Path, default=Path("copi-ref-train"), help="folder for results (default %(default)s)"
    )
    _add_options(train)
    train.set_defaults(command=_train)


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--ensemble", action="store_true", help="train all seeds of a method as one computation")
    command.add_argument(
        "--diagnostics",
        action="store_true",
        help="measure every layer after each epoch: more columns in metrics.csv, and diagnostics.png",
    )


def _methods() -> str:
    """List the methods for the help; argparse itself would break names at their hyphens."""
    others = [method for method in METHODS if method not in PAPER_METHODS]
    paragraphs = [
        f"the paper's methods: {', '.join(PAPER_METHODS)}",
        f"others: {', '.join(others)}",
        "copi-X learns with COPI's rule and sgd-X by gradient descent, both from the perturbations of X.",
    ]
    return "\n".join(textwrap.fill(one, 79, subsequent_indent="  ", break_on_hyphens=False) for one in paragraphs)


def _train(options: argparse.Namespace) -> int:
    _require_demo_extra()
    from rich.console import Console

    from copi_ref.plots import diagnostics_figure, save, training_figure

    load_backend(backend_name())
    preset = options.preset or ("tmlr" if options.dataset in FILE_NAMES else "demo")
    dataset = load_named(options.dataset, options.data_dir, options.held_out)
    experiments = {method: _experiment(preset, method, options) for method in options.method}
    claim(options.out, _record(preset, experiments, options))  # now, and not after an hour of training
    console = Console()
    runs = _run_all(console, experiments, dataset, options)
    if runs:
        finished = dict.fromkeys(run.method for run in runs)
        summary = {method: summarize([run for run in runs if run.method == method]) for method in finished}
        title = f"{options.dataset}, preset {preset}, {options.seeds} seed(s), {options.epochs} epochs"
        if options.held_out is not None:
            title += f", tested on {options.held_out} training samples held out"
        write_summary(options.out, summary)
        save(training_figure(runs, title), options.out / "figure.png")
        if options.diagnostics:
            save(diagnostics_figure(runs, title), options.out / "diagnostics.png")
        console.print(_table(title, summary))
        console.print(f"Figure, metrics and settings are in {options.out}/")
    return 0 if len(runs) == len(experiments) * options.seeds else 1


def _experiment(preset: str, method: str, options: argparse.Namespace) -> Experiment:
    settings = experiment(preset, method, options.dataset)
    changes: dict[str, Any] = {name: getattr(options, name) for name in ("eta_w", "eta_r", "error_scale")}
    recipe = replace(settings.recipe, **{name: value for name, value in changes.items() if value is not None})
    return Experiment(options.hidden or settings.hidden, recipe)


def _run_all(
    console: Any, experiments: dict[str, Experiment], dataset: Dataset, options: argparse.Namespace
) -> list[Run]:
    """Return the runs that finished; one that became non-finite is reported and does not stop the others."""
    runs = []
    seeds = range(options.seeds)
    with _progress(console) as progress:
        for method, group in itertools.product(
            experiments, [seeds] if options.ensemble else [[seed] for seed in seeds]
        ):
            label = f"{method} seed {group[0]}" if len(group) == 1 else f"{method} seeds {group[0]} to {group[-1]}"
            task = progress.add_task(label, total=options.epochs, note="")

            def show(state: State, row: Row, task: Any = task) -> None:
                progress.update(task, advance=1, note=f"test accuracy {np.nanmean(row['test_accuracy']):.4f}")

            for seed, outcome in _outcomes(experiments[method], method, group, dataset, options, show).items():
                write_metrics(options.out, method, seed, outcome.metrics)
                if isinstance(outcome, NonFiniteError):
                    progress.update(task, note="stopped: non-finite")
                    print(f"copi-ref: {method}, seed {seed}: {outcome}", file=sys.stderr)
                else:
                    runs.append(outcome)
    return runs


def _outcomes(
    experiment: Experiment, method: str, seeds: Sequence[int], dataset: Dataset, options: argparse.Namespace, show: Any
) -> dict[int, Run | NonFiniteError]:
    more = {"callback": show, "diagnostics": layer_diagnostics if options.diagnostics else None}
    if options.ensemble:
        return run_ensemble(experiment, method, seeds, dataset, options.epochs, **more)
    try:
        return {seeds[0]: run(experiment, method, seeds[0], dataset, options.epochs, **more)}
    except NonFiniteError as error:
        return {seeds[0]: error}


def _progress(console: Any) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"),
        TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console,
    )  # fmt: skip


def _table(title: str, summary: dict[str, Any]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title=title,
        caption="Mean ± standard deviation over seeds, after the last epoch. Epochs until 99 % of the peak train "
        "accuracy. Energy: ‖C_off‖/‖diag C‖ of the first layer's input, before → after.",
    )
    for heading in ("method", "train acc.", "test acc.", "to 99 %", "energy"):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method, figures in summary.items():
        energy = f"{figures['energy_before'].mean:.3g} → {figures['energy_after'].mean:.3g}"
        accuracies = [_spread(figures[name], 4) for name in ("train_accuracy", "test_accuracy")]
        table.add_row(method, *accuracies, _spread(figures["epochs_to_99_percent"], 1), energy)
    return table


def _spread(spread: Spread, digits: int) -> str:
    mean = f"{spread.mean:.{digits}f}"
    return mean if spread.std is None else f"{mean} ±{spread.std:.{digits}f}"


def _record(preset: str, experiments: dict[str, Experiment], options: argparse.Namespace) -> dict[str, Any]:
    settings = {
        "dataset": options.dataset,
        "held_out": options.held_out,
        "preset": preset,
        "seeds": list(range(options.seeds)),
        "epochs": options.epochs,
        "diagnostics": options.diagnostics,
        "ensemble": options.ensemble,
        "methods": {
            method: {"hidden": list(settings.hidden), **_describe(settings.recipe, options.epochs)}
            for method, settings in experiments.items()
        },
    }
    return {"settings": settings, "environment": environment()}


def _describe(recipe: Recipe, epochs: int) -> dict[str, Any]:
    """Put a recipe in plain words: rates that depend on the epoch as a list, functions by their name."""
    described: dict[str, Any] = {}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in ("eta_w", "eta_r") and callable(value):
            value = [value(epoch) for epoch in range(epochs)]
        elif field.name in ("activation", "loss"):
            value = value.name
        described[field.name] = value if isinstance(value, (int, float, str, list)) else repr(value)
    return described


def _require_demo_extra() -> None:
    try:
        import matplotlib  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: pip install "copi_ref[demo]"') from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: needs a whole number of at least 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: needs a number of at least 0")
    return value


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_count(size) for size in text.split(","))

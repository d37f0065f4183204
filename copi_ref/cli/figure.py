"""The command `copi-ref figure`: the papers' figures from finished runs, with their numbers beside them."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.cli.options import folder
from copi_ref.data import load_named
from copi_ref.data.dataset import Dataset
from copi_ref.experiments import figure_2, figure_3a, figure_3b, figure_3c, rates
from copi_ref.experiments.chosen_runs import FigureError, Row, runs_by_method, title_of
from copi_ref.experiments.config import fingerprint
from copi_ref.experiments.folder import FinishedRun, find_failed, find_runs
from copi_ref.experiments.presets import PAPER_METHODS
from copi_ref.experiments.tables import as_csv, as_table, as_text
from copi_ref.figures.available import need_matplotlib
from copi_ref.files import write_atomically

IL_METHODS = ("bp-plain", "il-plain", "il-proximal-plain")
RATES = "0.01 0.1 1 2.5 10 100"  # of the stability experiment


def add_commands(commands: Any) -> None:
    """Add `figure` to the command's parsers."""
    figure = commands.add_parser(
        "figure", help="draw a figure of the papers from finished runs",
        epilog="Leaves figure-NAME.svg, .png and .csv (its numbers) in the folder that --out names.",
    )  # fmt: skip
    figure.add_argument(
        "name", choices=FIGURES, metavar="NAME",
        help="2a, 2b: accuracy and loss over epochs; 3a: whitening; 3b: receptive fields; 3c: compression; "
        "learning-rates; il-stability",
    )  # fmt: skip
    figure.add_argument("--runs", type=folder, required=True, help="folder with runs, also in folders of it")
    figure.add_argument("--out", type=folder, default=Path("copi-ref-figures"), help="default %(default)s")
    figure.add_argument("--dataset", help="take the runs of this set (default: mnist; for 2b cifar10)")
    figure.add_argument("--data-dir", type=folder, help="3a, 3b, 3c: folder with the data (default: $COPI_REF_DATA)")
    figure.set_defaults(command=_figure)


def _figure(options: argparse.Namespace) -> int:
    need_matplotlib()
    options.dataset = options.dataset or ("cifar10" if options.name == "2b" else "mnist")
    try:
        FIGURES[options.name](options)
    except FigureError as error:
        print(f"copi-ref: {options.runs}: {error}", file=sys.stderr)
        return 2
    return 0


def _figure_2(options: argparse.Namespace) -> None:
    from copi_ref.figures.paper import curves_figure

    command = train_command(options, PAPER_METHODS)
    chosen = runs_by_method(find_runs(options.runs), options.dataset, PAPER_METHODS, command)
    missing = [method for method in PAPER_METHODS if method not in chosen]
    if missing:
        print(f"Not drawn, for want of runs: {', '.join(missing)}. {train_command(options, missing)}", file=sys.stderr)
    panels = figure_2.PANELS[options.name]
    rows, idle = figure_2.curves(chosen, panels), figure_2.lateral_only_epochs(chosen)
    title = _over_seeds(title_of(next(iter(chosen.values()))[0]), rows)
    _leave(options, rows, curves_figure(rows, panels, PAPER_METHODS, title, idle))
    print(as_table(figure_2.summary(chosen)))


def _figure_3a(options: argparse.Namespace) -> None:
    from copi_ref.figures.paper import images_figure

    runs, dataset = _copi_runs(options)
    rows = figure_3a.distances(runs, dataset)
    places, images = figure_3a.transformed(runs[0], dataset)
    notes = {
        image: f"distance {as_text(row['distance_from_zca'])}\nby units {as_text(row['distance_of_units_from_zca'])}"
        for image, row in zip(images, rows, strict=False)
    }
    samples = ", ".join(map(str, places))
    title = f"{title_of(runs[0])}, seed {runs[0].config['seed']}\ntraining samples {samples} (from 0)"
    _leave(options, rows, images_figure(images, notes, title))
    _leave_arrays(options, {"samples": places, **{name.replace(" ", "_"): one for name, one in images.items()}})
    print(as_table(rows))


def _figure_3b(options: argparse.Namespace) -> None:
    from copi_ref.figures.paper import mosaics_figure

    runs, dataset = _copi_runs(options)
    found = figure_3b.fields(runs[0], dataset)
    drawn = {f"layer {one.layer}: {len(one.units)} units": one.images for one in found}
    title = f"{title_of(runs[0])}, seed {runs[0].config['seed']}:\ncorrelation with the decorrelated input"
    _leave(options, figure_3b.strongest(found), mosaics_figure(drawn, title))
    _leave_arrays(options, {f"layer_{one.layer}": one.images for one in found})
    print(as_table(figure_3b.summary(found)))


def _figure_3c(options: argparse.Namespace) -> None:
    from copi_ref.figures.paper import compression_figure

    runs, dataset = _copi_runs(options)
    try:
        rows = figure_3c.accuracies(runs, dataset)
    except ValueError as error:
        raise FigureError(str(error)) from error
    _leave(options, rows, compression_figure(rows, _over_seeds(title_of(runs[0]), rows)))
    print(as_table(rows))


def _learning_rates(options: argparse.Namespace) -> None:
    more = "--preset tmlr --epochs 100 --eta-w RATE --eta-r RATE"
    command = (
        train_command(options, PAPER_METHODS, more, "/RATE") + "\n  for several RATEs, such as 1e-4 3e-4 1e-3 3e-3"
    )
    _draw_rates(options, PAPER_METHODS, command, r"learning rate $\eta_W$ (of the last epoch; no unit)")


def _il_stability(options: argparse.Namespace) -> None:
    command = train_command(options, IL_METHODS, "--preset il --epochs 1 --eta-w RATE", "/RATE")
    command += (
        f"\n  for each RATE of {RATES}; --held-out 50000 trains on the first 10000 images, in a sixth of the time"
    )
    _draw_rates(options, IL_METHODS, command, r"learning rate $\eta_W$, of IL-prox $\alpha$ (no unit)")


def _draw_rates(options: argparse.Namespace, methods: Sequence[str], command: str, rate: str) -> None:
    from copi_ref.figures.paper import rates_figure

    finished, failed = find_runs(options.runs), find_failed(options.runs)
    rows = rates.by_rate(finished, failed, options.dataset, methods, command)
    shown = next(
        run
        for run in [*finished, *failed]
        if run.config["dataset"] == options.dataset and run.config["method"] in methods
    )
    _leave(options, rows, rates_figure(rows, methods, _over_seeds(title_of(shown), rows), rate))
    print(as_table(rows))


FIGURES: dict[str, Callable[[argparse.Namespace], None]] = {
    "2a": _figure_2,
    "2b": _figure_2,
    "3a": _figure_3a,
    "3b": _figure_3b,
    "3c": _figure_3c,
    "learning-rates": _learning_rates,
    "il-stability": _il_stability,
}


def train_command(
    options: argparse.Namespace, methods: Sequence[str], more: str = "--preset tmlr --epochs 100", below: str = ""
) -> str:
    """Return the command that makes the runs of a figure."""
    # five seeds, as in both papers
    what = f"{options.dataset} {more} --method {' '.join(methods)}"
    without_tests = "\n  (where the test batch is not at hand, with --held-out 10000: tests on training samples)"
    hint = without_tests if options.dataset == "cifar10" else ""
    return f"copi-ref train {what} --seeds 5 --out {options.runs}{below}{hint}"


def _copi_runs(options: argparse.Namespace) -> tuple[list[FinishedRun], Dataset]:
    """Return the runs of copi-bp that Fig. 3 is of, and what they were trained on."""
    command = train_command(options, ["copi-bp"])
    runs = runs_by_method(find_runs(options.runs), options.dataset, ["copi-bp"], command)["copi-bp"]
    dataset = _dataset(options, runs[0].config["held_out"])
    if fingerprint(dataset) != runs[0].config["data"]:
        raise FigureError(
            f"{runs[0].folder} was trained on other data: name the folder that {options.dataset} was read from with "
            "--data-dir"
        )
    return runs, dataset


def _dataset(options: argparse.Namespace, held_out: int | None) -> Dataset:
    return load_named(options.dataset, options.data_dir, held_out)


def _leave(options: argparse.Namespace, rows: Sequence[Row], figure: Any) -> None:
    from copi_ref.figures.paper import save_both

    path = options.out / f"figure-{options.name}.csv"
    write_atomically(path, as_csv(rows))
    print("Written:", *save_both(figure, options.out, path.stem), path)


def _leave_arrays(options: argparse.Namespace, arrays: dict[str, HostArray]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    path = options.out / f"figure-{options.name}.npz"
    write_atomically(path, content.getvalue())
    print("Written:", path)


def _over_seeds(title: str, rows: Sequence[Row]) -> str:
    most = max(row["seeds"] for row in rows)
    diverged = "\nhollow marks: so many of all seeds diverged" if any(row.get("diverged") for row in rows) else ""
    return f"{title}\n{'mean ± standard deviation over seeds' if most > 1 else 'one seed'}{diverged}"

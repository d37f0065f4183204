"""The commands `copi-ref demo` and `copi-ref train`: train methods over seeds, and leave figures and tables."""

import argparse
import itertools
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.arrays.backend import backend_name, load_backend
from copi_ref.cli.before_training import automatic_eta_r, epochs_of_R_alone, remarks, remarks_on_scale
from copi_ref.cli.names import lateral_rule, method
from copi_ref.cli.options import AUTO, count, folder, in_options, number, number_or_auto, sizes
from copi_ref.cli.table import table
from copi_ref.data import DataError, Dataset, load_named
from copi_ref.data.named import DATA_VARIABLE, FILE_NAMES
from copi_ref.experiments.admission import check
from copi_ref.experiments.config import OF_R, OVERRIDES, Plan, surroundings
from copi_ref.experiments.folder import FinishedRun, RunError, RunFailedError
from copi_ref.experiments.presets import LATERAL, METHODS, PAPER_METHODS, PRESETS, WITHOUT_R, PresetName, check_lateral
from copi_ref.experiments.recorded import run_ensemble_into, run_into
from copi_ref.experiments.results import write_summary
from copi_ref.experiments.runner import Run, run_of, summarize
from copi_ref.figures.available import need_matplotlib
from copi_ref.training.progress import Progress
from copi_ref.training.scale import PROVED, scale_of


def add_commands(commands: Any) -> None:
    """Add `demo` and `train` to the command's parsers."""
    demo = commands.add_parser("demo", help="train the paper's four methods on digits and show what decorrelation does")
    demo.add_argument("--seeds", type=count, default=3, help="seeds 0 to SEEDS-1 (default 3)")
    demo.add_argument("--epochs", type=count, default=30, help="default 30")
    demo.add_argument(
        "--out", type=folder, default=Path("copi-ref-demo"), help="folder for results (default %(default)s)"
    )
    _add_options(demo)
    demo.set_defaults(
        command=_demo, after_interrupt="; the same command again goes on where it was", dataset="digits", preset="demo",
        method=list(PAPER_METHODS), data_dir=None, held_out=None, classes=None, hidden=None, **dict.fromkeys(OVERRIDES),
    )  # fmt: skip

    train = commands.add_parser(
        "train", help="train on digits, a published data set or your own .npz", epilog=_methods(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    train.add_argument("dataset", metavar="DATASET", help=f"digits, {', '.join(FILE_NAMES)}, or a path to an .npz file")
    train.add_argument("--preset", choices=PRESETS, help="settings (default: demo for digits and .npz, else tmlr)")
    train.add_argument(
        "--method", type=method, metavar="METHOD", nargs="+", default=["copi-bp"],
        help="one or more of those listed below (default copi-bp)",
    )  # fmt: skip
    train.add_argument("--seeds", type=count, default=1, help="seeds 0 to SEEDS-1 (default 1)")
    train.add_argument("--epochs", type=count, default=10, help="default 10")
    train.add_argument("--hidden", type=sizes, help="units of the hidden layers, as 500,500 (default: the preset's)")
    train.add_argument("--eta-w", type=number, help="learning rate of W (default: the preset's)")
    train.add_argument(
        "--eta-r", type=number_or_auto, metavar="ETA_R",
        help="learning rate of R (default: the preset's); auto: 2/(3 E‖x‖²) of the training samples, up to which R of "
        "the first layer is known to be safe",
    )  # fmt: skip
    train.add_argument(
        "--lateral", dest="lateral_rule", type=lateral_rule, metavar="RULE",
        help=f"how R learns (default: the preset's): {', '.join(LATERAL)}, or MODULE:OBJECT of your own",
    )  # fmt: skip
    train.add_argument(
        "--lateral-every", type=count, metavar="N", help="R learns in every Nth step alone (default: the preset's, 1)"
    )
    train.add_argument("--error-scale", type=number, help="factor on every δ (default: the preset's)")
    train.add_argument(
        "--data-dir", type=folder, help=f"folder that `copi-ref data fetch` has filled (default: ${DATA_VARIABLE})"
    )
    train.add_argument(
        "--held-out", type=count, metavar="N", help="test on the last N training samples, and don't train on them"
    )
    train.add_argument(
        "--classes", type=count, metavar="N",
        help="of an .npz file: there are N classes, though most of them have no sample in it",
    )  # fmt: skip
    train.add_argument(
        "--out", type=folder, default=Path("copi-ref-train"),
        help="folder for results, one METHOD/seed-N for each run (default %(default)s)",
    )  # fmt: skip
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on with the runs in that folder, to EPOCHS also if they had fewer, and skip those that have had them",
    )
    _add_options(train)
    train.set_defaults(
        command=_train, after_interrupt="; finished runs are on disk, and --resume goes on with the others"
    )


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--ensemble", action="store_true", help="train all seeds of a method as one computation")
    command.add_argument(
        "--diagnostics",
        action="store_true",
        help="measure every layer after each epoch: more columns in metrics.csv, and diagnostics.png",
    )
    add_checkpoint_seconds(command)


def add_checkpoint_seconds(command: argparse.ArgumentParser) -> None:
    """Add the option to a command that leaves run folders."""
    command.add_argument(
        "--checkpoint-seconds", type=number, default=60, metavar="SECONDS",
        help="time between checkpoints within an epoch; there is one after each epoch too (default %(default)s)",
    )  # fmt: skip


def _methods() -> str:
    """List the methods for the help; argparse itself would break names at their hyphens."""
    others = [method for method in METHODS if method not in PAPER_METHODS]
    paragraphs = [
        f"the paper's methods: {', '.join(PAPER_METHODS)}",
        f"others: {', '.join(others)}",
        "copi-X learns with COPI's rule and sgd-X by gradient descent, both from the perturbations of X. X can be "
        "MODULE:OBJECT, a credit method of your own: copi-my_package.my_module:my_credit",
        "il-alonso, il-prox and il-prox-fast are Inference Learning as its authors run it; il and il-proximal are this "
        "library's, with Adam; bp-plain, il-plain and il-proximal-plain take plain steps, for the figure of IL's "
        "stability: there --eta-w is α for il-proximal-plain.",
        f"without R, and so without use for --eta-r: {', '.join(WITHOUT_R)}",
        "presets: paper (the text of arXiv 2203.13203), tmlr (the experiments of its later version), il (Inference "
        "Learning: hidden layers 256,256 or for cifar10 1024,1024,1024, one sample at a time), demo (for digits)",
    ]
    return "\n".join(textwrap.fill(one, 79, subsequent_indent="  ", break_on_hyphens=False) for one in paragraphs)


def _train(options: argparse.Namespace) -> int:
    load_backend(backend_name())
    preset: PresetName = options.preset or ("tmlr" if options.dataset in FILE_NAMES else "demo")
    dataset = load_named(options.dataset, options.data_dir, options.held_out, options.classes)
    facts = surroundings(dataset)
    if options.eta_r == AUTO:
        options.eta_r = automatic_eta_r(scale_of(dataset.x_train))
        print(f"copi-ref: note: --eta-r auto is {options.eta_r:g}, 2/(3 E‖x‖²): {PROVED}", file=sys.stderr)
    plans = _plans(preset, options)
    _check_settings(plans, dataset, options)
    for plan in plans:  # now, and not after an hour of training
        check(folder_of(options.out, plan), plan.config(facts), options.resume)
    for text in [*remarks(plans, dataset), *remarks_on_scale(plans, dataset)]:
        print(f"copi-ref: {text}", file=sys.stderr)
    runs = _run_all(plans, dataset, facts, options)
    if runs:
        finished = dict.fromkeys(run.method for run in runs)
        summary = {method: summarize([run for run in runs if run.method == method]) for method in finished}
        title = f"{options.dataset}, preset {preset}, {_counted(options.epochs, 'epoch')}"
        if options.held_out is not None:
            title += f", tested on {options.held_out} training samples held out"
        write_summary(options.out, summary)
        print(table(f"{title}, {_counted(options.seeds, 'seed')}", summary))
        print("Written:", options.out / "summary.csv", *_draw(runs, title, epochs_of_R_alone(plans), options))
        print(f"Each run is in a folder of its own: {options.out}/METHOD/seed-N/")
    return 0 if len(runs) == len(plans) else 1


def _draw(runs: Sequence[Run], title: str, idle: int, options: argparse.Namespace) -> list[Path]:
    """Draw the figures, or say how they can be drawn: an hour of training is not to end with an error for them."""
    try:
        need_matplotlib()
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        again = "the same command" + (" again" if options.command is _demo else " with --resume")
        print(f"No figure: {error}. Then {again} draws it, and trains nothing again")
        return []
    from copi_ref.figures.training import diagnostics_figure, save, training_figure

    drawn = [options.out / "figure.png"]
    save(training_figure(runs, title, idle), drawn[0])
    if options.diagnostics:
        drawn.append(options.out / "diagnostics.png")
        save(diagnostics_figure(runs, title), drawn[1])
    return drawn


def _demo(options: argparse.Namespace) -> int:
    """Train as `train` does; runs of an earlier demo are taken up, or shown again."""
    options.resume = True
    return _train(options)


def _plans(preset: PresetName, options: argparse.Namespace) -> list[Plan]:
    """Return the runs that were asked for, those of one method beside each other."""
    asked = {name: getattr(options, name) for name in OVERRIDES}
    overrides = {name: value for name, value in asked.items() if value is not None}
    return [
        Plan(
            dataset=options.dataset, held_out=options.held_out, preset=preset, method=method, seed=seed,
            epochs=options.epochs, hidden=options.hidden, overrides=overrides, diagnostics=options.diagnostics,
            ensemble=options.ensemble,
        )
        for method in dict.fromkeys(options.method)
        for seed in range(options.seeds)
    ]  # fmt: skip


def _check_settings(plans: Sequence[Plan], dataset: Dataset, options: argparse.Namespace) -> None:
    """Check what argparse can't, before anything is written.

    Raises:
        RunError: a setting that a method refuses, or a rate that none of them uses.
        DataError: a sample that is infinite in the dtype of the weights.
    """
    try:
        for setting in OF_R:
            if getattr(options, setting) is not None:
                check_lateral(setting, options.method)
        recipes = [plan.experiment().recipe for plan in plans]
    except (TypeError, ValueError) as error:
        raise RunError(in_options(str(error))) from error
    largest = np.finfo(recipes[0].dtype).max
    for name in ("x_train", "x_test"):
        x = getattr(dataset, name)
        if max(x.max(), -x.min()) > largest:
            raise DataError(f"{options.dataset}: {name} has entries too large for {recipes[0].dtype}: scale it down")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number > 1)}"


def folder_of(out: Path, plan: Plan) -> Path:
    """Return where a run goes."""
    return out / plan.folder


def _run_all(plans: list[Plan], dataset: Dataset, facts: dict[str, Any], options: argparse.Namespace) -> list[Run]:
    """Return the runs that finished; one that became non-finite is reported and does not stop the others."""
    runs = []
    groups = [[plan] for plan in plans]
    if options.ensemble:
        groups = [list(group) for _, group in itertools.groupby(plans, lambda plan: plan.method)]
    for group in groups:
        method, seeds = group[0].method, [plan.seed for plan in group]
        label = f"{method} seed {seeds[0]}" if len(seeds) == 1 else f"{method} seeds {seeds[0]} to {seeds[-1]}"
        with Progress(sys.stdout, options.epochs, label=f"{label:22}") as progress:
            outcomes = _outcomes(group, dataset, facts, options, progress.after_epoch)
            if failed := sum(isinstance(outcome, RunFailedError) for outcome in outcomes):
                progress.note("stopped: non-finite" if len(seeds) == 1 else f"{failed} of {len(seeds)} stopped")
            elif not progress.moved:
                progress.show(options.epochs, "trained before")
        for plan, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, RunFailedError):
                where = f"{folder_of(options.out, plan)}: "
                print(f"copi-ref: {where}{in_options(str(outcome).removeprefix(where))}", file=sys.stderr)
            else:
                runs.append(run_of(method, plan.seed, outcome.metrics, outcome.params, dataset))
    return runs


def _outcomes(
    plans: list[Plan], dataset: Dataset, facts: dict[str, Any], options: argparse.Namespace, show: Any
) -> list[FinishedRun | RunFailedError]:
    """Train one run, or an ensemble of several seeds."""
    folders = [folder_of(options.out, plan) for plan in plans]
    try:
        if options.ensemble:
            return run_ensemble_into(folders, plans, dataset, facts, resume=options.resume, callback=show)
        return [
            run_into(
                folders[0], plans[0], dataset, facts,
                resume=options.resume, checkpoint_seconds=options.checkpoint_seconds, callback=show,
            )
        ]  # fmt: skip
    except RunFailedError as error:
        return [error]
    except MemoryError as error:
        raise RunError(f"{folders[0]}: needs more memory than there is ({error})") from error

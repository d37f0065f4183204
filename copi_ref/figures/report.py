"""Runs as one HTML file: settings, comparison, curves and outcomes. It fetches nothing and runs no script."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from copi_ref.experiments import figure_2
from copi_ref.experiments.comparison import Compared, Table, compared
from copi_ref.experiments.folder import FinishedRun, RunError, find_failed, find_runs, find_unfinished, read_outcome
from copi_ref.experiments.settings import common_and_different, surroundings_of
from copi_ref.figures.paper import curves_figure
from copi_ref.figures.training import has_diagnostics, measure_figure

PANELS = {
    "test_accuracy": "Test accuracy",
    "train_accuracy": "Train accuracy",
    "test_loss": "Test loss",
    "train_loss": "Train loss",
}
MEASURES = {
    "off_diagonal": "Relative off-diagonal ‖C_off‖ / ‖diag C‖ of a layer's input x",
    "asymmetry": "Asymmetry ‖R − Rᵀ‖ / ‖R‖",
    "log_det": "log |det R|",
    "condition": "Condition number of C = E[x xᵀ]",
    "angle": "Angle of δ to backpropagation's, in degrees",
    "dead": "Share of dead inputs (always 0)",
}
"""What stands above the figure of each measure of `copi_ref.figures.training.MEASURES`."""

# Text stays text, and nothing is drawn behind: the page's own colours, light or dark, show through.
_RC: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "copi_ref", "font.size": 8, "axes.facecolor": "none",
    "legend.frameon": False, "legend.fontsize": 8,
}  # fmt: skip

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .25rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
th { min-width: 6rem; vertical-align: bottom; }
td { white-space: nowrap; }
.value td:last-child { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; }
.figures { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; break-inside: avoid; }
svg { display: block; width: 100%; max-width: 32rem; height: auto; fill: currentColor; }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; font-size: 12px; }
  td { white-space: normal; }
  .figures { grid-template-columns: 1fr 1fr; }
  tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""


def report(root: Path, against: str | None = None) -> str:
    """Return the report of all runs below a folder as HTML; the same runs give the same text.

    Args:
        root: with runs, as `copi-ref train` and `sweep` leave them.
        against: as for `compared`.

    Raises:
        RunError: no run has finished, or as `find_runs` and `compared`.
    """
    finished, failed, unfinished = find_runs(root), find_failed(root), find_unfinished(root)
    outcomes = f"{len(finished)} finished, {len(failed)} failed, {len(unfinished)} not ended"
    if not finished:
        raise RunError(f"{root}: no run has finished ({outcomes}): needs one that has")
    every = [*finished, *failed, *unfinished]
    common, different = common_and_different(every)
    try:
        settings = compared(finished, against)
    except RunError as error:
        raise RunError(f"{root}: {error}") from error
    with matplotlib.rc_context(_RC):
        results = [part for one in enumerate(settings) for part in _results(*one, root)]
    parts = [
        *_ended_badly(failed, unfinished, root),
        *results,
        "<h2>Settings</h2>",
        *([_table(different, "In what runs differ")] if different else []),
        _table(common, "What is the same in all runs", "value"),
        "<h2>Environment</h2>",
        _table(surroundings_of(every), "What the runs were made with", "value"),
    ]
    return _page(f"Runs in {root.resolve().name}", f"Runs: {outcomes}.", parts)


def _page(title: str, first: str, parts: Iterable[str]) -> str:
    return "\n".join([
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(first)}</p>", *parts, "</main>\n</body>\n</html>\n",
    ])  # fmt: skip


def _ended_badly(failed: Sequence[FinishedRun], unfinished: Sequence[FinishedRun], root: Path) -> Iterator[str]:
    why = [(run, ending.error) for run in failed if (ending := read_outcome(run.folder)) is not None]
    why += [(run, "has not ended: go on with resume=True (--resume)") for run in unfinished]
    if why:
        yield "<h2>Runs that did not finish</h2>"
        rows = tuple((_place(run, root), str(text)) for run, text in why)
        yield _table(Table(("run", "why"), rows), "They are in no figure and no comparison", "value")


def _results(number: int, found: Compared, root: Path) -> Iterator[str]:
    """Yield what one setting reached."""
    runs = {method: list(by_seed.values()) for method, by_seed in found.runs.items()}
    every = [run for of_method in runs.values() for run in of_method]
    yield f"<h2>{escape(found.title)}</h2>"
    yield _table(found.reached, "Mean ± standard deviation over seeds")
    if found.differences:
        yield _table(found.differences, "Differences, with 95 % intervals (Student's t)")
    if found.missing is not None:
        yield f"<p>No run of {escape(found.missing)} here, and so no differences.</p>"
    rows, idle = figure_2.curves(runs, list(PANELS)), figure_2.lateral_only_epochs(runs)
    drawn = {heading: curves_figure(rows, [metric], list(runs), "", idle) for metric, heading in PANELS.items()}
    yield _figures(drawn, f"r{number}", "The band is the mean ± one standard deviation over seeds.")
    measured = [run for run in every if has_diagnostics(run)]
    if measured:
        drawn = {heading: measure_figure(measured, measure) for measure, heading in MEASURES.items()}
        yield "<h3>Diagnostics, by layer</h3>"
        yield _figures(drawn, f"d{number}", "Means over seeds.")
    yield _table(_each(every, root), "Each run after its last epoch")


def _each(runs: Sequence[FinishedRun], root: Path) -> Table:
    rows = []
    for run in runs:
        last, seconds = run.metrics[-1], sum(row["seconds"] for row in run.metrics)
        accuracies = (f"{last[name]:.4f}" for name in ("test_accuracy", "train_accuracy"))
        losses = (f"{last[name]:.4g}" for name in ("test_loss", "train_loss"))
        rows.append((_place(run, root), *accuracies, *losses, f"{seconds:.0f}"))
    return Table(("run", "test accuracy", "train accuracy", "test loss", "train loss", "seconds in all"), tuple(rows))


def _place(run: FinishedRun, root: Path) -> str:
    return run.folder.relative_to(root).as_posix()


def _table(table: Table, caption: str, kind: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="wide" tabindex="0">\n<table class="{kind}">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _figures(drawn: dict[str, Figure], prefix: str, note: str) -> str:
    shown = (
        f"<figure>\n<figcaption>{escape(name)}</figcaption>\n{_svg(figure, f'{prefix}-{place}-', name)}\n</figure>"
        for place, (name, figure) in enumerate(drawn.items())
    )
    return "\n".join([f'<p>{escape(note)}</p>\n<div class="figures">', *shown, "</div>"])


def _svg(figure: Figure, prefix: str, name: str) -> str:
    """Return a figure as SVG to stand in a page: black becomes the colour of text, and no two figures share an id."""
    image = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(image, format="svg", transparent=True, metadata=nothing, bbox_inches="tight", pad_inches=0.03)
    text = image.getvalue()
    text = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{prefix}", text[text.index("<svg") :])
    text = re.sub(r"#000000\b", "currentColor", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(name)}" ', 1).strip()

"""What training shows in a terminal: progress, and a table of the methods."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table


def progress_bars(console: Any) -> "Progress":
    """Return a bar per run, which counts epochs; the rest of the line is the field `note`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"),
        TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console,
    )  # fmt: skip


def table(title: str, summary: dict[str, Any]) -> "Table":
    """Return a line per method of what `summarize` gives."""
    from rich import box
    from rich.table import Table

    deviates = any(one.std is not None for figures in summary.values() for one in figures.values())
    rows = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title=title,
        caption=f"{'Mean ± standard deviation over seeds, after' if deviates else 'After'} the last epoch. The epoch, "
        "from 0, after which 99 % of the peak train accuracy are reached. Energy: ‖C_off‖/‖diag C‖ of the first "
        "layer's input, before → after.",
    )
    for heading in ("method", "train acc.", "test acc.", "99 % in", "energy"):
        rows.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method, figures in summary.items():
        energy = f"{figures['energy_before'].mean:.3g} → {figures['energy_after'].mean:.3g}"
        accuracies = [figures[name].text() for name in ("train_accuracy", "test_accuracy")]
        rows.add_row(method, *accuracies, figures["epoch_of_99_percent"].text(digits=1), energy)
    return rows

"""What training prints at its end: a table of the methods."""

import textwrap
from collections.abc import Mapping

from copi_ref.experiments.runner import Spread
from copi_ref.experiments.tables import as_table


def table(title: str, summary: Mapping[str, Mapping[str, Spread]]) -> str:
    """Return a line per method of what `summarize` gives."""
    rows = [
        {
            "method": method,
            "train acc.": figures["train_accuracy"].text(),
            "test acc.": figures["test_accuracy"].text(),
            "99 % in": figures["epoch_of_99_percent"].text(digits=1),
            "off-diagonal": f"{figures['off_diagonal_before'].mean:.3g} → {figures['off_diagonal_after'].mean:.3g}",
        }
        for method, figures in summary.items()
    ]
    deviates = any(one.std is not None for figures in summary.values() for one in figures.values())
    caption = (
        f"{'Mean ± standard deviation over seeds, after' if deviates else 'After'} the last epoch. 99 % in: the epoch, "
        "from 0, after which 99 % of the peak train accuracy are reached. Off-diagonal: ‖C_off‖/‖diag C‖ of the first "
        "layer's input, before → after."
    )
    return "\n".join(["", title, "", as_table(rows), "", *textwrap.wrap(caption, 79)])

"""The command `copi-ref compare`: what finished runs reached, as tables."""

import argparse
from typing import Any

from copi_ref.cli.names import method
from copi_ref.cli.options import folder
from copi_ref.experiments.comparison import comparison
from copi_ref.experiments.folder import RunError, find_runs


def add_commands(commands: Any) -> None:
    """Add `compare` to the command's parsers."""
    compare = commands.add_parser(
        "compare", help="tables of what finished runs reached, and how methods differ seed by seed"
    )
    compare.add_argument("runs", metavar="RUNS", type=folder, help="folder with runs, as train and sweep leave them")
    compare.add_argument(
        "--against", type=method, metavar="METHOD", help="the method that is subtracted (default: the first)"
    )
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    runs = find_runs(options.runs)
    try:
        print(comparison(runs, options.against))
    except RunError as error:
        raise RunError(f"{options.runs}: {error}") from error
    return 0

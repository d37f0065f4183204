"""The command `copi-ref report`: all that there is to show of finished runs, in one HTML file."""

import argparse
from pathlib import Path
from typing import Any

from copi_ref.cli.names import method
from copi_ref.cli.options import folder
from copi_ref.experiments.folder import RunError
from copi_ref.figures.available import need_matplotlib
from copi_ref.files import write_atomically


def add_commands(commands: Any) -> None:
    """Add `report` to the command's parsers."""
    report = commands.add_parser(
        "report", help="one HTML file of runs: settings, comparison, curves, outcomes",
        epilog="The file needs no network. One that is there already is replaced.",
    )  # fmt: skip
    report.add_argument("runs", metavar="RUNS", type=folder, help="folder with runs, as train and sweep leave them")
    report.add_argument("--out", type=folder, default=Path("report.html"), metavar="FILE", help="default %(default)s")
    report.add_argument(
        "--against", type=method, metavar="METHOD", help="the method that is subtracted (default: the first)"
    )
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    need_matplotlib()
    from copi_ref.figures.report import report

    if options.out.is_dir():
        raise RunError(f"{options.out} is a folder: name a file with --out")
    content = report(options.runs, options.against).encode()
    write_atomically(options.out, content)
    print(f"Written: {options.out} ({len(content) / 1000:.0f} kB)")
    return 0

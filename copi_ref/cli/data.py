"""The command `copi-ref data`: download data sets."""

import argparse
from typing import Any

from copi_ref.cli.options import folder
from copi_ref.data.fetch import SOURCES, fetch
from copi_ref.data.named import DATA_VARIABLE, data_folder


def add_commands(commands: Any) -> None:
    """Add `data fetch` to the command's parsers."""
    data = commands.add_parser("data", help="download data sets")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    fetcher = actions.add_parser("fetch", help="download a data set, checked against its known MD5s")
    fetcher.add_argument("name", choices=SOURCES, metavar="NAME", help=", ".join(SOURCES))
    fetcher.add_argument("--data-dir", type=folder, help=f"folder for data sets (default: ${DATA_VARIABLE})")
    fetcher.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    for path in fetch(options.name, data_folder(options.name, options.data_dir)):
        print(path)
    return 0

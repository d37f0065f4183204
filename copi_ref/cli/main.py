"""The command `copi-ref`: argparse only, so that it works on a plain install; what needs more says so."""

import argparse
import sys
from collections.abc import Sequence

from copi_ref import __version__
from copi_ref.arrays.backend import BackendError, environment, load_backend
from copi_ref.arrays.blas import kernel_warning
from copi_ref.cli import compare, data, explore, figure, oracle, report, sweep, train
from copi_ref.data import DataError
from copi_ref.experiments.folder import RunError
from copi_ref.experiments.sweep import SweepError
from copi_ref.oracle.calling.named import TargetError
from copi_ref.training.checkpoint import CheckpointError
from copi_ref_command.judging import nobody_reads, replace_unknown_signs

REPORTED = (BackendError, CheckpointError, DataError, ImportError, OSError, RunError, SweepError, TargetError)
"""Errors that say what is wrong with what was asked: a message, no traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if a run left the finite numbers or a check failed, or 2 for what can't be done."""
    replace_unknown_signs()
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except BrokenPipeError:  # the reader has seen enough, as `head` does; what is buffered has nowhere to go
        nobody_reads()
        return 1
    except REPORTED as error:
        print(f"copi-ref: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"copi-ref: interrupted{getattr(options, 'after_interrupt', '')}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="copi-ref", description="Constrained Parameter Inference: the reference implementation."
    )
    parser.add_argument("--version", action="version", version=f"copi_ref {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    info = commands.add_parser("info", help="print the backend, versions and BLAS that numbers depend on")
    info.set_defaults(command=_info)
    for room in (train, data, sweep, compare, figure, report, oracle, explore):
        room.add_commands(commands)
    return parser


def _info(options: argparse.Namespace) -> int:
    facts = environment()
    load_backend(facts["backend"])
    for name, value in facts.items():
        print(f"{name:18} {value}")
    if warning := kernel_warning():
        print(f"warning: {warning}", file=sys.stderr)
    return 0

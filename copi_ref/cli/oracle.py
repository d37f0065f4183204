"""The oracle's part of the command `copi-ref`: check, explain and vectors."""

import argparse
import json
import re
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import fields
from typing import Any

import numpy as np

from copi_ref.arrays.backend import backend_name, load_backend
from copi_ref.cli.options import folder, seconds
from copi_ref.oracle.calling.named import TargetError, conventions_for, find_target
from copi_ref.oracle.calling.program import Program, ProgramError
from copi_ref.oracle.checks import check
from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS
from copi_ref.oracle.inference.conventions import THIS_LIBRARY, InferenceConventions
from copi_ref.oracle.inference.explain import explain_inference
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.report.explain import as_text, explain
from copi_ref.oracle.report.report import Report
from copi_ref.oracle.rounding import PRECISIONS
from copi_ref_command.judging import TIMEOUT, say


def add_commands(commands: Any) -> None:
    """Add the oracle's subcommands to those of `copi-ref`."""
    checker = commands.add_parser(
        "check", help="say whether an implementation is COPI, or Inference Learning, and which mistake it is if not",
        description="Exit code 0: it is; 1: it is not; 2: it could not be checked.",
    )  # fmt: skip
    add = checker.add_argument
    add("target", nargs="?", metavar="PKG.MOD[:OBJ]", help="a module, or an object in it, to be checked")
    add("--command", metavar="PROGRAM", dest="program", help="check a program that speaks JSON lines")
    add("--timeout", type=seconds, default=TIMEOUT, help=f"seconds to wait for each answer (default {TIMEOUT})")
    add("--precision", choices=PRECISIONS, default="float64", help="what it computes in (default float64)")
    add("--backend", help="array library of its arguments (default: $COPI_REF_BACKEND, else numpy)")
    add("--device", help="where its arrays have to lie, as cuda:0 (default: the library's)")
    add("--seed", type=int, default=0, help="another seed draws other inputs (default 0)")
    add(
        "--only",
        action="append",
        choices=[*{**FUNCTIONS, **INFERENCE_FUNCTIONS}],
        default=[],
        metavar="FUNCTION",
        help="only this one; repeatable",
    )
    add("--expect-failure", action="append", default=[], metavar="FUNCTION=REASON", help="known to fail; repeatable")
    add("--json", action="store_true", help="print the report as JSON")
    add("--reproduce", action="store_true", help="print only code that shows the first failure")
    _add_conventions(checker)
    checker.set_defaults(command=_check)

    explainer = commands.add_parser("explain", help="print every intermediate of one step, to lay beside your own")
    explainer.add_argument("--json", action="store_true", help="print them as JSON")
    _add_conventions(explainer)
    explainer.set_defaults(command=_explain)

    vectors = commands.add_parser("vectors", help="the shipped test vectors, for implementations in other languages")
    actions = vectors.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="read the shipped vectors, compute them again, and show what differs")
    verify.add_argument("--dir", type=folder, help="another folder than the shipped ones")
    verify.set_defaults(command=_verify)
    emit = actions.add_parser("emit", help="compute the vectors and write them to a folder")
    emit.add_argument("dir", type=folder, metavar="DIR")
    emit.set_defaults(command=_emit)
    for action in (verify, emit):
        action.add_argument("--inference", action="store_true", help="those of Inference Learning")


def _add_conventions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "conventions",
        "what the implementation chose; by default Algorithm 1 as printed, or Inference Learning as copi_ref has it. "
        "What the values are: docs/check/conventions.md, docs/check/inference_learning.md",
    )
    group.add_argument("--inference", action="store_true", help="of Inference Learning (predictive coding)")
    for name in _NAMES:
        flag, default = "--" + name.replace("_", "-"), _default(name)
        if isinstance(default, bool):
            group.add_argument(flag, dest=name, action="store_const", const="true")
        else:
            group.add_argument(flag, dest=name, metavar="NAME" if isinstance(default, str) else "NUMBER")


_NAMES = list(dict.fromkeys(field.name for kind in (Conventions, InferenceConventions) for field in fields(kind)))
"""Of all conventions, each once."""


def _default(name: str) -> Any:
    return getattr(AS_PRINTED, name, getattr(THIS_LIBRARY, name, None))


def _conventions(options: argparse.Namespace, implementation: Any = None) -> Conventions | InferenceConventions:
    texts = {name: getattr(options, name) for name in _NAMES if getattr(options, name) is not None}
    return conventions_for(implementation, options.inference, texts)


def _check(options: argparse.Namespace) -> int:
    expected = dict(_expected_failure(text) for text in options.expect_failure)
    xp = load_backend(options.backend or backend_name())
    if (options.target is None) == (options.program is None):
        raise TargetError("needs either PKG.MOD[:OBJ] or --command PROGRAM")
    try:
        # What the user's code prints must not get between the lines of a report.
        with redirect_stdout(sys.stderr), _opened(options) as implementation:
            conventions = implementation.conventions if options.program else _conventions(options, implementation)
            report = check(
                implementation, conventions=conventions, precision=options.precision, expected_failures=expected,
                only=tuple(options.only), xp=xp, device=options.device, seed=options.seed,
            )  # fmt: skip
    except (ProgramError, ValueError, TypeError) as error:
        raise TargetError(str(error)) from error
    except SystemExit as error:  # of somebody else's code, in a place where nobody expects it
        raise TargetError(f"{options.target}: SystemExit: {error} before there was a report") from error
    say(_shown(report, options))
    return 0 if report.ok else 1


def _opened(options: argparse.Namespace) -> AbstractContextManager[Any]:
    if options.program is not None:
        return Program(options.program, _conventions(options), options.timeout)
    return nullcontext(find_target(options.target))


def _shown(report: Report, options: argparse.Namespace) -> str:
    if options.reproduce:
        return report.reproducer
    if options.json:
        return in_options_of_check(json.dumps(report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False))
    return in_options_of_check(report.summary())


_VALUE = r"(?:'[^']*'|\([^()]*\)|[^\s,:;()]+)"
_FIELDS = rf"\w+={_VALUE}(?:, \w+={_VALUE})*"


def in_options_of_check(text: str) -> str:
    """Say in options of the command what a report says in Python: --slope 0.01 for Conventions(slope=0.01)."""
    text = re.sub(
        rf"matches ({_FIELDS})((?:(?!matches ).)*?): pass it in (?:Inference)?Conventions",
        lambda found: f"matches {found[1]}{found[2]}: pass {_flags(found[1])}",
        text,
    )
    text = re.sub(rf"pass ({_FIELDS}) in (?:Inference)?Conventions", lambda found: f"pass {_flags(found[1])}", text)
    text = re.sub(r"pass xp=(\w+)", r"pass --backend \1", text)
    return text.replace("take it off expected_failures", "leave out --expect-failure")


def _flags(fields: str) -> str:
    """Return fields of conventions as options: a list of numbers has commas, and what is true has no value."""
    named = ((name, value.strip("'()").replace(", ", ",")) for name, value in re.findall(rf"(\w+)=({_VALUE})", fields))
    return " ".join(f"--{name.replace('_', '-')}{'' if value == 'True' else f' {value}'}" for name, value in named)


def _expected_failure(text: str) -> tuple[str, str]:
    function, separator, reason = text.partition("=")
    if not separator:
        raise TargetError(f"--expect-failure {text!r}: needs FUNCTION=REASON")
    return function, reason


def _explain(options: argparse.Namespace) -> int:
    conventions = _conventions(options)
    with np.errstate(all="ignore"):  # what comes of that is refused below
        told = explain_inference(conventions) if isinstance(conventions, InferenceConventions) else explain(conventions)
    sections = {title: {name: np.asarray(value) for name, value in part.items()} for title, part in told.items()}
    infinite = [
        (title, name) for title in sections for name, one in sections[title].items() if not np.isfinite(one).all()
    ]
    if infinite:
        (title, name), *_ = infinite
        raise TargetError(f"{name} ({title}) leaves the range of float64: needs conventions with smaller numbers")
    if options.json:
        plain = {title: {name: value.tolist() for name, value in part.items()} for title, part in sections.items()}
        say(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        say(as_text(told))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from copi_ref.oracle.vectors import SETS, differences

    if options.dir is not None:
        found = [differences(options.dir, of=SETS[_set_in(options)])]
    else:
        found = [differences(one.folder, of=one) for one in SETS.values()]
    say("\n".join(line for one in found for line in one.lines))
    return 0 if all(one.ok for one in found) else 1


def _set_in(options: argparse.Namespace) -> str:
    return "inference_v1" if options.inference else "v1"


def _emit(options: argparse.Namespace) -> int:
    from copi_ref.oracle.vectors import SETS, emit

    count = emit(options.dir, SETS[_set_in(options)])
    say(f"{count} cases written to {options.dir}/")
    return 0

"""What options are read as, and the names of settings in the options of the command."""

import argparse
import math
import os
import re
from pathlib import Path

from copi_ref.experiments.config import LARGEST, OVERRIDES, check_count

AUTO = "auto"


def count(text: str) -> int:
    """Read an option that is a whole number of at least 1, and not above `LARGEST`."""
    try:
        value = int(text) if text.isdecimal() else text
        check_count("an option", value)
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r}: needs a whole number of at least 1 and at most {LARGEST}"
        ) from None
    return int(value)


def number(text: str) -> float:
    """Read an option that is a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: needs a number of at least 0")
    return value


def seconds(text: str) -> float:
    """Read an option that is a number of seconds above 0, of at most 10⁶."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text[:20]!r}: needs a number of seconds above 0, and at most 1e6")
    return value


def number_or_auto(text: str) -> float | str:
    """Read an option that is a number of at least 0, or "auto"."""
    return AUTO if text == AUTO else number(text)


def sizes(text: str) -> tuple[int, ...]:
    """Read an option that is one number of units or several, with commas between them."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r}: needs whole numbers with commas between them, as 200,200")
    return tuple(count(size) for size in text.split(","))


def folder(text: str) -> Path:
    """Read an option that is a path; ``~`` is the home folder where no shell has seen to it, too: in --out=~/runs."""
    return Path(os.path.expanduser(text))


def in_options(message: str) -> str:
    """Put the options of `train` in the place of the fields of a recipe that a message names."""
    options = {name: f"--{name.removesuffix('_rule').replace('_', '-')}" for name in OVERRIDES}
    return re.sub(rf"\b({'|'.join(OVERRIDES)})\b", lambda found: options[found[0]], message)

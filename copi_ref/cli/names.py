"""The names that options take for methods and lateral rules: those of a table, or ``MODULE:OBJECT`` of one's own."""

import argparse
from collections.abc import Collection

from copi_ref.experiments.presets import LATERAL, METHODS


def method(text: str) -> str:
    """Read the name of a method; one's own is looked for later, where a message can say what is wrong with it."""
    return _name(text, METHODS, "copi-MODULE:OBJECT or sgd-MODULE:OBJECT")


def lateral_rule(text: str) -> str:
    """Read the name of a lateral rule, likewise."""
    return _name(text, LATERAL, "MODULE:OBJECT")


def _name(text: str, table: Collection[str], own: str) -> str:
    if text not in table and ":" not in text:
        raise argparse.ArgumentTypeError(f"{text!r}: choose one of {', '.join(table)}, or {own} of your own")
    return text

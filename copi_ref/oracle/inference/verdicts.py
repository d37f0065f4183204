"""What may explain a result that can't be compared: samples on the other axis, or one number for many."""

from dataclasses import replace

from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction
from copi_ref.oracle.inference.judging import run_case
from copi_ref.oracle.judging.comparison import Outcome

_SHAPED = {"samples": ("rows", "columns"), "energy_reduction": ("per-sample", "sum", "mean")}
"""Conventions on which the shapes of results depend."""


def hinted(caller: Caller, conventions: InferenceConventions, function: InferenceFunction, failed: Outcome) -> str:
    """Return the verdict; where another convention would explain it, say so."""
    assert failed.verdict is not None
    if failed.verdict.shape_or_raised:
        for field, values in _SHAPED.items():
            for value in values:
                if value == getattr(conventions, field):
                    continue
                other = replace(conventions, **{field: value})  # type: ignore[arg-type]
                found = run_case(replace(caller, conventions=other), other, function, failed.case)
                if found is not None and not found.failed:
                    return f"matches {field}={value!r}: pass it in InferenceConventions (else: {failed.verdict})"
    return str(failed.verdict)

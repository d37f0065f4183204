"""What came out: one `Result` per check, and the `Report` of all of them."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from copi_ref.oracle.contract.functions import AnyConventions

PASSED, FAILED = "passed", "failed"
NOT_IMPLEMENTED, EXPECTED_FAILURE = "not implemented", "expected failure"
NOT_CHECKED = "not checked"


_LONGEST = 1500
"""Characters of a reproducer that still fit one screen with the rest of the report."""


class OracleError(AssertionError):
    """The implementation is not COPI by the conventions that it was checked against; the text is the summary."""


@dataclass(frozen=True)
class Result:
    """One check: a function, in one tier.

    Args:
        check: name of the function.
        tier: "exact" (whole numbers, on which nothing is rounded), "rounding", or "steps" (several in a row).
        equation: with its place in the paper.
        status: "passed", "failed", "not implemented", "expected failure", or "not checked": no inputs are fine enough.
        cases: how many inputs were tried.
        worst: the error that is largest in units of its allowance.
        allowed: the allowance there.
        where: of which element that is, on which input, and its actual and expected value.
        catches: the smallest error that it would have caught anywhere, relative to the quantity's largest entry; 0 if
            only equality passes.
        skipped: inputs that were left out, as the check would not be sharp on them in this precision or as rounding
            decides on which side of a kink they are.
        diagnosis: what is wrong, in words; the name of a variant first, in brackets, if one matches.
        variant: the name of the matching variant of the catalogue, or the conventions that fit, or "".
        reproducer: Python code that shows the first failure.
        notes: where it is wrong, a sentence each, if it is none of the known mistakes.
        is_consequence: whether mistakes of functions before come to all that is wrong here.
    """

    check: str
    tier: str
    equation: str
    status: str
    cases: int = 0
    worst: float = 0.0
    allowed: float = 0.0
    where: str = ""
    catches: float = 0.0
    skipped: int = 0
    diagnosis: str = ""
    variant: str = ""
    reproducer: str = ""
    notes: tuple[str, ...] = ()
    is_consequence: bool = False


@dataclass(frozen=True)
class Report:
    """The verdict on an implementation.

    Args:
        results: one per function and tier, in the order of the algorithm.
        conventions: against which it was checked.
        precision: in which it computes.
        library: its array library.
        asked: functions that had to be there.
    """

    results: tuple[Result, ...]
    conventions: AnyConventions
    precision: str
    library: str
    asked: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many results have each status."""
        return dict(Counter(result.status for result in self.results))

    @property
    def missing(self) -> tuple[str, ...]:
        """Functions that were asked for and did not run."""
        absent = {result.check for result in self.results if result.status in (NOT_IMPLEMENTED, NOT_CHECKED)}
        return tuple(name for name in self.asked if name in absent)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, something ran, and all ran that had to."""
        ran = self.counts.get(PASSED, 0) + self.counts.get(EXPECTED_FAILURE, 0)
        return not self.counts.get(FAILED) and ran > 0 and not self.missing

    @property
    def diagnosis(self) -> str:
        """What is wrong with each function that failed, consequences of others left out; or why it is not ok; or ""."""
        if self._causes():
            return "; ".join(f"{result.check}: {result.diagnosis}" for result in self._causes())
        if self.missing:
            statuses = {result.check: result.status for result in self.results}
            listed = ", ".join(f"{name} ({statuses[name]})" for name in self.missing)
            return f"asked for, but did not run: {listed}"
        return "" if self.ok else f"nothing was checked: {self._why_nothing()}"

    @property
    def reproducer(self) -> str:
        """Python code that shows the first failure, or ""; `implementation` in it is the user's own."""
        failed = self._first_failed()
        return failed.reproducer if failed else ""

    @property
    def variant(self) -> str:
        """Name of the catalogued variant, or the conventions that fit, or ""; of several functions, joined by " + "."""
        return " + ".join(dict.fromkeys(result.variant for result in self._causes() if result.variant))

    def summary(self) -> str:
        """Return the report as text, at most one screen; its first line is the verdict."""
        lines = [
            *self._verdict(),
            f"{self.library} {self.precision}, conventions: {self.conventions}",
            "",
            f"{'check':21} {'tier':9} {'status':17} {'cases':>5}  {'worst error':>11}  {'catches':>8}",
            *(self._line(result) for result in self.results),
            "",
            "worst error: in units of what rounding allows; catches: the smallest relative error that would show",
        ]
        failed = self._first_failed()
        if failed and failed.where:
            lines += ["", failed.where]
        if failed and failed.reproducer:
            code = failed.reproducer.splitlines()
            if len(failed.reproducer) > _LONGEST:
                lines += ["", "To reproduce: copi-ref check --reproduce, or print report.reproducer"]
            else:
                lines += ["", "To reproduce:", *("    " + line for line in code)]
        return "\n".join(lines)

    def raise_if_failed(self) -> "Report":
        """Return the report itself if it is ok.

        Raises:
            OracleError: it is not; the message is the summary.
        """
        if not self.ok:
            raise OracleError(self.summary())
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, texts, lists and dicts, for JSON."""
        return {
            "ok": self.ok,
            "diagnosis": self.diagnosis,
            "variant": self.variant,
            "counts": self.counts,
            "missing": list(self.missing),
            "precision": self.precision,
            "library": self.library,
            "conventions": self.conventions.as_dict(),
            "results": [{name: _finite(value) for name, value in asdict(result).items()} for result in self.results],
        }

    def _why_nothing(self) -> str:
        """Why no function ran: none is there, or those that are have no case that could be judged."""
        there = [result.check for result in self.results if result.status == NOT_CHECKED]
        if not there:
            return "the implementation has none of the functions"
        return f"{self.precision} and these conventions have no case of {', '.join(there)}"

    def _causes(self) -> list[Result]:
        """The first failed result of each function, without those that come of another's, and each name once."""
        causes: list[Result] = []
        for result in self.results:
            seen = any(
                result.check == one.check or (result.variant and result.variant == one.variant) for one in causes
            )
            # A step contains all that is above: if that has no name, its own numbers tell nothing more.
            follows = result.is_consequence or (result.check == "step" and not result.variant)
            if result.status == FAILED and not seen and not (follows and causes):
                causes.append(result)
        return causes

    def _verdict(self) -> list[str]:
        """The verdict, with a line for each function that is wrong, and what is known of the place."""
        causes = self._causes()
        if not causes:
            return ["copi_ref: OK" if self.ok else f"copi_ref: FAILED: {self.diagnosis}"]
        lines: list[str] = []
        for result in causes:
            lead = "copi_ref: FAILED: " if not lines else "                  "
            lines.append(f"{lead}{result.check}: {result.diagnosis}")
            lines += [f"    {note}" for note in result.notes]
        return lines

    def _first_failed(self) -> Result | None:
        return next((result for result in self.results if result.status == FAILED), None)

    @staticmethod
    def _line(result: Result) -> str:
        if result.status in (NOT_IMPLEMENTED, NOT_CHECKED):
            return f"{result.check:21} {'':9} {result.status}"
        worst = f"{result.worst / result.allowed:.3g}" if result.allowed else f"{result.worst and math.inf:.3g}"
        catches = "–" if math.isinf(result.catches) else f"{result.catches:.0e}" if result.catches else "any"
        skipped = f"  {result.skipped} left out" if result.skipped else ""
        return (
            f"{result.check:21} {result.tier:9} {result.status:17} {result.cases:5}  {worst:>11}  {catches:>8}{skipped}"
        )


def _finite(value: Any) -> Any:
    """None in place of numbers that JSON does not have: nothing can be said then."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

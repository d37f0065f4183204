"""The ledger: what the papers state, each with a verdict that its test observes for itself.

A claim is a test function that shows cases to `seen`; the verdict is drawn from the cases and compared with the one
that is written down, so that a verdict which is turned round fails:

- holds: the statement is true in every case.
- holds if: true in every case that meets the condition, and false in one, at least, that does not.
- false: false in a case; the statement names no condition that the case fails.
- measured: borne out, not borne out or undecided by a measurement, with some seeds, one data set at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

VERDICTS = ("holds", "holds if", "false", "measured")
SUPPORT = ("borne out", "not borne out", "undecided")


@dataclass
class Seen:
    """The cases that a test has shown."""

    inside: list[bool] = field(default_factory=list)
    outside: list[bool] = field(default_factory=list)
    measured: dict[str, list[str]] = field(default_factory=dict)

    def case(self, true: bool, *, condition: bool = True) -> None:
        """Add a case: whether the statement is true in it, and whether it meets the condition (if there is one)."""
        (self.inside if condition else self.outside).append(bool(true))

    def measurement(self, on: str, found: str | bool) -> None:
        """Add what was measured on a data set: one of `SUPPORT`, or whether it bears the statement out."""
        found = found if isinstance(found, str) else SUPPORT[0] if found else SUPPORT[1]
        assert found in SUPPORT, found
        self.measured.setdefault(on, []).append(found)

    def verdict(self) -> str:
        """Return what the cases show."""
        if not self.inside:
            raise AssertionError("no case was shown in which the statement's condition is met")
        if not all(self.inside):
            return "false"
        return "holds" if all(self.outside) else "holds if"

    def supported(self) -> dict[str, str]:
        """Return whether the measurements bear the statement out, by data set: what the worst of each says."""
        worst_first = (SUPPORT[1], SUPPORT[2], SUPPORT[0])
        return {on: min(cases, key=worst_first.index) for on, cases in self.measured.items()}


@cache
def observed(show: Callable[[Seen], None]) -> Seen:
    """Return a claim's cases; shown once, however often its verdict is turned round, since networks are trained."""
    seen = Seen()
    show(seen)
    return seen


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of a paper, its verdict, and the test that shows it.

    Args:
        paper: "COPI" (arXiv 2203.13203), "IL" (arXiv 2206.00164, abstract), or "ours": a theorem of this library.
        place: section, and equation or line.
        quote: the paper's own words, "…" where some are left out; of "ours" none.
        says: what is judged, in own words.
        verdict: one of `VERDICTS`.
        why: the condition, the counter-example, the reason; of a measurement data set, seeds and numbers.
        supported: of a measurement, one of `SUPPORT` by data set.
        proof: anchor of the proof in `docs/results/proofs.md`, where there is one.
        show: the test; its name is the claim's.
        file: where the test stands.
    """

    paper: str
    place: str
    quote: str
    says: str
    verdict: str
    why: str
    supported: dict[str, str] | None
    proof: str | None
    show: Callable[[Seen], None]
    file: str

    @property
    def name(self) -> str:
        """The name of the test."""
        return self.show.__name__

    def test(self) -> None:
        """Fail unless the cases show the verdict that is written down."""
        seen = observed(self.show)
        measured = self.verdict == "measured"
        found, written = (seen.supported(), self.supported) if measured else (seen.verdict(), self.verdict)
        assert found == written, f"{self.name}: written is {written!r}, and {found!r} was observed"

    def turned(self) -> list["Claim"]:
        """Return the claim with its verdict turned round, in every way there is."""
        if self.supported is not None:
            found = self.supported.items()
            return [replace(self, supported=self.supported | {on: o}) for on, it in found for o in SUPPORT if o != it]
        return [replace(self, verdict=other) for other in VERDICTS[:3] if other != self.verdict]

    def survivors(self) -> list[str]:
        """Return the turned verdicts with which the claim's test still passes."""
        found = []
        for turned in self.turned():
            try:
                turned.test()
            except AssertionError:
                continue
            found.append(f"{turned.verdict} {turned.supported or ''}")
        return found


LEDGER: dict[str, Claim] = {}


def claim(
    *,
    paper: str,
    place: str,
    says: str,
    verdict: str,
    why: str,
    quote: str = "",
    supported: dict[str, str] | None = None,
    proof: str | None = None,
) -> Callable[[Callable[[Seen], None]], Callable[[str], None]]:
    """Enter a claim into the ledger; its two tests take the place of the function.

    One holds the verdict that is written down against what is observed; by the other each turned verdict fails.
    """
    if verdict not in VERDICTS or (verdict == "measured") != (supported is not None):
        raise ValueError(f"verdict is {verdict!r}, supported {supported}: needs one of {VERDICTS}, measured: supported")
    if (paper == "ours") != (not quote):
        raise ValueError(f"paper is {paper!r}, quote {quote!r}: a paper's words are needed, of our own there are none")

    def enter(show: Callable[[Seen], None]) -> Callable[[str], None]:
        name = show.__name__
        if name in LEDGER or not name.startswith("test_"):
            raise ValueError(f"{name} is in the ledger already, or is not named test_…")
        entry = Claim(
            paper=paper, place=place, quote=quote, says=says, verdict=verdict, why=why, supported=supported,
            proof=proof, show=show, file=show.__module__,
        )  # fmt: skip
        LEDGER[name] = entry

        @pytest.mark.parametrize("verdict", ["as written", "turned"])
        def test(verdict: str) -> None:
            entry.test()
            assert verdict == "as written" or not entry.survivors()

        test.__name__, test.__doc__ = name, says
        return test

    return enter

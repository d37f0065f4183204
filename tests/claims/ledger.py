"""The ledger: what the papers state, each with a verdict that its test observes for itself.

A claim is a test function that shows cases to `seen`; the verdict is drawn from the cases and compared with the one
that is written down, so that a verdict which is turned round fails:

- holds: the statement is true in every case.
- holds if: true in every case that meets the condition, and false in one, at least, that does not.
- false: false in a case; the statement names no condition that the case fails.
- measured: true or not in a measurement, on one data set with some seeds; `supported` says which.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

VERDICTS = ("holds", "holds if", "false", "measured")


@dataclass
class Seen:
    """The cases that a test has shown."""

    inside: list[bool] = field(default_factory=list)
    outside: list[bool] = field(default_factory=list)

    def case(self, true: bool, *, condition: bool = True) -> None:
        """Add a case: whether the statement is true in it, and whether it meets the condition (if there is one)."""
        (self.inside if condition else self.outside).append(bool(true))

    def verdict(self) -> tuple[str, bool]:
        """Return what the cases show, and whether the statement is true in all that meet the condition."""
        if not self.inside:
            raise AssertionError("no case was shown in which the statement's condition is met")
        if not all(self.inside):
            return "false", False
        return ("holds" if all(self.outside) else "holds if"), True


@cache
def observed(show: Callable[[Seen], None]) -> tuple[str, bool]:
    """Return what a claim's cases show; once, however often its verdict is turned round, since networks are trained."""
    seen = Seen()
    show(seen)
    return seen.verdict()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of a paper, its verdict, and the test that shows it.

    Args:
        paper: "COPI" (arXiv 2203.13203) or "IL" (arXiv 2206.00164, abstract).
        place: section, and equation, line or sentence.
        says: what it says, in own words.
        verdict: one of `VERDICTS`.
        why: the condition, the counter-example, the reason; of a measurement figure, data set, seeds and numbers.
        supported: of a measurement, whether it bears the statement out.
        proof: anchor of the proof in `docs/proofs.md`, where there is one.
        show: the test; its name is the claim's.
        file: where the test stands.
    """

    paper: str
    place: str
    says: str
    verdict: str
    why: str
    supported: bool | None
    proof: str | None
    show: Callable[[Seen], None]
    file: str

    @property
    def name(self) -> str:
        """The name of the test."""
        return self.show.__name__

    def test(self) -> None:
        """Fail unless the cases show the verdict that is written down."""
        verdict, supported = observed(self.show)
        found, written = (supported, self.supported) if self.verdict == "measured" else (verdict, self.verdict)
        assert found == written, f"{self.name}: written is {written!r}, and {found!r} was observed"

    def turned(self) -> list["Claim"]:
        """Return the claim with its verdict turned round, in every way there is."""
        if self.verdict == "measured":
            return [replace(self, supported=not self.supported)]
        return [replace(self, verdict=other) for other in VERDICTS[:3] if other != self.verdict]

    def survivors(self) -> list[str]:
        """Return the turned verdicts with which the claim's test still passes."""
        found = []
        for turned in self.turned():
            try:
                turned.test()
            except AssertionError:
                continue
            found.append(turned.verdict)
        return found


LEDGER: dict[str, Claim] = {}


def claim(
    *,
    paper: str,
    place: str,
    says: str,
    verdict: str,
    why: str,
    supported: bool | None = None,
    proof: str | None = None,
) -> Callable[[Callable[[Seen], None]], Callable[[str], None]]:
    """Enter a claim into the ledger; its two tests take the place of the function.

    One holds the verdict that is written down against what is observed; by the other each turned verdict fails.
    """
    if verdict not in VERDICTS or (verdict == "measured") != (supported is not None):
        raise ValueError(f"verdict is {verdict!r}, supported {supported}: needs one of {VERDICTS}, measured: supported")

    def enter(show: Callable[[Seen], None]) -> Callable[[str], None]:
        name = show.__name__
        if name in LEDGER or not name.startswith("test_"):
            raise ValueError(f"{name} is in the ledger already, or is not named test_…")
        entry = Claim(
            paper=paper, place=place, says=says, verdict=verdict, why=why, supported=supported, proof=proof, show=show,
            file=show.__module__,
        )  # fmt: skip
        LEDGER[name] = entry

        @pytest.mark.parametrize("verdict", ["as written", "turned"])
        def test(verdict: str) -> None:
            entry.test()
            assert verdict == "as written" or not entry.survivors()

        test.__name__, test.__doc__ = name, says
        return test

    return enter

"""The ledger itself: the page is fresh, anchors exist, a claim needs cases."""

import re

import pytest
from ledger import Claim, Seen, claim
from page import PAGE, all_claims, page

CLAIMS = all_claims()


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == page(CLAIMS), "stale: run `python tests/claims/write.py`"


def test_there_are_at_least_forty_claims():
    assert len(CLAIMS) >= 40


@pytest.mark.parametrize("number", range(1, 7))
def test_every_numbered_equation_has_a_claim(number):
    assert any(re.search(rf"Eq\. {number}\b", one.place) for one in CLAIMS)


@pytest.mark.parametrize("line", [5, 6, 7, 9, 11, 14, 15])
def test_every_line_of_algorithm_1_has_a_claim(line):
    assert any(re.search(rf"Algorithm 1, line {line}\b", one.place) for one in CLAIMS)


def test_every_proof_is_on_the_page():
    proofs = PAGE.with_name("proofs.md").read_text(encoding="utf-8")
    for one in CLAIMS:
        assert one.proof is None or f"({one.proof})=" in proofs, one.name


def one_claim(show, verdict, supported=None):
    return Claim(
        paper="COPI", place="", says="", verdict=verdict, why="", supported=supported, proof=None, show=show, file=""
    )


def test_a_claim_without_cases_fails():
    with pytest.raises(AssertionError, match="no case"):
        one_claim(lambda seen: None, "holds").test()


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ([(True, True)], "holds"),
        ([(True, True), (True, False)], "holds"),
        ([(True, True), (False, False)], "holds if"),
        ([(False, True), (True, True)], "false"),
        ([(False, True), (False, False)], "false"),
    ],
)
def test_the_verdict_follows_from_the_cases(cases, verdict):
    seen = Seen()
    for true, condition in cases:
        seen.case(true, condition=condition)
    assert seen.verdict()[0] == verdict


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="verdict is 'perhaps'"):
        claim(paper="COPI", place="", says="", verdict="perhaps", why="")

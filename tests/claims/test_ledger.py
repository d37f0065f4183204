"""The ledger itself: the page is fresh, anchors exist, a claim needs cases."""

import re
import subprocess
import sys

import pytest
from ledger import Claim, Seen, claim
from page import PAGE, SECTIONS, all_claims, anchor, page, section
from recorded import numbers, table

CLAIMS = all_claims()


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == page(CLAIMS), "stale: run `python tests/claims/write.py`"


def test_the_command_that_the_page_names_finds_all_claims():
    """As one types it, without what pytest adds to the path."""
    program = "import write; print(len(write.all_claims()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PAGE.parents[2] / "tests" / "claims",
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(CLAIMS)


def parts():
    """Return the page's parts by heading: the text below each."""
    _, *found = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def test_each_claim_is_in_the_section_that_it_names_first():
    found = parts()
    for one in CLAIMS:
        (heading,) = (name for name, text in found.items() if f'"{anchor(one)}"' in text)
        if one.paper == "COPI":
            assert heading == SECTIONS[section(one)]
            assert heading.startswith(one.place[: len(section(one))])
        else:
            assert heading == {"IL": "Inference Learning, abstract", "ours": "Of this library's own"}[one.paper]


def test_sections_are_in_the_papers_order():
    headings = [*parts()]
    assert headings[: len(SECTIONS)] == [*SECTIONS.values()]
    assert headings[len(SECTIONS) :] == [
        "Inference Learning, abstract",
        "Of this library's own",
        "Without a verdict",
        "Which text was read",
    ]
    numbered, appendices = (sorted(name for name in SECTIONS if name[0] == sign) for sign in "§A")
    assert [*SECTIONS] == ["Abstract", *numbered, *(name for name in appendices if name != "Abstract")]


def test_a_claim_is_linked_by_the_name_of_its_test():
    """The address says what is claimed, and outlives another order."""
    names = [anchor(one) for one in CLAIMS]
    assert len({*names}) == len(names)
    assert "claim-the-printed-rule-decorrelates" in names
    for name in names:
        assert re.fullmatch(r"claim-[a-z0-9-]+", name)


def test_links_of_the_page_lead_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert len(links) >= len(CLAIMS)
    for link in links:
        assert (PAGE.parent / link).exists(), link
    for name, file in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", text):
        assert f"\ndef {name}(" in (PAGE.parent / file).read_text(encoding="utf-8")


def test_what_only_maintainers_need_is_not_shown():
    shown = re.sub(r"<!--.*?-->", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "write.py" not in shown
    assert not re.search(r"\bedit\b", shown)


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
        assert one.proof is None or f'<a id="{one.proof}"></a>' in proofs, one.name


def one_claim(show, verdict, supported=None):
    return Claim(
        paper="COPI", place="", quote="", says="", verdict=verdict, why="", supported=supported, proof=None, show=show,
        file="",
    )  # fmt: skip


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
    assert seen.verdict() == verdict


@pytest.mark.parametrize(
    ("found", "supported"),
    [
        ([True, True], "borne out"),
        ([True, "undecided"], "undecided"),
        (["undecided", False, True], "not borne out"),
    ],
)
def test_what_is_measured_follows_from_the_worst(found, supported):
    seen = Seen()
    for one in found:
        seen.measurement("digits", one)
    seen.measurement("MNIST", True)
    assert seen.supported() == {"digits": supported, "MNIST": "borne out"}


def test_a_measurement_can_be_turned_in_each_data_set():
    def show(seen):
        seen.measurement("digits", True)
        seen.measurement("MNIST", "undecided")

    mine = one_claim(show, "measured", {"digits": "borne out", "MNIST": "undecided"})
    mine.test()
    assert len(mine.turned()) == 4
    assert mine.survivors() == []


def test_a_paper_is_quoted_and_our_own_is_not():
    with pytest.raises(ValueError, match="a paper's words are needed"):
        claim(paper="COPI", place="", says="", verdict="holds", why="")
    with pytest.raises(ValueError, match="of our own there are none"):
        claim(paper="ours", place="", quote="so", says="", verdict="holds", why="")


def test_what_is_on_record_is_read():
    assert numbers("-0.0029 [-0.0047, −.0011]") == [-0.0029, -0.0047, -0.0011]
    assert numbers(table("MNIST, `tmlr`, 10 epochs")["copi-fa"]["seeds"] + ".0") == [5.0]
    with pytest.raises(AssertionError, match="no number in 'diverged'"):
        numbers("diverged")


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="verdict is 'perhaps'"):
        claim(paper="COPI", place="", quote="so", says="", verdict="perhaps", why="")

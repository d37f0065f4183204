"""The ledger as a page; `python tests/claims/write.py` writes it."""

import importlib
from collections import Counter
from pathlib import Path

from ledger import LEDGER, SUPPORT, VERDICTS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "results" / "claims.md"

HEAD = """# Claims

What the papers state, in their own words, and what a test observed. Written by `python tests/claims/write.py`; do not
edit.

**Which text.** COPI is an early version of arXiv 2203.13203 (2022), whose abstract begins "Learning in biological and
artificial neural networks is often framed". The version that was printed in TMLR (v5, January 2023) has another
abstract and other experiments. Of it only the abstract was read, and one row is about it; a word or a misprint that a
row names may have been mended there. IL is the abstract of arXiv 2206.00164; the one printed at NeurIPS 2022 has
"mini-batch size one" and "performing competitively" where rows here quote "small mini-batches" and "matching".

**What a verdict means.** *holds*: true in every case that was shown. *holds if*: true in all that meet a condition, and
false in one that doesn't; the condition is sufficient, and not always necessary. *false*: of the words as they stand.
*measured*: borne out, not borne out or undecided on a data set, with its seeds. How a sentence without a number is read
("on par", "closely") is our choice, and stands in the row.
"""

UNJUDGED = (
    ("Abstract", "not only more biologically plausible", "no test of this library can say so"),
    (
        "§4",
        "we derived an efficient decorrelation rule",
        "no measure is named. A step takes 2 N K² multiplications, as many as R and a square W take, and no inverse; "
        "how many steps are needed depends on the inputs",
    ),
    (
        "§4",
        "allows for more interpretable deep learning",
        "no measure is named; docs/results/experiments.md shows what fields are like",
    ),
    (
        "§4",
        "captures some of the key elements of batch normalization",
        'demeaning has a row; "whitening of batches" is said of another paper',
    ),
    ("§3.1", "We attribute this benefit to the explicit knowledge", "a cause; what is equal and what is not has rows"),
    ("§4", "COPI may also shed light on learning and information processing in biological systems", "about other work"),
)
"""Statements without a verdict: place, quotation, why."""


def all_claims():
    """Import every file of claims and return the claims, file by file, each in the order in which it was written."""
    modules = sorted(path.stem for path in HERE.glob("test_claims_*.py"))
    for module in modules:
        importlib.import_module(module)
    return [claim for module in modules for claim in LEDGER.values() if claim.file == module]


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def counted(claims):
    """Return how many claims have each verdict, as text; of measurements how many say what."""
    verdicts = Counter(claim.verdict for claim in claims)
    shown = [f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]]
    support = Counter(found for claim in claims for found in (claim.supported or {}).values())
    if support:
        shown[-1] += f" ({', '.join(f'{support[found]} {found}' for found in SUPPORT if support[found])}, by data set)"
    return f"{len(claims)}: {', '.join(shown)}"


def page(claims):
    """Return the page's text."""
    of_papers = [claim for claim in claims if claim.paper != "ours"]
    ours = [claim for claim in claims if claim.paper == "ours"]
    lines = [HEAD, f"Statements of the papers, {counted(of_papers)}.", ""]
    lines += ["| no. | place | the paper's words | what is judged | verdict | why | test |", "|---|" + "---|" * 6]
    for number, claim in enumerate(of_papers, start=1):
        cells = (f"{claim.paper}, {claim.place}", f"“{claim.quote}”", claim.says, verdict_of(claim), claim.why)
        lines.append(f"| {number} | " + " | ".join(map(cell, cells)) + f" | {test_of(claim)} |")
    lines += ["", "## Of this library's own", "", f"Theorems and findings that no paper states, {counted(ours)}.", ""]
    lines += ["| no. | place | statement | verdict | why | test |", "|---|---|---|---|---|---|"]
    for number, claim in enumerate(ours, start=len(of_papers) + 1):
        cells = (claim.place, claim.says, verdict_of(claim), claim.why)
        lines.append(f"| {number} | " + " | ".join(map(cell, cells)) + f" | {test_of(claim)} |")
    lines += ["", "## Without a verdict", "", "| place | the paper's words | why |", "|---|---|---|"]
    lines += [f"| COPI, {place} | “{quote}” | {why} |" for place, quote, why in UNJUDGED]
    return "\n".join(lines) + "\n"


def verdict_of(claim):
    return "; ".join([claim.verdict, *(f"{on}: {found}" for on, found in (claim.supported or {}).items())])


def test_of(claim):
    proof = f"; [proof](proofs.md#{claim.proof})" if claim.proof else ""
    return f"`{claim.file}.py::{claim.name}`{proof}"

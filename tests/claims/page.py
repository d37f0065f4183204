"""The ledger as a page; `python tests/claims/write.py` writes it."""

import importlib
import re
from collections import Counter
from pathlib import Path

from ledger import LEDGER, SUPPORT, VERDICTS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "results" / "claims.md"

HEAD = """# Claims: what the papers state, and whether it holds
<!-- Written by `python tests/claims/write.py`, from tests/claims/test_claims_*.py: edit those. -->

Of {count} statements of the papers, each in the paper's own words, {verdicts}. A test observes each
verdict, and fails where it is turned round. The tables below have these, the library's own and what has no verdict; a
statement that was measured on two data sets counts twice. The COPI paper is its early version (2022): [which text was
read](#which-text-was-read).

| verdict | it is said of statements that are |
|---|---|
| holds | true in every case that was shown |
| holds if | true in all cases that meet a condition (sufficient, not always necessary), false in one that doesn't |
| false | false as the words stand |
| measured | borne out, not borne out or undecided on a data set, with its seeds: {support} |

How a sentence without a number is read ("on par", "closely") is our choice, and stands in the row.
"""

FOOT = """## Which text was read

COPI is an early version of arXiv 2203.13203 (2022), whose abstract begins "Learning in biological and
artificial neural networks is often framed". The version that was printed in TMLR (v5, January 2023) has another
abstract and other experiments. Of it only the abstract was read, and one row is about it; a word or a misprint that a
row names may have been mended there. IL is the abstract of arXiv 2206.00164; the one printed at NeurIPS 2022 has
"mini-batch size one" and "performing competitively" where rows here quote "small mini-batches" and "matching".
"""

SECTIONS = {
    "Abstract": "Abstract",
    "§1": "§1 Introduction",
    "§2.2": "§2.2 Constrained parameter inference in feedforward systems",
    "§2.3": "§2.3 Learning the forward weights",
    "§2.4": "§2.4 Input decorrelation",
    "§2.5": "§2.5 Error signals",
    "§2.6": "§2.6 Stochastic COPI",
    "§2.7": "§2.7 Correspondence to stochastic gradient descent",
    "§3.1": "§3.1 COPI performance on standard benchmarks",
    "§3.2": "§3.2 Decorrelation for feature analysis and network compression",
    "§4": "§4 Discussion",
    "App. A": "App. A COPI pseudocode",
    "App. B": "App. B Compressing COPI networks",
    "App. C": "App. C Single-weight updates",
}
"""The paper's sections that something is claimed in, with their headings."""

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


def section(claim):
    """Return the section of the paper that a claim of COPI's names first."""
    return re.match(r"Abstract|§[\d.]+|App\. [A-Z]", claim.place)[0]


def anchor(claim):
    """Return the claim's address on the page, which is its test's name."""
    return "claim-" + re.sub("^test_(text_)?", "", claim.name).lower().replace("_", "-")


def page(claims):
    """Return the page's text."""
    of_papers = [claim for claim in claims if claim.paper != "ours"]
    lines = [introduction(of_papers)]
    for name, heading in SECTIONS.items():
        lines += [
            f"## {heading}\n",
            *table(claim for claim in of_papers if claim.paper == "COPI" and section(claim) == name),
        ]
    lines += ["## Inference Learning, abstract\n", *table(claim for claim in of_papers if claim.paper == "IL")]
    lines += ["## Of this library's own\n", "Theorems and findings that no paper states.\n"]
    lines += table(claim for claim in claims if claim.paper == "ours")
    lines += ["## Without a verdict\n", *TABLE]
    lines += [row("none", f"“{quote}” ({place})", linked(why)) for place, quote, why in UNJUDGED]
    return "\n".join([*lines, "", FOOT])


def introduction(of_papers):
    verdicts = Counter(claim.verdict for claim in of_papers)
    support = Counter(found for claim in of_papers for found in (claim.supported or {}).values())
    says = {"holds": "hold", "holds if": "hold under a condition", "false": "are false", "measured": "were measured"}
    return HEAD.format(
        count=len(of_papers),
        verdicts=" and ".join(", ".join(f"{verdicts[name]} {says[name]}" for name in VERDICTS).rsplit(", ", 1)),
        support=", ".join(f"{support[found]} {found}" for found in SUPPORT),
    )


TABLE = ("| verdict | statement | why |", "|---|---|---|")


def table(claims):
    """Return a table's lines, a claim a row, and an empty one."""
    return [*TABLE, *(row(verdict_of(claim), statement_of(claim), reason_of(claim)) for claim in claims), ""]


def row(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def verdict_of(claim):
    return "<br>".join([claim.verdict, *(f"{on}: {found}" for on, found in (claim.supported or {}).items())])


def statement_of(claim):
    source = f"“{claim.quote}” ({claim.place})" if claim.quote else linked(claim.place)
    says = claim.says.replace("*", "\\*")
    return f'<a id="{anchor(claim)}"></a>**{says}**<br>{source}'


def reason_of(claim):
    proof = f", [proof](proofs.md#{claim.proof})" if claim.proof else ""
    return f"{linked(claim.why)}<br>[`{claim.name}`](../../tests/claims/{claim.file}.py){proof}"


def linked(text):
    """Make links of the pages that a text names by their paths."""
    return re.sub(
        r"docs/(\w+)/(\w+)\.md", lambda found: f"[{found[2].replace('_', ' ')}]({relative(*found.groups())})", text
    )


def relative(folder, name):
    return f"{name}.md" if folder == PAGE.parent.name else f"../{folder}/{name}.md"

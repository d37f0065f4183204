"""The ledger as a page; `python tests/claims/write.py` writes it."""

import importlib
from collections import Counter
from pathlib import Path

from ledger import LEDGER, VERDICTS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "claims.md"


def all_claims():
    """Import every file of claims and return the claims, file by file, each in the order in which it was written."""
    modules = sorted(path.stem for path in HERE.glob("test_claims_*.py"))
    for module in modules:
        importlib.import_module(module)
    return [claim for module in modules for claim in LEDGER.values() if claim.file == module]


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def page(claims):
    """Return the page's text."""
    counts = Counter(claim.verdict for claim in claims)
    lines = [
        "# Claims",
        "",
        "What the papers state, and what a test observed. Written by `python tests/claims/write.py`; do not edit.",
        "",
        f"{len(claims)} claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS) + ".",
        "",
        "| no. | paper, place | what it says | verdict | why | test |",
        "|---|---|---|---|---|---|",
    ]
    for number, claim in enumerate(claims, start=1):
        proof = f"; [proof](proofs.md#{claim.proof})" if claim.proof else ""
        verdict = claim.verdict
        if verdict == "measured":
            verdict += ", borne out" if claim.supported else ", not borne out"
        cells = (f"{claim.paper}, {claim.place}", claim.says, verdict, claim.why)
        test = f"`{claim.file}.py::{claim.name}`{proof}"
        lines.append(f"| {number} | " + " | ".join(map(cell, cells)) + f" | {test} |")
    return "\n".join(lines) + "\n"

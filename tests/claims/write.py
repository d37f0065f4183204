"""`python tests/claims/write.py` writes docs/results/claims.md from the ledger."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # where pytest looks for what tests share

from page import PAGE, all_claims, page

from copi_ref.files import write_atomically

if __name__ == "__main__":
    write_atomically(PAGE, page(all_claims()).encode("utf-8"))

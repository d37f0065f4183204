"""What docs/results/experiments.md has on record: measurements on MNIST and CIFAR-10, which take hours."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "results" / "experiments.md"


def table(heading, number=0):
    """Return the rows of a table under a heading (the first one is 0): {first cell: {head of column: cell}}."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)[number].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def numbers(cell):
    """Return the numbers of a cell such as ``+.0029 [.0011, .0047]``, in their order."""
    found = [float(one) for one in re.findall(r"[+\-−]?\d*\.\d+", cell.replace("−", "-"))]
    assert found, f"no number in {cell!r}"
    return found

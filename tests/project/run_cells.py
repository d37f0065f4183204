"""`python run_cells.py NOTEBOOK`: run the code of a notebook cell by cell in one namespace, as a kernel does."""

import json
import sys
from pathlib import Path
from types import ModuleType


def run(cells, namespace):
    """Run the cells that are code; `cells` as a notebook's file has them, or jupytext's."""
    code = [(number, "".join(cell["source"])) for number, cell in enumerate(cells) if cell["cell_type"] == "code"]
    for number, source in code:
        exec(compile(source, f"cell {number}", "exec"), namespace)


if __name__ == "__main__":
    # A module of its own: what this file has is not there, and neither is `__file__`.
    sys.modules["__main__"] = notebook = ModuleType("__main__")
    run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"], vars(notebook))

"""Lessons as notebooks: of each page of the course a Jupyter notebook is made, and the page links to it at its top."""

import base64
import re
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

FOLDER = "learn/"
MADE = "_downloads/notebooks"


def is_lesson(app: Sphinx, name: str) -> bool:
    """Say whether a page belongs to the course and has code to run."""
    source = Path(app.srcdir) / f"{name}.md"
    return name.startswith(FOLDER) and source.exists() and "\n```python\n" in source.read_text(encoding="utf-8")


def add_link(app: Sphinx, tree: nodes.document, name: str) -> None:
    """Put the link below the page's title."""
    if app.builder.format != "html" or not is_lesson(app, name):
        return
    title = next(iter(tree.findall(nodes.title)))
    target = relative_uri(app.builder.get_target_uri(name), f"{MADE}/{Path(name).name}.ipynb")
    link = nodes.raw(
        "", f'<p class="notebook"><a href="{target}" download>Download as a notebook</a></p>', format="html"
    )
    title.parent.insert(title.parent.index(title) + 1, link)


def stand_alone(cell: Any, folder: Path) -> None:
    """Put the pictures that a text names into its cell, and make text of links to pages: the notebook is one file."""
    if cell.cell_type != "markdown":
        return
    # Links to pages lead nowhere from a file by itself.
    cell.source = re.sub(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)[^)]*\)", r"\1", cell.source)
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", cell.source):
        picture = folder / name
        kind = {".svg": "image/svg+xml", ".png": "image/png"}[picture.suffix]
        encoded = base64.b64encode(picture.read_bytes()).decode("ascii")
        cell.setdefault("attachments", {})[picture.name] = {kind: encoded}
        cell.source = cell.source.replace(f"({name})", f"(attachment:{picture.name})")


def write(app: Sphinx, failed: Exception | None) -> None:
    """Write the notebooks beside the built pages."""
    if failed or app.builder.format != "html":
        return
    folder = Path(app.outdir) / MADE
    folder.mkdir(parents=True, exist_ok=True)
    for name in app.env.found_docs:
        if is_lesson(app, name):
            notebook = jupytext.read(Path(app.srcdir) / f"{name}.md")
            notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
            notebook.cells.insert(0, new_markdown_cell("Needs `copi_ref`, installed from a clone of its repository."))
            for cell in notebook.cells:
                stand_alone(cell, Path(app.srcdir) / FOLDER)
            jupytext.write(notebook, folder / f"{Path(name).name}.ipynb")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.connect("doctree-resolved", add_link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}

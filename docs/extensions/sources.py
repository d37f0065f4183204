"""A link to a Python file outside docs/ leads, on the built site, to a page that shows the file.

With a function's name as its text it leads to that function. On a code host it is a link to the file as it is.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def linked_file(app: Sphinx, page: str, link: nodes.Element) -> Path | None:
    """Return the Python file that a link in Markdown names, or None: links of the gallery stay downloads."""
    if link.get("reftype") != "myst":
        return None
    path = (Path(app.srcdir) / page).parent.joinpath(link["reftarget"]).resolve()
    return path if path.suffix == ".py" and path.is_file() else None


def lead_to_pages(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put links to pages in the place of downloads."""
    if app.builder.format != "html":
        return
    for link in list(tree.findall(addnodes.download_reference)):
        path = linked_file(app, page, link)
        if path is not None:
            address = f"{app.builder.get_relative_uri(page, name_of(app, path))}#line-{line_of(link.astext(), path)}"
            link.replace_self(nodes.reference("", "", *link.children, refuri=address, internal=True))


def line_of(name: str, path: Path) -> int:
    """Return where a function begins, decorators and all; 1 if the file has none of this name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return 1


def name_of(app: Sphinx, path: Path) -> str:
    """Return the name of the page that shows a file: its path in the repository."""
    return f"sources/{path.relative_to(Path(app.srcdir).resolve().parent).with_suffix('').as_posix()}"


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for each file that is linked."""
    found = {
        path
        for page in app.env.found_docs
        for link in app.env.get_doctree(page).findall(addnodes.download_reference)
        if (path := linked_file(app, page, link)) is not None
    }
    for path in sorted(found):
        code = app.builder.highlighter.highlight_block(
            path.read_text(encoding="utf-8"), "python", linenos="inline", lineanchors="line"
        )
        yield name_of(app, path), {"title": path.name, "body": f"<h1>{path.name}</h1>\n{code}"}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.connect("doctree-resolved", lead_to_pages)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True}

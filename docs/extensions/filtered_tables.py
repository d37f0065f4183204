"""Tables that begin with a column "verdict": verdicts become badges, and statements can be filtered, by words too.

In Markdown they are plain tables. DataTables does the searching, from the files that itables brings along, so that the
built pages need no network.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

VERDICT = re.compile(r"(?P<on>.*: )?(?P<verdict>holds|holds if|false|measured|borne out|not borne out|undecided|none)")
LIBRARY = "datatables.js"


class Verdicts(SphinxTransform):
    """Mark verdicts, and put a link to copy beside the anchor of each statement."""

    default_priority = 400  # after anchors

    def apply(self, **_: Any) -> None:
        """Look at all tables."""
        for table in self.document.findall(nodes.table):
            head, *rows = ([*row.findall(nodes.entry)] for row in table.findall(nodes.row))
            if head[0].astext() != "verdict":
                continue
            for verdict, *_ in rows:
                for text in list(verdict.findall(nodes.Text)):
                    if not isinstance(text.parent, nodes.raw):  # a line break
                        self.make_badge(text)
            if head[1].astext() == "statement":
                table["classes"].append("filtered")
                for anchor in list(table.findall(nodes.target)):
                    (name,) = anchor["ids"]
                    link = nodes.reference(
                        "", "#", refid=name, classes=["headerlink"], reftitle="Link to this statement"
                    )
                    anchor.parent.insert(anchor.parent.index(anchor) + 1, link)

    def make_badge(self, text: nodes.Text) -> None:
        """Wrap a verdict, which may stand behind what it was measured on."""
        found = VERDICT.fullmatch(text.astext())
        if found is None:
            raise ValueError(f"{text.astext()!r} is no verdict: needs {VERDICT.pattern}")
        name = found["verdict"].replace(" ", "-")
        badge = nodes.inline("", found["verdict"], classes=["verdict", f"verdict-{name}"])
        text.parent.replace(text, [nodes.Text(found["on"] or ""), badge])


def add_scripts(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Add the scripts to the pages that have such a table, and to no others."""
    if tree is not None and any("filtered" in table["classes"] for table in tree.findall(nodes.table)):
        app.add_js_file(LIBRARY, loading_method="defer")
        app.add_js_file("filtered_tables.js", loading_method="defer")


def write_library(app: Sphinx, failed: Exception | None) -> None:
    """Write itables's module as a script: browsers load no modules of pages that are opened as files."""
    if failed or app.builder.format != "html":
        return
    module = (files("itables") / "html" / "dt_bundle.js").read_text(encoding="utf-8")
    script, count = re.subn(r"export\{[^}]*?([\w$]+) as jQuery\b[^}]*\}", r"window.tablesQuery = \1", module)
    if count != 1:
        raise ValueError(f"dt_bundle.js of itables exports jQuery {count} times: needs 1")
    (Path(app.outdir) / "_static" / LIBRARY).write_text(f"(() => {{\n{script}\n}})();\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all."""
    app.add_transform(Verdicts)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_library)
    app.add_css_file("tables.css")
    return {"parallel_read_safe": True}

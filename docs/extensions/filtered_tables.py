"""Tables of class ``filtered`` can be searched and filtered: DataTables, from the files that itables brings along."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

BUNDLE = ("dt_bundle.js", "dt_bundle.css")


def copy_bundle(app: Sphinx, failed: Exception | None) -> None:
    """Copy DataTables, so that the built pages need no network."""
    if failed or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for name in BUNDLE:
        (static / name).write_bytes((files("itables") / "html" / name).read_bytes())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the copy and the script that starts it; pages without such a table load nothing of it."""
    app.connect("build-finished", copy_bundle)
    app.add_js_file("filtered_tables.js", type="module")
    return {"parallel_read_safe": True}

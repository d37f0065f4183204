"""Equations in docstrings are written in Unicode, to be read in an editor; on a page they are typeset."""

from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Nothing yet."""
    return {"parallel_read_safe": True}

"""An animation of matplotlib's fetches a font for its buttons; the theme has these signs already, so it need not."""

import re
from typing import Any

from sphinx.application import Sphinx

FONT = re.compile(r"<link[^>]*?font-awesome[^>]*?>", re.DOTALL)


def without_font(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Take the link to the font out of a page."""
    if "body" in context:
        context["body"] = FONT.sub("", context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.connect("html-page-context", without_font)
    return {"parallel_read_safe": True}

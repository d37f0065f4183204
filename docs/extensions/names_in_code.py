"""`copi_ref.step` in the text of a page becomes a link to its entry in the API: pages need no roles of Sphinx's.

On a code host they read as they are.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import copi_ref

PUBLIC = re.compile(rf"(?:copi\.|copi_ref\.)?({'|'.join(sorted(copi_ref.__all__, key=len, reverse=True))})(?:\(.*\))?")
QUALIFIED = re.compile(r"~(?:copi_ref|collections|typing)\.(?:\w+\.)*")
DOTTED = re.compile(r"copi_ref(?:\.\w+)+")


def meant(text: str) -> str | None:
    """Return the full name of what a piece of code names, or None: ``copi.step`` and ``copi_ref.step`` are one."""
    if DOTTED.fullmatch(text):
        return text
    found = PUBLIC.fullmatch(text)
    # a bare word such as `step` or `member` may be anything; one with an underscore or a capital is ours
    if found and (text != found[1] or "_" in text or text != text.lower()):
        return f"copi_ref.{found[1]}"
    return None


class NamesInCode(SphinxTransform):
    """Wrap literals that name something public in a reference; one that leads nowhere stays as it is."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Look at all literals that are no links yet, outside headings; and shorten what autodoc left of types."""
        for text in list(self.document.findall(nodes.Text)):
            if QUALIFIED.search(text):  # in the arguments of a generic type of ours
                text.parent.replace(text, nodes.Text(QUALIFIED.sub("", text)))
        for literal in list(self.document.findall(nodes.literal)):
            name = meant(literal.astext())
            if name is None or isinstance(literal.parent, nodes.reference | nodes.title | addnodes.pending_xref):
                continue
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=name, refexplicit=True, refwarn=False
            )
            literal.replace_self(reference)
            reference += literal


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(NamesInCode)
    return {"parallel_read_safe": True}

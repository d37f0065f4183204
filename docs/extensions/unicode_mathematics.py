"""Mathematics written in Unicode is typeset on built pages.

Docstrings and the ledger of claims are read in an editor and in a terminal, and so have no TeX in them. Here each run
of text that is mathematics becomes a formula; a paragraph that is nothing else becomes a displayed one.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from unicode_to_tex import equation, split, to_tex

KEPT = (
    nodes.literal, nodes.FixedTextElement, nodes.math, nodes.math_block, nodes.raw, nodes.comment, nodes.title,
    nodes.reference, nodes.term, nodes.strong, nodes.emphasis, addnodes.desc_sig_element,
)  # fmt: skip
"""What is no prose, a name in a signature, or where a page's table of contents would lose the formula."""


class UnicodeMathematics(SphinxTransform):
    """Typeset what is mathematics in the text of a page: not in headings, code, links and what is TeX already."""

    default_priority = 410

    def apply(self, **_: Any) -> None:
        """Equations first, then formulas in sentences."""
        for paragraph in list(self.document.findall(nodes.paragraph)):
            shown = equation(paragraph.astext()) if all(isinstance(one, nodes.Text) for one in paragraph) else None
            if shown and not isinstance(paragraph.parent, nodes.entry):
                block = nodes.math_block(shown, shown, nowrap=False, label=None, number=None)
                block.source, block.line = paragraph.source, paragraph.line
                paragraph.replace_self(block)
        for text in list(self.document.findall(nodes.Text)):
            parent = text.parent
            if isinstance(parent, KEPT):
                continue
            parts = list(split(text.astext()))
            if any(is_formula for is_formula, _ in parts):
                made = [nodes.math(one, to_tex(one)) if is_formula else nodes.Text(one) for is_formula, one in parts]
                parent.replace(text, made)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(UnicodeMathematics)
    return {"parallel_read_safe": True}

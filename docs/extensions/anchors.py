"""`<a id="name"></a>` in Markdown is a target for links: `page.md#name` works here as it does on a code host."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ANCHOR = re.compile(r'<a id="([\w-]+)">')


class Anchors(SphinxTransform):
    """Put a target into the place of each anchor, which is two pieces of HTML: its beginning and its end."""

    default_priority = 390  # before links are looked up

    def apply(self, **_: Any) -> None:
        """Look at all pieces of HTML."""
        for raw in list(self.document.findall(nodes.raw)):
            found = ANCHOR.fullmatch(raw.astext())
            if found:
                target = nodes.target("", "", ids=[found[1]], names=[found[1]])
                self.document.note_explicit_target(target)
                end = raw.next_node(descend=False, siblings=True)
                if end is None or end.astext() != "</a>":
                    raise ValueError(f"{raw.astext()}{end and end.astext()}: an anchor is empty")
                raw.parent.remove(end)
                raw.parent.replace(raw, target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform."""
    app.add_transform(Anchors)
    return {"parallel_read_safe": True}

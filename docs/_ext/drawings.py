# SPDX-License-Identifier: Apache-2.0
"""The directive ``drawing`` includes an SVG file inline, so that the drawing has the color of the surrounding text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Drawing(SphinxDirective):
    """
    A drawing from ``images/``. The argument is the file's name, and the content is the caption.

    :raises docutils.parsers.rst.DirectiveError: If the file has no ``<title>``, which screen readers need.
    """

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawing as HTML."""
        path = Path(self.env.srcdir) / "images" / self.arguments[0]
        self.env.note_dependency(str(path))
        svg = path.read_text(encoding="utf-8")
        if not re.search(r"<title\b.*?</title>", svg, re.DOTALL):
            raise self.error(f"{path.name} has no <title>")
        svg = svg[svg.index("<svg") :]
        caption = f"<figcaption>{escape(' '.join(self.content))}</figcaption>" if self.content else ""
        return [nodes.raw("", f'<figure class="drawing">{svg}{caption}</figure>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True}

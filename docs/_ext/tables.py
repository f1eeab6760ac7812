# SPDX-License-Identifier: Apache-2.0
"""Creates docutils tables from rows of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docutils import nodes

_CODE = re.compile(r"``(.+?)``|'([^']+)'")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, code_columns: Sequence[int] = (0,)) -> nodes.table:
    """
    Return a table.

    :param head: The titles of the columns.
    :param rows: The cells. Text in double backticks or single quotes is formatted as code.
    :param code_columns: The indexes of columns that are formatted as code.
    """
    group = nodes.tgroup("", cols=len(head))
    group += [nodes.colspec("", colwidth=1) for _ in head]
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row, code_columns) for row in rows))
    return nodes.table("", group, classes=["from-code"])


def _row(cells: Sequence[str], code_columns: Sequence[int] = ()) -> nodes.row:
    entries = [_cell(cell, number in code_columns) for number, cell in enumerate(cells)]
    return nodes.row("", *entries)


def _cell(text: str, is_code: bool) -> nodes.entry:
    if is_code:
        parts: list[nodes.Node] = [nodes.literal(text, text)] if text else []
    else:
        parts = inline(text)
    return nodes.entry("", nodes.paragraph("", "", *parts))


def inline(text: str) -> list[nodes.Node]:
    """Return a text in which text in double backticks or single quotes is formatted as code."""
    parts: list[nodes.Node] = []
    end = 0
    for found in _CODE.finditer(text):
        code = found.group(1) or found.group(2)
        parts += [nodes.Text(text[end : found.start()]), nodes.literal(code, code)]
        end = found.end()
    return [*parts, nodes.Text(text[end:])]

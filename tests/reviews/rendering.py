# SPDX-License-Identifier: Apache-2.0
"""Renders the Markdown that Airflow's page understands: CommonMark, tables, strikethrough, and bare addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

# What mdast-util-gfm-autolink-literal 2.0 and 2.1 find in the text that remains after parsing, and more.
_ADDRESSES = re.compile(r"https?://|www\.|[\w+.-]@[\w-]", re.IGNORECASE)

# Invisible characters that the package inserts.
_OURS = re.compile("[\u2060\u2068\u2069]")


def tokens(markdown: str) -> list[Token]:
    return [inner for token in _PARSER.parse(markdown) for inner in (token, *(token.children or ()))]


def kinds(markdown: str) -> list[str]:
    """Return the elements of the Markdown in order, except text and its line breaks."""
    plain = ("text", "text_special", "softbreak", "hardbreak", "inline")
    return [token.type for token in tokens(markdown) if token.type not in plain]


def shown(markdown: str) -> str:
    """Return the visible text, with runs of blanks folded."""
    breaks = ("softbreak", "hardbreak", "paragraph_close", "heading_close", "list_item_close")
    text = "".join(" " if token.type in breaks else _content(token) for token in tokens(markdown))
    return " ".join(_OURS.sub("", text).split())


def links(markdown: str) -> list[str]:
    """Return all addresses that a click can open: of links and images, and bare ones in the text."""
    return [*_linked(markdown), *(match.group() for match in _ADDRESSES.finditer(_unlinked(markdown)))]


def _content(token: Token) -> str:
    return token.content if token.type in ("text", "code_inline", "code_block", "fence", "html_inline") else ""


def _linked(markdown: str) -> Iterator[str]:
    for token in tokens(markdown):
        if token.type in ("link_open", "image"):
            yield str(token.attrs.get("href") or token.attrs.get("src"))


def _unlinked(markdown: str) -> str:
    text, depth = [], 0
    for token in tokens(markdown):
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if depth == 0:
            text.append(_content(token) or " ")
    return "".join(text)

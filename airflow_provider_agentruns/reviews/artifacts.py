# SPDX-License-Identifier: Apache-2.0
"""Lays out in Markdown the artifacts that an agent proposes, each with how sure it is and where it has that from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from airflow_provider_agentruns.reviews.fields import (
    MOST_ENTRIES,
    NAME_LENGTH,
    Excerpt,
    contents,
    fields,
    is_text,
    items,
)
from airflow_provider_agentruns.reviews.text import broken, link, linkable

#: Longest heading and longest text that is no mere field, in characters.
HEADING_LENGTH = 300
TEXT_LENGTH = 4_000

_URL_LENGTH = 300
_FACTS = ("title", "type", "confidence", "summary")


def artifact(value: Any, name: str, excerpt: Excerpt, *, agent: Any = None) -> Iterator[str]:
    """
    Show one artifact under a heading.

    :param value: The artifact; shown as what it is, should it be no object.
    :param name: The heading where it has no title.
    :param excerpt: What it is part of.
    :param agent: The agent that was named as the one who proposes it.
    """
    if not isinstance(value, dict):
        yield from (f"### {name}", "")
        yield from anything(value, excerpt)
        return
    said = {key: value[key] for key in _FACTS if is_text(value.get(key))}
    yield from (f"### {excerpt.inline(said.get('title', ''), HEADING_LENGTH) or name}", "")
    facts = []
    if "confidence" in said:
        facts.append(f"**Confidence: {excerpt.inline(said['confidence'], NAME_LENGTH)}**")
    if "type" in said:
        facts.append(excerpt.name(said["type"]))
    if facts:
        yield from (" · ".join(facts), "")
    if "summary" in said:
        yield from text(said["summary"], excerpt)
    # Empty ones say nothing; those that are no text are listed with the rest.
    leave_out = {*said, *(key for key in _FACTS if value.get(key) in (None, ""))}
    if is_text(agent) and value.get("agent") == agent:
        leave_out.add("agent")
    if isinstance(value.get("sources"), list) and value["sources"]:
        leave_out.add("sources")
        yield from _sources(value["sources"], excerpt)
    yield from fields(value, excerpt, leave_out=leave_out)
    yield ""


def anything(value: Any, excerpt: Excerpt) -> Iterator[str]:
    """
    Show a value that is not what was expected.

    :param value: The value.
    :param excerpt: What it is part of.
    """
    if isinstance(value, dict | list):
        yield from contents(value, excerpt) if value else ("(empty)",)
        yield ""
    else:
        yield from text(value, excerpt)


def text(value: Any, excerpt: Excerpt, *, quoted: bool = False) -> Iterator[str]:
    """
    Show a text as paragraphs.

    :param value: The text, or another single value.
    :param excerpt: What it is part of.
    :param quoted: Whether to show it as a quotation.
    """
    lines = excerpt.lines(value, TEXT_LENGTH)
    for line in broken(lines) if any(lines) else ["(empty)"]:
        yield f"> {line}" if quoted else line
    yield ""


def _sources(sources: list[Any], excerpt: Excerpt) -> Iterator[str]:
    # In the list of the fields: two lists in a row would become one.
    yield "- **sources:**"
    for source in islice(sources, MOST_ENTRIES):
        if isinstance(source, dict):
            yield from _source(source, excerpt)
        elif isinstance(source, str) and linkable(source):
            excerpt.shown += len(source)
            yield f"  - {link(source, source)}"
        else:
            yield from items([source], excerpt, indent="  ", depth=2)
    if (more := len(sources) - MOST_ENTRIES) > 0:
        excerpt.cut = True
        yield f"  - … and {more:,} more"


def _source(source: dict[Any, Any], excerpt: Excerpt) -> Iterator[str]:
    url, name = source.get("url"), source.get("source_name")
    kinds = [key for key in ("source_tier", "source_type") if is_text(source.get(key))]
    said = {*kinds, *(key for key in ("url", "source_name") if is_text(source.get(key)))}
    parts = []
    if isinstance(url, str) and linkable(url):
        excerpt.shown += len(url)
        if is_text(name):
            excerpt.inline(name, NAME_LENGTH)
        parts.append(link(str(name) if is_text(name) else url, url))
    else:
        parts += [excerpt.inline(source[key], _URL_LENGTH) for key in ("source_name", "url") if key in said]
    if kinds:
        parts.append(f"\\[{', '.join(excerpt.name(source[key]) for key in kinds)}\\]")
    yield f"  - {' '.join(filter(None, parts)) or '(no address)'}"
    leave_out = {
        *said,
        *(key for key in ("url", "source_name", "source_tier", "source_type") if source.get(key) in (None, "")),
    }
    yield from fields(source, excerpt, leave_out=leave_out, indent="    ", depth=3)

# SPDX-License-Identifier: Apache-2.0
"""Renders what an agent asks and proposes as Markdown. Generators render only what fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow_provider_agentruns.reviews.answer_schema import SCHEMA, AnswerSchema
from airflow_provider_agentruns.reviews.text import (
    CUT,
    escape_markdown,
    escape_markdown_lines,
    link,
    plain,
    plain_for_messages,
)

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: The maximum length of subject and body, in characters.
SUBJECT_LENGTH, BODY_LENGTH = 160, 16_000
#: The maximum number of entries of a list or an object, and of levels.
MAX_ENTRIES, MAX_DEPTH = 50, 5
_MAX_SECTIONS = 3
_LINE_LENGTH, _TEXT_LENGTH = 300, 4_000
_ROW_ENTRIES = 6

# Lists whose entries are sections, and how their headings begin.
_SECTIONS = {"artifacts": "### Artifact", "proposals": "## Proposal"}


def subject(interrupt: Interrupt) -> str:
    """Return the question as one line of plain text, harmless in messages."""
    label = plain_for_messages(interrupt.label, SUBJECT_LENGTH)
    return label or plain_for_messages(f"interrupt {interrupt.id}", SUBJECT_LENGTH)


def body(interrupt: Interrupt, *, run_id: str, run_page: str = "", missing_fields: int = 0) -> str:
    """Return what the agent asks and proposes as Markdown. If a part is cut, the last line says so."""
    run = f"run {link(run_id, run_page)}"
    note = f"\n\n---\n\n**Some parts are cut.** Find the complete question in {run}"
    if missing_fields:
        note = f"\n\n**The form lacks {missing_fields:,} of the answer's fields, because there are too many.**{note}"
    room = BODY_LENGTH - len(note) - len(CUT)
    lines: list[str] = []
    for line in _question(interrupt, run):
        room -= len(line) + 1
        if room < 0:
            lines.append(CUT)
            break
        if line or lines[-1:] != [""]:
            lines.append(line)
    markdown = "\n".join(lines).rstrip()
    return markdown + note if CUT in markdown or missing_fields else markdown


def _question(interrupt: Interrupt, run: str) -> Iterator[str]:
    fields = interrupt.value if isinstance(interrupt.value, dict) else {}
    agent = interrupt.agent or fields.get("agent")
    asked_by = f"**{name}**" if _is_text(agent) and (name := _line(agent)) else "an agent without a name"
    yield from (f"Asked by {asked_by} · {run}", "")
    # The schema of the answer becomes the form.
    shown = {SCHEMA} if AnswerSchema(interrupt) else set()
    if _is_text(agent) and fields.get("agent") == agent:
        shown.add("agent")
    if _is_text(label := fields.get("label")):
        shown.add("label")
        # Airflow shows the subject above the body.
        if plain(label, _TEXT_LENGTH) != subject(interrupt):
            yield from (f"> {line}" for line in _lines(label))
            yield ""
    yield from _content(interrupt.value, shown, depth=1)


def _section(value: Any, heading: str, depth: int) -> Iterator[str]:
    fields = value if isinstance(value, dict) else {}
    titled = "label" if _is_text(fields.get("label")) else "title"
    title = _line(fields[titled]) if _is_text(fields.get(titled)) else ""
    yield from (f"{heading}: {title}" if title else heading, "")
    yield from _content(value, {titled} if title else set(), depth)


def _content(value: Any, shown: set[str], depth: int) -> Iterator[str]:
    if not isinstance(value, dict):
        yield from _entries(value) if _has_entries(value) else _lines(value)
        yield ""
        return
    rest = {name: part for name, part in value.items() if name not in shown}
    if _is_text(rest.get("summary")):
        yield from (*_lines(rest.pop("summary")), "")
    if isinstance(rest.get("sources"), list) and rest["sources"]:
        yield "- **sources:**"
        yield from _entries(rest.pop("sources"), "  ", 2, _source)
    lists = {name: rest.pop(name) for name in _SECTIONS if depth <= _MAX_SECTIONS and isinstance(rest.get(name), list)}
    yield from _entries(rest)
    yield ""
    for name, parts in lists.items():
        if name == "proposals" and len(parts) > 1:
            yield from (f"**One answer covers all {len(parts):,} proposals.**", "")
        for number, part in enumerate(parts, 1):
            yield from _section(part, f"{_SECTIONS[name]} {number:,} of {len(parts):,}", depth + 1)


def _entry(lead: str, item: Any, indent: str, depth: int) -> Iterator[str]:
    if not _has_entries(item):
        first, *more = filter(None, _lines(item))
        yield f"{indent}- {lead}{first}"
        yield from (f"{indent}  {line}" for line in more)
    elif (
        not lead and isinstance(item, dict) and len(item) <= _ROW_ENTRIES and not any(map(_has_entries, item.values()))
    ):
        yield f"{indent}- " + " · ".join(f"**{_name(name)}:** {_line(part)}" for name, part in item.items())
    elif depth >= MAX_DEPTH:
        yield f"{indent}- {lead}{CUT}"
    else:
        # A bullet alone on its line does not always begin a list.
        yield f"{indent}- {lead or ('**list:**' if isinstance(item, list) else '**object:**')}".rstrip()
        yield from _entries(item, f"{indent}  ", depth + 1)


def _source(lead: str, source: Any, indent: str, depth: int) -> Iterator[str]:
    fields = dict(source) if isinstance(source, dict) else {"url": source}
    url, name = fields.pop("url", None), fields.pop("source_name", "")
    if _is_text(url) and isinstance(name, str):
        yield f"{indent}- {link(name, url)}"
        yield from _entries(fields, f"{indent}  ", depth + 1)
    else:
        yield from _entry(lead, source, indent, depth)


def _entries(
    value: dict[str, Any] | list[Any],
    indent: str = "",
    depth: int = 1,
    entry: Callable[[str, Any, str, int], Iterator[str]] = _entry,
) -> Iterator[str]:
    for item in islice(value, MAX_ENTRIES):
        if isinstance(value, dict):
            yield from entry(f"**{_name(item)}:** ", value[item], indent, depth)
        else:
            yield from entry("", item, indent, depth)
    if len(value) > MAX_ENTRIES:
        yield f"{indent}- and {len(value) - MAX_ENTRIES:,} more {CUT}"


def _name(key: str) -> str:
    return _line(key[: 2 * _LINE_LENGTH].replace("_", " ")) or "(no name)"


def _line(value: Any) -> str:
    return escape_markdown(_words(value), _LINE_LENGTH)


def _lines(value: Any) -> list[str]:
    lines = escape_markdown_lines(_words(value), _TEXT_LENGTH)
    return lines if any(lines) else ["(empty)"]


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "(empty)" if value in ("", [], {}) else str(value)


def _has_entries(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""

# SPDX-License-Identifier: Apache-2.0
"""
Renders what an agent asks and proposes as Markdown, for Airflow's page of required actions.

Airflow shows the subject as plain text above the body. In the body it leaves no space between paragraphs, so headings,
quotations, and lists separate the parts. Rendering is lazy and stops at a maximum length: the work depends on what is
shown, not on the size of the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.reviews.form import answer_schema
from airflow_provider_agentruns.reviews.text import (
    CUT,
    escape_markdown,
    escape_markdown_lines,
    link,
    plain,
    plain_for_messages,
)

if TYPE_CHECKING:
    # Building the models is slow, and Airflow imports operators whenever it parses a DAG file.
    from airflow_provider_agentruns.models import Interrupt

#: The maximum length of subject and body, in characters.
SUBJECT_LENGTH = 160
BODY_LENGTH = 16_000

#: How many entries of a list or an object are shown, and how many levels of them.
MAX_ENTRIES = 50
MAX_DEPTH = 5
_MAX_SECTIONS = 3

_NAME_LENGTH = 100
_TITLE_LENGTH = 300
_TEXT_LENGTH = 4_000
_KINDS = {list: "list", dict: "object"}
_ROW_ENTRIES = 6
_ROW_TEXT = 60

# Lists whose entries are sections, and how their headings begin.
_SECTIONS = {"artifacts": "### Artifact", "proposals": "## Proposal"}
# Types that state what is visible anyway.
_OBVIOUS_TYPES = ("proposal", "combined_proposal")


def subject(interrupt: Interrupt) -> str:
    """
    Return the question as one line of plain text that is harmless in messages, too.

    :param interrupt: What the agent asks.
    """
    label = plain_for_messages(interrupt.label, SUBJECT_LENGTH)
    return label or plain_for_messages(f"interrupt {interrupt.id}", SUBJECT_LENGTH)


def body(interrupt: Interrupt, *, run_id: str, run_page: str = "") -> str:
    """
    Return what the agent asks and proposes as Markdown. If a part is cut, the last line says so.

    :param interrupt: What the agent asks.
    :param run_id: The ID of the run.
    :param run_page: The URL of the run's page, if known.
    """
    run = f"run {link(run_id, run_page)}"
    note = f"\n\n---\n\n**Some parts are cut.** Find the complete question in {run}"
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
    return markdown + note if CUT in markdown else markdown


def _question(interrupt: Interrupt, run: str) -> Iterator[str]:
    value = interrupt.value
    if not isinstance(value, dict):
        yield from (f"Asked by {_agent(interrupt.agent)} · {run}", "", *_any(value))
        return
    agent = interrupt.agent or value.get("agent")
    yield from (" · ".join([f"Asked by {_agent(agent)}", *_type(value), run]), "")
    # The subject is visible above the body. The label follows only if the subject does not show it exactly.
    if _is_text(value.get("label")) and plain(_words(value["label"]), _TEXT_LENGTH) != subject(interrupt):
        yield from (f"> {line}" for line in _lines(value["label"]))
        yield ""
    # The schema of the answer becomes the form.
    schema = answer_schema(interrupt)
    value = {name: part for name, part in value.items() if schema is None or part is not schema}
    yield from _content(value, {"label", "type", *(["agent"] if value.get("agent") == agent else [])}, agent, depth=1)


def _section(value: Any, heading: str, agent: Any, depth: int) -> Iterator[str]:
    """
    Show a proposal or an artifact under a heading.

    :param agent: The agent that the part around it names.
    """
    if not isinstance(value, dict):
        yield from (heading, "", *_any(value))
        return
    titled = "label" if _is_text(value.get("label")) else "title"
    title = _line(value[titled], _TITLE_LENGTH) if _is_text(value.get(titled)) else ""
    yield from (f"{heading}: {title}" if title else heading, "")
    facts = []
    if _is_text(value.get("agent")) and value["agent"] != agent:
        agent = value["agent"]
        facts.append(f"By {_agent(agent)}")
    if _is_text(value.get("confidence")):
        facts.append(f"**Confidence: {_line(value['confidence'], _NAME_LENGTH)}**")
    if facts := [*facts, *_type(value)]:
        yield from (" · ".join(facts), "")
    yield from _content(value, {titled, "agent", "confidence", "type"}, agent, depth)


def _content(value: dict[Any, Any], used: set[str], agent: Any, depth: int) -> Iterator[str]:
    """
    Show the summary, the sources, and the other fields of an object, and then the sections inside it.

    :param used: The fields that are shown already if they are text, and omitted if they are empty.
    """
    used = {name for name in (*used, "summary") if _is_text(value.get(name)) or value.get(name) in (None, "")}
    if _is_text(value.get("summary")):
        yield from (*_lines(value["summary"]), "")
    if isinstance(sources := value.get("sources"), list) and sources:
        used.add("sources")
        yield "- **sources:**"
        for source in islice(sources, MAX_ENTRIES):
            yield from _source(source)
        yield from _rest(len(sources), "  ")
    lists = [name for name in _SECTIONS if depth <= _MAX_SECTIONS and isinstance(value.get(name), list)]
    yield from _entries({name: part for name, part in value.items() if name not in used and name not in lists})
    yield ""
    for name in lists:
        for number, part in enumerate(value[name], 1):
            heading = f"{_SECTIONS[name]} {number:,} of {len(value[name]):,}"
            yield from _section(part, heading, agent, depth + 1)


def _source(source: Any) -> Iterator[str]:
    url = source.get("url") if isinstance(source, dict) else source
    name = source.get("source_name") if isinstance(source, dict) else None
    if not _is_text(url):
        yield from _entry("", source, "  ", 2)
        return
    yield f"  - {link(_words(name) if _is_text(name) else '', _words(url))}"
    if isinstance(source, dict):
        shown = {"url", "source_name"} if _is_text(name) else {"url"}
        yield from _entries({key: part for key, part in source.items() if key not in shown}, "    ", 3)


def _any(value: Any) -> Iterator[str]:
    """Show a value of any shape."""
    yield from _entries(value) if isinstance(value, dict | list) and value else _lines(value)
    yield ""


def _entries(value: dict[Any, Any] | list[Any], indent: str = "", depth: int = 1) -> Iterator[str]:
    """List the entries of an object or a list."""
    for entry in islice(value, MAX_ENTRIES):
        if isinstance(value, dict):
            yield from _entry(f"**{_name(entry)}:** ", value[entry], indent, depth)
        else:
            yield from _entry("", entry, indent, depth)
    yield from _rest(len(value), indent)


def _entry(lead: str, item: Any, indent: str, depth: int) -> Iterator[str]:
    if not (isinstance(item, dict | list) and item):
        first, *more = filter(None, _lines(item))
        yield f"{indent}- {lead}{first}"
        yield from (f"{indent}  {line}" for line in more)
    elif not lead and isinstance(item, dict) and _is_row(item):
        yield f"{indent}- " + " · ".join(f"**{_name(name)}:** {_line(part, _ROW_TEXT)}" for name, part in item.items())
    elif depth >= MAX_DEPTH:
        yield f"{indent}- {lead}{CUT}"
    else:
        # A bullet alone on its line does not always begin a list.
        yield f"{indent}- {lead or f'**{_KINDS[type(item)]}:**'}".rstrip()
        yield from _entries(item, f"{indent}  ", depth + 1)


def _rest(count: int, indent: str) -> Iterator[str]:
    if count > MAX_ENTRIES:
        yield f"{indent}- and {count - MAX_ENTRIES:,} more {CUT}"


def _is_row(item: dict[Any, Any]) -> bool:
    """Return whether an object is small enough for one line."""
    return len(item) <= _ROW_ENTRIES and all(
        not isinstance(part, dict | list) and len(_words(part)) <= _ROW_TEXT for part in item.values()
    )


def _agent(agent: Any) -> str:
    name = _line(agent, _NAME_LENGTH) if _is_text(agent) else ""
    return f"**{name}**" if name else "an agent without a name"


def _type(value: dict[Any, Any]) -> list[str]:
    kind = value.get("type")
    return [_name(kind)] if _is_text(kind) and kind not in _OBVIOUS_TYPES else []


def _name(key: Any) -> str:
    return _line(str(key)[: 2 * _NAME_LENGTH].replace("_", " "), _NAME_LENGTH) or "(no name)"


def _line(value: Any, limit: int) -> str:
    return escape_markdown(_words(value), limit)


def _lines(value: Any) -> list[str]:
    lines = escape_markdown_lines(_words(value), _TEXT_LENGTH)
    return lines if any(lines) else ["(empty)"]


def _words(value: Any) -> str:
    """Return a single value as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in ("", [], {}):
        return "(empty)"
    try:
        return str(value)
    except ValueError:  # Python does not write integers of more than some thousand digits.
        return "(a very long number)"


def _is_text(value: Any) -> bool:
    """Return whether a value can stand where text is expected, and is not empty."""
    return isinstance(value, str | int | float) and value != ""

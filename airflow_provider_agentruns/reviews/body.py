# SPDX-License-Identifier: Apache-2.0
"""
Lays out in Markdown what an agent asks and proposes, for Airflow's page of required actions.

Airflow shows the subject as plain text above the body. In the body it leaves no gap between paragraphs, so that
headings, a quote and lists set apart what belongs apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.reviews.artifacts import HEADING_LENGTH, anything, artifact, text
from airflow_provider_agentruns.reviews.fields import NAME_LENGTH, Excerpt, as_text, fields, is_text, size
from airflow_provider_agentruns.reviews.form import SCHEMA_KEYS, answer_schema
from airflow_provider_agentruns.reviews.text import LABEL_LENGTH, clean, escape_markdown, link, linkable, plain

if TYPE_CHECKING:
    # Building the models takes long, and Airflow imports what an operator imports whenever it parses a DAG file.
    from airflow_provider_agentruns.models import Interrupt

#: The longest subject and the longest body, in characters.
SUBJECT_LENGTH = 160
BODY_LENGTH = 16_000

# What the note at the end takes besides the run.
_NOTE_LENGTH = 250

# Types that only say what is to be seen anyway.
_PLAIN_TYPES = ("proposal", "combined_proposal")


def subject(interrupt: Interrupt) -> str:
    """
    Return the question as one line of plain text.

    :param interrupt: What the agent asks.
    """
    return plain(interrupt.label, SUBJECT_LENGTH) or plain(f"interrupt {interrupt.id}", SUBJECT_LENGTH)


def body(interrupt: Interrupt, *, run_id: str, run_page: str = "") -> str:
    """
    Return Markdown that shows what the agent asks and proposes; it says so at its end where it leaves something out.

    :param interrupt: What the agent asks.
    :param run_id: Id of the run that asks.
    :param run_page: Address of the run's page, where there is one.
    """
    run = f"run {link(run_id, run_page) if linkable(run_page) else escape_markdown(run_id, LABEL_LENGTH)}"
    excerpt = Excerpt()
    lines: list[str] = []
    room = BODY_LENGTH - len(run) - _NOTE_LENGTH
    for line in _question(interrupt, run, excerpt):
        room -= len(line) + 1
        if room < 0:
            excerpt.cut = True
            break
        if line or lines[-1:] != [""]:
            lines.append(line)
    markdown = "\n".join(lines).rstrip()
    return f"{markdown}\n\n---\n\n{_note(interrupt, run, excerpt)}" if excerpt.cut else markdown


def _note(interrupt: Interrupt, run: str, excerpt: Excerpt) -> str:
    total, exact = size(interrupt.value)
    left_out = max(total - excerpt.shown, 1)
    how_much = f"about {left_out:,} of {total:,}" if exact else f"more than {left_out:,}"
    return (
        f"**Not everything is shown here.** Left out: {how_much} characters that the agent sent. The whole is in {run}"
    )


def _question(interrupt: Interrupt, run: str, excerpt: Excerpt) -> Iterator[str]:
    value = interrupt.value
    fields_of_it = value if isinstance(value, dict) else {}
    agent = interrupt.agent or fields_of_it.get("agent")
    yield from (" · ".join(["Asked by " + _agent(agent, excerpt), *_type(fields_of_it, excerpt), run]), "")
    if not isinstance(value, dict):
        yield from anything(value, excerpt)
        return
    label = value.get("label")
    if is_text(label):
        words = clean(as_text(label)[: 2 * SUBJECT_LENGTH])
        if not words or len(words) > SUBJECT_LENGTH or "\n" in words:
            yield from text(label, excerpt, quoted=True)
        else:
            # The subject, right above, is the same; said twice, it only takes room.
            excerpt.inline(label, SUBJECT_LENGTH)
    # The schema of the answer becomes the form.
    schema = answer_schema(interrupt)
    shown = {name for name in SCHEMA_KEYS if schema is not None and value.get(name) is schema}
    if isinstance(proposals := value.get("proposals"), list):
        shown.add("proposals")
        yield from chain.from_iterable(
            _proposal(proposal, f"Proposal {number:,} of {len(proposals):,}", excerpt)
            for number, proposal in enumerate(proposals, 1)
        )
    yield from _proposed(value, shown, excerpt, agent)


def _proposal(proposal: Any, name: str, excerpt: Excerpt) -> Iterator[str]:
    if not isinstance(proposal, dict):
        yield from (f"## {name}", "")
        yield from anything(proposal, excerpt)
        return
    label, agent = proposal.get("label"), proposal.get("agent")
    title = excerpt.inline(label, HEADING_LENGTH) if is_text(label) else ""
    yield from (f"## {name}: {title}" if title else f"## {name}", "")
    if facts := [*(["By " + _agent(agent, excerpt)] if is_text(agent) else []), *_type(proposal, excerpt)]:
        yield from (" · ".join(facts), "")
    yield from _proposed(proposal, set(), excerpt, agent)


def _proposed(value: dict[Any, Any], shown: set[str], excerpt: Excerpt, agent: Any) -> Iterator[str]:
    """Show the artifacts of a question or a proposal, and then what else it holds."""
    shown = shown | {name for name in ("label", "type") if is_text(value.get(name))}
    if value.get("agent") is None or (is_text(agent) and value["agent"] == agent):
        shown.add("agent")
    artifacts = value.get("artifacts")
    if isinstance(artifacts, list):
        shown.add("artifacts")
    else:
        artifacts = []
    rest = any(name not in shown for name in value)
    if "proposals" in shown and value["proposals"] and (artifacts or rest):
        # What stands below the last proposal would seem to be part of it.
        yield from ("## Besides the proposals", "")
    yield from chain.from_iterable(
        artifact(one, f"Artifact {number:,}", excerpt, agent=agent) for number, one in enumerate(artifacts, 1)
    )
    if rest:
        if artifacts:
            yield from ("### Further details", "")
        yield from fields(value, excerpt, leave_out=shown)
        yield ""


def _agent(agent: Any, excerpt: Excerpt) -> str:
    name = excerpt.inline(agent, NAME_LENGTH) if is_text(agent) else ""
    return f"**{name}**" if name else "an agent without a name"


def _type(value: dict[Any, Any], excerpt: Excerpt) -> list[str]:
    kind = value.get("type")
    return [excerpt.name(kind)] if is_text(kind) and kind not in _PLAIN_TYPES else []

# SPDX-License-Identifier: Apache-2.0
"""
What a page shows of a run: as much as a person reads, as JSON of which a page makes text and nothing else.

An agent's text may be hostile: what cannot be seen or turns other text around is taken out here, and an address
is only passed on where it is one of a web page. Free of Airflow and of I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_agentruns.reviews.text import clean, linkable, plain

if TYPE_CHECKING:
    from pendulum import DateTime

    from airflow_provider_agentruns.models import AgentRun, Artifact, Interrupt, Source, Step

#: How many of each are shown.
MOST_STEPS = 500
MOST_ARTIFACTS = 100
MOST_SOURCES = 30
MOST_INTERRUPTS = 50

#: How deep steps are shown inside steps; those below stand beside the last.
DEEPEST = 8

_LINE = 300
_SUMMARY = 4_000
_DETAILS = 4_000
_MOST_ENTRIES = 100

_KNOWN_OF_ARTIFACT = ("title", "type", "confidence", "summary", "sources", "agent", "id")


def serialize_run(run: AgentRun) -> dict[str, Any]:
    """Return what is to be shown of a run that was read with its steps."""
    steps = _Steps()
    artifacts = run.output.artifacts if run.output else []
    return {
        "id": run.id,
        "agent": line(run.agent),
        "status": line(str(run.status)),
        "finished": run.status.finished,
        "requester": line(run.requester and (run.requester.name or run.requester.id)),
        "created_at": _moment(run.created_at),
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
        "updated_at": _moment(run.updated_at),
        "steps": steps.shown(run.steps or []),
        "more_steps": steps.left_out,
        "artifacts": [_artifact(artifact) for artifact in artifacts[:MOST_ARTIFACTS]],
        "more_artifacts": max(0, len(artifacts) - MOST_ARTIFACTS),
        "interrupts": [_interrupt(interrupt) for interrupt in run.interrupts[:MOST_INTERRUPTS]],
        "more_interrupts": max(0, len(run.interrupts) - MOST_INTERRUPTS),
    }


def line(value: Any) -> str | None:
    """Return what a person reads as one line, cut where it is long; None where it is no text."""
    return plain(value, _LINE) if isinstance(value, str) else None


def as_text(value: Any, limit: int) -> str | None:
    """Return what a person reads as lines, cut where it is long; None where it is no text."""
    if not isinstance(value, str):
        return None
    cleaned = clean(value[: 2 * limit])
    return cleaned if len(cleaned) <= limit and len(value) <= 2 * limit else f"{cleaned[:limit].rstrip()}…"


def as_json(value: Any) -> str:
    """Return any JSON value as lines to be read, cut where it is long."""
    text = json.dumps(_readable(value, _Budget(2 * _DETAILS)), ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= _DETAILS else f"{text[:_DETAILS].rstrip()}…"


class _Budget:
    """
    How many characters of a value are still made readable: what lies behind is cut anyway, and may be megabytes.

    :param left: So many.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, text: str | None) -> str | None:
        """Take a text from what is left."""
        # No entry is free: there may be a million empty ones.
        self.left -= len(text or "") + 1
        return text


def _readable(value: Any, budget: _Budget, depth: int = 1) -> Any:
    if budget.left <= 0 or (isinstance(value, dict | list) and depth > DEEPEST):
        return "…"
    if isinstance(value, str):
        return budget.spend(as_text(value, min(_SUMMARY, budget.left)))
    if isinstance(value, dict):
        keys = takewhile(lambda _: budget.left > 0, islice(value, _MOST_ENTRIES))
        return {budget.spend(line(str(key)[:_LINE])): _readable(value[key], budget, depth + 1) for key in keys}
    if isinstance(value, list):
        entries = takewhile(lambda _: budget.left > 0, value[:_MOST_ENTRIES])
        return [_readable(entry, budget, depth + 1) for entry in entries]
    budget.spend(None)
    return value


class _Steps:
    """Shows steps inside steps, up to a number in all."""

    def __init__(self) -> None:
        self.left_out = 0
        self._left = MOST_STEPS

    def shown(self, steps: Iterable[Step], depth: int = 1) -> list[dict[str, Any]]:
        """Return the steps, each with those inside it."""
        found: list[dict[str, Any]] = []
        for step in steps:
            inside = list(step.steps) if depth < DEEPEST else []
            if self._left <= 0:
                self.left_out += sum(1 for _ in step.walk())
                continue
            self._left -= 1
            found.append({**_step(step), "steps": self.shown(inside, depth + 1)})
            if depth == DEEPEST:
                self._beside(step, found)
        return found

    def _beside(self, step: Step, found: list[dict[str, Any]]) -> None:
        """Show what lies deeper beside a step."""
        for deeper in list(step.walk())[1:]:
            if self._left <= 0:
                self.left_out += 1
                continue
            self._left -= 1
            found.append({**_step(deeper), "steps": []})


def _step(step: Step) -> dict[str, Any]:
    resolution = step.result.get("resolution") if isinstance(step.result, dict) else None
    return {
        "id": step.id,
        "label": line(step.label or step.name) or "Step without a name",
        "name": line(step.name),
        "agent": line(step.agent),
        "type": line(step.type),
        "status": line(step.status),
        "started_at": _moment(step.started_at),
        "completed_at": _moment(step.completed_at),
        "resolution": line(resolution),
        "artifacts": len(step.artifacts),
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    # What should be a list may be anything.
    sources: Any = artifact.sources if isinstance(artifact.sources, list) else []
    more = {name: value for name, value in (artifact.model_extra or {}).items() if name not in _KNOWN_OF_ARTIFACT}
    return {
        "title": line(artifact.title) or "Without a title",
        "type": line(artifact.type),
        "confidence": line(artifact.confidence),
        "agent": line((artifact.model_extra or {}).get("agent")),
        "summary": as_text(artifact.summary, _SUMMARY),
        "sources": [_source(source) for source in sources[:MOST_SOURCES]],
        "more_sources": max(0, len(sources) - MOST_SOURCES),
        "details": as_json(more) if more else None,
    }


def _source(source: Source) -> dict[str, Any]:
    address = linkable(source.url) if isinstance(source.url, str) else ""
    return {
        "name": line(source.source_name) or line(source.url) or "Source",
        "url": address or None,
        # A name may lie: what it leads to stands beside it.
        "host": urlsplit(address).netloc if address else None,
        "tier": line(source.source_tier),
        "kind": line(source.source_type),
    }


def _interrupt(interrupt: Interrupt) -> dict[str, Any]:
    return {"id": interrupt.id, "agent": line(interrupt.agent), "label": line(interrupt.label) or interrupt.id}


def _moment(moment: DateTime | None) -> str | None:
    return moment.isoformat() if moment else None

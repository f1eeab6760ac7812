# SPDX-License-Identifier: Apache-2.0
"""What pages show, as JSON. An agent's text may be hostile, so it is bounded and loses invisible characters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsResponseTooLargeError
from airflow_provider_agentruns.models import AgentRun, Interrupt, RunStatus
from airflow_provider_agentruns.reviews.text import clean, plain, safe_url
from airflow_provider_agentruns.run_outcome import failure_reason

#: The largest number of each that a page shows.
MAX_STEPS, MAX_ARTIFACTS, MAX_SOURCES, MAX_INTERRUPTS = 500, 100, 30, 50

MAX_DEPTH = 8
#: The largest number of values in a response that is parsed. Python needs up to 200 bytes of memory for each.
MAX_VALUES = 300_000
#: The statuses of runs that cannot change anymore.
FINISHED = (RunStatus.COMPLETED, RunStatus.ERROR)

_MAX_LINE = 300
_MAX_TEXT = 4_000
_ARTIFACT_FIELDS = ("title", "type", "confidence", "summary", "sources", "agent", "id")
_ENCODER = json.JSONEncoder(ensure_ascii=False, indent=2, default=str)


def parse_run(response: Response) -> dict[str, Any]:
    """Return what a page shows of a run. Raise a ValueError if the response is not a JSON object."""
    # Each value but the first of a list or object follows a comma. Commas in texts count too, which does not matter.
    if sum(map(response.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise AgentRunsResponseTooLargeError("the run has too many values")
    run = response.json()
    if not isinstance(run, dict):
        raise ValueError("not a JSON object")
    steps = _dicts(run.get("steps"))
    shown_steps = _steps(steps, iter(range(MAX_STEPS)))
    status = as_line(run.get("status"))
    requester, output = _dict(run.get("requester")), _dict(run.get("output"))
    artifacts, interrupts = _dicts(output.get("artifacts")), _dicts(run.get("interrupts"))
    return {
        **_each(as_line, run, "id", "agent"),
        **_each(as_time, run, "created_at", "started_at", "ended_at"),
        "status": status,
        "failure": _failure(run) if status == RunStatus.ERROR else None,
        "finished": status in FINISHED,
        "requester": as_line(requester.get("name")) or as_line(requester.get("id")),
        "steps": shown_steps,
        "more_steps": _count(steps) - _count(shown_steps),
        "steps_too_large": False,
        "artifacts": [_artifact(artifact) for artifact in artifacts[:MAX_ARTIFACTS]],
        "more_artifacts": max(0, len(artifacts) - MAX_ARTIFACTS),
        "interrupts": [_interrupt(interrupt) for interrupt in interrupts[:MAX_INTERRUPTS]],
        "more_interrupts": max(0, len(interrupts) - MAX_INTERRUPTS),
    }


def serialize_trail(task_id: str, map_index: int, trail: Any, run_id: str) -> dict[str, Any] | None:
    """Return what a page shows of an answer to a run; None if the XCom value is not the trail of one."""
    if not isinstance(trail, dict) or trail.get("run_id") != run_id:
        return None
    return {
        "task_id": task_id,
        "map_index": map_index,
        **_decision(trail),
        **_each(as_line, trail, "interrupt_id", "label", "delivery", "status"),
        "sent": as_json(trail.get("sent")),
        "superseded": [_decision(decision) for decision in _dicts(trail.get("superseded"))[:MAX_INTERRUPTS]],
    }


def as_line(value: Any) -> str | None:
    """Return text as one line of bounded length; None if it is not text."""
    return plain(value, _MAX_LINE) if isinstance(value, str) else None


def as_text(value: Any) -> str | None:
    """Return text as lines, cut at a bounded length; None if it is not text."""
    return _cut(clean(value[: 2 * _MAX_TEXT])) if isinstance(value, str) else None


def as_json(value: Any) -> str:
    """Return a JSON value as indented text, cut at a bounded length. The rest is not encoded."""
    text = ""
    for part in _ENCODER.iterencode(value):
        text += part[: _MAX_TEXT + 1]
        if len(text) > _MAX_TEXT:
            break
    lines = text.split("\n")
    return _cut("\n".join(line[: len(line) - len(line.lstrip(" "))] + clean(line) for line in lines))


def as_time(value: Any) -> str | None:
    """Return an ISO 8601 time with its time zone; None if it is not one."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT].rstrip()}…"


def _steps(steps: list[dict[str, Any]], numbers: Iterator[int], depth: int = 1) -> list[dict[str, Any]]:
    return [
        {**_step(step), "steps": _steps(_dicts(step.get("steps")), numbers, depth + 1)}
        for step in steps
        if depth <= MAX_DEPTH and next(numbers, None) is not None
    ]


def _count(steps: list[dict[str, Any]]) -> int:
    count, pending = 0, list(steps)
    while pending:
        count += 1
        pending += _dicts(pending.pop().get("steps"))
    return count


def _step(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": as_line(step.get("label")) or as_line(step.get("name")) or "Unnamed step",
        **_each(as_line, step, "id", "name", "agent", "type", "status"),
        **_each(as_time, step, "started_at", "completed_at"),
        "resolution": as_line(_dict(step.get("result")).get("resolution")),
        "artifacts": len(_list(step.get("artifacts"))),
    }


def _artifact(artifact: dict[str, Any]) -> dict[str, Any]:
    # Some agents return URLs instead of objects.
    sources = _dicts([{"url": one} if isinstance(one, str) else one for one in _list(artifact.get("sources"))])
    other = {name: value for name, value in artifact.items() if name not in _ARTIFACT_FIELDS}
    return {
        "title": as_line(artifact.get("title")) or "Untitled",
        **_each(as_line, artifact, "type", "confidence", "agent"),
        "summary": as_text(artifact.get("summary")),
        "sources": [_source(source) for source in sources[:MAX_SOURCES]],
        "more_sources": max(0, len(sources) - MAX_SOURCES),
        "details": as_json(other) if other else None,
    }


def _source(source: dict[str, Any]) -> dict[str, Any]:
    url = source.get("url")
    address = safe_url(url) if isinstance(url, str) else ""
    return {
        "name": as_line(source.get("source_name")) or as_line(url) or "Source",
        "url": address or None,
        # The page shows the host next to the name, which can be misleading.
        "host": urlsplit(address).netloc if address else None,
        "tier": as_line(source.get("source_tier")),
        "kind": as_line(source.get("source_type")),
    }


def _decision(decision: dict[str, Any]) -> dict[str, Any]:
    person = _dict(decision.get("responded_by"))
    return {
        "who": as_line(person.get("name")) or as_line(person.get("id")),
        "by": as_line(decision.get("by")),
        "at": as_line(decision.get("responded_at")),
        "chosen": [as_line(option) for option in _list(decision.get("chosen_options"))[:MAX_INTERRUPTS]],
    }


def _failure(run: dict[str, Any]) -> str | None:
    try:
        reason = failure_reason(AgentRun.model_validate(run))
    except ValueError:
        reason = "and the service's description of it is not valid"
    return as_text(f"The run ended in error {reason}")


def _interrupt(interrupt: dict[str, Any]) -> dict[str, Any]:
    interrupt_id = as_line(interrupt.get("id")) or ""
    label = Interrupt(id=interrupt_id, value=interrupt.get("value")).label
    return {"id": interrupt_id, "agent": as_line(interrupt.get("agent")), "label": as_line(label)}


def _each(convert: Callable[[Any], str | None], values: dict[str, Any], *names: str) -> dict[str, str | None]:
    return {name: convert(values.get(name)) for name in names}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

# SPDX-License-Identifier: Apache-2.0
"""Finds the open questions of a run after a round of reviews, although responses can be outdated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.text import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun, Interrupt


def open_questions(run: AgentRun, answered: Iterable[Mapping[str, Any]]) -> list[Interrupt] | None:
    """
    Return the questions that the run asks and that nobody has just answered.

    :param answered: The trails of the earlier reviews.
    :return: None if the response is older than the answers, or lacks the questions of an interrupted run.
    """
    if run.status.finished:
        return []
    trails = list(answered)
    if any(_seconds_since(trail, run) < 0 for trail in trails):
        return None
    # An agent can ask the same question again, but then the run has changed since the answer.
    just_answered = {(one.get("interrupt_id"), one.get("question")) for one in trails if _seconds_since(one, run) <= 0}
    found: dict[tuple[str, str], Interrupt] = {}
    for one in run.interrupts:
        key = (one.id, digest(one.value))
        if key not in just_answered:
            # The first of each, because a question that is listed twice needs one form.
            found.setdefault(key, one)
    return None if run.status == "interrupted" and not found else list(found.values())


def _seconds_since(trail: Mapping[str, Any], run: AgentRun) -> int:
    """Return the seconds from an answer to the run's last change; 0 if unknown."""
    # A trail of an earlier version of the package has no time.
    if not run.updated_at or not (answered_at := trail.get("run_updated_at")):
        return 0
    # Whole seconds, because responses of one service can differ in precision.
    return int(run.updated_at.timestamp()) - int(datetime.fromisoformat(answered_at).timestamp())

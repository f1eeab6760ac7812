# SPDX-License-Identifier: Apache-2.0
"""Decides which questions of a run are still open after a round of reviews, although responses can be outdated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.digest import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun, Interrupt


def open_questions(run: AgentRun, answered: Iterable[Mapping[str, Any]]) -> list[Interrupt] | None:
    """
    Return the questions that the run asks and that were not answered just now.

    :param answered: The trails of the reviews before.
    :return: None if the response is older than the answers, or lacks the questions of an interrupted run.
    """
    trails = list(answered)
    if any(_order(run, trail) == "older" for trail in trails):
        return None
    # An agent can ask the same question again, but then the run has changed since the answer.
    just_answered = {(one["interrupt_id"], one["question"]) for one in trails if _order(run, one) != "newer"}
    found = [one for one in run.interrupts if (one.id, digest(one.value)) not in just_answered]
    return None if run.status == "interrupted" and not found else found


def _order(run: AgentRun, trail: Mapping[str, Any]) -> str:
    """Return whether the run is ``newer`` or ``older`` than at the time of an answer; empty if unknown."""
    if not run.updated_at or not trail["run_updated_at"]:
        return ""
    answered = datetime.fromisoformat(trail["run_updated_at"])
    return "newer" if run.updated_at > answered else "older" if run.updated_at < answered else ""

# SPDX-License-Identifier: Apache-2.0
"""The trail of a review: what was asked and shown, who answered what and when, what was sent and what followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.digest import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.resume_run import Answered
    from airflow_provider_agentruns.models import AgentRun
    from airflow_provider_agentruns.reviews.decision import Decision
    from airflow_provider_agentruns.reviews.state import ReviewState

#: The XCom key of the whole trail.
TRAIL = "trail"


def outcome(note: ReviewState, decision: Decision, run: AgentRun) -> dict[str, Any]:
    """Return what the tasks behind a review get."""
    return {
        "run_id": note.run_id,
        "interrupt_id": note.interrupt_id,
        "chosen_options": decision.chosen_options,
        "params_input": decision.params_input,
        "responded_by": decision.responded_by,
        "responded_at": decision.responded_at,
        "status": str(run.status),
    }


def whole(note: ReviewState, decision: Decision, answered: Answered, rating: dict[str, Any] | None) -> dict[str, Any]:
    """
    Return all that an auditor asks for.

    ``delivery`` is ``confirmed`` where the service said that it took the answer, else ``presumed``.
    """
    return {
        **outcome(note, decision, answered.run),
        "agent": note.agent,
        "label": note.label,
        "question": note.question,
        "by": decision.by,
        "shown": note.shown,
        "sent": note.sent[0] if note.sent else None,
        "delivery": _delivery(answered),
        "rating": rating,
    }


def for_log(note: ReviewState, decision: Decision, answered: Answered) -> dict[str, Any]:
    """Return the same for a log: digests in place of what was shown, filled in and sent, which may be personal data."""
    return {
        "run_id": note.run_id,
        "interrupt_id": note.interrupt_id,
        "question": note.question,
        "shown": digest(note.shown) if note.shown else None,
        "by": decision.by,
        "responded_by": (decision.responded_by or {}).get("id"),
        "responded_at": decision.responded_at,
        "chosen_options": decision.chosen_options,
        "sent": digest(note.sent[0]) if note.sent else None,
        "delivery": _delivery(answered),
        "status": str(answered.run.status),
    }


def _delivery(answered: Answered) -> str:
    return "confirmed" if answered.confirmed else "presumed"

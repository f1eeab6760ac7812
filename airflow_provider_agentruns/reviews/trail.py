# SPDX-License-Identifier: Apache-2.0
"""The audit trail of a review: what was asked and shown, who answered what and when, and what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.digest import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.reviews.decision import Decision
    from airflow_provider_agentruns.reviews.state import ReviewState

#: The XCom key of the trail.
TRAIL = "trail"


def result(state: ReviewState, decision: Decision, status: str) -> dict[str, Any]:
    """
    Return the XCom value of a review.

    :param state: The review.
    :param decision: The decision.
    :param status: The status of the run after the answer.
    """
    return {
        "run_id": state.run_id,
        "interrupt_id": state.interrupt_id,
        "chosen_options": decision.chosen_options,
        "params_input": decision.params_input,
        "responded_by": decision.responded_by,
        "responded_at": decision.responded_at,
        "status": status,
    }


def trail(
    state: ReviewState, decision: Decision, status: str, delivery: str, rating: dict[str, Any] | None = None
) -> dict[str, Any]:
    """
    Return everything that an auditor asks for.

    :param state: The review.
    :param decision: The decision.
    :param status: The status of the run after the answer.
    :param delivery: ``confirmed`` if the service confirmed the answer, or ``presumed`` if the question was gone after
        the answer was sent.
    :param rating: The rating of an artifact, if there is one.
    """
    return {
        **result(state, decision, status),
        "agent": state.agent,
        "label": state.label,
        "question": state.question,
        "by": decision.by,
        "shown": state.shown,
        "sent": state.sent[0] if state.sent else None,
        "delivery": delivery,
        "rating": rating,
    }


def log_fields(state: ReviewState, decision: Decision, status: str, delivery: str) -> dict[str, Any]:
    """Return the trail for a log, with digests instead of what can be personal data."""
    return {
        "run_id": state.run_id,
        "interrupt_id": state.interrupt_id,
        "question": state.question,
        "shown": digest(state.shown) if state.shown else None,
        "by": decision.by,
        "responded_by": (decision.responded_by or {}).get("id"),
        "responded_at": decision.responded_at,
        "chosen_options": decision.chosen_options,
        "sent": digest(state.sent[0]) if state.sent else None,
        "delivery": delivery,
        "status": status,
    }


def seconds_to_decide(state: ReviewState, decision: Decision) -> float | None:
    """Return the seconds between form and decision, or None if there was no form."""
    since, until = (state.shown or {}).get("at"), decision.responded_at
    if not since or not until:
        return None
    return max(0.0, (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())

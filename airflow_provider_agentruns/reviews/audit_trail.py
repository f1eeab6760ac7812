# SPDX-License-Identifier: Apache-2.0
"""The audit trail of a review: what was asked, shown, decided, and sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.text import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.reviews.state import ReviewState

#: The XCom key of the trail.
TRAIL = "trail"

#: The keys of the trail that are in a review's XCom value.
RESULT = ("run_id", "interrupt_id", "chosen_options", "params_input", "responded_by", "responded_at", "status")

_FROM_STATE = ("run_id", "interrupt_id", "agent", "label", "question", "shown", "superseded")


def audit_trail(
    state: ReviewState, *, status: str | None, delivery: str, rating: dict[str, Any] | None = None
) -> dict[str, Any]:
    """
    Return what an auditor asks for, after a decision.

    :param status: The run's status when it was last read.
    :param delivery: ``confirmed`` if the service confirmed the answer; ``presumed`` if the question was gone after the
        answer was sent; ``not sent``; or ``unknown`` if the task failed while the answer may have been accepted.
    """
    known = asdict(state)
    return {
        **{name: known[name] for name in _FROM_STATE},
        **known["decision"],
        "status": status,
        "sent": state.sent[0] if state.sent else None,
        "delivery": delivery,
        "rating": rating,
        "run_updated_at": state.seen,
    }


def for_log(trail: dict[str, Any]) -> dict[str, Any]:
    """Return a trail for a log, with digests instead of what can be personal data."""
    # A request can name options that are not on the form.
    options = trail["chosen_options"] if trail["by"] == "policy" else (trail["shown"] or {}).get("options", ())
    omitted = ("params_input", "agent", "label", "rating", "run_updated_at")
    return {
        **{key: value for key, value in trail.items() if key not in omitted},
        "chosen_options": [option for option in trail["chosen_options"] if option in options],
        "responded_by": (trail["responded_by"] or {}).get("id"),
        "shown": trail["shown"] and digest(trail["shown"]),
        "sent": digest(trail["sent"]),
        "superseded": len(trail["superseded"]),
    }

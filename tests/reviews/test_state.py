# SPDX-License-Identifier: Apache-2.0
"""A review's state survives its tries, and its trail has everything for an auditor and no personal data for a log."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from airflow_provider_agentruns.audit.trail import audit_trail, for_log
from airflow_provider_agentruns.models import AgentRun, Interrupt
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.state import ReviewState
from airflow_provider_agentruns.text import digest
from tests.reviews.forms import asks

RUN = AgentRun.model_validate({"id": "r-1", "status": "interrupted", "updated_at": "2026-01-31T11:59:00Z"})
AT = "2026-01-31T12:00:00+00:00"
SECRET = "123-45-6789"
VALUE = {"label": f"Is {SECRET} right?", "artifacts": [{"title": "Report"}]}
SHOWN = {"at": "2026-01-31T11:59:30+00:00", "subject": VALUE["label"], "body": SECRET, "options": ["Approve"]}
SENT = {"decision": "approve", "note": SECRET}
BY_ANN = Decision("person", ["Approve"], AT, {"id": "ann", "name": f"Ann {SECRET}"}, {"note": SECRET})


def review(**more: Any) -> ReviewState:
    state = ReviewState.begin(RUN, asks(VALUE), 3, None)
    for name, value in more.items():
        setattr(state, name, value)
    return state


def stored(state: ReviewState) -> Any:
    return json.loads(json.dumps(asdict(state)))


@pytest.mark.parametrize("more", [{}, {"shown": SHOWN}, {"decision": BY_ANN, "sent": [None], "superseded": [BY_ANN]}])
def test_a_later_try_restores_the_state(more: dict[str, Any]) -> None:
    assert ReviewState.restore(stored(review(**more)), "r-1", "int-1") == review(**more)
    assert ReviewState.restore(None, "r-1", "int-1") is None


def test_labels_are_short_and_can_be_stored() -> None:
    hostile = Interrupt(id="int-1", agent="a\ud800" * 999, value={"label": "\u202e\ud800\x1b[31m\n" + "x" * 10_000})
    state = ReviewState.begin(RUN, hostile, 0, None)
    assert state.label.startswith("\ufffd[31m xx")
    assert state.agent is not None
    assert (len(state.label), len(state.agent)) == (300, 300)
    json.dumps([state.label, state.agent], ensure_ascii=False).encode()


@pytest.mark.parametrize("answer", [SENT, None, False, []])
def test_the_trail_has_everything_and_the_log_has_digests_instead_of_personal_data(answer: Any) -> None:
    rating = {"artifact_id": "a-1", "rating": "POSITIVE", "comment": SECRET}
    state = review(shown=SHOWN, sent=[answer], decision=BY_ANN, superseded=[BY_ANN])
    trail = audit_trail(state, status="running", delivery="presumed", rating=rating)
    both = {
        "run_id": "r-1",
        "interrupt_id": "int-1",
        "chosen_options": ["Approve"],
        "responded_at": AT,
        "status": "running",
        "question": digest(VALUE),
        "by": "person",
        "delivery": "presumed",
    }
    assert trail == {
        **both,
        "params_input": {"note": SECRET},
        "responded_by": {"id": "ann", "name": f"Ann {SECRET}"},
        "agent": "some_agent",
        "label": VALUE["label"],
        "shown": SHOWN,
        "sent": answer,
        "rating": rating,
        "run_updated_at": "2026-01-31T11:59:00+00:00",
        "superseded": [asdict(BY_ANN)],
    }
    logged = for_log(trail)
    assert logged == {**both, "responded_by": "ann", "shown": digest(SHOWN), "sent": digest(answer), "superseded": 1}
    assert SECRET not in json.dumps(logged)


def test_the_time_to_decide_counts_from_the_form() -> None:
    assert review(shown=SHOWN, decision=BY_ANN).seconds_to_decide == 30
    assert review(decision=BY_ANN).seconds_to_decide is None
    assert review(shown=SHOWN, decision=Decision("person", [], "")).seconds_to_decide is None

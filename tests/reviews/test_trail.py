# SPDX-License-Identifier: Apache-2.0
"""A review's trail has all for an auditor, and for a log nothing that may be personal data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.idempotency.resume_run import Answered
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.state import ReviewState
from airflow_provider_agentruns.reviews.trail import for_log, outcome, whole
from tests.reviews.forms import asks

AT = "2026-01-31T12:00:00+00:00"
SECRET = "123-45-6789"
VALUE = {"label": f"Is {SECRET} right?"}
SHOWN = {"subject": f"Is {SECRET} right?", "body": SECRET}
SENT = {"decision": "approve", "note": SECRET}
BY_ANN = Decision("person", ["Approve"], AT, {"id": "ann", "name": f"Ann {SECRET}"}, {"note": SECRET})
NOBODY = Decision("timeout", ["Reject"], AT)
RUN = AgentRun.model_validate({"id": "r-1", "agent": "some_agent", "status": "running"})


def note(shown: dict[str, Any] | None = SHOWN, sent: list[Any] | None = None) -> ReviewState:
    """Return the note of a review."""
    begun = ReviewState.on("r-1", asks(VALUE), 0)
    begun.shown, begun.sent = shown, sent
    return begun


def test_the_outcome_is_what_the_interface_says() -> None:
    assert outcome(note(), BY_ANN, RUN) == {
        "run_id": "r-1",
        "interrupt_id": "int-1",
        "chosen_options": ["Approve"],
        "params_input": {"note": SECRET},
        "responded_by": {"id": "ann", "name": f"Ann {SECRET}"},
        "responded_at": AT,
        "status": "running",
    }


def test_the_whole_trail_says_what_was_asked_shown_sent_and_rated() -> None:
    rating = {"artifact_id": "a-1", "rating": "POSITIVE"}
    assert whole(note(sent=[SENT]), BY_ANN, Answered(RUN, confirmed=True), rating) == {
        **outcome(note(), BY_ANN, RUN),
        "agent": "some_agent",
        "label": VALUE["label"],
        "question": digest(VALUE),
        "by": "person",
        "shown": SHOWN,
        "sent": SENT,
        "delivery": "confirmed",
        "rating": rating,
    }


@pytest.mark.parametrize("answer", [None, False, 0, "", [], {}])
def test_an_answer_that_is_nothing_much_is_in_it_all_the_same(answer: Any) -> None:
    sent = note(sent=[answer])
    assert whole(sent, BY_ANN, Answered(RUN, confirmed=True), None)["sent"] == answer
    assert for_log(sent, BY_ANN, Answered(RUN, confirmed=True))["sent"] == digest(answer)


def test_the_log_has_digests_in_place_of_what_may_be_personal() -> None:
    logged = for_log(note(sent=[SENT]), BY_ANN, Answered(RUN, confirmed=True))
    assert logged == {
        "run_id": "r-1",
        "interrupt_id": "int-1",
        "question": digest(VALUE),
        "shown": digest(SHOWN),
        "by": "person",
        "responded_by": "ann",
        "responded_at": AT,
        "chosen_options": ["Approve"],
        "sent": digest(SENT),
        "delivery": "confirmed",
        "status": "running",
    }
    assert SECRET not in json.dumps(logged)


def test_where_nobody_answered_and_nothing_was_shown_the_trail_says_so() -> None:
    unseen = note(shown=None)
    assert outcome(unseen, NOBODY, RUN)["responded_by"] is None
    trail = whole(unseen, NOBODY, Answered(RUN, confirmed=True), None)
    assert [trail[key] for key in ("by", "shown", "sent", "rating")] == ["timeout", None, None, None]
    logged = for_log(unseen, NOBODY, Answered(RUN, confirmed=True))
    assert [logged[key] for key in ("by", "responded_by", "shown", "sent")] == ["timeout", None, None, None]


@pytest.mark.parametrize("status", ["completed", "interrupted", "paused"])
def test_all_of_it_is_json_whatever_the_status(status: str) -> None:
    run = AgentRun.model_validate({"id": "r-1", "agent": "some_agent", "status": status})
    for trail in (
        outcome(note(), BY_ANN, run),
        whole(note(sent=[SENT]), BY_ANN, Answered(run, confirmed=True), None),
        for_log(note(), BY_ANN, Answered(run, confirmed=True)),
    ):
        assert json.loads(json.dumps(trail)) == trail
        assert type(trail["status"]) is str
        assert trail["status"] == status


def test_an_answer_that_the_service_has_not_confirmed_is_presumed_to_be_taken() -> None:
    assert whole(note(sent=[SENT]), BY_ANN, Answered(RUN, confirmed=False), None)["delivery"] == "presumed"
    assert for_log(note(sent=[SENT]), BY_ANN, Answered(RUN, confirmed=False))["delivery"] == "presumed"

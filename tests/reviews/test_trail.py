# SPDX-License-Identifier: Apache-2.0
"""A review's state survives its tries, and its trail has everything for an auditor and no personal data for a log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.state import START_NEW_RUN, ReviewState
from airflow_provider_agentruns.reviews.trail import log_fields, result, seconds_to_decide, trail
from tests.reviews.forms import asks

AT = "2026-01-31T12:00:00+00:00"
SECRET = "123-45-6789"
VALUE = {"label": f"Is {SECRET} right?", "artifacts": [{"title": "Report"}]}
SHOWN = {"at": "2026-01-31T11:59:30+00:00", "subject": VALUE["label"], "body": SECRET}
SENT = {"decision": "approve", "note": SECRET}
BY_ANN = Decision("person", ["Approve"], AT, {"id": "ann", "name": f"Ann {SECRET}"}, {"note": SECRET})
NOBODY = Decision("timeout", ["Reject"], AT)


def review(**more: Any) -> ReviewState:
    """Return the state of a review."""
    state = ReviewState.begin("r-1", asks(VALUE), 3)
    for name, value in more.items():
        setattr(state, name, value)
    return state


def stored(state: ReviewState) -> Any:
    """Return a state as the store returns it."""
    return json.loads(json.dumps(state.as_json()))


@pytest.mark.parametrize("more", [{}, {"shown": SHOWN}, {"decision": {"by": "policy"}, "sent": [None]}])
def test_a_later_try_restores_the_state(more: dict[str, Any]) -> None:
    assert ReviewState.restore(stored(review(**more)), "r-1", "int-1") == review(**more)
    assert ReviewState.restore(None, "r-1", "int-1") is None


@pytest.mark.parametrize(("run_id", "interrupt_id"), [("r-2", "int-1"), ("r-1", "int-2")])
def test_another_interrupt_is_rejected_once_a_form_exists(run_id: str, interrupt_id: str) -> None:
    assert ReviewState.restore(stored(review()), run_id, interrupt_id) is None
    with pytest.raises(AgentRunReviewError) as e:
        ReviewState.restore(stored(review(shown=SHOWN)), run_id, interrupt_id)
    assert f"cannot show interrupt {interrupt_id!r} of agent run {run_id}" in str(e.value)
    assert "showed interrupt 'int-1' of agent run r-1" in str(e.value)
    assert str(e.value).endswith(START_NEW_RUN)
    assert not e.value.retryable


def test_another_question_with_the_same_id_is_rejected() -> None:
    review().check_question(asks(dict(reversed(VALUE.items()))))
    for value in (None, {}, {**VALUE, "label": "Right!"}, {**VALUE, "artifacts": []}, "Right?"):
        with pytest.raises(AgentRunReviewError, match="asks something else now in interrupt 'int-1' of agent run r-1"):
            review().check_question(asks(value))


def test_labels_are_short_and_can_be_stored() -> None:
    hostile = Interrupt(id="int-1", agent="a\ud800" * 999, value={"label": "\u202e\ud800\x1b[31m\n" + "x" * 10_000})
    state = ReviewState.begin("r-1", hostile, 0)
    assert state.label.startswith("\ufffd[31m xx")
    assert state.agent is not None
    assert (len(state.label), len(state.agent)) == (300, 300)
    json.dumps([state.label, state.agent], ensure_ascii=False).encode()
    for value in (None, 7, "Right?", [], {"label": ["Right?"]}, {"label": ""}):
        state = ReviewState.begin("r-1", Interrupt(id="int-1", value=value), 0)
        assert (state.label, state.agent) == ("interrupt int-1", None)


RESULT = {
    "run_id": "r-1",
    "interrupt_id": "int-1",
    "chosen_options": ["Approve"],
    "params_input": {"note": SECRET},
    "responded_by": {"id": "ann", "name": f"Ann {SECRET}"},
    "responded_at": AT,
    "status": "running",
}


def test_the_trail_says_what_was_asked_shown_sent_and_rated() -> None:
    rating = {"artifact_id": "a-1", "rating": "POSITIVE"}
    state = review(shown=SHOWN, sent=[SENT])
    assert result(state, BY_ANN, "running") == RESULT
    assert trail(state, BY_ANN, "running", "confirmed", rating) == {
        **RESULT,
        "agent": "some_agent",
        "label": VALUE["label"],
        "question": digest(VALUE),
        "by": "person",
        "shown": SHOWN,
        "sent": SENT,
        "delivery": "confirmed",
        "rating": rating,
    }


def test_the_log_has_digests_instead_of_personal_data() -> None:
    logged = log_fields(review(shown=SHOWN, sent=[SENT]), BY_ANN, "running", "presumed")
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
        "delivery": "presumed",
        "status": "running",
    }
    assert SECRET not in json.dumps(logged)


@pytest.mark.parametrize("answer", [None, False, 0, "", [], {}])
def test_an_empty_answer_is_in_the_trail(answer: Any) -> None:
    state = review(sent=[answer])
    assert trail(state, BY_ANN, "running", "confirmed")["sent"] == answer
    assert log_fields(state, BY_ANN, "running", "confirmed")["sent"] == digest(answer)


def test_the_trail_says_if_nobody_answered_and_nothing_was_shown() -> None:
    found = trail(review(), NOBODY, "running", "confirmed")
    assert [found[key] for key in ("by", "responded_by", "shown", "sent", "rating")] == ["timeout", *[None] * 4]
    logged = log_fields(review(), NOBODY, "running", "confirmed")
    assert [logged[key] for key in ("by", "responded_by", "shown", "sent")] == ["timeout", *[None] * 3]


def test_the_time_to_decide_counts_from_the_form() -> None:
    assert seconds_to_decide(review(shown=SHOWN), BY_ANN) == 30
    assert seconds_to_decide(review(), BY_ANN) is None
    assert seconds_to_decide(review(shown=SHOWN), Decision("person", [], "")) is None

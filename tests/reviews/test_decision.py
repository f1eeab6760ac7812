# SPDX-License-Identifier: Apache-2.0
"""What Airflow wakes a review with becomes a decision, and that becomes the agent's answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.decision import Decision, default_answer, material_for_answer
from airflow_provider_agentruns.reviews.form import ID_FIELD, QUESTION_FIELD, RATING, RATING_COMMENT
from tests.reviews.forms import asks

AT = "2026-01-31T12:00:00+00:00"
ANN = {"id": "ann", "name": "Ann"}
FILLED_IN = {"note": "Fine", "size": 5, ID_FIELD: "int-1", RATING: "POSITIVE", RATING_COMMENT: "Good"}
BY_ANN = Decision("person", ["Approve"], AT, ANN, FILLED_IN)
WHO = {"responded_by": ANN, "responded_at": AT}


def event(**more: Any) -> dict[str, Any]:
    """Return what Airflow wakes a task with that waited for a person."""
    return {
        "chosen_options": ["Approve"],
        "params_input": FILLED_IN,
        "responded_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "responded_by_user": ANN,
        "timedout": False,
        **more,
    }


def test_a_persons_answer_is_read_as_json() -> None:
    assert Decision.from_event(event()) == BY_ANN
    assert Decision.from_event(event(responded_at=AT)) == BY_ANN


def test_nobodys_answer_in_time_is_told_from_a_persons() -> None:
    decision = Decision.from_event(event(timedout=True, responded_by_user=None, params_input=None))
    assert (decision.by, decision.responded_by, decision.params_input) == ("timeout", None, {})


def test_what_is_read_is_a_copy() -> None:
    woken_with = event(chosen_options=["Approve"], params_input={"note": "Fine"})
    decision = Decision.from_event(woken_with)
    woken_with["chosen_options"].append("Reject")
    woken_with["params_input"]["note"] = "Bad"
    assert (decision.chosen_options, decision.params_input) == (["Approve"], {"note": "Fine"})


@pytest.mark.parametrize("decision", [BY_ANN, Decision("timeout", ["Reject"], AT), Decision("policy", [], AT, ANN)])
def test_it_outlives_its_process_as_json(decision: Decision) -> None:
    assert Decision.from_json(json.loads(json.dumps(decision.as_json()))) == decision


def test_the_agent_gets_what_was_filled_in_for_it_and_nothing_of_ours() -> None:
    assert replace(BY_ANN, params_input={**FILLED_IN, QUESTION_FIELD: "d1"}).fields == {"note": "Fine", "size": 5}


def test_a_rating_that_is_not_ours_is_the_agents() -> None:
    decision = replace(BY_ANN, params_input={ID_FIELD: "int-1", "rating": 5})
    assert decision.fields == {"rating": 5}


@pytest.mark.parametrize("echoed", ["int-2", "", None, ["int-1"]])
def test_an_answer_to_another_form_is_refused(echoed: Any) -> None:
    decision = replace(BY_ANN, params_input={ID_FIELD: echoed})
    refusal = r"was given to interrupt .* of interrupt 'int-1' of agent run r-1"
    with pytest.raises(AgentRunReviewError, match=refusal) as e:
        decision.check_echo("r-1", "int-1", "d1")
    assert "Nothing was sent" in str(e.value)
    assert not e.value.retryable


@pytest.mark.parametrize("echoed", ["d2", "", None, ["d1"]])
def test_an_answer_to_another_question_with_the_same_id_is_refused(echoed: Any) -> None:
    decision = replace(BY_ANN, params_input={ID_FIELD: "int-1", QUESTION_FIELD: echoed})
    with pytest.raises(AgentRunReviewError, match=r"to another question than interrupt 'int-1' of agent run r-1") as e:
        decision.check_echo("r-1", "int-1", "d1")
    assert "Nothing was sent" in str(e.value)
    assert not e.value.retryable


@pytest.mark.parametrize("given", [{ID_FIELD: "int-1", QUESTION_FIELD: "d1"}, {ID_FIELD: "int-1"}, {}])
def test_an_answer_to_this_form_or_to_no_form_passes(given: dict[str, Any]) -> None:
    replace(BY_ANN, params_input=given).check_echo("r-1", "int-1", "d1")


def test_by_default_the_answer_says_what_was_decided_by_whom_and_when() -> None:
    assert default_answer(asks({"label": "Right?"}), BY_ANN) == {
        "decision": "approve",
        "fields": {"note": "Fine", "size": 5},
        **WHO,
    }


@pytest.mark.parametrize("value", [None, "Right?", ["a"], 7])
def test_a_question_of_any_shape_is_answered(value: Any) -> None:
    assert default_answer(asks(value), BY_ANN)["decision"] == "approve"


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"type": "object", "properties": {"note": {}}}, {"decision": "approve", "note": "Fine", "size": 5, **WHO}),
        ({"enum": ["APPROVE", "REJECT"]}, "APPROVE"),
        ({"type": "string"}, "approve"),
    ],
)
def test_the_agents_schema_gives_the_answers_shape(schema: dict[str, Any], answer: Any) -> None:
    assert default_answer(asks({"input_schema": schema}), BY_ANN) == answer


@pytest.mark.parametrize(
    ("chosen", "decision"),
    [(["Approve"], "approve"), (["Ask Again"], "ask again"), (["Approve", "Reject"], ["approve", "reject"]), ([], [])],
)
def test_one_choice_is_a_word_and_several_are_a_list(chosen: list[str], decision: Any) -> None:
    assert default_answer(asks({}), replace(BY_ANN, chosen_options=chosen))["decision"] == decision


def test_an_answer_is_built_from_all_that_is_known() -> None:
    value = {"label": "Right?", "input_schema": {"enum": ["APPROVE", "REJECT"]}}
    material = material_for_answer(asks(value), BY_ANN)
    assert material == {
        "interrupt": {"id": "int-1", "agent": "some_agent", "value": value},
        "decision": "APPROVE",
        "fields": {"note": "Fine", "size": 5},
        "chosen_options": ["Approve"],
        "by": "person",
        **WHO,
    }
    json.dumps(material)

# SPDX-License-Identifier: Apache-2.0
"""A decision by a person, a policy, or a timeout becomes the agent's answer."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.answer_schema import ID_FIELD, QUESTION_FIELD, RATING, RATING_COMMENT
from airflow_provider_agentruns.reviews.decision import Decision, answer_material, decide_by_policy
from tests.reviews.forms import OPTIONS, asks

AT = "2026-01-31T12:00:00+00:00"
ANN = {"id": "ann", "name": "Ann"}
ENTERED = {
    "note": "Fine",
    "rating": 5,
    ID_FIELD: "int-1",
    QUESTION_FIELD: "d1",
    RATING: "POSITIVE",
    RATING_COMMENT: "Good",
}
BY_ANN = Decision("person", ["Approve"], AT, ANN, ENTERED)
WHO = {"responded_by": ANN, "responded_at": AT}


def test_the_event_is_read_as_json() -> None:
    event = {
        "chosen_options": ["Approve"],
        "params_input": ENTERED,
        "responded_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "responded_by_user": ANN,
        "timedout": False,
    }
    assert Decision.from_event(event) == Decision.from_event({**event, "responded_at": AT}) == BY_ANN
    nobody = Decision.from_event({**event, "timedout": True, "responded_by_user": None, "params_input": None})
    assert (nobody.by, nobody.responded_by, nobody.params_input) == ("timeout", None, {})
    for decision in (BY_ANN, nobody):
        assert Decision(**json.loads(json.dumps(asdict(decision)))) == decision


def test_one_choice_is_a_text_and_several_are_a_list() -> None:
    for chosen, decision in ((["Ask Again"], "ask again"), (["Approve", "Reject"], ["approve", "reject"]), ([], [])):
        assert answer_material(asks({}), replace(BY_ANN, chosen_options=chosen))["decision"] == decision


def test_build_input_gets_everything_that_is_known() -> None:
    value = {"label": "Right?", "input_schema": {"enum": ["APPROVE", "REJECT"]}}
    assert answer_material(asks(value), BY_ANN) == {
        "interrupt": {"id": "int-1", "agent": "some_agent", "value": value},
        "decision": "APPROVE",
        "fields": {"note": "Fine", "rating": 5},
        "chosen_options": ["Approve"],
        "by": "person",
        **WHO,
    }


def decided(result: Any) -> tuple[Decision, list[Any] | None]:
    found = decide_by_policy(lambda interrupt: result, asks({"label": "Right?"}), OPTIONS, AT)
    assert found is not None
    return found


def always(option: str, interrupt: Interrupt) -> str:
    return option


def test_the_trail_names_the_function_of_a_partial_policy() -> None:
    found = decide_by_policy(partial(always, "Approve"), asks({"label": "Right?"}), OPTIONS, AT)
    assert found is not None
    assert found[0].responded_by == {"id": "policy", "name": f"{__name__}.always"}


def test_a_policy_gets_the_interrupt_and_can_leave_it_to_a_person() -> None:
    asked: list[Interrupt] = []
    interrupt = asks({"label": "Right?"})
    assert decide_by_policy(asked.append, interrupt, OPTIONS, AT) is None
    assert asked[0] is interrupt


@pytest.mark.parametrize(
    ("result", "chosen"),
    [
        *(("Approve", ["Approve"]), (("Reject", "Approve"), ["Reject", "Approve"])),
        # Any other JSON value is the answer.
        *(("approve", []), ([], []), (["Later"], []), ([["Approve"]], []), ({"decision": "Approve"}, []), (False, [])),
    ],
)
def test_a_policy_chooses_options_or_returns_the_answer(result: Any, chosen: list[str]) -> None:
    name = f"{__name__}.decided.<locals>.<lambda>"
    decision = Decision("policy", chosen, AT, {"id": "policy", "name": name})
    assert decided(result) == (decision, None if chosen else [result])


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("result", [object(), math.nan, "\ud800", ENDLESS])
def test_a_result_that_is_not_json_is_rejected(result: Any) -> None:
    with pytest.raises(AgentRunsValueError, match=rf"returned a {type(result).__name__} that is not a JSON") as e:
        decided(result)
    assert "Nothing was sent" in str(e.value)
    assert not e.value.retryable

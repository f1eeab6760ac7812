# SPDX-License-Identifier: Apache-2.0
"""A DAG author's policy decides, answers by itself, or leaves it to people; and fails before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import pendulum
import pytest

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.policy import POLICY_ID, decide_by_policy
from tests.reviews.forms import OPTIONS, asks


class Verdict(str, Enum):  # noqa: UP042 -- as DAG authors write it
    """An option as a member of an enumeration."""

    APPROVE = "Approve"


class Rule:
    """A policy that is an object."""

    def __call__(self, interrupt: Interrupt) -> str:
        """Approve."""
        return "Approve"

    def method(self, interrupt: Interrupt) -> str:
        """Approve."""
        return "Approve"


def of_a_kind(word: str, interrupt: Interrupt) -> str:
    """Return the word."""
    return word


def decided(result: Any) -> tuple[Decision, list[Any] | None] | None:
    """Return what comes of a policy's result."""
    return decide_by_policy(lambda interrupt: result, asks({"label": "Right?"}), OPTIONS)


def test_it_is_asked_with_the_interrupt_itself() -> None:
    asked: list[Interrupt] = []
    interrupt = asks({"label": "Right?"})
    assert decide_by_policy(asked.append, interrupt, OPTIONS) is None
    assert len(asked) == 1
    assert asked[0] is interrupt


@pytest.mark.parametrize(
    ("result", "chosen"),
    [
        ("Approve", ["Approve"]),
        (["Reject"], ["Reject"]),
        (["Approve", "Reject"], ["Approve", "Reject"]),
        (("Reject",), ["Reject"]),
        (Verdict.APPROVE, ["Approve"]),
    ],
)
def test_options_are_a_decision_of_which_the_answer_is_made(result: Any, chosen: list[str]) -> None:
    before = pendulum.now("UTC")
    found = decided(result)
    assert found is not None
    decision, answer = found
    assert answer is None
    assert (decision.by, decision.chosen_options, decision.params_input) == ("policy", chosen, {})
    assert [type(option) for option in decision.chosen_options] == [str] * len(chosen)
    assert decision.responded_by is not None
    assert decision.responded_by["id"] == POLICY_ID
    assert before <= pendulum.parse(decision.responded_at) <= pendulum.now("UTC")


@pytest.mark.parametrize(
    "result", ["approve", "", [], ["Approve", "Later"], [["Approve"]], {"decision": "Approve"}, 0, False, 1.5, [None]]
)
def test_any_other_json_is_the_answer_as_it_is(result: Any) -> None:
    found = decided(result)
    assert found is not None
    decision, answer = found
    assert (decision.by, decision.chosen_options) == ("policy", [])
    assert answer == [result]
    assert answer is not None
    assert type(answer[0]) is type(result)


@pytest.mark.parametrize(
    "result",
    [{"a", "b"}, b"Approve", object(), {"at": pendulum.now()}, math.nan, math.inf, "\ud800", {(1, 2): 3}, Rule],
)
def test_what_is_no_json_is_refused_at_once(result: Any) -> None:
    with pytest.raises(
        AgentRunsValueError, match=rf"\.<lambda> returned a {type(result).__name__} that is no JSON"
    ) as e:
        decided(result)
    assert "Nothing was sent" in str(e.value)
    assert not e.value.retryable


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(AgentRunsValueError, match="no JSON value"):
        decided(endless)


def test_a_policys_own_error_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        decide_by_policy(lambda interrupt: 1 / 0, asks({}), OPTIONS)


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (lambda interrupt: "Approve", f"{__name__}.<lambda>"),
        (Rule(), f"{__name__}.Rule"),
        (Rule().method, f"{__name__}.Rule.method"),
        (partial(of_a_kind, "Approve"), f"{__name__}.of_a_kind"),
        (partial(partial(of_a_kind), "Approve"), f"{__name__}.of_a_kind"),
        (partial(Rule()), f"{__name__}.Rule"),
        # What is written in C may know of no module.
        (object.__repr__, "object.__repr__"),
    ],
)
def test_the_trail_can_name_it(policy: Callable[[Interrupt], Any], name: str) -> None:
    found = decide_by_policy(policy, asks({}), OPTIONS)
    assert found is not None
    assert found[0].responded_by == {"id": POLICY_ID, "name": name}

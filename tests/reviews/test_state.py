# SPDX-License-Identifier: Apache-2.0
"""A review's note outlives its tries, and keeps a task instance from showing or answering what it did not ask."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.models import Interrupt
from airflow_provider_agentruns.reviews.state import START_NEW_RUN, ReviewState
from tests.idempotency.task import Memory
from tests.reviews.forms import asks

VALUE = {"label": "Right?", "artifacts": [{"title": "Report"}]}
SHOWN = {"subject": "Right?", "body": "…", "options": ["Approve"], "fields": ["interrupt_id"], "rated_artifact": None}


def note(**more: Any) -> ReviewState:
    """Return a note on a pending interrupt, with what became of it since."""
    begun = ReviewState.on("r-1", asks(VALUE), 3)
    for name, value in more.items():
        setattr(begun, name, value)
    return begun


def test_it_begins_with_what_is_asked_and_nothing_decided() -> None:
    begun = note()
    assert (begun.run_id, begun.interrupt_id, begun.series) == ("r-1", "int-1", 3)
    assert (begun.label, begun.agent, begun.question) == ("Right?", "some_agent", digest(VALUE))
    assert (begun.shown, begun.decision, begun.sent) == (None, None, None)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"shown": SHOWN},
        {"shown": SHOWN, "decision": {"by": "person"}, "sent": [None]},
        {"decision": {"by": "policy"}, "sent": [{"a": 1}]},
    ],
)
def test_a_later_try_finds_all_of_it(more: dict[str, Any]) -> None:
    memory = Memory()
    note(**more).keep(memory)
    assert ReviewState.kept(memory, "r-1", "int-1") == note(**more)


def test_a_first_try_finds_nothing_and_neither_does_one_without_a_memory() -> None:
    assert ReviewState.kept(Memory(), "r-1", "int-1") is None
    note().keep(None)
    assert ReviewState.kept(None, "r-1", "int-1") is None


def test_the_last_that_was_kept_counts() -> None:
    memory = Memory()
    note().keep(memory)
    note(shown=SHOWN).keep(memory)
    kept = ReviewState.kept(memory, "r-1", "int-1")
    assert kept is not None
    assert kept.shown == SHOWN


def test_it_leaves_what_others_keep_in_the_same_memory() -> None:
    memory = Memory()
    memory.set("agent_run_answer", {"run_id": "r-1"})
    note().keep(memory)
    assert memory.get("agent_run_answer") == {"run_id": "r-1"}


@pytest.mark.parametrize(("run_id", "interrupt_id"), [("r-2", "int-1"), ("r-1", "int-2")])
def test_another_interrupt_is_refused_once_a_form_was_shown(run_id: str, interrupt_id: str) -> None:
    memory = Memory()
    note(shown=SHOWN).keep(memory)
    with pytest.raises(AgentRunReviewError) as e:
        ReviewState.kept(memory, run_id, interrupt_id)
    assert "has shown interrupt 'int-1' of agent run r-1" in str(e.value)
    assert f"cannot show interrupt {interrupt_id!r} of agent run {run_id}" in str(e.value)
    assert str(e.value).endswith(START_NEW_RUN)
    assert not e.value.retryable


@pytest.mark.parametrize("more", [{}, {"decision": {"by": "policy"}, "sent": ["Approve"]}])
def test_another_interrupt_is_none_of_its_business_where_nothing_was_shown(more: dict[str, Any]) -> None:
    memory = Memory()
    note(**more).keep(memory)
    assert ReviewState.kept(memory, "r-1", "int-2") is None


@pytest.mark.parametrize("value", [VALUE, dict(reversed(VALUE.items()))])
def test_the_same_question_is_still_asked_in_whatever_order(value: Any) -> None:
    note().check_still_asked(asks(value))


@pytest.mark.parametrize("value", [None, {}, {**VALUE, "label": "Right!"}, {**VALUE, "artifacts": []}, "Right?"])
def test_another_question_under_the_same_id_is_refused(value: Any) -> None:
    with pytest.raises(AgentRunReviewError, match="Interrupt 'int-1' of agent run r-1 asks something else now") as e:
        note().check_still_asked(asks(value))
    assert str(e.value).endswith(START_NEW_RUN)


def test_a_long_label_is_cut_and_what_cannot_be_kept_is_left_out() -> None:
    hostile = Interrupt(id="int-1", agent="a\ud800" * 999, value={"label": "\u202e\ud800\n" + "x" * 10_000})
    begun = ReviewState.on("r-1", hostile, 0)
    assert begun.label == "\ufffd " + "x" * 297 + "…"
    assert begun.agent is not None
    assert len(begun.agent) == 300
    json.dumps([begun.label, begun.agent], ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [None, 7, "Right?", [], {"label": ["Right?"]}, {"label": ""}])
def test_a_question_without_a_label_has_its_id_for_one(value: Any) -> None:
    begun = ReviewState.on("r-1", Interrupt(id="int-1", value=value), 0)
    assert (begun.label, begun.agent) == ("interrupt int-1", None)

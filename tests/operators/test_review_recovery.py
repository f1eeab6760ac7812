# SPDX-License-Identifier: Apache-2.0
"""No decision of a person is lost, and none answers another question, when a review fails, is cleared, or is edited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunReviewError,
    AgentRunsAuthError,
    AgentRunsConfigError,
    AgentRunsError,
)
from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from tests.operators.reviewing import (
    ANN,
    QUESTION,
    Service,
    Supervisor,
    TaskInstance,
    clear,
    constants,
    event,
    review,
    run_again,
)
from tests.operators.test_review_operator import TaskAwaitingInput, ask
from tests.support.airflow_versions import needs_state_store
from tests.support.scripted_server import errors

BOB = {"id": "bob", "name": "Bob"}
KEPT_OR_LOST = pytest.mark.parametrize("state", ["kept", "lost"])


def asked_again(ti: TaskInstance, task: AgentRunReviewOperator, held: dict[str, Any]) -> dict[str, Any]:
    """Execute the next try until it waits for a person, and return what waits with it."""
    with pytest.raises(TaskAwaitingInput) as waiting:
        run_again(ti, task, held)
    return dict(waiting.value.kwargs or {})


@KEPT_OR_LOST
def test_a_decision_that_was_not_sent_is_sent_after_a_clear(
    service: Service, supervisor: Supervisor, ti: TaskInstance, state: str
) -> None:
    task = ask(ti)
    service.reject = errors(401, "token expired")
    answer = event("Approve", **constants(supervisor))
    with pytest.raises(AgentRunsAuthError):
        task.execute_complete(ti.context, answer)
    trail = ti.xcoms["trail"]
    assert (trail["delivery"], trail["by"], trail["responded_by"]) == ("not sent", "person", ANN)
    assert (trail["chosen_options"], trail["interrupt_id"]) == (["Approve"], "int-1")

    service.reject = None
    clear(ti, state)
    result = run_again(ti, review(), answer)
    assert (result["chosen_options"], result["responded_by"]) == (["Approve"], ANN)
    assert [sent["decision"] for _, sent in service.answers] == ["approve"]
    assert (ti.xcoms["trail"]["delivery"], ti.xcoms["trail"]["superseded"]) == ("confirmed", [])


@needs_state_store
def test_a_missing_connection_leaves_a_trail(
    service: Service, ti: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(ti)
    with monkeypatch.context() as broken:
        broken.delenv("AIRFLOW_CONN_AGENTRUNS_DEFAULT")
        with pytest.raises(AgentRunsConfigError):
            review().execute_complete(ti.context, event("Approve"))
    assert ti.xcoms["trail"]["delivery"] == "not sent"
    clear(ti)
    assert run_again(ti, review(), {})["chosen_options"] == ["Approve"]


def test_the_trail_and_a_metric_state_if_the_answer_may_have_been_accepted(
    service: Service, supervisor: Supervisor, ti: TaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(metrics, "count", lambda name, conn_id, **tags: counted.append((name, tags)))
    task = ask(ti)
    service.reject = errors(500, "crashed")
    with pytest.raises(AgentRunsError):
        task.execute_complete(ti.context, event("Approve"))
    assert ti.xcoms["trail"]["delivery"] == "unknown"
    # Another client answered it meanwhile, or the service did accept the answer.
    service.pending = {}
    clear(ti, "lost")
    with pytest.raises(AgentRunInterruptGoneError):
        run_again(ti, review(), event("Approve", **constants(supervisor)))
    assert ti.xcoms["trail"]["delivery"] == "unknown"
    assert counted.count(("reviews.undelivered", {"delivery": "unknown"})) == 2


@needs_state_store
def test_without_state_a_run_that_has_changed_is_not_answered_with_the_old_decision(
    service: Service, supervisor: Supervisor, ti: TaskInstance
) -> None:
    ask(ti)
    service.updated_at = datetime.now(UTC) + timedelta(seconds=5)
    clear(ti, "lost")
    waiting = asked_again(ti, review(), event("Approve", **constants(supervisor)))
    assert service.answers == []
    trail = ti.xcoms["trail"]
    assert (trail["delivery"], trail["responded_by"]) == ("unknown", ANN)
    review().execute_complete(ti.context, {**event("Reject"), "responded_by_user": BOB}, **waiting)
    trail = ti.xcoms["trail"]
    assert (trail["responded_by"], trail["superseded"][0]["responded_by"]) == (BOB, ANN)
    assert [sent["decision"] for _, sent in service.answers] == ["reject"]


@needs_state_store
def test_a_decision_that_the_agent_rejects_is_superseded_after_a_clear(service: Service, ti: TaskInstance) -> None:
    task = ask(ti)
    service.reject = errors(422, "decision must be approved or rejected")
    with pytest.raises(AgentRunInvalidRequestError):
        task.execute_complete(ti.context, event("Approve"))
    assert ti.xcoms["trail"]["delivery"] == "not sent"
    clear(ti)
    asked_again(ti, review(), {"form": True})
    service.reject = None
    review().execute_complete(ti.context, event("Reject"))
    trail = ti.xcoms["trail"]
    assert (trail["chosen_options"], trail["delivery"]) == (["Reject"], "confirmed")
    assert [earlier["chosen_options"] for earlier in trail["superseded"]] == [["Approve"]]


@needs_state_store
def test_a_decision_that_the_agent_rejected_is_built_again(service: Service, ti: TaskInstance) -> None:
    task = ask(ti)
    service.reject = errors(422, "decision must be approved or rejected")
    with pytest.raises(AgentRunInvalidRequestError):
        task.execute_complete(ti.context, event("Approve"))
    service.reject = None
    clear(ti)
    run_again(ti, review(build_input=lambda material: {"decision": "approved"}), {})
    assert service.answers == [("int-1", {"decision": "approved"})]


def test_an_answer_that_the_dag_does_not_allow_any_more_is_not_sent_when_the_question_reappears(
    service: Service, supervisor: Supervisor, ti: TaskInstance
) -> None:
    ask(ti)
    clear(ti, "lost")
    service.outdated = [[]] * 4
    with pytest.raises(AgentRunInterruptGoneError):
        run_again(ti, review(assigned_users=[BOB]), event("Approve", **constants(supervisor)))
    assert service.answers == []
    assert (ti.xcoms["trail"]["delivery"], ti.xcoms["trail"]["responded_by"]) == ("unknown", ANN)


@needs_state_store
def test_a_delivered_decision_does_not_answer_the_same_question_again(
    service: Service, supervisor: Supervisor, ti: TaskInstance
) -> None:
    ask(ti).execute_complete(ti.context, event("Approve"))
    service.pending = {"int-1": QUESTION}
    clear(ti)
    asked_again(ti, review(), event("Approve", **constants(supervisor)))
    assert len(service.answers) == 1


@needs_state_store
def test_a_cleared_review_whose_answer_was_delivered_says_so_although_its_record_is_lost(
    service: Service, supervisor: Supervisor, ti: TaskInstance
) -> None:
    ask(ti).execute_complete(ti.context, event("Approve"))
    service.updated_at = datetime.now(UTC)
    clear(ti, "lost")
    with pytest.raises(AgentRunInterruptGoneError, match="or this task before it was cleared, may have answered it"):
        run_again(ti, review(), event("Approve", **constants(supervisor)))
    assert len(service.answers) == 1


EDITS: list[dict[str, Any]] = [
    {"options": ["Yes", "No"]},
    {"assigned_users": [BOB]},
    {"defaults": "Reject"},
    {"params": {"why": None}},
]


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_shown_and_pressed_counts_although_the_dag_has_changed(
    service: Service, supervisor: Supervisor, ti: TaskInstance, edit: dict[str, Any]
) -> None:
    with pytest.raises((TaskAwaitingInput, TaskDeferred)) as waiting:
        review().execute(ti.context)
    answer = event("Approve", **constants(supervisor))
    result = review(**edit).execute_complete(ti.context, answer, **(waiting.value.kwargs or {}))
    assert result["chosen_options"] == ["Approve"]
    assert len(service.answers) == 1


@KEPT_OR_LOST
@pytest.mark.parametrize("edit", EDITS)
def test_after_a_clear_an_old_form_is_not_shown_as_the_new_one(
    service: Service, ti: TaskInstance, edit: dict[str, Any], state: str
) -> None:
    ask(ti)
    name = next(iter(edit))
    # A second clear does not help, either.
    for _ in range(2):
        clear(ti, state)
        with pytest.raises(AgentRunReviewError, match=f"differs from the DAG in: {name}.*Undo that change") as e:
            run_again(ti, review(**edit), {"form": True})
        assert not e.value.retryable
    # Without the edit, the form is right.
    clear(ti, state)
    asked_again(ti, review(), {"form": True})


@needs_state_store
@pytest.mark.parametrize("edit", [{"assigned_users": [BOB]}, {"options": ["Reject", "Escalate"]}])
def test_an_answer_that_the_dag_does_not_allow_any_more_does_not_count_after_a_clear(
    service: Service, supervisor: Supervisor, ti: TaskInstance, edit: dict[str, Any]
) -> None:
    ask(ti)
    clear(ti)
    with pytest.raises(AgentRunReviewError, match=f"differs from the DAG in: {next(iter(edit))}"):
        run_again(ti, review(**edit), event("Approve", **constants(supervisor)))
    assert (ti.xcoms["trail"]["delivery"], ti.xcoms["trail"]["responded_by"]) == ("not sent", ANN)
    assert service.answers == []


@needs_state_store
def test_a_cleared_review_keeps_its_form(
    service: Service, supervisor: Supervisor, ti: TaskInstance, caplog: pytest.LogCaptureFixture
) -> None:
    ask(ti)
    form, supervisor.form = supervisor.form, None
    clear(ti)
    waiting = asked_again(ti, review(), {"form": True})
    # Creating it again would delete an answer that arrives at this moment.
    assert (form is not None, supervisor.form) == (True, None)
    # A newer version may have stored more with the task.
    review().execute_complete(ti.context, event("Approve"), **waiting, newer=1)
    assert len(service.answers) == 1
    assert "Ignoring unknown arguments of a deferred task: ['newer']" in caplog.text


def test_an_interrupt_id_that_is_not_unique_asks_nobody(
    service: Service, supervisor: Supervisor, ti: TaskInstance
) -> None:
    service.more = [("int-1", {"label": "Delete everything?"})]
    with pytest.raises(AgentRunReviewError, match="2 questions with the same interrupt ID 'int-1'"):
        review().execute(ti.context)
    assert supervisor.form is None
    # Nor does it answer if the second question appears later.
    service.more = []
    task = ask(ti)
    service.more = [("int-1", {"label": "Delete everything?"})]
    with pytest.raises(AgentRunReviewError, match="IDs must be unique"):
        task.execute_complete(ti.context, event("Approve"))
    assert service.answers == []
    assert ti.xcoms["trail"]["delivery"] == "not sent"


def test_responses_that_are_outdated_are_read_again(service: Service, supervisor: Supervisor, ti: TaskInstance) -> None:
    service.outdated = [[], []]
    task = ask(ti)
    service.outdated = [[], [("int-1", QUESTION)]]
    task.execute_complete(ti.context, event("Approve"))
    assert len(service.answers) == 1
    other, supervisor.form = TaskInstance(), None
    service.pending = {"int-1": QUESTION}
    task = ask(other)
    service.outdated = [[]] * 99
    with pytest.raises(AgentRunsError, match=r"an outdated state of agent run .*2026-01-01"):
        task.execute_complete(other.context, event("Approve"))
    assert other.xcoms["trail"]["delivery"] == "not sent"


@needs_state_store
def test_an_answer_to_the_form_of_another_interrupt_is_not_sent_and_not_lost(
    service: Service, ti: TaskInstance
) -> None:
    with pytest.raises(TaskAwaitingInput) as waiting:
        review().execute(ti.context)
    service.pending["int-2"] = QUESTION
    with pytest.raises(AgentRunReviewError, match="cannot show interrupt 'int-2'"):
        review(interrupt="int-2").execute_complete(ti.context, event("Approve"), **(waiting.value.kwargs or {}))
    assert service.answers == []
    trail = ti.xcoms["trail"]
    assert (trail["interrupt_id"], trail["responded_by"], trail["delivery"]) == ("int-1", ANN, "not sent")

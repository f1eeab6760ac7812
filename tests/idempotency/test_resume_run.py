# SPDX-License-Identifier: Apache-2.0
"""
An interrupt is answered once, and only while it asks the same question: one example for each class of fault.

``tests/conformance/test_histories.py`` combines the faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunConflictError,
    AgentRunInterruptGoneError,
    AgentRunInvalidRequestError,
    AgentRunsAPIError,
    AgentRunsConnectionError,
    AgentRunsError,
    AgentRunsValueError,
)
from tests.idempotency.service import ANSWER_LOST, REQUEST_LOST, Clock, Fault, Service
from tests.idempotency.task import Killed, Task
from tests.support.scripted_server import Received, Reply
from tests.support.state_store import StateStore

QUESTION = {"label": "Approve?", "artifacts": [{"title": "T"}]}


@pytest.fixture(autouse=True)
def run(service: Service) -> dict[str, Any]:
    interrupts = [{"id": "i-1", "value": QUESTION}, {"id": "i-2", "value": {"label": "And?"}}]
    return service.add_run("two_questions", status="interrupted", interrupts=interrupts)


def test_a_pending_interrupt_is_answered(task: Task, service: Service, run: dict[str, Any]) -> None:
    after = task.answer({"approved": True})
    assert run["answers"] == [{"approved": True}]
    assert [interrupt.id for interrupt in after.interrupts] == ["i-2"]
    assert [(r.method, r.path) for r in service.seen] == [("GET", "/v1/runs/r-1"), ("POST", "/v1/runs/r-1/resume")]
    assert service.posts[0].json == {"interrupt_id": "i-1", "input": {"approved": True}}


def test_an_interrupt_that_is_not_pending_is_not_answered(task: Task, service: Service) -> None:
    with pytest.raises(AgentRunInterruptGoneError) as caught:
        task.answer(interrupt_id="i-9")
    assert "Interrupt 'i-9' of agent run r-1 is not pending: someone else may have answered it" in str(caught.value)
    assert "This try sent nothing. The run is interrupted; pending interrupts: 'i-1', 'i-2'" in str(caught.value)
    assert (caught.value.status_code, caught.value.retryable) == (409, False)
    assert service.posts == []


@pytest.mark.parametrize(("status", "kind"), [(409, AgentRunConflictError), (422, AgentRunInvalidRequestError)])
def test_a_rejection_is_raised_and_nothing_is_sent_again(
    task: Task, service: Service, clock: Clock, status: int, kind: type[Exception]
) -> None:
    service.posts_faults = [Fault(status, "never")]
    with pytest.raises(kind, match=f"returned {status}: no") as caught:
        task.answer()
    assert type(caught.value) is kind
    assert len(service.posts) == 1
    assert clock.slept == []


@pytest.mark.parametrize("has_store", [True, False])
def test_a_simultaneous_answer_of_someone_else_is_a_conflict(
    new_task: Callable[..., Task], service: Service, run: dict[str, Any], has_store: bool
) -> None:
    service.carried_out = lambda request: service._resume(run, {"interrupt_id": "i-1", "input": "no"})
    with pytest.raises(AgentRunConflictError, match="returned 409: that interrupt is not pending"):
        new_task(has_store=has_store).answer("yes")
    assert run["answers"] == ["no"]
    assert len(service.posts) == 1


@pytest.mark.parametrize("status", [409, 429])
def test_a_rejected_answer_does_not_count_after_someone_else_has_answered(
    task: Task, service: Service, run: dict[str, Any], status: int
) -> None:
    service.posts_faults = [Fault(status, "never")]
    with pytest.raises(AgentRunsAPIError, match=f"returned {status}"):
        task.answer("yes")
    run["interrupts"].pop(0)
    with pytest.raises(AgentRunInterruptGoneError, match="someone else may have answered it"):
        task.answer("yes")


@pytest.mark.parametrize("has_store", [True, False])
def test_without_its_record_the_answer_of_an_earlier_try_gets_time_to_arrive(
    new_task: Callable[..., Task], service: Service, run: dict[str, Any], has_store: bool
) -> None:
    task = new_task(has_store=has_store)
    service.posts_faults = [Fault("lost", 3.0)]
    with pytest.raises(Killed):
        task.answer("yes", dies="after POST")
    task.store = StateStore() if has_store else None
    with pytest.raises(AgentRunInterruptGoneError, match="someone else may have answered it"):
        task.answer("yes")
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 1


def test_an_answer_may_change_before_one_is_accepted(task: Task, run: dict[str, Any]) -> None:
    with pytest.raises(Killed):
        task.answer("yes", dies="before POST")
    task.answer("no")
    assert run["answers"] == ["no"]


@pytest.mark.parametrize("when", ["before POST", "after POST"])
def test_an_id_with_a_new_question_is_not_answered(
    task: Task, service: Service, run: dict[str, Any], when: str
) -> None:
    with pytest.raises(Killed):
        task.answer("yes", dies=when)
    sent = len(service.posts)
    run.update(status="interrupted", interrupts=[{"id": "i-1", "value": {"label": "Delete it all?"}}])
    with pytest.raises(AgentRunInterruptGoneError, match="question has changed since an earlier try"):
        task.answer("yes")
    assert len(service.posts) == sent


def test_the_stored_state_of_another_interrupt_does_not_count(task: Task, run: dict[str, Any]) -> None:
    task.answer("yes", interrupt_id="i-2")
    task.answer("yes", interrupt_id="i-1")
    assert len(run["answers"]) == 2
    with pytest.raises(AgentRunInterruptGoneError, match="someone else may have answered it"):
        task.answer("yes", interrupt_id="i-2")


@pytest.mark.parametrize(
    "answer", [object(), float("nan"), {1, 2}, "half \ud83d"], ids=["object", "nan", "set", "half"]
)
def test_an_invalid_answer_is_rejected_before_anything_is_read_or_stored(
    task: Task, service: Service, answer: Any
) -> None:
    with pytest.raises(AgentRunsValueError, match="must be a JSON value"):
        task.answer(answer)
    assert service.seen == []
    assert task.stored == {}


def test_the_store_holds_neither_question_nor_answer(task: Task) -> None:
    task.answer("the answer of Jane Doe")
    assert "Jane" not in str(task.stored)
    assert "Approve" not in str(task.stored)


@pytest.mark.parametrize("fault", [REQUEST_LOST, Fault(504, "never"), Fault("unreadable", "never")], ids=str)
def test_an_answer_that_did_not_arrive_is_sent_again(
    task: Task, service: Service, clock: Clock, run: dict[str, Any], fault: Fault
) -> None:
    service.posts_faults = [fault]
    task.answer("yes")
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 2
    # The service gets time to process the first request.
    assert sum(clock.slept) >= 5.0


def test_an_id_that_is_used_again_right_away_does_not_get_the_answer_twice(
    task: Task, service: Service, run: dict[str, Any]
) -> None:
    service.posts_faults = [ANSWER_LOST]
    resume = service._resume

    def asks_again(run: dict[str, Any], body: dict[str, Any]) -> Reply:
        reply = resume(run, body)
        run.update(status="interrupted", interrupts=[{"id": "i-1", "value": {"label": "Delete it all?"}}])
        return reply

    service._resume = asks_again  # type: ignore[method-assign]
    # It looks like the same question, shown differently.
    with pytest.raises(AgentRunsConnectionError):
        task.answer("yes")
    with pytest.raises(AgentRunInterruptGoneError, match="question has changed since"):
        task.answer("yes")
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 1


def show_differently(service: Service, reads: set[int], **fields: Any) -> None:
    """Show the run with other fields in some of the reads after the first POST, counted from 1."""
    get, count = service._get, 0

    def other(request: Received) -> Reply:
        nonlocal count
        count += bool(service.posts)
        if not (service.posts and count in reads):
            return get(request)
        kept = dict(service.run("r-1"))
        service.run("r-1").update(fields)
        reply = get(request)
        service.run("r-1").update(kept)
        return reply

    service._get = other  # type: ignore[method-assign]


#: The same question with a field more, as a proxy or a new version of the service may show it.
WITH_MORE = [{"id": "i-1", "value": {**QUESTION, "x_later": True}}]


@pytest.mark.parametrize("interrupts", [WITH_MORE, []], ids=["a field more", "no question at all"])
@pytest.mark.parametrize("reads", [{1}, {2, 3, 4}])
def test_a_question_that_looks_different_for_a_moment_is_not_answered(
    task: Task, service: Service, run: dict[str, Any], interrupts: list[Any], reads: set[int]
) -> None:
    service.posts_faults = [REQUEST_LOST]
    show_differently(service, reads, interrupts=interrupts)
    if 4 in reads:
        # The last read does not show whether the answer may be sent again.
        with pytest.raises(AgentRunsConnectionError):
            task.answer("yes")
        assert len(service.posts) == 1
    task.answer("yes")
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 2


#: The run before it asked, which a part of the service that lags behind may still show.
BEFORE = {"status": "running", "interrupts": [], "updated_at": "2026-08-01T11:00:00+00:00"}


def test_an_older_state_of_the_run_is_left_to_another_try(task: Task, service: Service, run: dict[str, Any]) -> None:
    service.posts_faults = [REQUEST_LOST]
    show_differently(service, set(range(1, 9)), **BEFORE)
    with pytest.raises(AgentRunsConnectionError):
        task.answer("yes")
    # This try begins with such a read, too.
    with pytest.raises(AgentRunsError, match="an outdated state of agent run") as caught:
        task.answer("yes")
    assert caught.value.retryable
    assert (len(service.posts), run.get("answers")) == (1, None)
    task.answer("yes")
    assert run["answers"] == ["yes"]


def test_a_run_that_keeps_hiding_its_question_is_left_to_another_try(task: Task, service: Service) -> None:
    service.run("r-1")["interrupts"] = []
    with pytest.raises(AgentRunsError, match="without a question") as caught:
        task.answer("yes")
    assert caught.value.retryable
    assert service.posts == []


def test_an_answer_that_is_lost_three_times_is_left_to_the_next_try(
    task: Task, service: Service, run: dict[str, Any]
) -> None:
    service.posts_faults = [REQUEST_LOST] * 3
    with pytest.raises(AgentRunsConnectionError) as caught:
        task.answer("yes")
    assert caught.value.in_doubt
    assert len(service.posts) == 3
    task.answer("yes")
    assert run["answers"] == ["yes"]

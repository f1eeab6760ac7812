# SPDX-License-Identifier: Apache-2.0
"""An answer whose response is lost: the run shows whether it was accepted, and it is never accepted twice."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunInterruptGoneError,
    AgentRunsConnectionError,
    AgentRunsError,
)
from tests.idempotency.service import Clock, Mishap, Service
from tests.idempotency.task import Task
from tests.support.scripted_server import Received, Reply, errors, html


@pytest.fixture(autouse=True)
def run(service: Service) -> dict[str, Any]:
    """Return the run ``r-1``, which asks one thing."""
    return service.add_run(status="interrupted", interrupts=[{"id": "i-1", "value": {"label": "Approve?"}}])


def test_an_accepted_answer_is_not_sent_again(task: Task, service: Service, run: dict[str, Any]) -> None:
    service.mishaps = ["answer lost"]
    after = task.answer("yes")
    assert (after.status, after.interrupts) == ("running", [])
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 1


@pytest.mark.parametrize("mishap", ["request lost", errors(504, "gateway"), html()], ids=["lost", "504", "unreadable"])
def test_an_answer_that_did_not_arrive_is_sent_again(
    task: Task, service: Service, clock: Clock, run: dict[str, Any], mishap: Mishap
) -> None:
    service.mishaps = [mishap]
    assert task.answer("yes").status == "running"
    assert run["answers"] == ["yes"]
    assert len(service.posts) == 2
    # The service gets time to process the first request.
    assert sum(clock.slept) >= 5.0


def test_an_id_that_is_used_again_right_away_does_not_get_the_answer_twice(
    task: Task, service: Service, run: dict[str, Any]
) -> None:
    service.mishaps = ["answer lost"]
    resume = service._resume

    def asks_again(run: dict[str, Any], body: dict[str, Any]) -> Reply:
        reply = resume(run, body)
        run.update(status="interrupted", interrupts=[{"id": "i-1", "value": {"label": "Delete it all?"}}])
        return reply

    service._resume = asks_again  # type: ignore[method-assign]
    # It looks like the same question, shown differently.
    with pytest.raises(AgentRunsConnectionError):
        task.answer("yes")
    with pytest.raises(AgentRunInterruptGoneError, match="asks something else than when"):
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
WITH_MORE = [{"id": "i-1", "value": {"label": "Approve?", "x_later": True}}]


@pytest.mark.parametrize("interrupts", [WITH_MORE, []], ids=["a field more", "no question at all"])
@pytest.mark.parametrize("reads", [{1}, {2, 3, 4}])
def test_a_question_that_looks_different_for_a_moment_is_not_answered(
    task: Task, service: Service, run: dict[str, Any], interrupts: list[Any], reads: set[int]
) -> None:
    service.mishaps = ["request lost"]
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
    service.mishaps = ["request lost"]
    show_differently(service, set(range(1, 9)), **BEFORE)
    with pytest.raises(AgentRunsConnectionError):
        task.answer("yes")
    # This try begins with such a read, too.
    with pytest.raises(AgentRunsError, match="older than the run that it showed before") as caught:
        task.answer("yes")
    assert caught.value.retryable
    assert (len(service.posts), run.get("answers")) == (1, None)
    task.answer("yes")
    assert run["answers"] == ["yes"]


def test_a_run_that_keeps_hiding_its_question_is_left_to_another_try(task: Task, service: Service) -> None:
    service.run("r-1")["interrupts"] = []
    with pytest.raises(AgentRunsError, match="shows no question") as caught:
        task.answer("yes")
    assert caught.value.retryable
    assert service.posts == []


def test_an_answer_that_is_lost_three_times_is_left_to_the_next_try(
    task: Task, service: Service, run: dict[str, Any]
) -> None:
    service.mishaps = ["request lost"] * 3
    with pytest.raises(AgentRunsConnectionError) as caught:
        task.answer("yes")
    assert caught.value.in_doubt
    assert len(service.posts) == 3
    task.answer("yes")
    assert run["answers"] == ["yes"]

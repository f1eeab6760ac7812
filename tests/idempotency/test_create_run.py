# SPDX-License-Identifier: Apache-2.0
"""A run is started once, even if workers die between the tries of its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunInvalidRequestError,
    AgentRunsAPIError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
    AgentRunStartInDoubtError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.idempotency.recovery import Start
from tests.idempotency.service import Clock, Service
from tests.idempotency.task import START, Killed, Task
from tests.support.scripted_server import errors

STARTS = {
    "business": START,
    "context": Start("instant", context_type="company", context_id="c-1"),
    "thread": Start("instant", thread_id="t-77"),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_the_first_try_starts_a_run_without_a_search(task: Task, service: Service, start: Start) -> None:
    started = task.start(start)
    assert (started.run_id, started.is_new) == ("r-1", True)
    assert started.run is not None
    assert started.run.id == "r-1"
    assert [(r.method, r.path) for r in service.seen] == [("POST", "/v1/runs")]
    given = {name: getattr(start, name) for name in ("business_id", "context_type", "context_id", "thread_id")}
    assert service.posts[0].json == {"type": "instant"} | {name: value for name, value in given.items() if value}


def test_a_later_try_uses_the_run_of_the_first_without_a_request(task: Task, service: Service) -> None:
    task.start()
    service.seen.clear()
    for _ in range(3):
        again = task.start()
        assert (again.run_id, again.run, again.is_new) == ("r-1", None, False)
    assert service.seen == []


def test_a_retry_uses_a_run_that_has_ended(task: Task, service: Service) -> None:
    task.start()
    service.run("r-1")["status"] = "error"
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize("start", [STARTS["business"], STARTS["thread"]], ids=["business", "thread"])
def test_the_run_of_a_worker_that_died_before_it_stored_the_id_is_found(
    task: Task, service: Service, clock: Clock, start: Start
) -> None:
    service.add_run(business_id="b-2")
    with pytest.raises(Killed):
        task.start(start, dies="after POST")
    service.add_run(business_id="b-2")
    clock.sleep(300)
    found = task.start(start)
    assert (found.run_id, found.is_new) == ("r-2", False)
    assert found.run is not None
    assert len(service.posts) == 1
    # It is noted by now.
    service.seen.clear()
    assert task.start(start).run_id == "r-2"
    assert service.seen == []


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_worker_that_died_before_the_post_started_nothing_and_one_run_is_started(
    task: Task, service: Service, clock: Clock, start: Start
) -> None:
    with pytest.raises(Killed):
        task.start(start, dies="before POST")
    assert service.seen == []
    clock.sleep(300)
    assert task.start(start).is_new
    assert task.start(start).run_id == "r-1"
    assert len(service.posts) == 1


def test_a_retry_right_after_the_death_waits_for_the_run_to_appear(task: Task, service: Service) -> None:
    service.shows_after = 5.0
    with pytest.raises(Killed):
        task.start(dies="after POST")
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_two_workers_that_died_one_after_the_other_started_one_run(task: Task, service: Service, clock: Clock) -> None:
    for when in ("before POST", "after POST"):
        with pytest.raises(Killed):
            task.start(dies=when)
        clock.sleep(60)
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_other_arguments_start_another_run_and_leave_the_first_alone(
    task: Task, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    task.start()
    other = task.start(replace(START, business_id="b-2"))
    assert (other.run_id, other.is_new) == ("r-2", True)
    assert [post.json["business_id"] for post in service.posts] == ["b-1", "b-2"]
    assert "a run with other arguments (run r-1). It is left alone" in caplog.text


@pytest.mark.parametrize("status", ["running", "interrupted", "status_of_tomorrow"])
def test_a_cleared_task_uses_its_run_while_that_is_active(task: Task, service: Service, status: str) -> None:
    task.start()
    service.run("r-1")["status"] = status
    task.clear()
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize("status", ["completed", "error"])
def test_a_cleared_task_whose_run_has_ended_starts_a_new_one(task: Task, service: Service, status: str) -> None:
    task.start()
    service.run("r-1")["status"] = status
    task.clear()
    again = task.start()
    assert (again.run_id, again.is_new) == ("r-2", True)
    # A retry of the cleared task uses the new run.
    assert task.start().run_id == "r-2"
    assert len(service.posts) == 2


def test_a_retry_of_a_cleared_task_uses_the_same_run_even_if_it_has_ended(task: Task, service: Service) -> None:
    task.start()
    task.clear()
    task.start()
    service.run("r-1")["status"] = "completed"
    # No clear in between: this is another try of the same series.
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_a_cleared_task_whose_run_the_service_does_not_know_starts_a_new_one(
    task: Task, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    task.start()
    service.runs.clear()
    task.clear()
    assert task.start().is_new
    assert "The service does not know agent run r-1" in caplog.text


def test_a_cleared_task_that_cannot_read_its_run_starts_nothing(task: Task, service: Service) -> None:
    task.start()
    task.clear()
    service._get = lambda request: errors(503, "later")  # type: ignore[method-assign]
    with pytest.raises(AgentRunsServerError):
        task.start()
    assert len(service.posts) == 1


def test_without_a_store_the_first_try_starts_without_a_search(new_task: Callable[..., Task], service: Service) -> None:
    task = new_task(has_store=False)
    assert task.start().is_new
    assert [r.method for r in service.seen] == ["POST"]


def test_without_a_store_a_later_try_finds_the_run_of_the_first(
    new_task: Callable[..., Task], service: Service, clock: Clock
) -> None:
    service.add_run(business_id="b-1", age=3600)
    task = new_task(has_store=False)
    task.start()
    clock.sleep(300)
    assert [task.start().run_id for _ in range(2)] == ["r-2", "r-2"]
    assert len(service.posts) == 1


def test_without_a_store_a_later_try_of_an_old_dag_run_waits_for_the_run_to_appear(
    new_task: Callable[..., Task], service: Service, clock: Clock
) -> None:
    task = new_task(has_store=False)
    clock.sleep(3600)
    service.shows_after = 5.0
    task.start()
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_without_a_store_a_later_try_that_finds_none_starts_one(
    new_task: Callable[..., Task], service: Service, clock: Clock
) -> None:
    service.add_run(business_id="b-1", age=3600)
    service.mishaps = [errors(422, "the business is in audit")]
    task = new_task(has_store=False)
    with pytest.raises(AgentRunInvalidRequestError):
        task.start()
    clock.sleep(300)
    assert task.start().run_id == "r-2"
    assert len(service.posts) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, AgentRunInvalidRequestError), (404, AgentRunsAPIError), (422, AgentRunInvalidRequestError)],
)
def test_a_rejection_is_raised_and_nothing_else_is_sent(
    task: Task, service: Service, clock: Clock, status: int, kind: type[AgentRunsAPIError]
) -> None:
    service.mishaps = [errors(status, "no")]
    with pytest.raises(kind, match="no"):
        task.start()
    assert [r.method for r in service.seen] == ["POST"]
    assert clock.slept == []


def test_a_try_after_a_rejected_one_does_not_use_another_tasks_run(task: Task, service: Service, clock: Clock) -> None:
    # Without any evidence, the only run of that time would be taken for the task's own.
    service.threads_by_business = service.all_threads = False
    service.mishaps = [errors(429, "slow down")]
    with pytest.raises(AgentRunsRateLimitError):
        task.start()
    service.add_run(business_id="b-2")
    clock.sleep(60)
    assert task.start().run_id == "r-2"
    assert [post.json["business_id"] for post in service.posts] == ["b-1", "b-1"]


def test_wrong_arguments_are_rejected_before_anything_is_stored(task: Task, service: Service) -> None:
    for start in (Start("instant"), Start("None", business_id="b-1"), replace(START, business_id="{{ x }}")):
        with pytest.raises(AgentRunsValueError):
            task.start(start)
    assert service.seen == []
    assert task.store is not None
    assert task.store.values == {}


def test_nothing_is_started_if_the_intent_cannot_be_stored(task: Task, service: Service) -> None:
    def full(key: str, value: object) -> None:
        raise OSError("no space")

    assert task.store is not None
    task.store.set = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no space"):
        task.start()
    assert service.seen == []


def test_the_store_holds_no_arguments(task: Task) -> None:
    secret = replace(START, business_id="business-of-jane-doe")
    with pytest.raises(Killed):
        task.start(secret, dies="after POST")
    assert task.store is not None
    assert "jane" not in str(task.store.values)
    task.start(secret)
    assert "jane" not in str(task.store.values)


def test_an_unresolved_doubt_starts_nothing_and_a_later_try_resolves_it(
    task: Task, service: Service, clock: Clock
) -> None:
    service.threads_by_business = service.all_threads = False
    with pytest.raises(Killed):
        task.start(dies="after POST")
    clock.sleep(1)
    service.add_run(business_id="b-2")
    for _ in range(2):
        clock.sleep(60)
        with pytest.raises(AgentRunStartInDoubtError, match=r"several runs could be the one: r-2, r-1\."):
            task.start()
    service.threads_by_business = True
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1

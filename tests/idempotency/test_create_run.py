# SPDX-License-Identifier: Apache-2.0
"""
A run is started once, even if workers die or responses are lost: one example for each class of fault.

``tests/conformance/test_histories.py`` combines the faults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunStartInDoubtError,
    AgentRunsValueError,
)
from airflow_provider_agentruns.idempotency.listing_search import Start
from tests.idempotency.service import ANSWER_LOST, REQUEST_LOST, Clock, Fault, Service
from tests.idempotency.task import START, Killed, Task
from tests.support.state_store import StateStore

STARTS = {
    "business": START,
    "context": Start("instant", context_type="company", context_id="c-1"),
    "thread": Start("instant", thread_id="t-77"),
}

#: A run that the service has accepted may be missing from the listing for this long, in seconds.
LISTING_LAG = 8.0


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_the_first_try_starts_a_run_without_a_search(task: Task, service: Service, start: Start) -> None:
    started = task.start(start)
    assert (started.run_id, started.is_new) == ("r-1", True)
    assert started.run is not None
    assert [(r.method, r.path) for r in service.seen] == [("POST", "/v1/runs")]
    given = {name: getattr(start, name) for name in ("business_id", "context_type", "context_id", "thread_id")}
    assert service.posts[0].json == {"type": "instant"} | {name: value for name, value in given.items() if value}


def test_a_later_try_uses_the_run_of_the_first_without_a_request(task: Task, service: Service) -> None:
    task.start()
    service.run("r-1")["status"] = "error"
    service.seen.clear()
    again = task.start()
    assert (again.run_id, again.run, again.is_new) == ("r-1", None, False)
    assert service.seen == []


def test_other_arguments_start_another_run_and_leave_the_first_alone(
    task: Task, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    task.start()
    other = task.start(replace(START, business_id="b-2"))
    assert (other.run_id, other.is_new) == ("r-2", True)
    assert [post.json["business_id"] for post in service.posts] == ["b-1", "b-2"]
    assert "a run with other arguments (run r-1). This try does not use" in caplog.text


@pytest.mark.parametrize(
    ("status", "used"),
    [("running", "r-1"), ("interrupted", "r-1"), ("status_of_tomorrow", "r-1"), ("completed", "r-2"), ("error", "r-2")],
)
def test_a_cleared_task_uses_its_run_only_while_that_is_active(
    task: Task, service: Service, status: str, used: str
) -> None:
    task.start()
    service.run("r-1")["status"] = status
    task.clear()
    # A retry of the cleared task uses the same run.
    assert [task.start().run_id for _ in range(2)] == [used, used]
    assert len(service.posts) == len(service.runs)


def test_a_cleared_task_whose_run_the_service_does_not_know_starts_a_new_one(
    task: Task, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    task.start()
    service.runs.clear()
    task.clear()
    assert task.start().is_new
    assert "The service does not know agent run r-1" in caplog.text


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_cleared_task_without_its_record_uses_its_run_only_while_that_is_active(
    task: Task, service: Service, clock: Clock, has_ended: bool
) -> None:
    # Runs of earlier clears have ended before the next one was started.
    for number in (1, 2):
        assert task.start().run_id == f"r-{number}"
        service.run("r-1")["status"] = "completed"
        task.clear(keeps_state=False)
        clock.sleep(300)
    service.run("r-2")["status"] = "error" if has_ended else "interrupted"
    used = "r-3" if has_ended else "r-2"
    assert [task.start().run_id for _ in range(2)] == [used, used]
    assert len(service.posts) == len(service.runs)


def test_a_retry_without_its_record_uses_a_run_that_has_ended(task: Task, service: Service) -> None:
    task.start()
    service.run("r-1")["status"] = "completed"
    task.store = StateStore()
    assert task.start().run_id == "r-1"


@pytest.mark.parametrize(("status", "used"), [("running", "r-1"), ("completed", "r-2")])
def test_without_a_store_a_cleared_dag_run_uses_its_run_only_while_that_is_active(
    new_task: Callable[..., Task], service: Service, clock: Clock, status: str, used: str
) -> None:
    task = new_task(has_store=False)
    task.start()
    service.run("r-1")["status"] = status
    clock.sleep(300)
    task.clear()
    # The run of a try after the clear is used in any case.
    for _ in range(3):
        assert task.start().run_id == used
        service.run(used)["status"] = "completed" if used == "r-2" else "running"
        clock.sleep(60)


def test_wrong_arguments_are_rejected_before_anything_is_sent(task: Task, service: Service) -> None:
    for start in (Start("instant"), Start("None", business_id="b-1"), replace(START, business_id="{{ x }}")):
        with pytest.raises(AgentRunsValueError):
            task.start(start)
    assert service.seen == []
    # Another task's run is not taken for the one of the first try.
    service.add_run(business_id="b-1")
    assert task.start().run_id == "r-2"


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
    assert "jane" not in str(task.stored)
    task.start(secret)
    assert "jane" not in str(task.stored)


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
        with pytest.raises(AgentRunStartInDoubtError, match=r"Possible runs: r-2, r-1\."):
            task.start()
    service.threads_by_business = True
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize("shows_after", [0.0, 7.9])
def test_after_a_lost_response_the_run_is_found_in_the_same_try(
    task: Task, service: Service, shows_after: float
) -> None:
    service.posts_faults = [ANSWER_LOST]
    service.shows_after = shows_after
    found = task.start()
    assert (found.run_id, found.is_new) == ("r-1", False)
    assert found.run is not None
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize("fault", [REQUEST_LOST, Fault(503, "never"), Fault("unreadable", "never")], ids=str)
def test_a_request_that_did_not_arrive_is_sent_again(task: Task, service: Service, clock: Clock, fault: Fault) -> None:
    service.posts_faults = [fault]
    started = task.start()
    assert (started.run_id, started.is_new) == ("r-1", True)
    assert len(service.posts) == 2
    assert service.posts[0].json == service.posts[1].json
    assert sum(clock.slept) > LISTING_LAG

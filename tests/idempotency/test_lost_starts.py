# SPDX-License-Identifier: Apache-2.0
"""A POST whose response is lost may have started a run. The task searches for it before it sends another POST."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import (
    AgentRunInvalidRequestError,
    AgentRunsConnectionError,
    AgentRunsServerError,
    AgentRunStartInDoubtError,
)
from tests.idempotency.service import Clock, Mishap, Service
from tests.idempotency.task import Task
from tests.support.scripted_server import errors, html

#: How long a run may need to show before it counts as not started, as the code has it.
SETTLES_IN = 8.0


def test_after_a_lost_response_the_run_is_found_in_the_same_try(task: Task, service: Service, clock: Clock) -> None:
    service.mishaps = ["answer lost"]
    found = task.start()
    assert (found.run_id, found.is_new) == ("r-1", False)
    assert found.run is not None
    assert len(service.posts) == 1
    assert sum(clock.slept) <= SETTLES_IN
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


@pytest.mark.parametrize("mishap", ["request lost", errors(503, "later"), html(201)], ids=["lost", "503", "unreadable"])
def test_a_request_that_did_not_arrive_is_sent_again(
    task: Task, service: Service, clock: Clock, mishap: Mishap
) -> None:
    service.mishaps = [mishap]
    started = task.start()
    assert (started.run_id, started.is_new) == ("r-1", True)
    assert len(service.posts) == 2
    assert service.posts[0].json == service.posts[1].json
    assert sum(clock.slept) > SETTLES_IN


@pytest.mark.parametrize("seconds", [1.0, 5.0, 7.9])
def test_a_run_that_appears_late_is_found(task: Task, service: Service, seconds: float) -> None:
    service.mishaps = ["answer lost"]
    service.shows_after = seconds
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_a_request_that_is_processed_late_is_found(task: Task, service: Service) -> None:
    service.takes_after = 4.0
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_a_request_that_is_lost_twice_is_left_to_the_next_try(task: Task, service: Service, clock: Clock) -> None:
    service.mishaps = ["request lost", "answer lost"]
    with pytest.raises(AgentRunsConnectionError) as caught:
        task.start()
    assert caught.value.in_doubt
    assert len(service.posts) == 2
    clock.sleep(300)
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 2


def test_a_try_sends_a_request_at_most_twice(task: Task, service: Service) -> None:
    service.mishaps = ["request lost"] * 4
    for sent in (2, 4):
        with pytest.raises(AgentRunsConnectionError):
            task.start()
        assert len(service.posts) == sent
    assert task.start().is_new


def test_a_rejection_of_the_second_request_is_raised(task: Task, service: Service) -> None:
    service.mishaps = ["request lost", errors(422, "the business is in audit")]
    with pytest.raises(AgentRunInvalidRequestError, match="in audit"):
        task.start()
    assert len(service.posts) == 2


def test_a_simultaneous_run_of_another_business_is_not_used(task: Task, service: Service) -> None:
    service.add_run(business_id="b-2")
    service.mishaps = ["request lost"]
    assert task.start().run_id == "r-2"
    assert len(service.posts) == 2


def test_in_doubt_nothing_is_sent_again(task: Task, service: Service) -> None:
    service.threads_by_business = service.all_threads = False
    service.add_run(business_id="b-2")
    service.mishaps = ["answer lost"]
    with pytest.raises(AgentRunStartInDoubtError):
        task.start()
    assert len(service.posts) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_if_the_search_fails_nothing_is_sent_again(task: Task, service: Service, status: int) -> None:
    service.add_run(business_id="b-2")
    service.threads_by_business = errors(status, "later", Retry_After="0")
    service.mishaps = ["answer lost"]
    with pytest.raises(Exception, match=f"returned {status}"):
        task.start()
    assert len(service.posts) == 1
    service.threads_by_business = True
    assert task.start().run_id == "r-2"
    assert len(service.posts) == 1


def test_a_permanent_server_error_is_raised_in_doubt(task: Task, service: Service) -> None:
    service.mishaps = [errors(502, "gateway"), errors(502, "gateway")]
    with pytest.raises(AgentRunsServerError) as caught:
        task.start()
    assert caught.value.in_doubt


def test_a_run_that_a_slow_service_starts_after_the_failure_is_found(
    task: Task, service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, posts, late = task.send, [], []

    def slow(build: Any, *args: Any, **kwargs: Any) -> Any:
        if build is requests.create_run:
            # A gateway gives up after a minute, and the service behind it takes the request up four seconds later.
            clock.sleep(60)
            posts.append(kwargs)
            late.append(clock.now().add(seconds=4))
            raise AgentRunsServerError(504, ["gave up"], "POST", "/v1/runs", in_doubt=True)
        if late and clock.now() >= late[0]:
            late.clear()
            service.add_run(business_id="b-1")
        return send(build, *args, **kwargs)

    monkeypatch.setattr(task, "send", slow)
    assert task.start().run_id == "r-1"
    assert len(posts) == 1


def test_a_slow_listing_does_not_shorten_the_search(task: Task, service: Service, clock: Clock) -> None:
    service.mishaps, service.shows_after = ["answer lost"], 5.0
    # What a page shows is as old as its request.
    service.meanwhile = lambda: clock.sleep(9)
    assert task.start().run_id == "r-1"
    assert len(service.posts) == 1


def test_another_run_that_appears_first_is_not_used(task: Task, service: Service) -> None:
    service.mishaps, service.shows_after = ["answer lost"], 3.0
    # Nothing tells what a run works on.
    service.threads_by_business = service.all_threads = errors(404, "no such path")
    service.add_run(business_id="b-2")["shown"] = service.now
    with pytest.raises(AgentRunStartInDoubtError):
        task.start()
    assert len(service.posts) == 1

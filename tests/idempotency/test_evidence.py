# SPDX-License-Identifier: Apache-2.0
"""The task's own run is found in a listing of any order, by evidence. A run with another subject is never used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_agentruns.exceptions import AgentRunStartInDoubtError
from airflow_provider_agentruns.idempotency.listing_search import Start
from tests.idempotency.service import Clock, Order, Service
from tests.idempotency.task import START, Killed, Task
from tests.support.scripted_server import Reply, errors

COMPANY = Start("instant", context_type="company", context_id="c-1")
NO_LISTING = {"404": errors(404, "no such path"), "400": errors(400, "unknown parameter"), "empty": False}


def lose_own_run(task: Task, service: Service, clock: Clock, start: Start = START) -> str:
    """Let the task start a run without learning its ID, and return that ID."""
    with pytest.raises(Killed):
        task.start(start, dies="after POST")
    clock.sleep(1)
    return str(service.runs[-1]["id"])


def lose_no_run(task: Task, clock: Clock, start: Start = START) -> None:
    with pytest.raises(Killed):
        task.start(start, dies="before POST")
    clock.sleep(1)


@pytest.mark.parametrize("start", [START, Start("instant", context_type="business", context_id="b-1")])
def test_the_threads_of_the_business_identify_the_run(task: Task, service: Service, clock: Clock, start: Start) -> None:
    service.page_size = 2
    service.add_run(business_id="b-2")
    own = lose_own_run(task, service, clock, start)
    for _ in range(4):
        service.add_run("slow", business_id="b-1")
    service.add_run(business_id="b-3")
    assert task.start(start).run_id == own
    assert not [r for r in service.seen if r.path.startswith("/v1/threads/")]


@pytest.mark.parametrize("start", [START, COMPANY])
@pytest.mark.parametrize("listing", NO_LISTING.values(), ids=NO_LISTING)
def test_the_fields_of_a_thread_identify_the_run(
    task: Task, service: Service, clock: Clock, listing: bool | Reply, start: Start
) -> None:
    service.threads_by_business = service.all_threads = listing
    service.threads_tell = True
    service.add_run(business_id="b-2")
    own = lose_own_run(task, service, clock, start)
    service.add_run(business_id="b-3")
    assert task.start(start).run_id == own


@pytest.mark.parametrize("telling", ["listing", "thread", "run"])
def test_a_run_with_another_subject_is_never_used(task: Task, service: Service, clock: Clock, telling: str) -> None:
    lose_no_run(task, clock)
    other = service.add_run(business_id="b-2")
    if telling != "listing":
        service.threads_by_business = service.all_threads = errors(404, "no such path")
    service.threads_tell = telling == "thread"
    if telling == "run":
        other["business_id"] = "b-2"
    started = task.start()
    assert (started.run_id, started.is_new) == ("r-2", True)
    assert len(service.posts) == 1


@pytest.mark.parametrize(
    ("start", "agent", "later"),
    [(Start("instant", thread_id="t-77"), "instant", 0), (START, "slow", 0), (START, "instant", 3 * 60 * 60)],
    ids=["other thread", "other agent", "hours later"],
)
def test_a_run_that_does_not_match_is_never_used(
    task: Task, service: Service, clock: Clock, start: Start, agent: str, later: float
) -> None:
    lose_no_run(task, clock, start)
    clock.sleep(later)
    service.add_run(agent, business_id="b-1")
    assert task.start(start).is_new


def test_a_single_run_with_an_unknown_context_is_a_doubt(task: Task, service: Service, clock: Clock) -> None:
    # The run of a sibling: for a context that is no business, the service does not show a run's subject.
    lose_no_run(task, clock, COMPANY)
    service.add_run(business_id=None)
    with pytest.raises(AgentRunStartInDoubtError):
        task.start(COMPANY)
    assert len(service.posts) == 0


def test_of_several_runs_with_the_same_subject_the_first_after_the_request_is_used(
    task: Task, service: Service, clock: Clock
) -> None:
    own = lose_own_run(task, service, clock)
    for _ in range(2):
        clock.sleep(20)
        service.add_run(business_id="b-1")
    assert task.start().run_id == own


@pytest.mark.parametrize(
    ("of_service", "of_run", "is_unknown"),
    [
        *[({"threads_by_business": listing, "all_threads": listing}, {}, True) for listing in NO_LISTING.values()],
        # The run's thread is among all threads. Only the list of the business would prove that it has another subject.
        ({"threads_by_business": errors(404, "no such business")}, {}, True),
        ({"threads": {}}, {}, True),
        ({}, {"thread_id": None}, True),
        ({}, {"agent": None, "created_at": None, "updated_at": None}, False),
    ],
    ids=[*NO_LISTING, "no list of the business", "no threads", "no thread", "no agent and times"],
)
def test_the_only_possible_run_of_a_business_is_used(
    task: Task,
    service: Service,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    of_service: dict[str, Any],
    of_run: dict[str, Any],
    is_unknown: bool,
) -> None:
    own = lose_own_run(task, service, clock)
    vars(service).update(of_service)
    service.run(own).update(of_run)
    assert task.start().run_id == own
    assert len(service.posts) == 1
    assert is_unknown == (f"The service does not show the subject of agent run {own}" in caplog.text)
    assert ("Cannot list threads" in caplog.text) == isinstance(of_service.get("threads_by_business"), Reply)


def add_old_runs(service: Service, number: int) -> None:
    """Hold earlier runs with the same subject."""
    for hours in range(number, 0, -1):
        service.add_run(business_id="b-1", age=hours * 3600)


@pytest.mark.parametrize(("order", "pages"), [("newest first", [1, 2]), ("oldest first", [1, 11, 10])])
def test_an_ordered_listing_is_read_from_its_newest_end(
    task: Task, service: Service, clock: Clock, order: Order, pages: list[int]
) -> None:
    service.page_size, service.order = 4, order
    add_old_runs(service, 40)
    lose_own_run(task, service, clock)
    clock.sleep(60)
    task.start()
    assert [int(r.query["page"]) for r in service.seen if r.method == "GET" and r.path == "/v1/runs"] == pages


# With 21, the last page holds a single run, which shows no order.
@pytest.mark.parametrize("old", [20, 21])
@pytest.mark.parametrize(
    "changed", [[*range(9)], [*reversed(range(9))], [4, 0, 7, 1, 8, 2, 6, 3, 5]], ids=["up", "down", "mixed"]
)
def test_by_last_change_old_runs_that_changed_do_not_hide_the_new_one(
    task: Task, service: Service, clock: Clock, changed: Iterable[int], old: int
) -> None:
    service.page_size, service.order = 3, "by last change"
    add_old_runs(service, old)
    own = lose_own_run(task, service, clock)
    for number in changed:
        clock.sleep(10)
        service.runs[number]["updated_at"] = service.now.isoformat()
    assert task.start().run_id == own


def test_a_page_that_new_runs_repeat_does_not_hide_the_run(task: Task, service: Service, clock: Clock) -> None:
    # As many runs start after each page as a page holds, so that the same runs are on the next page.
    def start_another() -> None:
        clock.sleep(0.1)
        service.add_run("slow", business_id="b-2")

    service.page_size = 1
    own = lose_own_run(task, service, clock)
    start_another()
    service.meanwhile = start_another
    with pytest.raises(AgentRunStartInDoubtError, match="repeats a page"):
        task.start()
    service.meanwhile = lambda: None
    assert task.start().run_id == own
    assert len(service.posts) == 1

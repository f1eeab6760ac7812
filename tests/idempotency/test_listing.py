# SPDX-License-Identifier: Apache-2.0
"""A lost run is found in a listing of any order, and with clocks that differ."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from airflow_provider_agentruns.exceptions import AgentRunStartInDoubtError
from tests.idempotency.service import Clock, Order, Service
from tests.idempotency.task import Killed, Task

ORDERS: list[Order] = ["newest first", "oldest first", "by last change", "none"]


def lose_own_run(task: Task, service: Service) -> str:
    """Let the task start a run without learning its ID, and return that ID."""
    with pytest.raises(Killed):
        task.start(dies="after POST")
    return str(service.runs[-1]["id"])


def add_old_runs(service: Service, number: int) -> None:
    """Hold earlier runs with the same subject."""
    for hours in range(number, 0, -1):
        service.add_run(business_id="b-1", age=hours * 3600)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("page_size", [4, 100])
def test_a_run_is_found_in_any_order(
    task: Task, service: Service, clock: Clock, order: Order, tells_total: bool, page_size: int
) -> None:
    service.order, service.tells_total, service.page_size = order, tells_total, page_size
    add_old_runs(service, 11)
    own = lose_own_run(task, service)
    for _ in range(5):
        service.add_run("slow", business_id="b-2")
    clock.sleep(60)
    assert task.start().run_id == own
    assert len(service.posts) == 1


@pytest.mark.parametrize(("order", "pages"), [("newest first", [1, 2]), ("oldest first", [1, 11, 10])])
def test_an_ordered_listing_is_read_from_its_newest_end(
    task: Task, service: Service, clock: Clock, order: Order, pages: list[int]
) -> None:
    service.page_size, service.order = 4, order
    add_old_runs(service, 40)
    lose_own_run(task, service)
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
    own = lose_own_run(task, service)
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
    own = lose_own_run(task, service)
    start_another()
    service.meanwhile = start_another
    with pytest.raises(AgentRunStartInDoubtError, match="repeats a page"):
        task.start()
    service.meanwhile = lambda: None
    assert task.start().run_id == own
    assert len(service.posts) == 1

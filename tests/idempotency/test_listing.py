# SPDX-License-Identifier: Apache-2.0
"""A lost run is found in a listing of any order, and with clocks that differ."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.idempotency.service import Clock, Order, Service
from tests.idempotency.task import Killed, Task

ORDERS: list[Order] = ["newest first", "oldest first", "by last change", "none"]


def lose_own_run(task: Task, service: Service) -> str:
    """Have the task start a run of which it does not learn, and return that run's id."""
    with pytest.raises(Killed):
        task.start(dies="after POST")
    return str(service.runs[-1]["id"])


def add_old_runs(service: Service, number: int) -> None:
    """Hold runs of the same work from before."""
    for hours in range(number, 0, -1):
        service.add_run(business_id="b-1", age=hours * 3600)


def pages_read(service: Service) -> list[int]:
    """Return the pages of the listing of runs that were asked for, in order."""
    return [int(r.query["page"]) for r in service.seen if r.method == "GET" and r.path == "/v1/runs"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("page_size", [4, 7, 100])
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


@pytest.mark.parametrize("place", range(12))
def test_a_run_is_found_at_any_place_of_an_unordered_listing(
    task: Task, service: Service, clock: Clock, place: int
) -> None:
    service.page_size = 4
    add_old_runs(service, 11)
    own = lose_own_run(task, service)
    rest = [run for run in service.runs if run["id"] != own]
    mixed = [run for pair in zip(rest[::2], [*rest[1::2], None], strict=False) for run in reversed(pair) if run]
    mixed.insert(place, service.run(own))
    service._in_order = lambda: mixed  # type: ignore[method-assign]
    clock.sleep(60)
    assert task.start().run_id == own


def test_a_newest_first_listing_is_read_until_it_gets_old(task: Task, service: Service, clock: Clock) -> None:
    service.page_size = 4
    add_old_runs(service, 40)
    lose_own_run(task, service)
    clock.sleep(60)
    task.start()
    assert pages_read(service) == [1, 2]


def test_an_oldest_first_listing_is_read_from_its_end(task: Task, service: Service, clock: Clock) -> None:
    service.page_size, service.order = 4, "oldest first"
    add_old_runs(service, 40)
    lose_own_run(task, service)
    clock.sleep(60)
    task.start()
    assert pages_read(service) == [1, 11, 10]


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


def test_a_run_that_moves_to_the_next_page_counts_once(
    task: Task, service: Service, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    service.threads_by_business = service.all_threads = False
    service.page_size = 2
    add_old_runs(service, 4)
    own = lose_own_run(task, service)
    clock.sleep(60)
    # A new run comes up after each page, so that the last run of a page is the first of the next.
    service.meanwhile = lambda: service.add_run("slow", business_id="b-2") if len(service.runs) < 20 else None
    service.add_run("slow", business_id="b-2")
    assert task.start().run_id == own
    assert "It is the only run of instant" in caplog.text


@pytest.mark.parametrize("order", ORDERS)
def test_if_no_run_exists_one_is_started(task: Task, service: Service, clock: Clock, order: Order) -> None:
    service.order, service.page_size = order, 3
    add_old_runs(service, 11)
    with pytest.raises(Killed):
        task.start(dies="before POST")
    clock.sleep(60)
    assert task.start().run_id == "r-12"
    assert len(service.posts) == 1


def test_an_empty_listing_holds_no_run(task: Task, service: Service, clock: Clock) -> None:
    with pytest.raises(Killed):
        task.start(dies="before POST")
    clock.sleep(600)
    assert task.start().run_id == "r-1"
    # Again and again for a while, and no further.
    assert set(pages_read(service)) == {1}


@pytest.mark.parametrize("skew", [-3600.0, -300.0, -1.7, 1.7, 300.0, 3600.0])
@pytest.mark.parametrize("order", ["newest first", "oldest first"])
def test_clocks_may_differ_by_minutes(task: Task, service: Service, clock: Clock, skew: float, order: Order) -> None:
    service.skew, service.order, service.page_size = skew, order, 3
    add_old_runs(service, 7)
    own = lose_own_run(task, service)
    clock.sleep(60)
    service.add_run(business_id="b-1")
    assert task.start().run_id == own
    assert len(service.posts) == 1


@pytest.mark.parametrize("skew", [-300.0, 300.0])
def test_an_earlier_run_is_not_used_because_clocks_differ(
    task: Task, service: Service, clock: Clock, skew: float
) -> None:
    service.skew = skew
    service.add_run(business_id="b-1")
    clock.sleep(30)
    with pytest.raises(Killed):
        task.start(dies="before POST")
    clock.sleep(60)
    assert task.start().run_id == "r-2"


def test_without_a_date_header_the_clocks_count_as_equal(task: Task, service: Service, clock: Clock) -> None:
    service.tells_time = False
    service.add_run(business_id="b-1", age=30)
    own = lose_own_run(task, service)
    clock.sleep(60)
    assert task.start().run_id == own

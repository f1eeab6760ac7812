# SPDX-License-Identifier: Apache-2.0
"""Every walk over a listing reads what it must, and little more, in whatever order the service lists runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from airflow_provider_agentruns.client.listing_walk import ListingWalk, Order, order_of
from airflow_provider_agentruns.client.responses import ListedPage, ListedRun

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def listed(number: int) -> ListedRun:
    """Return the run that was created as the given number, ten seconds after the one before."""
    return {
        "id": f"r-{number}",
        "status": "completed",
        "created_at": (BEGIN + timedelta(seconds=10 * number)).isoformat(),
    }


@dataclass
class Listing:
    """
    A listing in memory.

    :param largest: The most runs that it returns per page.
    :param change: Changes a page before it is returned.
    """

    runs: list[ListedRun]
    counts: bool = False
    largest: int = 100
    change: Callable[[int, ListedPage], ListedPage | None] = lambda number, page: page
    read: list[int] = field(default_factory=list)

    def page(self, number: int, size: int) -> ListedPage | None:
        self.read.append(number)
        size = min(size, self.largest)
        start = (number - 1) * size
        page = ListedPage(
            has_more=start + size < len(self.runs),
            total_count=len(self.runs) if self.counts else None,
            data=self.runs[start : start + size],
        )
        return self.change(number, page)

    def walk(self, walk: ListingWalk, stop: Callable[[list[int]], bool] = lambda numbers: False) -> list[int]:
        """Walk the listing, and return the numbers of the runs in the order in which they came."""
        shown: list[int] = []
        while walk.page is not None:
            page = self.page(walk.page, walk.page_size)
            numbers = [int(run["id"][2:]) for run in page.data] if page else []
            shown += numbers
            walk.advance(page, stop=stop(numbers))
        return shown


def in_order(count: int, order: Order) -> list[ListedRun]:
    runs = [listed(number) for number in range(count)]
    if order is Order.NEWEST_FIRST:
        runs.reverse()
    elif order is Order.UNORDERED:
        Random(1).shuffle(runs)  # noqa: S311
    return runs


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("count", [0, 1, 100, 101, 1234])
@pytest.mark.parametrize("largest", [100, 20])
def test_a_walk_without_a_stop_reads_everything(count: int, order: Order, counts: bool, largest: int) -> None:
    listing = Listing(in_order(count, order), counts, largest)
    assert set(listing.walk(ListingWalk())) == set(range(count))
    assert len(listing.read) <= len(set(listing.read)) + 1


@pytest.mark.parametrize(
    ("order", "counts", "most"),
    [
        (Order.NEWEST_FIRST, False, 2),
        (Order.OLDEST_FIRST, True, 3),
        (Order.OLDEST_FIRST, False, 20),
        (Order.UNORDERED, False, 200),
    ],
)
def test_a_stop_ends_the_walk_where_no_newer_runs_can_follow(order: Order, counts: bool, most: int) -> None:
    listing = Listing(in_order(20_000, order), counts)
    shown = listing.walk(ListingWalk(), stop=lambda numbers: not numbers or min(numbers) < 19_850)
    assert set(range(19_850, 20_000)) <= set(shown)
    assert len(listing.read) <= most


@pytest.mark.parametrize("counts", [True, False])
def test_a_later_walk_starts_at_the_newest_end(counts: bool) -> None:
    listing = Listing(in_order(20_000, Order.OLDEST_FIRST), counts)
    first = ListingWalk()
    listing.walk(first, stop=lambda numbers: 19_999 in numbers)
    for more in range(0, 450, 150):
        listing.runs += [listed(number) for number in range(20_000 + more, 20_000 + more + 150)]
        listing.read.clear()
        shown = listing.walk(ListingWalk(previous=first), stop=lambda numbers: 19_999 in numbers)
        assert set(range(20_000, 20_000 + more + 150)) <= set(shown)
        assert len(listing.read) <= 9


def test_a_page_size_that_is_rejected_is_halved() -> None:
    walk = ListingWalk(page_size=100)
    sizes = [walk.page_size for _ in iter(walk.shrink, False)]
    assert sizes == [50, 25, 12, 10]
    assert set(Listing(in_order(45, Order.OLDEST_FIRST)).walk(walk)) == set(range(45))


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("order", Order)
def test_a_wrong_has_more_loses_no_runs_and_ends_the_walk(order: Order, more: bool) -> None:
    def change(number: int, page: ListedPage) -> ListedPage:
        page.has_more = more
        return page

    listing = Listing(in_order(1234, order), counts=not more, change=change)
    assert set(listing.walk(ListingWalk())) == set(range(1234))


@pytest.mark.parametrize("order", Order)
def test_a_service_that_repeats_one_page_without_end(order: Order) -> None:
    runs = in_order(1000, order)
    listing = Listing(runs, change=lambda number, page: ListedPage(has_more=True, data=runs[:100]))
    assert len(set(listing.walk(ListingWalk()))) == 100
    assert len(listing.read) < 5


def test_a_listing_without_end_is_cut_off() -> None:
    def more(number: int, page: ListedPage) -> ListedPage:
        return ListedPage(has_more=True, data=[listed(10**7 - number)])

    listing, walk = Listing([], change=more), ListingWalk(max_pages=50)
    listing.walk(walk)
    assert walk.truncated
    assert len(listing.read) == 50


@pytest.mark.parametrize("order", Order)
def test_pages_that_the_service_refuses_are_the_end(order: Order) -> None:
    listing = Listing(in_order(1000, order), change=lambda number, page: page if page.data else None)
    assert set(listing.walk(ListingWalk())) == set(range(1000))
    deep = Listing(in_order(1000, order), change=lambda number, page: page if number <= 5 else None)
    assert len(set(deep.walk(ListingWalk()))) == 500


@pytest.mark.parametrize("order", [Order.NEWEST_FIRST, Order.OLDEST_FIRST])
def test_runs_that_are_created_meanwhile_hide_none(order: Order) -> None:
    listing = Listing(in_order(1000, order))

    def create(number: int, page: ListedPage) -> ListedPage:
        new = [listed(len(listing.runs) + n) for n in range(7)]
        listing.runs = listing.runs + new if order is Order.OLDEST_FIRST else new[::-1] + listing.runs
        return page

    listing.change = create
    assert set(range(1000)) <= set(listing.walk(ListingWalk()))


@pytest.mark.parametrize("first", [range(2000, 2100), range(2100, 2000, -1)])
def test_a_listing_that_only_seemed_ordered_is_read_completely(first: range) -> None:
    walk, runs = ListingWalk(), [*map(listed, first), *in_order(1000, Order.UNORDERED)]
    shown = Listing(runs).walk(walk, stop=lambda numbers: len(numbers) == 100 and max(numbers) < 2000)
    assert walk.order is Order.UNORDERED
    assert set(range(1000)) <= set(shown)


def test_all_pages_as_listed() -> None:
    runs = in_order(1000, Order.OLDEST_FIRST)
    assert Listing(runs).walk(ListingWalk(as_listed=True)) == list(range(1000))


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        ([5], None),
        ([5, 6, 8], Order.OLDEST_FIRST),
        ([500, 490, 495, 100], Order.NEWEST_FIRST),
        ([100, 900, 100], Order.UNORDERED),
    ],
)
def test_the_order_of_a_page_with_invalid_times(seconds: list[int], order: Order | None) -> None:
    times: list[Any] = [(BEGIN + timedelta(seconds=number)).isoformat() for number in seconds]
    assert order_of([None, "yesterday", *times, 7]) is order

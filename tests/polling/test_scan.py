# SPDX-License-Identifier: Apache-2.0
"""A scan finds the end of the listing where the newest runs are, and goes on from there until it is hopeless."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_agentruns.polling.scan import Order, Scan, order_of

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def moments(*minutes: int | None) -> list[datetime | None]:
    """Return moments so many minutes after the first one."""
    return [None if minute is None else FIRST + timedelta(minutes=minute) for minute in minutes]


@pytest.mark.parametrize(
    ("columns", "order"),
    [
        ([moments(3, 2, 2, 1)], Order.NEWEST_FIRST),
        ([moments(1, 2, 2, 3)], Order.OLDEST_FIRST),
        ([moments(3, None, 1)], Order.NEWEST_FIRST),
        ([moments(1, 3, 2)], None),
        ([moments(2, 2, 2)], None),
        ([moments(1)], None),
        ([moments(None, None)], None),
        ([[]], None),
        # By its last change, and by chance by its creation in the other direction.
        ([moments(1, 2), moments(4, 3)], None),
        ([moments(1, 3, 2), moments(4, 3, 2)], Order.NEWEST_FIRST),
        ([moments(4, 3, 2), moments(1, 3, 2)], Order.NEWEST_FIRST),
        ([moments(2, 3, 4), moments(1, 3, 2)], Order.OLDEST_FIRST),
    ],
)
def test_the_order_is_told_from_one_page(columns: list[list[datetime | None]], order: Order | None) -> None:
    assert order_of(*columns) is order


def read(
    pages: int, *, order: Order | None, counts: bool, wanted: Callable[[int], int], missing: int = 40
) -> tuple[list[int], int]:
    """
    Scan a listing, and return which pages were read and how many runs are still missing.

    :param wanted: How many of the runs that are looked for are on a page.
    """
    scan, numbers = Scan(0.0, 0.0), list[int]()
    while not scan.over and missing and len(numbers) < 1000:
        number = scan.read()
        found = wanted(number) if number not in numbers else 0
        numbers.append(number)
        missing -= found
        scan.has_read(
            number,
            found=found,
            missing=missing,
            order=order,
            entries=10 if number <= pages else 0,
            has_more=number < pages,
            pages=pages if counts else None,
        )
    return numbers, missing


@pytest.mark.parametrize("order", [Order.NEWEST_FIRST, None])
def test_pages_are_read_from_the_first_one_on(order: Order | None) -> None:
    numbers, missing = read(20, order=order, counts=True, wanted=lambda number: 10 if number <= 4 else 0)
    assert (numbers, missing) == ([1, 2, 3, 4], 0)


def test_where_the_oldest_come_first_pages_are_read_from_the_last_one_on() -> None:
    numbers, missing = read(20, order=Order.OLDEST_FIRST, counts=True, wanted=lambda number: 10 if number > 16 else 0)
    assert (numbers, missing) == ([1, 20, 19, 18, 17], 0)


@pytest.mark.parametrize("pages", [*range(2, 70), 255, 256, 257, 1000])
def test_the_last_page_is_found_without_a_count(pages: int) -> None:
    numbers, missing = read(
        pages, order=Order.OLDEST_FIRST, counts=False, wanted=lambda number: 40 if number == pages else 0
    )
    assert missing == 0
    # Doubling, and then halving.
    assert len(numbers) <= 2 * pages.bit_length() + 1
    assert max(numbers) <= 2 * pages


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("pages", [1, 2, 3, 5, 8, 40])
@pytest.mark.parametrize("order", [*Order, None])
def test_every_page_is_read_while_something_is_found(order: Order | None, pages: int, counts: bool) -> None:
    numbers, missing = read(pages, order=order, counts=counts, wanted=lambda number: 1 if number <= pages else 0)
    assert set(range(1, pages + 1)) <= set(numbers)
    assert missing == 40 - pages


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("order", [*Order, None])
@pytest.mark.parametrize(("missing", "most"), [(1, 3), (40, 4), (300, 30)])
def test_it_is_given_up_when_pages_show_nothing(order: Order | None, counts: bool, missing: int, most: int) -> None:
    numbers, still = read(1000, order=order, counts=counts, wanted=lambda number: 0, missing=missing)
    assert still == missing
    to_the_end = 0 if order is not Order.OLDEST_FIRST else 1 if counts else 20
    assert len(numbers) <= most + to_the_end + 1


def test_a_page_that_shows_something_gives_it_new_hope() -> None:
    numbers, _ = read(1000, order=None, counts=False, wanted=lambda number: number % 3 == 0 and number <= 30)
    assert numbers[-1] > 30


@pytest.mark.parametrize("order", [*Order, None])
def test_an_empty_listing_is_read_once(order: Order | None) -> None:
    scan = Scan(0.0, 0.0)
    scan.has_read(scan.read(), found=0, missing=5, order=order, entries=0, has_more=False, pages=0)
    assert scan.over


def test_a_listing_that_says_for_ever_that_there_is_more_is_not_read_for_ever() -> None:
    scan = Scan(0.0, 0.0)
    for _ in range(4):
        scan.has_read(scan.read(), found=0, missing=5, order=None, entries=10, has_more=True, pages=None)
    assert scan.over


def test_the_last_page_is_not_sought_for_ever() -> None:
    # As a service would that gives its last page to who asks for one beyond it.
    scan, number = Scan(0.0, 0.0), 0
    while not scan.over and number < 100:
        number += 1
        scan.has_read(scan.read(), found=0, missing=5, order=Order.OLDEST_FIRST, entries=10, has_more=True, pages=None)
    assert scan.over
    assert scan.page < 10**6

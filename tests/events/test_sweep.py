# SPDX-License-Identifier: Apache-2.0
"""Which pages of the listing are read, in whatever order it is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from airflow_provider_agentruns.events.sweep import Sweep

SIZE = 10


def sweep(
    moments: list[float],
    *,
    settled: Callable[[float], bool] = lambda moment: False,
    whole: bool = False,
    last: int | None = None,
    counts: bool = True,
    claims_more: bool = False,
) -> tuple[list[int], Sweep]:
    """
    Read a listing.

    :param moments: When its runs were created, in its order.
    :param settled: Whether a run says that there is nothing new beyond it.
    :param counts: Whether the service tells how many there are.
    :param claims_more: Whether the last page says that others follow.
    :return: The pages that were read.
    """
    reading, pages = Sweep(whole=whole, last=last), []
    while not reading.over:
        pages.append(reading.page)
        assert len(pages) < 100
        shown = moments[(reading.page - 1) * SIZE : reading.page * SIZE]
        end = len(moments) + SIZE * claims_more
        reading.has_read(
            created=[moment * APART for moment in shown],
            settled=(bool(shown) and settled(shown[0]), bool(shown) and settled(shown[-1])),
            entries=len(shown),
            has_more=reading.page * SIZE < end,
            pages=-(-len(moments) // SIZE) if counts else None,
        )
    return pages, reading


#: A run every two minutes, numbered.
APART = 120.0

NEWEST_FIRST = [float(moment) for moment in range(200, 0, -1)]
OLDEST_FIRST = NEWEST_FIRST[::-1]
UNORDERED = [float(moment) for moment in Random(1).sample(range(1, 201), 200)]  # noqa: S311 -- nothing here is secret


def test_newest_first_it_ends_at_what_is_settled() -> None:
    assert sweep(NEWEST_FIRST, settled=lambda moment: moment <= 195)[0] == [1]
    assert sweep(NEWEST_FIRST, settled=lambda moment: moment <= 191)[0] == [1]
    assert sweep(NEWEST_FIRST, settled=lambda moment: moment <= 190)[0] == [1, 2]
    assert sweep(NEWEST_FIRST, settled=lambda moment: moment <= 165)[0] == [1, 2, 3, 4]
    assert sweep(NEWEST_FIRST)[0] == list(range(1, 21))


@pytest.mark.parametrize("moments", [NEWEST_FIRST, OLDEST_FIRST, UNORDERED], ids=["newest", "oldest", "none"])
@pytest.mark.parametrize("last", [None, 7])
def test_as_a_whole_each_page_is_read_once(moments: list[float], last: int | None) -> None:
    pages, _ = sweep(moments, settled=lambda moment: True, whole=True, last=last)
    assert pages == list(range(1, 21))


def test_in_no_order_it_is_read_as_a_whole() -> None:
    pages, reading = sweep(UNORDERED, settled=lambda moment: True)
    assert pages == list(range(1, 21))
    assert reading.order is None


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("claims_more", [True, False])
@pytest.mark.parametrize("count", [11, 20, 21, 35, 96, 100, 101, 200])
@pytest.mark.parametrize("new", [0, 1, 5, 10, 11, 34])
def test_oldest_first_it_reads_backwards_from_the_last_page(
    counts: bool, claims_more: bool, count: int, new: int
) -> None:
    moments = OLDEST_FIRST[:count]
    expected = {1 + (moment - 1) // SIZE for moment in range(max(1, count - new), count + 1)}
    pages, reading = sweep(
        moments, settled=lambda moment: moment <= count - new, counts=counts, claims_more=claims_more
    )
    assert expected <= set(pages)
    assert reading.last == -(-count // SIZE)
    # Next time, nothing has to be looked for.
    pages, _ = sweep(
        moments,
        settled=lambda moment: moment <= count - new,
        last=reading.last,
        counts=counts,
        claims_more=claims_more,
    )
    assert expected <= set(pages)
    assert len(pages) <= len(expected) + 1 + 2 * claims_more


@pytest.mark.parametrize("counts", [True, False])
def test_oldest_first_it_finds_what_has_come_behind_the_last_page(counts: bool) -> None:
    pages, reading = sweep(OLDEST_FIRST, settled=lambda moment: moment <= 100, last=10, counts=counts)
    assert set(range(11, 21)) <= set(pages)
    assert reading.last == 20
    assert len(pages) < 22


@pytest.mark.parametrize("last", [25, 500])
def test_oldest_first_it_finds_the_last_page_where_there_are_fewer_now(last: int) -> None:
    pages, reading = sweep(OLDEST_FIRST, settled=lambda moment: moment <= 195, last=last)
    assert reading.last == 20
    assert pages[-1] == 20
    assert len(pages) < 14


def test_an_order_that_has_changed_is_noticed() -> None:
    pages, reading = sweep(NEWEST_FIRST, settled=lambda moment: moment <= 195, last=20)
    assert pages == [20, *range(1, 21)]
    assert (reading.last, reading.ordered) == (None, False)


@pytest.mark.parametrize("apart", [0.001, 1.0, 5.0])
def test_runs_that_are_a_little_out_of_order_are_in_order(apart: float) -> None:
    # Each is up to four places from where it should be.
    moments = sorted(NEWEST_FIRST, key=lambda moment: -moment + 4 * (moment * 7 % 11) / 11)
    assert moments != NEWEST_FIRST
    reading, pages = Sweep(whole=False), []
    while not reading.over:
        pages.append(reading.page)
        shown = moments[(reading.page - 1) * SIZE : reading.page * SIZE]
        reading.has_read(
            created=[moment * apart for moment in shown],
            settled=(False, shown[-1] <= 165),
            entries=SIZE,
            has_more=True,
            pages=20,
        )
    assert pages == [1, 2, 3, 4]
    assert reading.ordered


def test_an_order_that_only_some_pages_show_is_none() -> None:
    moments = [*NEWEST_FIRST[:20], *UNORDERED[:100]]
    pages, reading = sweep(moments, settled=lambda moment: False)
    assert pages == [1, 2, 3, *range(1, 13)]
    assert not reading.ordered
    # Which is known the next time, and when all of it has been read.
    again = Sweep(whole=False, last=reading.last, ordered=reading.ordered)
    again.has_read(created=[5.0, 4.0], settled=(True, True), entries=2, has_more=True, pages=9)
    assert (again.over, again.page) == (False, 2)
    pages, reading = sweep(moments, whole=True)
    assert (pages, reading.ordered) == ([*range(1, 13)], False)


@pytest.mark.parametrize("moments", [[], [5.0], [5.0, 5.0], [7.0, 5.0], [5.0, 7.0]])
@pytest.mark.parametrize("whole", [True, False])
def test_a_single_page_is_read_once(moments: list[float], whole: bool) -> None:
    assert sweep(moments, whole=whole)[0] == [1]


def test_a_listing_without_end_is_given_up() -> None:
    reading, pages = Sweep(whole=False), 0
    while not reading.over:
        reading.has_read(created=[1.0, 2.0], settled=(False, False), entries=2, has_more=True, pages=None)
        pages += 1
    assert pages < 30


def test_all_at_the_same_moment() -> None:
    pages, _ = sweep([5.0] * 15 + [4.0] * 50, settled=lambda moment: moment <= 4.0)
    assert pages == [1, 2]

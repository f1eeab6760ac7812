# SPDX-License-Identifier: Apache-2.0
"""How many requests a watch takes: a part of the limit, more of it when looks come late, and few that could wait."""

from __future__ import annotations

import pytest

from airflow_provider_agentruns.polling.pace import Pace, quick_interval

LIMIT = 20.0


def spend(pace: Pace, begin: float, seconds: float) -> int:
    """Send whenever that is allowed, and return how many were sent in so many seconds."""
    sent, now = 0, max(begin, pace.free_at)
    while now < begin + seconds:
        pace.send(now)
        sent += 1
        now = pace.free_at
    return sent


def test_the_first_request_goes_at_once() -> None:
    pace = Pace(LIMIT, 100.0)
    assert pace.free_at == pace.quick_at(100.0) == 100.0


@pytest.mark.parametrize("limit", [0.1, 1.0, 20.0, 300.0])
def test_less_than_half_of_the_limit_is_taken(limit: float) -> None:
    seconds = 1000.0 / limit
    assert spend(Pace(limit, 0.0), 0.0, seconds) == pytest.approx(0.45 * limit * seconds, abs=1.0)


def test_a_rest_is_not_saved_up() -> None:
    pace = Pace(LIMIT, 0.0)
    pace.send(0.0)
    pace.send(60.0)
    assert pace.free_at == pytest.approx(60.0 + 1 / 9)


def test_looks_that_come_late_take_more_but_never_all_of_it() -> None:
    pace = Pace(LIMIT, 0.0)
    overdue = [pace.looked(4.0, 5.0) for _ in range(20)]
    assert spend(pace, 0.0, 100.0) == pytest.approx(0.9 * LIMIT * 100.0, abs=1.0)
    # Only then is there nothing left that would help.
    assert (overdue[0], overdue[-1]) == (False, True)


def test_looks_that_come_in_time_give_it_back() -> None:
    pace = Pace(LIMIT, 0.0)
    for _ in range(20):
        pace.looked(4.0, 5.0)
    for _ in range(100):
        assert not pace.looked(0.5, 5.0)
    assert spend(pace, 0.0, 100.0) == pytest.approx(0.45 * LIMIT * 100.0, abs=1.0)


def test_looks_that_are_a_little_late_change_nothing() -> None:
    pace = Pace(LIMIT, 0.0)
    for _ in range(100):
        assert not pace.looked(1.5, 5.0)
    assert spend(pace, 0.0, 100.0) == pytest.approx(0.45 * LIMIT * 100.0, abs=1.0)


def test_another_limit_counts_from_then_on() -> None:
    pace = Pace(LIMIT, 0.0)
    pace.limit = 2.0
    pace.send(0.0)
    assert pace.free_at == pytest.approx(1 / 0.9)


@pytest.mark.parametrize("limit", [20.0, 100.0])
def test_looks_that_could_wait_are_a_few_at_once_and_then_one_in_a_second(limit: float) -> None:
    pace, now, moments = Pace(limit, 0.0), 0.0, list[float]()
    while now < 60.0:
        now = pace.quick_at(now)
        pace.send(now)
        moments.append(now)
    assert sum(moment < 1.0 for moment in moments) <= 4
    assert len(moments) == pytest.approx(60.0, abs=4.0)


def test_after_many_requests_those_that_could_wait_do() -> None:
    pace = Pace(LIMIT, 0.0)
    spend(pace, 0.0, 10.0)
    assert pace.quick_at(10.0) > 15.0
    # But it is not held against them for ever.
    assert pace.quick_at(10.0) <= 32.0


def test_looks_that_could_wait_are_fewer_where_the_limit_is_low() -> None:
    pace = Pace(1.0, 0.0)
    for _ in range(3):
        pace.send(pace.free_at)
    assert pace.quick_at(pace.free_at) - pace.free_at > 5.0


@pytest.mark.parametrize(
    ("age", "interval", "seconds"),
    [(0.0, 5.0, 0.5), (1.0, 5.0, 0.5), (4.0, 5.0, 1.0), (12.0, 5.0, 3.0), (3600.0, 5.0, 5.0), (0.0, 0.1, 0.1)],
)
def test_what_has_just_changed_is_looked_at_soon(age: float, interval: float, seconds: float) -> None:
    assert quick_interval(age, interval) == seconds

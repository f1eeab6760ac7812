# SPDX-License-Identifier: Apache-2.0
"""Which moments are reserved, for ordinary requests and for urgent ones, by any clock."""

from __future__ import annotations

import itertools
import random

import pytest

from airflow_provider_agentruns.client.schedule import SIZE, Schedule


@pytest.mark.parametrize("urgent", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.5, 3, 20, 300])
@pytest.mark.parametrize("load", [0.5, 1.0, 2.0])
def test_urgent_ones_go_at_once_wherever_the_rate_allows_it_and_nowhere_else(
    rate: float, urgent: float, load: float
) -> None:
    second = max(1.0, 1 / rate)
    within = max(1, int(rate))
    pick = random.Random(f"{rate} {urgent} {load}")  # noqa: S311 -- the same in each run
    schedule = Schedule()
    now = 1000.0
    moments: list[tuple[float, bool]] = []
    at_once = 0
    for _ in range(3000):
        # Bursts and rests, which together ask for less than the rate, or for more.
        now += pick.choice((0.0, 0.0, 0.001 / rate, pick.expovariate(rate), 4.0 / rate)) / load
        is_urgent = pick.random() < urgent
        has_room = sum(moment > now - 1.05 * second for moment, _ in moments[-400:]) < within
        moment = schedule.reserve(now, rate, is_urgent)
        moments.append((moment, is_urgent))
        if is_urgent and has_room and rate <= 200:
            assert moment == now
            at_once += 1
    every = sorted(moment for moment, _ in moments)
    ordinary = [moment for moment, is_urgent in moments if not is_urgent or rate > 200]
    assert min(last - first for first, last in zip(every, every[within:], strict=False)) > second
    assert min((b - a for a, b in itertools.pairwise(ordinary)), default=1 / rate) >= 1 / rate
    # Nor slower than need be, where more is asked for than there may be.
    assert load < 2 or every[-1] - every[0] == pytest.approx(1.05 * len(every) / rate, rel=0.05)
    if load < 1 and urgent and rate <= 200:
        assert at_once > 30


@pytest.mark.parametrize("rate", [1.5, 3.9, 20.5])
def test_a_rate_that_is_no_whole_number_is_not_exceeded_by_more_than_the_rest_of_one(rate: float) -> None:
    pick = random.Random(0)  # noqa: S311
    schedule = Schedule()
    moments = []
    now = 0.0
    for _ in range(1000):
        now += pick.uniform(0.0, 2.0)
        moments += [schedule.reserve(now, rate, pick.random() < 0.9) for _ in range(pick.randint(1, int(rate) + 2))]
    moments.sort()
    within = int(rate) + 1
    assert min(last - first for first, last in zip(moments, moments[within:], strict=False)) > 1


@pytest.mark.parametrize("backlog", [3, 500])
def test_an_urgent_one_behind_a_backlog_takes_its_turn(backlog: int) -> None:
    schedule = Schedule()
    ordinary = [schedule.reserve(7.0, 3, False) for _ in range(backlog)]
    assert schedule.reserve(7.0, 3, True) >= ordinary[-1] + 1 / 3


def test_a_hold_keeps_back_urgent_ones_as_well() -> None:
    schedule = Schedule()
    schedule.hold(100.0, 5.0)
    assert schedule.reserve(100.0, 10, True) == 105.0
    assert schedule.reserve(104.0, 10, True) > 105.0
    assert schedule.reserve(105.0, 10, True) == 105.0


def test_an_urgent_one_counts_whatever_the_rate_was_before() -> None:
    schedule = Schedule()
    for _ in range(10):
        schedule.reserve(0.0, 10, True)
    assert schedule.reserve(0.1, 5, True) > 0.1
    assert schedule.reserve(0.1, 200, True) == 0.1


def test_what_is_written_down_is_read_again() -> None:
    schedule = Schedule()
    for urgent in (False, False, True):
        schedule.reserve(50.0, 10, urgent)
    schedule.hold(50.0, 3.0)
    content = schedule.pack(50.0)
    assert len(content) == SIZE
    again = Schedule.unpack(content, 50.0)
    assert again is not None
    assert vars(again) == vars(schedule)
    # By a clock that has begun anew.
    assert Schedule.unpack(content, 49.9) is None


def test_two_schedules_become_one_that_knows_all() -> None:
    one = Schedule()
    one.reserve(50.0, 10, False)
    other = Schedule.unpack(one.pack(50.0), 50.0)
    assert other is not None
    for _ in range(5):
        one.reserve(50.1, 10, True)
        other.reserve(50.2, 10, True)
    other.hold(50.2, 1.0)
    one.merge(other)
    assert [moment for moment in one.moments if moment > 0] == [50.0] + [50.1] * 5 + [50.2] * 5
    assert (one.next, one.held_until) == (other.next, 51.2)

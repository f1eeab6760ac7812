# SPDX-License-Identifier: Apache-2.0
"""A service that fails for a moment is asked again soon, and one that stays away ever more seldom."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunsAuthError,
    AgentRunsConnectionError,
    AgentRunsError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
)
from tests.polling.fake_service import FakeService, Order, TooLarge, just_started, seeded
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING

LOST = AgentRunsConnectionError("lost")
GATEWAY = AgentRunsServerError(502, ["bad gateway"], "GET", "/v1/runs")
REFUSED = AgentRunsAuthError(401, ["unknown token"], "GET", "/v1/runs")
TOO_MANY = AgentRunsRateLimitError(429, ["too many"], "GET", "/v1/runs")


def in_time(begin: float, seconds: float, error: AgentRunsError) -> Exception | None:
    """Return the error in that stretch of time, and None outside of it."""
    passed = asyncio.get_running_loop().time() - BEGINNING
    return error if begin <= passed < begin + seconds else None


@pytest.mark.parametrize("error", [LOST, GATEWAY, REFUSED, TOO_MANY], ids=["lost", "502", "401", "429"])
@pytest.mark.parametrize(("count", "latency"), [(1000, 0.3), (2000, 0.6)])
def test_pages_that_fail_together_for_a_moment_cost_hardly_more_than_that(
    error: AgentRunsError, count: int, latency: float
) -> None:
    rng = seeded(1)
    service = FakeService(page_fault=lambda: in_time(40.0, 0.5, error))
    runs = just_started(count, rng, shortest=36.0, longest=120.0)
    service.add(runs)
    simulation = Simulation(service, latency=lambda: latency)
    waits = simulation.run([Wait(run) for run in runs])
    assert {wait.verdict.get("status") for wait in waits} == {"completed"}
    # Half a second, and a pause of an interval before the third attempt.
    assert max(wait.late - wait.interval for wait in waits) < 12.0


@pytest.mark.parametrize("error", [LOST, GATEWAY, TOO_MANY], ids=["lost", "502", "429"])
def test_one_page_that_fails_does_not_give_up_the_listing(error: AgentRunsError) -> None:
    faults = iter([None] * 15 + [error])
    service = FakeService(page_fault=lambda: next(faults, None))
    runs = just_started(1000, seeded(2))
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    assert max(wait.late - wait.interval for wait in waits) < 3.0
    assert simulation.single <= 10


def test_a_listing_that_never_comes_leaves_single_reads() -> None:
    service = FakeService(page_fault=lambda: LOST)
    runs = just_started(30, seeded(3))
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    assert max(wait.late for wait in waits) < 20.0
    assert simulation.pages < 10


def test_a_listing_that_comes_back_is_used_again() -> None:
    service = FakeService(page_fault=lambda: in_time(0.0, 100.0, GATEWAY))
    runs = just_started(100, seeded(4), shortest=900.0, longest=901.0)
    service.add(runs)
    simulation = Simulation(service)
    simulation.run([Wait(run) for run in runs])
    late = [request for request in simulation.requests if request.at > BEGINNING + 700.0]
    assert sum(request.page is None for request in late) < len(late) / 4


def test_a_service_that_stays_away_is_asked_ever_more_seldom_and_found_when_it_is_back() -> None:
    service = FakeService(page_fault=lambda: in_time(20.0, 600.0, LOST), read_fault=lambda: in_time(20.0, 600.0, LOST))
    runs = just_started(500, seeded(5), shortest=15.0, longest=700.0)
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    assert sum(620.0 > request.at - BEGINNING >= 20.0 for request in simulation.requests) < 60
    assert max(wait.told_at - BEGINNING for wait in waits) < 720.0
    assert {wait.verdict.get("status") for wait in waits} == {"completed"}


def test_many_single_reads_that_fail_together_are_one_trouble() -> None:
    service = FakeService(read_fault=lambda: in_time(10.0, 0.5, LOST))
    runs = just_started(40, seeded(6), listed=False)
    service.add(runs)
    simulation = Simulation(service, latency=lambda: 0.5)
    simulation.run([Wait(run) for run in runs])
    moments = [request.at for request in simulation.requests]
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < 6.0


@pytest.mark.parametrize("why", ["unreadable", "withheld"])
@pytest.mark.parametrize("count", [1, 15])
def test_entries_that_are_left_out_of_pages_do_not_make_pages_smaller(why: str, count: int) -> None:
    service = FakeService()
    runs = just_started(300, seeded(7), shortest=900.0, longest=901.0)
    service.add(runs)
    service.add_finished(3000)
    # Some that nobody waits for, among the others.
    left_out = just_started(count, seeded(107), shortest=900.0, longest=901.0)
    service.add(left_out)
    getattr(service, why).update(run.id for run in left_out)
    simulation = Simulation(service)
    simulation.run([Wait(run) for run in runs])
    # Four pages in each interval.
    assert len(simulation.requests) < 1.5 * 4 * 900 / 5


def test_a_page_that_lies_too_deep_does_not_make_pages_smaller() -> None:
    rng = seeded(8)
    service = FakeService(deepest=10)
    runs = just_started(300, rng, shortest=900.0, longest=901.0)
    hidden = just_started(120, rng, shortest=900.0, longest=901.0, listed=False)
    service.add(runs + hidden)
    service.add_finished(3000)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run, interval=30.0) for run in runs + hidden])
    assert {wait.verdict.get("status") for wait in waits} == {"completed"}
    # Four pages in each interval, besides the search for those that are hidden.
    assert simulation.pages < 1.5 * 4 * 900 / 30 + 100


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
def test_a_service_that_refuses_pages_beyond_the_last_one_is_asked_for_the_others(counts: bool) -> None:
    service = FakeService(order=Order.OLDEST_FIRST, counts=counts, ends=True)
    service.add_finished(2150)
    runs = just_started(300, seeded(11), shortest=300.0, longest=301.0)
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run, interval=30.0) for run in runs])
    assert max(wait.late - wait.interval for wait in waits) < 5.0
    assert simulation.single < 150


@pytest.mark.parametrize("order", [Order.NEWEST_FIRST, Order.OLDEST_FIRST], ids=lambda order: order.value)
def test_pages_that_are_too_large_to_be_read_quickly_become_smaller(order: Order) -> None:
    service = FakeService(order=order, largest=500, entry_size=40_000)
    runs = just_started(1000, seeded(9))
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run) for run in runs])
    # A page of 2 MB holds 50 of them.
    assert max(wait.late for wait in waits) < 15.0
    assert len(simulation.requests) < 1.5 * 6 * 1000 / 25


def test_who_asks_for_too_many_is_refused_a_few_times_only() -> None:
    service = FakeService(too_large=TooLarge.REFUSED, largest=25)
    runs = just_started(200, seeded(10))
    service.add(runs)
    simulation = Simulation(service)
    simulation.run([Wait(run) for run in runs])
    # 100 and 50 are too many.
    assert service.refusals == 2
    assert simulation.single <= 10

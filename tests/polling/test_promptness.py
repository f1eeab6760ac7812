# SPDX-License-Identifier: Apache-2.0
"""A change is told within the waiters' interval wherever the limit allows it, at the cost of pages and not of runs."""

from __future__ import annotations

import pytest

from tests.polling.fake_service import FakeRun, FakeService, Order, TooLarge, just_started, new_id, seeded
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING

#: What comes on top of the interval: the answer has to come, and many are looked for one page after the other.
TOLERANCE = 2.0

BY_TIME = [Order.NEWEST_FIRST, Order.OLDEST_FIRST]


def simulate(service: FakeService, seed: int = 0, **settings: float) -> Simulation:
    """Return a simulation of a service that takes up to 0.3 s to answer."""
    rng = seeded(seed)
    return Simulation(service, latency=lambda: rng.uniform(0.0, 0.3), **settings)


def check(waits: list[Wait], tolerance: float = TOLERANCE) -> None:
    """See that each has been told in time that its run is completed."""
    assert {wait.verdict.get("status") for wait in waits} == {"completed"}
    assert max(wait.late - wait.interval for wait in waits) < tolerance


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("order", BY_TIME, ids=lambda order: order.value)
@pytest.mark.parametrize(("older", "most"), [(0, 100), (20_000, 200)])
def test_a_thousand_waits_cost_a_hundred_requests(order: Order, counts: bool, older: int, most: int) -> None:
    rng = seeded(1)
    service = FakeService(order=order, counts=counts)
    service.add_finished(older)
    runs = just_started(1000, rng)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]))
    assert len(simulation.requests) <= most


@pytest.mark.parametrize(("older", "order", "most"), [
    (0, Order.NEWEST_FIRST, 500),
    (20_000, Order.NEWEST_FIRST, 1000),
    (20_000, Order.OLDEST_FIRST, 1000),
])  # fmt: skip
def test_five_thousand_waits_cost_five_hundred_requests(older: int, order: Order, most: int) -> None:
    rng = seeded(2)
    service = FakeService(order=order, counts=False)
    service.add_finished(older)
    runs = just_started(5000, rng)
    service.add(runs)
    simulation = simulate(service)
    # Fifty pages take longer than the interval, at the part of the limit that a watch begins with.
    check(simulation.run([Wait(run) for run in runs]), tolerance=10.0)
    assert len(simulation.requests) <= most


@pytest.mark.parametrize("order", BY_TIME, ids=lambda order: order.value)
@pytest.mark.parametrize("interval", [5.0, 10.0, 30.0])
def test_runs_that_are_started_while_others_are_waited_for_are_found_together(order: Order, interval: float) -> None:
    rng = seeded(3)
    service = FakeService(order=order)
    service.add_finished(1000)
    # As fast as the account may start them: between two looks more than a page of them comes on top of the others.
    runs = just_started(1000, rng, over=50.0, longest=120.0)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run, run.created + 0.5, interval=interval) for run in runs]))
    assert simulation.single < 100
    assert simulation.pages < 10 * 170 / interval + 100


@pytest.mark.parametrize("rate", [1, 10])
@pytest.mark.parametrize("order", BY_TIME, ids=lambda order: order.value)
def test_runs_of_others_that_come_meanwhile_change_nothing(order: Order, rate: int) -> None:
    rng = seeded(4)
    service = FakeService(order=order)
    service.add_finished(1000)
    runs = just_started(300, rng, longest=90.0)
    service.add(runs)
    service.add(FakeRun(new_id(rng), [(BEGINNING + number / rate, "running")]) for number in range(100 * rate))
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]), tolerance=4.0)
    assert len(simulation.requests) < 200


@pytest.mark.parametrize("largest", [20, 50, 100, 500])
@pytest.mark.parametrize("too_large", list(TooLarge), ids=lambda what: what.value)
def test_the_size_of_a_page_is_learnt_whatever_becomes_of_who_asks_for_more(too_large: TooLarge, largest: int) -> None:
    rng = seeded(5)
    service = FakeService(too_large=too_large, largest=largest)
    service.add_finished(2000)
    runs = just_started(300, rng)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]))
    # One who gets the default for asking for 100 never learns that 50 were to be had.
    granted = 20 if too_large is TooLarge.DEFAULT and largest < 100 else largest
    assert len(simulation.requests) < 7 * 300 / min(granted, 100) + 30


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_are_asked_for_singly_and_soon_after_they_have_begun(count: int) -> None:
    service = FakeService()
    runs = [FakeRun(f"r-{n}", [(BEGINNING, "running"), (BEGINNING + 1.0 + n / 10, "completed")]) for n in range(count)]
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run, interval=60.0) for run in runs])
    # Long before the interval is over: what has just begun may soon come to something.
    assert max(wait.late for wait in waits) < 5.0
    assert simulation.pages == 0


def test_a_long_wait_is_looked_at_once_in_an_interval() -> None:
    service = FakeService()
    run = FakeRun("r-1", [(BEGINNING, "running"), (BEGINNING + 3600.0, "completed")])
    service.add([run])
    simulation = Simulation(service)
    [wait] = simulation.run([Wait(run, interval=60.0)], within=4000.0)
    assert 0.0 < wait.late < 61.0
    # Sixty, and those of the first minutes.
    assert len(simulation.requests) < 90


@pytest.mark.parametrize("order", list(Order), ids=lambda order: order.value)
@pytest.mark.parametrize("listed", [True, False], ids=["far down", "hidden"])
def test_runs_that_lie_far_down_or_are_hidden_are_asked_for_singly(order: Order, listed: bool) -> None:
    rng = seeded(6)
    service = FakeService(order=order)
    service.add_finished(100_000)
    ends = [BEGINNING + rng.uniform(5.0, 40.0) for _ in range(30)]
    old = [FakeRun(new_id(rng), [(BEGINNING - 50_000.0, "running"), (end, "completed")], listed=listed) for end in ends]
    service.add(old)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in old]), tolerance=4.0)
    looks = sum(2 + (wait.over_at - BEGINNING) / wait.interval for wait in map(Wait, old))
    assert len(simulation.requests) < 1.2 * looks + 50


def test_a_listing_that_shows_runs_late_is_looked_at_again() -> None:
    rng = seeded(7)
    service = FakeService(shown_after=20.0)
    runs = just_started(60, rng, shortest=1800.0, longest=1805.0)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs], within=2000.0))
    # One page in each interval, and singly for a while.
    assert len(simulation.requests) < 4000


def test_a_listing_without_outputs_and_questions_costs_no_further_requests() -> None:
    service = FakeService(whole=False)
    runs = just_started(1000, seeded(8))
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]))
    assert len(simulation.requests) <= 100
    assert simulation.single == 0

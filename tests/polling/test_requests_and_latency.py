# SPDX-License-Identifier: Apache-2.0
"""A change is noticed within the interval if the rate limit allows it, and the cost grows with pages, not with runs."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.polling.fake_service import FakeRun, FakeService, Order, TooLarge, just_started, new_id, seeded
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING

#: What comes on top of the interval: the response takes a moment, and a round reads one page after another.
TOLERANCE = 2.0

BY_TIME = [Order.NEWEST_FIRST, Order.OLDEST_FIRST]


def simulate(service: FakeService, seed: int = 0, **settings: float) -> Simulation:
    """Return a simulation of a service that responds within 0.3 s."""
    rng = seeded(seed)
    return Simulation(service, latency=lambda: rng.uniform(0.0, 0.3), **settings)


def check(waits: list[Wait], tolerance: float = TOLERANCE) -> None:
    assert {wait.result.get("status") for wait in waits} == {"completed"}
    assert max(wait.late - wait.interval for wait in waits) < tolerance


@pytest.mark.parametrize(
    ("count", "interval", "older", "order", "service", "most", "tolerance"),
    [
        (1000, 5.0, 0, Order.NEWEST_FIRST, {}, 70, TOLERANCE),
        (1000, 5.0, 20_000, Order.NEWEST_FIRST, {}, 70, TOLERANCE),
        (1000, 5.0, 20_000, Order.OLDEST_FIRST, {}, 100, TOLERANCE),
        (1000, 5.0, 20_000, Order.OLDEST_FIRST, {"counts": False}, 100, 3.0),
        (1000, 1.0, 0, Order.NEWEST_FIRST, {}, 270, TOLERANCE),
        pytest.param(5000, 5.0, 20_000, Order.NEWEST_FIRST, {}, 300, 8.0, marks=pytest.mark.full),
        pytest.param(5000, 5.0, 20_000, Order.OLDEST_FIRST, {"counts": False}, 350, 10.0, marks=pytest.mark.full),
    ],
    ids=lambda value: getattr(value, "value", None) or str(value or "-"),
)
def test_many_waits_cost_pages(
    count: int, interval: float, older: int, order: Order, service: dict[str, bool], most: int, tolerance: float
) -> None:
    fake = FakeService(order=order, **service)  # type: ignore[arg-type]
    fake.add_finished(older)
    runs = just_started(count, seeded(1))
    fake.add(runs)
    simulation = simulate(fake)
    check(simulation.run([Wait(run, interval=interval) for run in runs]), tolerance)
    assert len(simulation.requests) <= most


@pytest.mark.parametrize("order", BY_TIME, ids=lambda order: order.value)
@pytest.mark.parametrize("interval", [5.0, 30.0])
def test_runs_that_start_while_others_are_waited_for_share_pages(order: Order, interval: float) -> None:
    service = FakeService(order=order)
    service.add_finished(1000)
    # At the account's rate limit: more than a page of new runs in each interval.
    runs = just_started(1000, seeded(3), over=50.0, longest=120.0)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run, run.created + 0.5, interval=interval) for run in runs]))
    assert simulation.single < 100
    assert simulation.pages < 10 * 170 / interval + 100


@pytest.mark.parametrize("order", BY_TIME, ids=lambda order: order.value)
def test_many_newer_runs_of_others_do_not_lead_to_individual_reads(order: Order) -> None:
    rng = seeded(4)
    service = FakeService(order=order)
    service.add_finished(1000)
    runs = just_started(300, rng, longest=90.0)
    service.add(runs)
    service.add(FakeRun(new_id(rng), [(BEGINNING + number / 10, "running")]) for number in range(1000))
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]), tolerance=4.0)
    assert len(simulation.requests) < 200


@pytest.mark.parametrize("largest", [20, 100])
@pytest.mark.parametrize("too_large", list(TooLarge), ids=lambda value: value.value)
def test_any_page_size_limit_is_accepted(too_large: TooLarge, largest: int) -> None:
    service = FakeService(too_large=too_large, largest=largest)
    service.add_finished(2000)
    runs = just_started(300, seeded(5))
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs]), tolerance=4.0)
    # A size that is rejected is halved until it is accepted.
    size = 12 if too_large is TooLarge.REFUSED and largest == 20 else largest
    assert len(simulation.requests) < 7 * 300 / size + 30
    assert service.refusals <= 3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_runs_are_read_individually_and_soon_after_they_start(count: int) -> None:
    service = FakeService()
    runs = [FakeRun(f"r-{n}", [(BEGINNING, "running"), (BEGINNING + 1.0 + n / 10, "completed")]) for n in range(count)]
    service.add(runs)
    simulation = Simulation(service)
    waits = simulation.run([Wait(run, interval=60.0) for run in runs])
    assert max(wait.late for wait in waits) < 5.0
    assert simulation.pages == 0


@pytest.mark.parametrize("waits", [1, 30])
def test_long_waits_for_one_run_cost_one_request_per_interval(waits: int) -> None:
    service = FakeService()
    run = FakeRun("r-1", [(BEGINNING, "running"), (BEGINNING + 3600.0, "completed")])
    service.add([run])
    simulation = Simulation(service)
    for wait in simulation.run([Wait(run, interval=60.0) for _ in range(waits)], within=4000.0):
        assert 0.0 < wait.late < 61.0
    # Sixty, and those of the first minutes.
    assert len(simulation.requests) < 90


@pytest.mark.parametrize(
    "order",
    [order if order in BY_TIME else pytest.param(order, marks=pytest.mark.full) for order in Order],
    ids=lambda order: order.value,
)
@pytest.mark.parametrize("listed", [True, False], ids=["far down", "hidden"])
def test_old_or_hidden_runs_are_read_individually(order: Order, listed: bool) -> None:
    rng = seeded(6)
    service = FakeService(order=order)
    service.add_finished(100_000)
    ends = [BEGINNING + rng.uniform(5.0, 40.0) for _ in range(30)]
    old = [FakeRun(new_id(rng), [(BEGINNING - 50_000.0, "running"), (end, "completed")], listed=listed) for end in ends]
    service.add(old)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in old]), tolerance=4.0)
    reads = sum(2 + (wait.over_at - BEGINNING) / wait.interval for wait in map(Wait, old))
    assert len(simulation.requests) < 1.2 * reads + 50


def test_a_listing_that_shows_runs_late_is_read_again() -> None:
    service = FakeService(shown_after=20.0)
    runs = just_started(60, seeded(7), shortest=900.0, longest=905.0)
    service.add(runs)
    simulation = simulate(service)
    check(simulation.run([Wait(run) for run in runs], within=1000.0))
    # One page per interval, after individual reads for a while.
    assert len(simulation.requests) < 2000


@pytest.mark.parametrize("limit", [5.0, 100.0])
def test_polling_uses_less_than_half_of_the_limit_if_that_is_enough(limit: float) -> None:
    service = FakeService()
    runs = just_started(int(limit), seeded(2), shortest=60.0, longest=120.0, listed=False)
    service.add(runs)
    simulation = Simulation(service, limit=limit)
    waits = simulation.run([Wait(run, interval=5.0) for run in runs])
    assert simulation.most_in_a_second() <= math.ceil(0.45 * limit)
    assert max(wait.late for wait in waits) < 5.0 + 3.5


@pytest.mark.parametrize("listed", [0.0, 0.5, 1.0], ids=["hidden", "half of them hidden", "listed"])
def test_each_run_is_read_in_turn_if_there_are_too_many(listed: float) -> None:
    rng = seeded(4)
    ended = BEGINNING + 600.0
    runs = [
        FakeRun(new_id(rng), [(BEGINNING - 1.0, "running"), (ended, "completed")], listed=rng.random() < listed)
        for _ in range(300)
    ]
    service = FakeService(largest=20)
    service.add(runs)
    simulation = Simulation(service, limit=3.0, latency=lambda: rng.uniform(0.0, 0.3))
    simulation.run([Wait(run) for run in runs])
    begin = BEGINNING + 200.0
    gaps = {
        run.id: [b - a for a, b in itertools.pairwise(simulation.reads[run.id]) if begin < a and b < ended]
        for run in runs
    }
    every = list(itertools.chain(*gaps.values()))
    assert all(gaps.values())
    assert max(every) < 2.0 * max(sum(every) / len(every), 5.0)


@pytest.mark.parametrize(("count", "limit", "warnings"), [(300, 3.0, 1), (300, 20.0, 0)], ids=["too many", "few"])
def test_an_interval_that_the_limit_does_not_allow_is_logged_once(
    caplog: pytest.LogCaptureFixture, count: int, limit: float, warnings: int
) -> None:
    service = FakeService(largest=20)
    runs = just_started(count, seeded(9), shortest=60.0, longest=120.0)
    service.add(runs)
    Simulation(service, limit=limit).run([Wait(run) for run in runs])
    assert caplog.text.count("exceeds the connection's rate_limit") == warnings

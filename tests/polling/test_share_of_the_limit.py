# SPDX-License-Identifier: Apache-2.0
"""A watch leaves most of the rate limit to the workers, and shares what it takes fairly."""

from __future__ import annotations

import itertools
import math

import pytest

from tests.polling.fake_service import FakeRun, FakeService, just_started, new_id, seeded
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING


@pytest.mark.parametrize("limit", [2.0, 20.0, 60.0])
@pytest.mark.parametrize("listed", [True, False], ids=["pages", "single"])
def test_no_second_holds_more_requests_than_the_limit(limit: float, listed: bool) -> None:
    rng = seeded(1)
    service = FakeService()
    # Far more than can be looked at in time.
    runs = just_started(int(40 * limit), rng, listed=listed)
    service.add(runs)
    simulation = Simulation(service, limit=limit, latency=lambda: rng.uniform(0.0, 0.3))
    simulation.run([Wait(run, interval=1.0) for run in runs])
    assert simulation.most_in_a_second() <= limit


@pytest.mark.parametrize("limit", [5.0, 20.0, 100.0])
def test_less_than_half_of_the_limit_is_taken_where_that_is_enough(limit: float) -> None:
    rng = seeded(2)
    service = FakeService()
    # Two requests for each second of the interval that may be taken.
    runs = just_started(int(limit), rng, shortest=60.0, longest=120.0, listed=False)
    service.add(runs)
    simulation = Simulation(service, limit=limit)
    waits = simulation.run([Wait(run, interval=5.0) for run in runs])
    assert simulation.most_in_a_second() <= math.ceil(0.45 * limit)
    assert max(wait.late for wait in waits) < 5.0 + 3.5


def test_looks_that_could_wait_take_a_request_a_second_at_the_most() -> None:
    rng = seeded(3)
    service = FakeService()
    # Each is to be looked at once in five minutes, and all of them would like to be sooner.
    runs = just_started(200, rng, shortest=100.0, longest=290.0, over=100.0)
    service.add(runs)
    simulation = Simulation(service)
    simulation.run([Wait(run, run.created + 0.5, interval=300.0) for run in runs])
    spent = simulation.requests[-1].at - BEGINNING
    assert len(simulation.requests) < spent + 10
    assert simulation.most_in_a_second() <= 9


def test_a_limit_below_one_request_in_a_second_is_kept_to() -> None:
    service = FakeService()
    runs = [FakeRun(f"r-{n}", [(BEGINNING, "running"), (BEGINNING + 200.0, "completed")]) for n in range(3)]
    service.add(runs)
    simulation = Simulation(service, limit=0.1)
    waits = simulation.run([Wait(run) for run in runs])
    moments = [request.at for request in simulation.requests]
    assert min(later - earlier for earlier, later in itertools.pairwise(moments)) >= 10.0
    assert all(wait.verdict == {"status": "completed"} for wait in waits)


@pytest.mark.parametrize("listed", [0.0, 0.5, 1.0], ids=["hidden", "half of them hidden", "listed"])
def test_where_there_are_too_many_each_has_its_turn(listed: float) -> None:
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
    # Once all have been found, and as long as all wait.
    begin = BEGINNING + 200.0
    gaps = {
        run.id: [b - a for a, b in itertools.pairwise(simulation.looks[run.id]) if begin < a and b < ended]
        for run in runs
    }
    every = list(itertools.chain(*gaps.values()))
    assert all(gaps.values())
    assert max(every) < 2.0 * max(sum(every) / len(every), 5.0)


def test_the_share_shrinks_again_when_the_rush_is_over() -> None:
    rng = seeded(5)
    service = FakeService()
    rush = just_started(200, rng, shortest=20.0, longest=30.0, listed=False)
    rest = just_started(30, rng, shortest=400.0, longest=401.0, listed=False)
    service.add(rush + rest)
    simulation = Simulation(service)
    simulation.run([Wait(run) for run in rush + rest])
    moments = [request.at - BEGINNING for request in simulation.requests]
    busiest = [sum(begin <= moment < begin + 10.0 for moment in moments) for begin in (20.0, 300.0)]
    assert busiest[0] > 0.7 * 20.0 * 10.0
    assert busiest[1] <= 0.45 * 20.0 * 10.0

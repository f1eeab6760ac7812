# SPDX-License-Identifier: Apache-2.0
"""Whatever the service does, each wait ends exactly once, and its result was true while it lasted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from airflow_provider_agentruns.exceptions import (
    AgentRunsConnectionError,
    AgentRunsRateLimitError,
    AgentRunsServerError,
)
from tests.polling.fake_service import FakeRun, FakeService, Order, Period, TooLarge, new_id, seeded
from tests.polling.simulation import Simulation, Wait
from tests.polling.virtual_time import BEGINNING

FAULTS = [
    AgentRunsServerError(502, ["bad gateway"], "GET", "/v1/runs"),
    AgentRunsServerError(500, ["down"], "GET", "/v1/runs"),
    AgentRunsRateLimitError(429, ["too many"], "GET", "/v1/runs"),
    AgentRunsConnectionError("lost"),
]


def sometimes(rng: Random, probability: float) -> Callable[[], Exception | None]:
    return lambda: rng.choice(FAULTS) if rng.random() < probability else None


def statuses(rng: Random, begin: float) -> list[Period]:
    """Return the statuses of a run, with interrupts that last for seconds or for half a minute."""
    periods, now = [(begin - rng.choice([0.0, 0.5, 30.0]), "running")], begin + rng.expovariate(1 / 15)
    while rng.random() < 0.3:
        periods.append((now, "interrupted"))
        now += rng.expovariate(1 / rng.choice([2, 30]))
        periods.append((now, "running"))
        now += rng.expovariate(1 / 10)
    return [*periods, (now, rng.choice(["completed", "error"]))]


def any_service(rng: Random) -> FakeService:
    """Return a service with any behavior that the API reference leaves open, and sometimes with faults."""
    return FakeService(
        order=rng.choice(list(Order)),
        too_large=rng.choice(list(TooLarge)),
        largest=rng.choice([20, 50, 100, 500]),
        counts=rng.random() < 0.5,
        lag=rng.choice([0.0, 0.0, 2.0]),
        shown_after=rng.choice([0.0, 0.0, 10.0]),
        deepest=rng.choice([None, None, 5]),
        ends=rng.random() < 0.3,
        page_fault=sometimes(rng, rng.choice([0.0, 0.0, 0.02, 0.2])),
        read_fault=sometimes(rng, rng.choice([0.0, 0.0, 0.02, 0.2])),
    )


def any_waits(rng: Random, runs: list[FakeRun]) -> list[Wait]:
    """Return waits that begin early or late, several for one run, some with an end, and some that are cancelled."""
    waits = []
    for run in runs:
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            joins = max(BEGINNING, run.created) + rng.choice([0.0, 0.0, rng.uniform(0.0, 20.0)])
            waits.append(
                Wait(
                    run,
                    joins,
                    rng.choice([("completed", "interrupted"), ("completed",), ("interrupted",), ()]),
                    interval=rng.choice([1.0, 5.0, 5.0, 30.0]),
                    end=joins + rng.uniform(0.0, 30.0) if rng.random() < 0.1 else None,
                    leaves=joins + rng.uniform(0.0, 30.0) if rng.random() < 0.1 else None,
                )
            )
    return waits


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(40, 600))])
def test_each_wait_ends_once_with_a_true_result(seed: int) -> None:
    rng = seeded(seed)
    service = any_service(rng)
    service.add_finished(rng.choice([0, 0, 50, 3000]))
    hidden, spread = rng.choice([0.0, 0.0, 0.1, 1.0]), rng.choice([0.0, 20.0, 60.0])
    runs = [
        FakeRun(new_id(rng), statuses(rng, BEGINNING + rng.uniform(0.0, spread)), listed=rng.random() >= hidden)
        for _ in range(rng.choice([2, 5, 30, 200]))
    ]
    service.add(runs)
    rate = rng.choice([0, 1, 10, 40])
    service.add(FakeRun(new_id(rng), [(BEGINNING + n / rate, "running")]) for n in range(100 * rate))
    longest, limit = rng.choice([0.0, 0.05, 0.3, 2.0]), rng.choice([5.0, 20.0, 100.0])
    simulation = Simulation(service, limit=limit, latency=lambda: rng.uniform(0.0, longest))
    waits = simulation.run(any_waits(rng, runs), within=3000.0)

    assert [wait for wait in waits if not wait.result and wait.leaves is None] == []
    for wait in waits:
        if "status" in wait.result:
            assert wait.had(wait.result["status"], lag=service.lag)
            assert wait.result["status"] in ("completed", "error", *wait.wait_for)
        elif wait.result:
            assert wait.result["error"] == "AgentRunTimeoutError"
            assert wait.end is not None
            # Not early, and before the scheduler would fail the task.
            assert wait.end - 1e-3 <= wait.ended_at <= wait.end + 15.0
    assert simulation.most_in_a_second() <= limit


@pytest.mark.parametrize("tenth", range(0, 20, 4))
@pytest.mark.parametrize(("others", "tracked"), [(0, True), (10, True), (10, False)])
def test_a_response_requested_before_the_wait_began_does_not_count(others: int, tracked: bool, tenth: int) -> None:
    answered, end = BEGINNING + 10.0 + tenth / 10, BEGINNING + 60.0
    run = FakeRun("r-1", [(BEGINNING, "interrupted"), (answered, "running"), (end, "completed")])
    runs = [run, *(FakeRun(f"other-{n}", [(BEGINNING, "running"), (end, "completed")]) for n in range(others))]
    service = FakeService()
    service.add(runs)
    # With others, the read is a page, also if nobody else waits for this run.
    waits = [Wait(it, wait_for=("completed",), interval=1.0) for it in runs if tracked or it is not run]
    waits.append(Wait(run, answered + 0.01, interval=1.0))
    # Usually a read is in progress that shows the interrupt, and arrives after the interrupt was answered.
    Simulation(service, latency=lambda: 1.9).run(waits)
    assert all(wait.result == {"status": "completed"} for wait in waits)


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "hidden"])
def test_a_wait_times_out_soon_after_its_end(listed: bool) -> None:
    lives = [(BEGINNING, "running"), (BEGINNING + 90.0, "completed")]
    runs = [FakeRun(f"r-{n}", lives, listed=listed) for n in range(40)]
    service = FakeService()
    service.add(runs)
    waits = Simulation(service).run([Wait(run, interval=60.0, end=BEGINNING + 20.0) for run in runs])
    assert {wait.result["error"] for wait in waits} == {"AgentRunTimeoutError"}
    assert {wait.result["message"].partition(" is ")[2] for wait in waits} == {"running at the end of the wait"}
    assert max(wait.ended_at - BEGINNING for wait in waits) < 30.0


def test_the_run_is_read_once_more_at_the_end_of_the_wait() -> None:
    runs = [FakeRun(f"r-{n}", [(BEGINNING, "running"), (BEGINNING + 19.0, "completed")]) for n in range(40)]
    service = FakeService()
    service.add(runs)
    waits = Simulation(service).run([Wait(run, interval=60.0, end=BEGINNING + 20.0) for run in runs])
    assert [wait.result for wait in waits] == [{"status": "completed"}] * 40

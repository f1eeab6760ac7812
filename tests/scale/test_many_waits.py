# SPDX-License-Identifier: Apache-2.0
"""Many waits: in a triggerer that is killed, and in two triggerers that share the rate limit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from airflow_provider_agentruns.emulator.server import Emulator
from tests.scale.airflow import SCALE, airflow_at_scale
from tests.scale.many import Many
from tests.scale.runs import AGENTS, Runs

#: Requests per second.
LIMIT = 20


def test_every_wait_survives_the_triggerer_and_ends_once(tmp_path: Path) -> None:
    with Emulator(agents=AGENTS) as emulator, airflow_at_scale(tmp_path / "airflow", emulator) as airflow:
        runs = Runs(emulator, SCALE)
        many = Many(airflow, runs)
        many.wait_until_deferred()
        airflow.kill("triggerer")
        runs.end(range(SCALE // 3))
        many.say("The triggerer is dead, and a third of the runs have ended")
        airflow.start("triggerer")
        many.wait_until("success", 1)
        runs.end(range(SCALE // 3, SCALE))
        many.say("All runs have ended")
        many.check()
        assert {len(triggerers) for triggerers in many.triggerers().values()} == {2}
        many.say(f"Requests: {len(emulator.requests)}")


def test_two_triggerers_share_the_waits_and_the_limit(tmp_path: Path) -> None:
    service = Emulator(agents=AGENTS, rate_limit=LIMIT, extra={"rate_limit": LIMIT})
    # No triggerer has the capacity for all waits.
    capacity = SCALE * 3 // 4
    with service as emulator, airflow_at_scale(tmp_path / "airflow", emulator, capacity=capacity) as airflow:
        airflow.start("triggerer")
        runs = Runs(emulator, SCALE)
        many = Many(airflow, runs)
        many.wait_until_deferred()
        runs.end(range(SCALE // 3))
        many.wait_until("success", SCALE // 3)
        runs.end(range(SCALE // 3, SCALE))
        many.say("All runs have ended")
        many.check()

        shares = Counter(triggerer for triggerers in many.triggerers().values() for triggerer in triggerers)
        many.say(f"Waits by triggerer: {dict(shares)}")
        assert len(shares) == 2
        assert shares.total() == SCALE
        many.say(f"Requests: {len(emulator.requests)}; most within a second: {most_within_a_second(emulator)}")
        assert {request.status for request in emulator.requests} == {200}
        assert most_within_a_second(emulator) <= LIMIT


def most_within_a_second(emulator: Emulator) -> int:
    """Return the largest number of requests that arrived within one second."""
    times = sorted(request.at for request in emulator.requests)
    first = most = 0
    for count, time in enumerate(times, 1):
        while times[first] <= time - 1:
            first += 1
        most = max(most, count - first)
    return most

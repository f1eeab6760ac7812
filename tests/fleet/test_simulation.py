# SPDX-License-Identifier: Apache-2.0
"""The rate limit of a fleet: machines share an account with and without a store, and few requests are rejected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.simulation import Case, Result, simulate
from tests.support.redis_server import RedisServer

#: The share of 429s and the time in proportion to the minimum, at most.
Bounds = tuple[float, float]

WITH_STORE: Bounds = (0.02, 1.25)
#: Usually 25 % and 1.4, but the jitter of a few machines decides when the last one ends.
WITHOUT: Bounds = (1 / 3, 1.7)

#: Each case, and its bounds without a store.
CASES: dict[Case, Bounds] = {
    Case(12, 4, 5): WITHOUT,
    Case(12, 4, 5, retry_after=False): WITHOUT,
    Case(20, 10, 4, threads=True): WITHOUT,
    # A thousand mapped tasks that start a run each.
    Case(20, 50, 1, threads=True): (0.6, 1.5),
    # The conditions of KubernetesExecutor: a temporary directory for each task. Without a store, a task of five calls
    # ends before it has learned the right rate.
    Case(48, 1, 5): (0.5, 1.5),
    # One machine is not slower.
    Case(1, 4, 25): WITH_STORE,
    Case(4, waits=200): (0.1, 1.5),
}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def check(case: Case, store: str, result: Result, bounds: Bounds) -> None:
    print(f"\n{case}, {store}: {result}", flush=True)
    assert result.errors == []
    assert result.share <= bounds[0]
    assert result.slowdown <= bounds[1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_few_requests_are_rejected_without_a_store(case: Case, tmp_path: Path) -> None:
    check(case, "no store", simulate(case, tmp_path), CASES[case])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_few_requests_are_rejected_with_a_store(case: Case, tmp_path: Path, redis: RedisServer) -> None:
    check(case, "Redis", simulate(case, tmp_path, redis.url), WITH_STORE)


@pytest.mark.parametrize("outage", ["stops", "hangs"])
def test_no_task_fails_while_the_store_is_unavailable(outage: str, tmp_path: Path, redis: RedisServer) -> None:
    begin, end = {"stops": (redis.stop, redis.start), "hangs": (redis.hang, redis.respond)}[outage]

    def halfway(minimum: float) -> None:
        time.sleep(minimum / 3)
        begin()
        time.sleep(minimum / 3)
        end()

    case = Case(12, 4, 10)
    check(case, f"Redis {outage}", simulate(case, tmp_path, redis.url, halfway), (1.0, 10.0))

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
WITH_STORE = (0.02, 1.25)
#: Usually 25 % and 1.4, but the jitter of a few machines decides when the last one ends.
WITHOUT = (1 / 3, 1.7)
TRIGGERERS_WITHOUT = (0.1, 1.5)

#: The conditions of KubernetesExecutor: a temporary directory for each task. Without a store, a task of five calls ends
#: before it has learned the right rate.
PODS = Case(48, 1, 5)
PODS_WITHOUT = (0.5, 1.5)
#: A thousand mapped tasks that start a run each.
STARTS = Case(20, 50, 1, threads=True)
STARTS_WITHOUT = (0.6, 1.5)
TASKS = [
    Case(12, 4, 5),
    Case(12, 4, 5, retry_after=False),
    Case(20, 10, 4, threads=True),
    PODS,
    STARTS,
]
BOUNDS_WITHOUT = {PODS: PODS_WITHOUT, STARTS: STARTS_WITHOUT}
ONE_MACHINE = Case(1, 4, 25)
TRIGGERERS = Case(4, waits=200)
LONG = Case(12, 4, 10)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a running Redis server."""
    with RedisServer(tmp_path) as server:
        yield server


def check(case: Case, store: str, result: Result, bounds: tuple[float, float]) -> None:
    """Print the result, and compare it with the bounds."""
    print(f"\n{case}, {store}: {result}", flush=True)
    assert result.errors == []
    assert result.share <= bounds[0]
    assert result.slowdown <= bounds[1]


@pytest.mark.parametrize("case", TASKS, ids=str)
def test_tasks_without_a_store(case: Case, tmp_path: Path) -> None:
    check(case, "none", simulate(case, tmp_path), BOUNDS_WITHOUT.get(case, WITHOUT))


@pytest.mark.parametrize("case", TASKS, ids=str)
def test_tasks_with_a_store(case: Case, tmp_path: Path, redis: RedisServer) -> None:
    check(case, "redis", simulate(case, tmp_path, redis.url), WITH_STORE)


def test_one_machine_is_not_slower(tmp_path: Path, redis: RedisServer) -> None:
    for store, url in {"none": None, "redis": redis.url}.items():
        folder = tmp_path / store
        folder.mkdir()
        check(ONE_MACHINE, store, simulate(ONE_MACHINE, folder, url), WITH_STORE)


def test_triggerers_without_a_store(tmp_path: Path) -> None:
    check(TRIGGERERS, "none", simulate(TRIGGERERS, tmp_path), TRIGGERERS_WITHOUT)


def test_triggerers_with_a_store(tmp_path: Path, redis: RedisServer) -> None:
    check(TRIGGERERS, "redis", simulate(TRIGGERERS, tmp_path, redis.url), WITH_STORE)


@pytest.mark.parametrize("outage", ["stops", "hangs"])
def test_no_task_fails_while_the_store_is_unavailable(outage: str, tmp_path: Path, redis: RedisServer) -> None:
    begin, end = {"stops": (redis.stop, redis.start), "hangs": (redis.hang, redis.respond)}[outage]

    def halfway(minimum: float) -> None:
        time.sleep(minimum / 3)
        begin()
        time.sleep(minimum / 3)
        end()

    result = simulate(LONG, tmp_path, redis.url, halfway)
    check(LONG, outage, result, (1.0, 10.0))

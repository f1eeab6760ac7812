# SPDX-License-Identifier: Apache-2.0
"""Which requests a fault meets, and faults that a test makes itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(served: Emulator) -> Iterator[Emulator]:
    yield served
    served.faults.clear()


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers) as client:
        yield client


def _statuses(client: httpx.Client, count: int, path: str = "/v1/agents") -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_method_and_path_have_to_match(emulator: Emulator, client: httpx.Client) -> None:
    emulator.faults.add("503", "GET", "/v1/runs/.*")
    assert client.get("/v1/runs/nobody").status_code == 503
    assert client.get("/v1/runs/nobody/stream").status_code == 503
    assert client.get("/v1/runs").status_code == 200
    assert client.get("/v2/v1/runs/nobody").status_code == 404
    assert client.post("/v1/runs/nobody/resume", json={}).status_code == 404
    assert client.get("/v1/agents", params={"x": "/v1/runs/1"}).status_code == 200


def test_any_method_and_any_path(emulator: Emulator, client: httpx.Client) -> None:
    with emulator.faults.of("503", path=".*agents"):
        assert client.post("/v1/agents").status_code == 503
        assert client.get("/v1/runs").status_code == 200
    with emulator.faults.of("503", "POST"):
        assert client.post("/v1/threads", json={}).status_code == 503
        assert client.get("/v1/runs").status_code == 200
    with emulator.faults.of("503"):
        assert client.delete("/nowhere").status_code == 503


def test_after_and_times(emulator: Emulator, client: httpx.Client) -> None:
    rule = emulator.faults.add("503", "GET", "/v1/agents", after=2, times=3)
    client.get("/v1/runs")
    assert _statuses(client, 7) == [200, 200, 503, 503, 503, 200, 200]
    assert (rule.met, rule.seen) == (3, 7)
    assert repr(rule).endswith("met 3 of 7>")


def test_the_first_rule_that_is_due_meets_a_request(emulator: Emulator, client: httpx.Client) -> None:
    first = emulator.faults.add("503", times=1, after=1)
    second = emulator.faults.add("502", times=2)
    third = emulator.faults.add("500", after=4)
    assert _statuses(client, 6) == [502, 503, 502, 200, 500, 500]
    assert [(rule.met, rule.seen) for rule in (first, second, third)] == [(1, 6), (2, 6), (2, 6)]
    assert emulator.faults.in_force == (first, second, third)
    assert [request.fault for request in emulator.requests[-6:]] == ["502", "503", "502", None, "500", "500"]


def test_rules_come_and_go_while_the_service_is_up(emulator: Emulator, client: httpx.Client) -> None:
    with emulator.faults.of("503") as outer:
        with emulator.faults.of("502"):
            assert _statuses(client, 1) == [503]
            emulator.faults.remove(outer)
            assert _statuses(client, 1) == [502]
        assert _statuses(client, 1) == [200]
    emulator.faults.add("500")
    emulator.faults.clear()
    assert _statuses(client, 1) == [200]
    with pytest.raises(ZeroDivisionError), emulator.faults.of("503"):
        _ = 1 / 0
    assert emulator.faults.in_force == ()


def _fates(seed: int, paths: list[str], *, workers: int = 1, **fields: Any) -> dict[str, list[int]]:
    """Give the statuses for each path, in the order of its requests."""
    with Emulator(seed=seed) as emulator:
        emulator.faults.add("503", **fields)
        headers = {"Authorization": f"Bearer {emulator.token}"}
        with httpx.Client(base_url=emulator.url, headers=headers) as client:

            def ask(path: str) -> list[int]:
                return [client.get(path).status_code for _ in range(40)]

            with ThreadPoolExecutor(workers) as pool:
                return dict(zip(paths, pool.map(ask, paths), strict=True))


def test_a_share_is_the_same_for_the_same_seed() -> None:
    paths = [f"/nowhere/{number}" for number in range(4)]
    fates = _fates(1, paths, share=0.3)
    met = sum(statuses.count(503) for statuses in fates.values())
    assert 0.15 * 160 < met < 0.45 * 160
    # Also where requests come in another order.
    assert _fates(1, paths, share=0.3, workers=4) == fates
    assert _fates(2, paths, share=0.3) != fates
    assert len({tuple(statuses) for statuses in fates.values()}) == 4


def test_two_rules_with_a_share_draw_lots_of_their_own(emulator: Emulator, client: httpx.Client) -> None:
    rules = [emulator.faults.add(status, share=0.5) for status in ("503", "502")]
    statuses = _statuses(client, 60)
    assert {503, 502, 200} == set(statuses)
    assert [rule.met for rule in rules] == [statuses.count(503), statuses.count(502)]


def test_a_share_with_after_and_times(emulator: Emulator, client: httpx.Client) -> None:
    emulator.faults.add("503", after=5, times=3, share=0.5)
    statuses = _statuses(client, 40)
    assert statuses[:5] == [200] * 5
    assert statuses.count(503) == 3


def test_many_requests_at_once_meet_a_fault_no_more_often_than_told(emulator: Emulator) -> None:
    rule = emulator.faults.add("503", after=5, times=20)
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers) as client, ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.get("/v1/agents").status_code, range(60)))
    assert (statuses.count(503), rule.met, rule.seen) == (20, 20, 60)

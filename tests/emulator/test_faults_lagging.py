# SPDX-License-Identifier: Apache-2.0
"""A listing that lags behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_agentruns.emulator.scripts import Ask, Case, ScriptBody, Work
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.emulator.service import Service
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, Client
from tests.emulator.test_faults import proves


def _asks_soon(case: Case) -> ScriptBody:
    """Asks once."""
    yield Work(10, "work", "Works")
    yield Ask([{"label": "Well?"}])
    return []


@pytest.fixture
def lagging() -> Iterator[tuple[Emulator, Client, Clock]]:
    clock = Clock()
    service = Service(clock=clock, agents={"asks": _asks_soon})
    with Emulator(service=service, faults=[("listing lags", {"seconds": 5})]) as emulator, Client(emulator) as client:
        yield emulator, client, clock


@proves("listing lags")
def test_a_run_appears_and_changes_late(lagging: tuple[Emulator, Client, Clock]) -> None:
    emulator, client, clock = lagging
    run_id = client.start("asks", business_id=BUSINESS_ID)["id"]
    assert client.get("/v1/runs").json() == {"object": "list", "has_more": False, "total_count": 0, "data": []}
    clock.forward(5)
    [listed] = client.get("/v1/runs").json()["data"]
    assert (listed["id"], listed["status"]) == (run_id, "running")
    clock.forward(5)
    assert client.run(run_id)["status"] == "interrupted"
    [listed] = client.get("/v1/runs").json()["data"]
    assert (listed["status"], listed["interrupts"]) == ("running", [])
    clock.forward(5.1)
    [listed] = client.get("/v1/runs").json()["data"]
    assert (listed["status"], len(listed["interrupts"])) == ("interrupted", 1)
    assert {request.fault for request in emulator.requests if request.path == "/v1/runs"} == {None, "listing lags"}


@proves("listing lags")
@pytest.mark.parametrize("newer", [0, 1, 3, 130])
def test_pages_of_a_listing_that_lags(lagging: tuple[Emulator, Client, Clock], newer: int) -> None:
    emulator, client, clock = lagging
    start: Callable[[], str] = lambda: emulator.service.create_run("asks", business_id=BUSINESS_ID).id  # noqa: E731
    old = [start() for _ in range(7)]
    clock.forward(60)
    for _ in range(newer):
        start()
    pages = [client.get("/v1/runs", params={"page": page, "per_page": 3}).json() for page in (1, 2, 3, 4)]
    assert [run["id"] for page in pages for run in page["data"]] == old[::-1]
    assert [len(page["data"]) for page in pages] == [3, 3, 1, 0]
    assert [page["has_more"] for page in pages] == [True, True, False, False]
    assert {page["total_count"] for page in pages} == {7}
    assert client.get("/v1/runs", params={"page": 0}).status_code == 422

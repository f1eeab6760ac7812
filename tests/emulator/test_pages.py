# SPDX-License-Identifier: Apache-2.0
"""Pages of the listing of runs, also if the service holds many old runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client, error_of

OLD_RUNS = 4_000


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.service.add_finished_runs(OLD_RUNS)
        yield emulator


def test_each_run_is_on_one_page_newest_first(emulator: Emulator, client: Client) -> None:
    started = [client.start("instant")["id"] for _ in range(3)]
    page = client.get("/v1/runs").json()
    assert [run["id"] for run in page["data"][:3]] == started[::-1]
    assert (len(page["data"]), page["has_more"], page["total_count"]) == (20, True, OLD_RUNS + 3)
    seen: list[str] = []
    times: list[str] = []
    # A client that does not compare each page with the contract.
    with httpx.Client(base_url=emulator.url, headers={"Authorization": "Bearer mk_test"}) as plain:
        for number in itertools.count(1):
            answer = plain.get("/v1/runs", params={"page": number, "per_page": 5000}).json()
            seen += [run["id"] for run in answer["data"]]
            times += [run["created_at"] for run in answer["data"]]
            if not answer["has_more"]:
                break
            assert len(answer["data"]) == 100
    assert len(seen) == len(set(seen)) == answer["total_count"]
    assert times == sorted(times, reverse=True)


def test_beyond_the_last_page_there_is_nothing(client: Client) -> None:
    page = client.get("/v1/runs", params={"page": 10**9}).json()
    assert (page["data"], page["has_more"]) == ([], False)


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/threads"])
@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", "1_0", "9" * 5000])
def test_a_wrong_page(client: Client, path: str, name: str, value: str) -> None:
    assert error_of(client.get(path, params={name: value}), 422)["parameter"] == name


def test_an_old_run(client: Client) -> None:
    old = client.get("/v1/runs", params={"page": OLD_RUNS // 20}).json()["data"][0]
    assert old["status"] == "completed"
    assert client.get(f"/v1/runs/{old['id']}").json() == old
    assert [event["type"] for event in client.follow(old["id"])] == ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    body = {"rating": "POSITIVE", "artifact_id": old["output"]["artifacts"][0]["id"]}
    assert client.post(f"/v1/runs/{old['id']}/feedback", json=body).status_code == 201

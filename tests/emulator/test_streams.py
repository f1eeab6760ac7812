# SPDX-License-Identifier: Apache-2.0
"""The stream of a run's events: live, in replay, and when one side leaves."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID, Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=20) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator) as client:
        yield client


def test_live_with_an_answer_in_between(client: Client) -> None:
    run_id = client.start("needs_approval")["id"]
    events: list[Any] = []
    for event in client.follow(run_id):
        events.append(event)
        if event["snapshot"]["status"] == "interrupted":
            [interrupt] = event["snapshot"]["interrupts"]
            assert client.resume(run_id, interrupt["id"], "approve").status_code == 200
    assert [event["type"] for event in events] == [
        "RUN_STARTED",
        *["STATE_SNAPSHOT"] * (len(events) - 2),
        "RUN_FINISHED",
    ]
    statuses = [event["snapshot"]["status"] for event in events]
    assert list(dict.fromkeys(statuses)) == ["running", "interrupted", "completed"]
    assert statuses.count("interrupted") == 1
    assert [event["snapshot"]["output"] is not None for event in events] == [s == "completed" for s in statuses]
    assert events[-1]["snapshot"] == client.run(run_id)

    assert list(client.follow(run_id)) == events


def test_each_change_is_sent_when_it_happens(client: Client) -> None:
    run_id = client.start("slow")["id"]
    arrivals = [(time.monotonic(), event) for event in client.follow(run_id)]
    assert 0.15 < arrivals[-1][0] - arrivals[0][0] < 4
    changes = [event["snapshot"]["updated_at"] for _, event in arrivals[:-1]]
    assert changes == sorted(set(changes))
    assert arrivals[-2][1]["snapshot"] == arrivals[-1][1]["snapshot"]


def test_a_failed_run_finishes_its_stream_too(client: Client) -> None:
    *_, last = client.follow(client.start("fails")["id"])
    assert (last["type"], last["snapshot"]["status"]) == ("RUN_FINISHED", "error")


def test_a_waiting_stream_is_woken_and_does_not_poll(
    emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = client.start("needs_approval")["id"]
    lookups: list[str] = []
    get_run = emulator.service.get_run

    def counted(run_id: str) -> Run:
        lookups.append(run_id)
        return get_run(run_id)

    monkeypatch.setattr(emulator.service, "get_run", counted)
    stream = client.follow(run_id)
    while next(stream)["snapshot"]["status"] != "interrupted":
        pass
    before = len(lookups)
    time.sleep(0.2)
    assert len(lookups) == before
    # Not over HTTP: from the thread of the test.
    emulator.service.answer(run_id, emulator.service.runs[run_id].interrupts[0]["id"], "reject")
    begun = time.monotonic()
    assert next(stream)["snapshot"]["status"] == "running"
    assert time.monotonic() - begun < 2
    stream.close()


def test_a_client_that_leaves_leaves_nothing_behind(emulator: Emulator, client: Client) -> None:
    run_id = client.start("needs_approval")["id"]
    stream = client.follow(run_id)
    next(stream)
    assert emulator.service._listeners[run_id]
    stream.close()
    deadline = time.monotonic() + 2
    while run_id in emulator.service._listeners and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run_id not in emulator.service._listeners


def test_many_streams_at_once(emulator: Emulator) -> None:
    async def follow(client: httpx.AsyncClient) -> str:
        run = (await client.post("/v1/runs", json={"type": "slow", "business_id": BUSINESS_ID})).json()
        async with client.stream("GET", f"/v1/runs/{run['id']}/stream") as answer:
            last = [line async for line in answer.aiter_lines() if line.startswith("data: ")][-1]
        return str(json.loads(last.removeprefix("data: "))["type"])

    async def follow_all() -> list[str]:
        headers = {"Authorization": "Bearer mk_test"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=emulator.url, headers=headers, limits=limits, timeout=10) as client:
            return await asyncio.gather(*(follow(client) for _ in range(50)))

    assert asyncio.run(follow_all()) == ["RUN_FINISHED"] * 50


def test_shutdown_ends_open_streams_at_once() -> None:
    with Emulator(speed=20) as emulator, Client(emulator) as client:
        run_id = client.start("needs_approval")["id"]
        stream = client.follow(run_id)
        while next(stream)["snapshot"]["status"] != "interrupted":
            pass
        begun = time.monotonic()
        emulator.stop()
        assert time.monotonic() - begun < 2
        assert list(stream) == []
        with pytest.raises(httpx.ConnectError):
            client.get("/v1/agents")

# SPDX-License-Identifier: Apache-2.0
"""The stream of a run's events: live, after the end of the run, and when one side disconnects."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

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


@pytest.mark.parametrize("over_http", [True, False])
def test_a_stream_continues_after_an_answer(emulator: Emulator, client: Client, over_http: bool) -> None:
    run_id = client.start("needs_approval")["id"]
    events: list[Any] = []
    answered = False
    for event in client.follow(run_id):
        events.append(event)
        if event["snapshot"]["status"] == "interrupted" and not answered:
            answered = True
            [interrupt] = event["snapshot"]["interrupts"]
            if over_http:
                assert client.resume(run_id, interrupt["id"], "approve").status_code == 200
            else:
                emulator.service.answer(run_id, interrupt["id"], "approve")
    snapshots = ["STATE_SNAPSHOT"] * (len(events) - 2)
    assert [event["type"] for event in events] == ["RUN_STARTED", *snapshots, "RUN_FINISHED"]
    statuses = [event["snapshot"]["status"] for event in events]
    assert "interrupted" in statuses
    assert [event["snapshot"]["output"] is not None for event in events] == [s == "completed" for s in statuses]
    assert events[-1]["snapshot"] == client.run(run_id)


def test_each_change_of_a_run_is_sent(client: Client) -> None:
    events = list(client.follow(client.start("slow")["id"]))
    changes = [event["snapshot"]["updated_at"] for event in events[1:-1]]
    assert changes == sorted(set(changes))
    assert len(changes) >= 3
    assert events[-2]["snapshot"] == events[-1]["snapshot"]


def test_the_stream_of_a_run_that_has_ended(emulator: Emulator, client: Client) -> None:
    run = client.start("instant")
    events = list(client.follow(run["id"]))
    assert [event["type"] for event in events] == ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert {event["snapshot"]["status"] for event in events} == {"completed"}
    *_, last = client.follow(client.start("fails")["id"])
    assert (last["type"], last["snapshot"]["status"]) == ("RUN_FINISHED", "error")


def test_many_streams_at_once(emulator: Emulator) -> None:
    async def follow(client: httpx.AsyncClient) -> str:
        run = (await client.post("/v1/runs", json={"type": "slow", "business_id": BUSINESS_ID})).json()
        async with client.stream("GET", f"/v1/runs/{run['id']}/stream") as answer:
            last = [line async for line in answer.aiter_lines() if line.startswith("data: ")][-1]
        return str(json.loads(last.removeprefix("data: "))["type"])

    async def follow_all() -> list[str]:
        headers = {"Authorization": "Bearer mk_test"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=emulator.url, headers=headers, limits=limits, timeout=20) as client:
            return await asyncio.gather(*(follow(client) for _ in range(30)))

    assert asyncio.run(follow_all()) == ["RUN_FINISHED"] * 30


def test_stopping_the_service_ends_open_streams(caplog: pytest.LogCaptureFixture) -> None:
    with Emulator(speed=20) as emulator, Client(emulator) as client:
        stream = client.follow(client.start("needs_approval")["id"])
        while next(stream)["snapshot"]["status"] != "interrupted":
            pass
        emulator.stop()
        with pytest.raises(httpx.TransportError):
            list(stream)
        with pytest.raises(httpx.ConnectError):
            client.get("/v1/agents")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]

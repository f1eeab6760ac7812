# SPDX-License-Identifier: Apache-2.0
"""The stream of a run's events, live, after the end of the run, and when the service stops."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=20) as emulator:
        yield emulator


def test_a_stream_continues_after_an_answer(emulator: Emulator, client: Client) -> None:
    run_id = client.start("needs_approval")["id"]
    events: list[Any] = []
    for event in client.follow(run_id):
        events.append(event)
        if event["snapshot"]["interrupts"] and not emulator.service.answers:
            emulator.service.answer(run_id, event["snapshot"]["interrupts"][0]["id"], "approve")
    snapshots = ["STATE_SNAPSHOT"] * (len(events) - 2)
    assert [event["type"] for event in events] == ["RUN_STARTED", *snapshots, "RUN_FINISHED"]
    assert "interrupted" in [event["snapshot"]["status"] for event in events]
    assert events[-1]["snapshot"] == client.run(run_id)
    later = list(client.follow(run_id))
    assert [event["type"] for event in later] == ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert {event["snapshot"]["status"] for event in later} == {"completed"}


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

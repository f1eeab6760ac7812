# SPDX-License-Identifier: Apache-2.0
"""Faults of streams of events."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID, Client, error_of
from tests.emulator.test_faults import connect, eventually, proves, split, talk


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=1000) as emulator:
        yield emulator


@pytest.fixture
def run_id(emulator: Emulator) -> str:
    return emulator.service.create_run("instant", business_id=BUSINESS_ID).id


def _events(emulator: Emulator, run_id: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    answer = httpx.get(f"{emulator.url}/v1/runs/{run_id}/stream", headers=headers)
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


@proves("stream cut")
@pytest.mark.parametrize("events", [0, 2])
def test_a_stream_is_cut(emulator: Emulator, run_id: str, events: int) -> None:
    with emulator.faults.of("stream cut", events=events):
        answer, ending = talk(emulator, "GET", f"/v1/runs/{run_id}/stream")
        with pytest.raises(httpx.RemoteProtocolError):
            _events(emulator, run_id)
    assert ending == "closed"
    body = split(answer)[1]
    assert body.count(b"\n\n") == events
    assert body.count(b"event: ") == events + 1
    assert not body.endswith(b"0\r\n\r\n")


@proves("stream cut")
def test_a_stream_is_cut_after_its_end(emulator: Emulator, run_id: str) -> None:
    true = _events(emulator, run_id)
    with emulator.faults.of("stream cut", events=len(true) + 3):
        answer, ending = talk(emulator, "GET", f"/v1/runs/{run_id}/stream")
    assert ending == "closed"
    assert answer.count(b"\n\n") == len(true)
    assert not answer.endswith(b"0\r\n\r\n")


@proves("stream silent")
@pytest.mark.parametrize("events", [0, 1])
def test_a_stream_falls_silent(emulator: Emulator, run_id: str, events: int) -> None:
    with emulator.faults.of("stream silent", events=events):
        answer, ending = talk(emulator, "GET", f"/v1/runs/{run_id}/stream", seconds=0.3)
    assert ending == "silent"
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"event: ") == events


@proves("stream endless")
def test_an_endless_stream(emulator: Emulator, run_id: str) -> None:
    true = _events(emulator, run_id)
    seen: list[Any] = []
    headers = {"Authorization": f"Bearer {emulator.token}"}
    url = f"{emulator.url}/v1/runs/{run_id}/stream"
    with emulator.faults.of("stream endless", pause=0.001), httpx.stream("GET", url, headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
            if len(seen) == 50:
                break
    assert seen[: len(true) - 1] == true[:-1]
    assert all(event == true[-2] for event in seen[len(true) - 1 :])


@proves("stream repeats")
def test_a_stream_with_repeats(emulator: Emulator, run_id: str) -> None:
    true = _events(emulator, run_id)
    with emulator.faults.of("stream repeats", copies=3):
        seen = _events(emulator, run_id)
    *before, last = true
    assert last["type"] == "RUN_FINISHED"
    assert seen == [event for event in before for _ in range(3)] + before + [last] * 3


@pytest.mark.parametrize("fault", ["stream cut", "stream silent", "stream endless", "stream repeats"])
def test_streams_alone_are_met(emulator: Emulator, fault: str) -> None:
    with emulator.faults.of(fault) as rule, Client(emulator) as client:
        run_id = client.start("instant")["id"]
        assert client.run(run_id)["status"] == "completed"
        assert rule.seen == 0
        if fault != "stream cut":
            # No stream, but an error: it is sent as it is.
            error_of(client.get("/v1/runs/nobody/stream"), 404)


@pytest.mark.parametrize("fault", ["stream silent", "stream endless"])
def test_what_stays_open_ends_with_either_side(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with Emulator(speed=1000, faults=[fault]) as emulator:
        run_id = emulator.service.create_run("needs_approval", business_id=BUSINESS_ID).id
        with connect(emulator, "GET", f"/v1/runs/{run_id}/stream") as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: run_id not in emulator.service._listeners)
        with connect(emulator, "GET", f"/v1/runs/{run_id}/stream") as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
            begun = time.monotonic()
            emulator.stop()
            assert time.monotonic() - begun < 2
    assert not [record for record in caplog.records if record.levelno > logging.INFO]

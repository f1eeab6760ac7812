# SPDX-License-Identifier: Apache-2.0
"""Faults of answers that come slowly, in part, without end, or not at all."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID
from tests.emulator.test_faults import RUN, connect, eventually, proves, read, split, talk


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(speed=100) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=5) as client:
        yield client


@proves("slow answer")
def test_a_slow_answer_comes_after_the_request_was_carried_out(emulator: Emulator, client: httpx.Client) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of("slow answer", seconds=0.5):
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/runs", json=RUN, timeout=0.2)
        eventually(lambda: len(emulator.service.runs) - before == 1)
        begun = time.monotonic()
        answer = client.post("/v1/runs", json=RUN)
        assert time.monotonic() - begun >= 0.5
    assert answer.status_code == 201
    assert answer.json()["object"] == "run"
    # Both over one connection after all: nothing of the fault is left on it.
    assert client.get("/v1/agents").status_code == 200


@proves("slow head")
def test_a_head_byte_by_byte(emulator: Emulator) -> None:
    with emulator.faults.of("slow head", pause=0.005), connect(emulator, "GET", "/v1/agents") as connection:
        connection.settimeout(5)
        pieces = [connection.recv(65536)]
        while pieces[-1]:
            pieces.append(connection.recv(65536))
    head, body = split(b"".join(pieces))
    # The machine may be slow to read: some bytes come together.
    assert len(pieces) > 20
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.lower().count(b"\r\ndate: ") == 1
    assert json.loads(body)["object"] == "list"
    assert (emulator.requests[-1].fault, emulator.requests[-1].status) == ("slow head", 200)


@proves("slow body")
def test_a_body_in_drops(emulator: Emulator, client: httpx.Client) -> None:
    with emulator.faults.of("slow body", size=100, pause=0.03), client.stream("GET", "/v1/agents") as answer:
        begun = time.monotonic()
        pieces = list(answer.iter_raw())
    body = b"".join(pieces)
    assert json.loads(body)["object"] == "list"
    assert time.monotonic() - begun >= 0.03 * (len(body) // 100)
    assert len(pieces) > 5
    assert all(len(piece) % 100 == 0 for piece in pieces[:-1])
    assert client.get("/v1/agents").status_code == 200


@proves("hanging")
@pytest.mark.parametrize("taken", [False, True])
def test_hanging(emulator: Emulator, client: httpx.Client, taken: bool) -> None:
    before = len(emulator.service.runs)
    with emulator.faults.of("hanging", "POST", taken=taken):
        assert talk(emulator, "POST", "/v1/runs", RUN, seconds=0.2) == (b"", "silent")
        assert client.get("/v1/agents").status_code == 200
    assert len(emulator.service.runs) - before == taken
    assert emulator.requests[-2].status is None


@pytest.mark.parametrize("fault", ["hanging", "slow answer", "slow head", "slow body", "endless body"])
def test_a_client_that_leaves_ends_the_fault(emulator: Emulator, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with emulator.faults.of(fault):
        talk(emulator, "GET", "/v1/agents", seconds=0.1, most=100)
    layer = emulator._recorder._app
    eventually(lambda: not layer._open)  # type: ignore[attr-defined]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("fault", ["hanging", "slow answer", "slow head", "slow body", "endless body"])
def test_shutdown_does_not_wait_for_faults(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with Emulator(faults=[fault]) as emulator, connect(emulator, "GET", "/v1/agents") as connection:
        eventually(lambda: len(emulator.requests) == 1)
        begun = time.monotonic()
        emulator.stop()
        # No records either: the web server tells when it has waited in vain.
        assert time.monotonic() - begun < 2
        assert read(connection)[1] == "reset"
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@proves("body cut off")
def test_a_body_cut_off(emulator: Emulator, client: httpx.Client) -> None:
    true = client.get("/v1/agents").content
    with emulator.faults.of("body cut off", part=0.25):
        answer, ending = talk(emulator, "GET", "/v1/agents")
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            client.get("/v1/agents")
    head, body = split(answer)
    assert ending == "closed"
    assert f"\r\ncontent-length: {len(true)}\r\n".encode() in head
    assert body == true[: len(true) // 4]


@proves("endless body")
def test_an_endless_body(emulator: Emulator, client: httpx.Client) -> None:
    true = client.get("/v1/agents").content
    with emulator.faults.of("endless body"), client.stream("GET", "/v1/agents") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in answer.headers
        read = b""
        for piece in answer.iter_bytes():
            read += piece
            if len(read) > 5_000_000:
                break
    assert read.startswith(true)
    assert not read[len(true) :].strip()


@pytest.mark.parametrize("fault", ["slow answer seconds=0", "slow head pause=0", "slow body pause=0 size=64"])
def test_a_stream_comes_whole_too(emulator: Emulator, fault: str) -> None:
    run_id = emulator.service.create_run("slow", business_id=BUSINESS_ID).id
    emulator.faults.add_plan([fault])
    answer, ending = talk(emulator, "GET", f"/v1/runs/{run_id}/stream")
    emulator.faults.clear()
    assert ending == "closed"
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"STATE_SNAPSHOT" in answer
    assert answer.count(b"data: {") > 5 or fault.startswith("slow body")

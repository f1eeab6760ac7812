# SPDX-License-Identifier: Apache-2.0
"""Faults of connections, on the wire."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.contract import BUSINESS_ID
from tests.emulator.test_faults import RUN, connect, eventually, proves, talk

_CLIENT = """
import sys, httpx
httpx.post(sys.argv[1], json={"type": "instant", "business_id": "b"}, headers={"Authorization": "Bearer x"}, timeout=9)
print("answered")
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=5) as client:
        yield client


def _runs(emulator: Emulator) -> int:
    return len(emulator.service.runs)


@proves("refused")
def test_refused_while_it_is_in_force(emulator: Emulator, client: httpx.Client) -> None:
    for _ in range(3):
        assert client.get("/v1/agents").status_code == 200
        with emulator.faults.of("refused"):
            # The open connection is reset, and then no new one comes about.
            with pytest.raises((httpx.ReadError, httpx.WriteError, httpx.ConnectError)):
                client.get("/v1/agents")
            with pytest.raises(httpx.ConnectError, match="refused"):
                client.get("/v1/agents")
            with pytest.raises(ConnectionRefusedError):
                connect(emulator, "GET", "/v1/agents")
        assert client.get("/v1/agents").status_code == 200


@proves("refused")
def test_refused_twice_is_refused_until_both_are_gone(emulator: Emulator, client: httpx.Client) -> None:
    with emulator.faults.of("refused"):
        second = emulator.faults.add("refused")
    with pytest.raises(httpx.ConnectError):
        client.get("/v1/agents")
    emulator.faults.remove(second)
    emulator.faults.remove(second)
    assert client.get("/v1/agents").status_code == 200


def test_refused_from_the_start_and_until_the_end() -> None:
    with Emulator(faults=["refused"]) as emulator:
        with pytest.raises(ConnectionRefusedError):
            connect(emulator, "GET", "/v1/agents")
        emulator.faults.clear()
        assert talk(emulator, "GET", "/v1/agents")[0].startswith(b"HTTP/1.1 200")
        rule = emulator.faults.add("refused")
        begun = time.monotonic()
    assert time.monotonic() - begun < 2
    emulator.faults.remove(rule)
    with pytest.raises(ConnectionRefusedError):
        connect(emulator, "GET", "/v1/agents")


def test_nobody_takes_the_port_while_it_is_refused(emulator: Emulator) -> None:
    with emulator.faults.of("refused"), socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((emulator.host, emulator.port))


@proves("outage")
def test_an_outage_that_a_request_sets_off(emulator: Emulator, client: httpx.Client) -> None:
    before = _runs(emulator)
    emulator.faults.add("outage", "POST", "/v1/runs", after=1, times=1, seconds=1)
    assert client.post("/v1/runs", json=RUN).status_code == 201
    waiting = connect(emulator, "GET", "/nowhere")
    assert waiting.recv(12) == b"HTTP/1.1 404"
    begun = time.monotonic()
    with pytest.raises(httpx.ReadError):
        client.post("/v1/runs", json=RUN)
    with pytest.raises(httpx.ConnectError):
        client.post("/v1/runs", json=RUN)
    while True:
        try:
            assert client.post("/v1/runs", json=RUN).status_code == 201
            break
        except httpx.ConnectError:
            time.sleep(0.01)
    assert 1 <= time.monotonic() - begun < 5
    assert _runs(emulator) - before == 2
    emulator.faults.clear()


@proves("connection closed")
def test_a_new_connection_is_closed_unread(emulator: Emulator, client: httpx.Client) -> None:
    assert client.get("/v1/agents").status_code == 200
    recorded = len(emulator.requests)
    with emulator.faults.of("connection closed", after=1, times=2) as rule:
        assert client.get("/v1/agents").status_code == 200
        assert talk(emulator, "GET", "/v1/agents")[1] == "closed"
        for _ in range(2):
            with socket.create_connection((emulator.host, emulator.port), timeout=5) as connection:
                assert connection.recv(1) == b""
        assert talk(emulator, "GET", "/v1/agents")[0].startswith(b"HTTP/1.1 200")
        assert (rule.met, rule.seen) == (2, 4)
    assert len(emulator.requests) - recorded == 3


@proves("request reset", "answer reset", "answer lost")
@pytest.mark.parametrize(
    ("fault", "ending", "taken"),
    [("request reset", "reset", False), ("answer reset", "reset", True), ("answer lost", "closed", True)],
)
def test_a_connection_breaks(emulator: Emulator, client: httpx.Client, fault: str, ending: str, taken: bool) -> None:
    before = _runs(emulator)
    with emulator.faults.of(fault, "POST", times=2):
        assert talk(emulator, "POST", "/v1/runs", RUN) == (b"", ending)
        # The same over a connection that has been used before.
        assert client.get("/v1/agents").status_code == 200
        with pytest.raises(httpx.RemoteProtocolError if ending == "closed" else httpx.ReadError):
            client.post("/v1/runs", json=RUN)
        assert _runs(emulator) - before == (2 if taken else 0)
        assert client.post("/v1/runs", json=RUN).status_code == 201
    record = emulator.requests[-2]
    assert (record.fault, record.status) == (fault, None)
    assert emulator.requests[-1].fault is None


@proves("answer lost")
def test_the_record_of_the_service_says_what_was_carried_out() -> None:
    with Emulator(speed=1000) as emulator:
        run = emulator.service.create_run("needs_approval", business_id=BUSINESS_ID)
        eventually(lambda: emulator.service.runs[run.id].status == "interrupted")
        answer = {"interrupt_id": emulator.service.runs[run.id].interrupts[0]["id"], "input": "approve"}
        emulator.faults.add("request reset", "POST", "/v1/runs/[^/]+/resume", times=1)
        emulator.faults.add("answer lost", "POST", "/v1/runs/[^/]+/resume", times=1)
        assert talk(emulator, "POST", f"/v1/runs/{run.id}/resume", answer)[1] == "reset"
        assert emulator.service.answers == []
        assert talk(emulator, "POST", f"/v1/runs/{run.id}/resume", answer)[1] == "closed"
        assert [taken.input for taken in emulator.service.answers] == ["approve"]
        assert talk(emulator, "POST", f"/v1/runs/{run.id}/resume", answer)[0].startswith(b"HTTP/1.1 409")
        assert [request.fault for request in emulator.requests] == ["request reset", "answer lost", None]


@proves("client killed")
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_client_is_killed_before_it_is_answered(emulator: Emulator) -> None:
    before = _runs(emulator)
    with emulator.faults.of("client killed", times=1):
        done = subprocess.run(
            [sys.executable, "-c", _CLIENT, f"{emulator.url}/v1/runs"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (-9, "")
    assert _runs(emulator) - before == 1


@proves("client killed")
def test_the_process_of_the_service_is_not_killed(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    with emulator.faults.of("client killed"):
        answer, _ = talk(emulator, "GET", "/v1/agents")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"in no process of its own" in answer
    assert "client killed" in caplog.text


def test_breaking_many_connections_at_once_leaves_the_service_well(emulator: Emulator) -> None:
    before = _runs(emulator)
    endings: list[str] = []
    emulator.faults.add("answer reset", "POST", times=10)
    emulator.faults.add("request reset", "POST", times=10)
    threads = [
        threading.Thread(target=lambda: endings.append(talk(emulator, "POST", "/v1/runs", RUN)[1])) for _ in range(25)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (endings.count("reset"), endings.count("closed")) == (20, 5)
    assert _runs(emulator) - before == 15
    emulator.faults.clear()

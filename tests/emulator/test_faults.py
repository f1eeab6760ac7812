# SPDX-License-Identifier: Apache-2.0
"""Each fault does what the table says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_agentruns.emulator.fault_table import FAULTS
from airflow_provider_agentruns.emulator.server import Emulator
from tests.emulator.conftest import Clock
from tests.emulator.contract import BUSINESS_ID, Client, error_of
from tests.emulator.wire import RUN, connect, eventually, read, talk


@pytest.fixture
def plain(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=20) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "taken"),
    [(name, False) for name, fault in FAULTS.items() if fault.only == ".*" and not fault.refuses]
    + [(name, True) for name, fault in FAULTS.items() if "taken" in fault.parameters],
)
def test_a_request_is_carried_out_or_not(emulator: Emulator, client: Client, name: str, taken: bool) -> None:
    fault, before = FAULTS[name], len(emulator.service.runs)
    fields: dict[str, Any] = {"taken": True} if taken else {}
    fields |= {"seconds": 0} if name == "slow answer" else {}
    with emulator.faults.of(name, times=1, **fields) as rule:
        talk(emulator, "POST", "/v1/runs", RUN, seconds=0.2 if name == "hanging" else 20)
        assert (rule.seen, rule.met) == (1, 1)
    assert len(emulator.service.runs) - before == fields.get("taken", fault.carried_out)
    assert emulator.requests[-1].fault == name
    assert client.get("/v1/agents").status_code == 200


def test_refused_closes_the_port_while_it_is_active(emulator: Emulator, plain: httpx.Client) -> None:
    assert plain.get("/v1/agents").status_code == 200
    with emulator.faults.of("refused"), emulator.faults.of("refused"):
        with pytest.raises(httpx.TransportError):  # The open connection is reset.
            plain.get("/v1/agents")
        with pytest.raises(httpx.ConnectError):
            plain.get("/v1/agents")
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", emulator.port))
    assert plain.get("/v1/agents").status_code == 200


@pytest.mark.parametrize(
    ("fault", "ending"),
    [("connection closed", "closed"), ("request reset", "reset"), ("answer reset", "reset"), ("answer lost", "closed")],
)
def test_a_connection_breaks(emulator: Emulator, plain: httpx.Client, fault: str, ending: str) -> None:
    with emulator.faults.of(fault, "POST"):
        assert talk(emulator, "POST", "/v1/runs", RUN) == (b"", ending)
        plain.get("/v1/agents")
        with pytest.raises(httpx.TransportError):  # Over a connection that served a request before.
            plain.post("/v1/runs", json=RUN)
    assert emulator.requests[-1].status is None


def test_a_body_is_cut_off(emulator: Emulator, plain: httpx.Client) -> None:
    whole = plain.get("/v1/agents").content
    with emulator.faults.of("body cut off", part=0.25):
        answer, ending = talk(emulator, "GET", "/v1/agents")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert ending == "closed"
    assert f"\r\ncontent-length: {len(whole)}\r\n".encode() in head
    assert body == whole[: len(whole) // 4]


@pytest.mark.parametrize("faults", [[], ["hanging"], ["slow answer"], ["stream silent"]])
def test_open_streams_end_with_the_server(faults: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with Emulator(faults=faults) as emulator:
        run = emulator.service.create_run("needs_approval", business_id=BUSINESS_ID)
        connection = connect(emulator, "GET", f"/v1/runs/{run.id}/stream")
        eventually(lambda: len(emulator.requests) == 1)
        emulator.stop()
        assert read(connection)[1] == "reset"
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_status_and_retry_after(emulator: Emulator, client: Client, plain: httpx.Client) -> None:
    with emulator.faults.of("409"):
        assert error_of(client.post("/v1/runs", json=RUN), 409)["message"]
    for given, sent in ((2, "2"), ("soon", "soon"), (None, None)):
        with emulator.faults.of("429", retry_after=given):
            assert plain.get("/v1/agents").headers.get("retry-after") == sent


def test_bodies_that_are_not_the_contracts(emulator: Emulator, plain: httpx.Client) -> None:
    whole = plain.get("/v1/agents").content
    for fault, body in (
        ("truncated JSON", whole[: len(whole) // 2]),
        ("malformed JSON", b"{" + whole),
        ("empty body", b""),
    ):
        with emulator.faults.of(fault):
            assert plain.get("/v1/agents").content == body
    with emulator.faults.of("foreign error", status=418, body="<a/>", content_type="text/xml"):
        error = plain.get("/v1/agents")
    assert (error.status_code, error.text, error.headers["content-type"]) == (418, "<a/>", "text/xml; charset=utf-8")


def test_unknown_status_and_fields(emulator: Emulator, plain: httpx.Client) -> None:
    run = plain.post("/v1/runs", json=RUN).json()
    with emulator.faults.of("unknown status", status="archived"):
        assert plain.get(f"/v1/runs/{run['id']}").json() == {**run, "status": "archived"}
        assert plain.get(f"/v1/threads/{run['thread_id']}").json()["status"] == "archived"
        stream = plain.get(f"/v1/runs/{run['id']}/stream").text
    assert stream.count('"status": "archived"') == stream.count("event: ") == 3
    with emulator.faults.of("unknown fields"):
        shown = plain.get(f"/v1/runs/{run['id']}").json()
    assert shown["x_unknown"]
    assert shown["output"]["artifacts"][0]["x_unknown"]


def test_a_listing_lags(clock: Clock) -> None:
    with Emulator(faults=["listing lags seconds=4"]) as emulator, Client(emulator) as client:
        emulator.service.clock = clock
        old = client.start("slow")["id"]
        assert client.get("/v1/runs").json() == {"object": "list", "has_more": False, "total_count": 0, "data": []}
        clock.forward(5)
        client.start("slow")
        assert client.run(old)["status"] == "completed"
        [listed] = client.get("/v1/runs").json()["data"]
        assert (listed["id"], listed["status"]) == (old, "running")
        clock.forward(5)
        assert [run["status"] for run in client.get("/v1/runs").json()["data"]] == ["running", "completed"]


@pytest.mark.parametrize("events", [0, 2])
def test_streams_are_cut_or_fall_silent(emulator: Emulator, events: int) -> None:
    run = emulator.service.create_run("instant", business_id=BUSINESS_ID)
    with emulator.faults.of("stream cut", events=events):
        answer, ending = talk(emulator, "GET", f"/v1/runs/{run.id}/stream")
    assert (ending, answer.count(b"\n\n"), answer.count(b"event: ")) == ("closed", events, events + 1)
    assert not answer.endswith(b"0\r\n\r\n")
    with emulator.faults.of("stream silent", events=events):
        answer, ending = talk(emulator, "GET", f"/v1/runs/{run.id}/stream", seconds=0.5)
    assert (ending, answer[:12], answer.count(b"event: ")) == ("silent", b"HTTP/1.1 200", events)

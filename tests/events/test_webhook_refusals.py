# SPDX-License-Identifier: Apache-2.0
"""What is not from the service, or no longer, is refused, and changes nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.signature import HEADER, sign
from airflow_provider_agentruns.plugins.webhooks.body import LARGEST
from tests.events.assets import Assets, rows_of_all_tables
from tests.events.sender import SECRET, Sender, body_of, event
from tests.plugins.served import ServedAirflow


@pytest.fixture(autouse=True)
def nothing_changes(assets: Assets, airflow_home: object) -> Iterator[None]:
    """Have a DAG that would be started, and see that none is."""
    assets.add(agent_run_asset("hooked"))
    assets.add(agent_run_asset("unhooked"))
    assets.add(agent_run_asset("weak"))
    before = rows_of_all_tables()
    yield
    assert rows_of_all_tables() == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: ""},
        {HEADER: "sha256="},
        {HEADER: "sha256=" + "z" * 64},
        {HEADER: "ab" * 31},
        {HEADER: "ab" * 64},
        {"X-Middesk-Signature": sign(b"{}", SECRET)},
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_unsigned(sender: Sender, headers: dict[str, str]) -> None:
    assert sender.post(body_of(event("completed")), headers).status_code == 401


@pytest.mark.parametrize("secret", ["another secret", SECRET[:-1], f"{SECRET} ", SECRET.upper()])
def test_signed_with_another_secret(sender: Sender, secret: str) -> None:
    answer = sender.send(event("completed"), secret=secret)
    assert answer.status_code == 401
    assert SECRET not in answer.text


@pytest.mark.parametrize("changed", ["first byte", "last byte", "a blank more", "a field", "empty"])
def test_a_body_that_was_changed(sender: Sender, changed: str) -> None:
    body = body_of(event("completed"))
    bodies = {
        "first byte": b" " + body[1:],
        "last byte": body[:-1] + b"]",
        "a blank more": body + b" ",
        "a field": body.replace(b'"completed"', b'"error"'),
        "empty": b"",
    }
    assert bodies[changed] != body
    answer = sender.post(bodies[changed], {HEADER: sign(body, SECRET)})
    assert (answer.status_code, answer.json()) == (401, {"detail": "The signature is not that of this body"})


@pytest.mark.parametrize("conn_id", ["unhooked", "no_such_connection", "other_type", "weak", "a/b", "x" * 300, "%00"])
def test_a_connection_without_webhooks_looks_like_one_that_there_is_not(sender: Sender, conn_id: str) -> None:
    path = f"/agent-runs/webhooks/{conn_id}"
    for answer in (
        sender.send(event("completed"), path=path),
        sender.post(b"", {}, path=path),
        sender.send(event("completed"), path=path, secret="weak"),
    ):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(days=4, minutes=1), "is older than 4 days"),
        (timedelta(days=4000), "is older than 4 days"),
        (-timedelta(minutes=6), "is from the future"),
    ],
)
def test_stale(sender: Sender, ago: timedelta, said: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = sender.send(event("completed", ago=ago))
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert any(
        "A webhook for connection 'hooked' was refused" in message and said in message for message in caplog.messages
    )


def without(path: str) -> bytes:
    """Return the body of an event that lacks a field."""
    sent: dict[str, Any] = event("completed")
    *parents, name = path.split(".")
    place = sent
    for parent in parents:
        place = place[parent]
    del place[name]
    return body_of(sent)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"type": "run.completed"}', "created_at"),
        (without("type"), "type"),
        (without("id"), "id"),
        (without("created_at"), "created_at"),
        (without("data.object"), "data.object"),
        (without("data.object.id"), "data.object.id"),
        (without("data.object.status"), "data.object.status of a run.completed should be completed or error"),
        (body_of(event("running", type_="run.completed")), "data.object.status of a run.completed"),
        (body_of(event("completed", "nul\x00byte")), "data.object.id"),
        (body_of(event("completed", "")), "data.object.id"),
        (body_of(event("completed", "x" * 256)), "data.object.id"),
        (body_of(event("completed", agent="two\nlines")), "data.object.agent"),
        (body_of(event("completed")).replace(b'"cip_orchestrator"', b'"\\ud800"'), "malformed"),
        (body_of(event("interrupted", asked={"i": 0})).replace(b'"value": 0', b'"value": ' + b"[" * 9000), "malformed"),
        (body_of(event("interrupted", asked={"i": 0})).replace(b": 0}", b": " + b"9" * 9000 + b"}"), "malformed"),
    ],
)
def test_malformed_although_it_is_signed(sender: Sender, body: bytes, said: str) -> None:
    answer = sender.send(body)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("type_", ["business.updated", "run.deleted", ""])
def test_what_means_nothing_here_is_received_all_the_same(sender: Sender, type_: str) -> None:
    assert sender.send(event("completed", type_=type_)).status_code == 204
    assert sender.send(json.dumps({"type": type_}).encode()).status_code == 204


def test_a_body_that_says_that_it_is_too_large_is_not_read(webhook_server: ServedAirflow) -> None:
    with connect(webhook_server, f"Content-Length: {10 * 1024 * 1024}") as wire:
        # Nothing of the body was sent, and no 100 Continue is waited for.
        assert answer(wire).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_not_read_on(webhook_server: ServedAirflow) -> None:
    block = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with connect(webhook_server, "Transfer-Encoding: chunked") as wire:
        try:
            while sent < 64 * LARGEST:
                wire.sendall(block)
                sent += 0x10000
        except OSError:
            # The server has hung up.
            pass
    # What lies in the buffers on the way counts as sent.
    assert LARGEST < sent < 32 * LARGEST


@pytest.mark.parametrize("more", [1, 9 * 1024 * 1024])
def test_too_large(sender: Sender, more: int) -> None:
    body = body_of(event("completed"))
    assert sender.send(body + b" " * (LARGEST + more - len(body))).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nothing_else_can_be_done_there(sender: Sender, method: str) -> None:
    body = body_of(event("completed"))
    said = sender.http.request(method, sender.path, content=body, headers={HEADER: sign(body, SECRET)})
    assert said.status_code in (404, 405) or (method == "GET" and "text/html" in said.headers["content-type"])


def test_being_logged_in_is_no_signature(webhook_server: ServedAirflow, sender: Sender) -> None:
    with webhook_server.log_in("admin", "ADMIN") as admin:
        assert admin.post(sender.path, content=body_of(event("completed"))).status_code == 401


def test_a_signature_is_no_login(sender: Sender) -> None:
    body = body_of(event("completed"))
    for path in ("/agent-runs/api/waiting", "/api/v2/assets/events"):
        assert sender.http.request("GET", path, content=body, headers={HEADER: sign(body, SECRET)}).status_code == 401


def connect(server: ServedAirflow, header: str) -> socket.socket:
    """Return a TCP connection over which the head of a request was sent."""
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = ["POST /agent-runs/webhooks/hooked HTTP/1.1", "Host: airflow", f"{HEADER}: {'ab' * 32}", header, "", ""]
    wire.sendall("\r\n".join(head).encode())
    return wire


def answer(wire: socket.socket) -> bytes:
    """Return what comes back."""
    return wire.recv(1000)

# SPDX-License-Identifier: Apache-2.0
"""The endpoint rejects everything that the service did not send, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.signed_webhook import HEADER, sign
from airflow_provider_agentruns.plugins import webhooks
from airflow_provider_agentruns.plugins.webhooks import MAX_SIZE
from tests.events.assets import Assets, rows_of_all_tables
from tests.events.sender import SECRET, Sender, body_of, event
from tests.plugins.served import ServedAirflow

PATH, SIGNATURE = "/agent-runs/webhooks/hooked", f"{HEADER}: {'ab' * 32}"


@pytest.fixture(autouse=True)
def nothing_changes(assets: Assets, airflow_home: object) -> Iterator[None]:
    """Check that no row is added to a table, although a DAG waits for the asset."""
    for conn_id in ("hooked", "unhooked", "weak"):
        assets.add(agent_run_asset(conn_id))
    before = rows_of_all_tables()
    yield
    assert rows_of_all_tables() == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: "sha256=" + "z" * 64},
        {"X-Middesk-Signature": sign(b"{}", SECRET)},
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_unsigned(sender: Sender, headers: dict[str, str]) -> None:
    assert sender.post(body_of(event("completed")), headers).status_code == 401


@pytest.mark.parametrize(
    "conn_id",
    ["unhooked", "no_such_connection", "other_type", "weak", "a%2Fb", "x" * 300, "%0Ahooked", "%1B[31m"],
)
def test_a_connection_without_webhooks_gets_the_same_response_as_none(
    sender: Sender, caplog: pytest.LogCaptureFixture, conn_id: str
) -> None:
    path = f"/agent-runs/webhooks/{conn_id}"
    for response in (
        sender.send(event("completed"), path=path),
        sender.post(b"", {}, path=path),
        sender.send(event("completed"), path=path, secret="weak"),
    ):
        assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert not any(set("\n\x1b") & set(message) for message in caplog.messages)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\xff\xfe", "malformed"),
        (body_of(event("completed", "two\nlines")), "data.object.id"),
        (body_of(event("completed", ago=timedelta(days=4, minutes=1))), "4 days"),
    ],
)
def test_malformed_or_too_old(sender: Sender, body: bytes, named: str, caplog: pytest.LogCaptureFixture) -> None:
    response = sender.send(body)
    assert response.status_code == 400
    assert named in response.json()["detail"]
    assert any("connection 'hooked'" in message and named in message for message in caplog.messages)


def test_an_event_of_another_type_is_accepted_and_ignored(sender: Sender) -> None:
    assert sender.send(event("completed", type_="business.updated")).status_code == 204


def test_a_body_whose_declared_size_is_too_large_is_not_read(served: ServedAirflow) -> None:
    with served.send_head(PATH, SIGNATURE, f"Content-Length: {10 * MAX_SIZE}") as wire:
        # The server responds before any part of the body was sent.
        assert wire.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_not_read_further(served: ServedAirflow) -> None:
    block = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with served.send_head(PATH, SIGNATURE, "Transfer-Encoding: chunked") as wire:
        try:
            while sent < 64 * MAX_SIZE:
                wire.sendall(block)
                sent += 0x10000
        except OSError:
            pass  # The server closed the connection.
    # What is still in a buffer counts as sent.
    assert MAX_SIZE < sent < 32 * MAX_SIZE


def test_all_bodies_together_take_a_limited_amount_of_memory(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_TOTAL_SIZE", 10_000)
    body = body_of(event("completed", type_="unknown"))
    for _ in range(2):
        assert sender.send(body + b" " * 10_000).status_code == 503
        assert sender.send(body).status_code == 204


def test_a_login_and_a_signature_do_not_replace_each_other(served: ServedAirflow, sender: Sender) -> None:
    body = body_of(event("completed"))
    with served.log_in("admin", "ADMIN") as admin:
        assert admin.post(sender.path, content=body).status_code == 401
    for path in ("/agent-runs/api/waiting", "/api/v2/assets/events"):
        assert sender.http.request("GET", path, content=body, headers={HEADER: sign(body, SECRET)}).status_code == 401


def test_another_secret_and_a_body_that_was_changed(sender: Sender) -> None:
    body = body_of(event("completed"))
    responses = [sender.send(body, secret=secret) for secret in ("another secret", SECRET[:-1], f"{SECRET} ")]
    changed = (b" " + body[1:], body + b" ", body.replace(b'"completed"', b'"error"'), b"")
    responses += [sender.post(other, {HEADER: sign(body, SECRET)}) for other in changed]
    for response in responses:
        assert (response.status_code, response.json()) == (401, {"detail": "The signature does not match the body"})

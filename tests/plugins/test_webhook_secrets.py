# SPDX-License-Identifier: Apache-2.0
"""Secrets of webhooks: rotated without a gap, invalid soon after their removal, and shown nowhere."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.signed_webhook import HEADER, sign
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.plugins import webhooks
from airflow_provider_agentruns.plugins.webhooks import WebhookSecrets
from tests.events.assets import Assets
from tests.events.sender import SECRET, Sender, body_of, event
from tests.plugins.served import ServedAirflow

PATH = "/agent-runs/webhooks/changing"


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(webhooks, "time", clock)
    return clock


@pytest.fixture
def known(airflow_home: Path, clock: Clock) -> WebhookSecrets:
    return WebhookSecrets()


def set_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    value = json.dumps({"conn_type": "agentruns", "extra": {"webhook_secret": secret}})
    monkeypatch.setenv("AIRFLOW_CONN_CHANGING", value)


def test_both_secrets_are_valid_during_a_rotation(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("rotated"))
    path = "/agent-runs/webhooks/rotated"
    for secret, status in {"the-old-secret": 204, "the-new-secret": 204, "the-lost-secret": 401}.items():
        assert sender.send(event("completed"), path=path, secret=secret).status_code == status
    assert len(assets.payloads(asset)) == 2


async def test_an_edited_secret_is_used_soon_and_that_of_a_missing_connection_stays_valid_for_a_moment_only(
    known: WebhookSecrets, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow also reports a missing connection if its database is down for a moment."""
    set_secret(monkeypatch, "the-older-secret")
    assert await known.get("changing") == ("the-older-secret",)
    set_secret(monkeypatch, "the-old-secret")
    assert await known.get("changing") == ("the-older-secret",)
    clock.now += webhooks.FRESH_FOR
    assert await known.get("changing") == ("the-old-secret",)
    monkeypatch.delenv("AIRFLOW_CONN_CHANGING")
    clock.now += webhooks.MAX_AGE - 1
    assert await known.get("changing") == ("the-old-secret",)
    clock.now += 1
    assert await known.get("changing") == ()


async def test_a_secret_expires_even_if_its_connection_cannot_be_read_in_time(
    known: WebhookSecrets, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_secret(monkeypatch, "the-old-secret")
    await known.get("changing")
    monkeypatch.setattr(webhooks, "_MAX_WAIT", 0.01)
    monkeypatch.setattr(webhooks, "_MAX_WAIT_IF_KNOWN", 0.01)
    backend_is_slow = threading.Event()
    monkeypatch.setattr(webhooks, "_read", lambda _: backend_is_slow.wait(30) and None)
    try:
        clock.now += webhooks.MAX_AGE - 1
        assert await known.get("changing") == ("the-old-secret",)
        clock.now += 1
        with pytest.raises(AgentRunsConfigError):
            await known.get("changing")
    finally:
        backend_is_slow.set()


async def test_unknown_connections_are_read_within_limits_and_displace_no_others(
    known: WebhookSecrets, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_secret(monkeypatch, "the-valid-secret")
    await known.get("changing")
    clock.now += webhooks.FRESH_FOR
    for number in range(2):
        strangers = [asyncio.create_task(known.get(f"none_{number}_{index}")) for index in range(100)]
        await asyncio.sleep(0)
        assert await known.get("changing") == ("the-valid-secret",)
        results = await asyncio.gather(*strangers, return_exceptions=True)
        assert [result for result in results if isinstance(result, tuple)] == [()] * webhooks.MAX_READS
        assert sum(isinstance(result, AgentRunsConfigError) for result in results) == 100 - webhooks.MAX_READS
    assert set(known._known) == {"changing"}


def test_a_body_that_arrives_late_needs_a_secret_that_is_still_valid(
    served: ServedAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FRESH_FOR", 0.0)
    set_secret(monkeypatch, "the-old-secret")
    body = body_of(event("completed"))
    headers = f"{HEADER}: {sign(body, 'the-old-secret')}", f"Content-Length: {len(body)}", "Expect: 100-continue"
    with served.send_head(PATH, *headers) as wire:
        # The server has accepted the signature's form, and waits for the body.
        assert wire.recv(1000).startswith(b"HTTP/1.1 100 ")
        set_secret(monkeypatch, "the-new-secret")
        wire.sendall(body)
        assert wire.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("secret", [SECRET, "wrong"])
def test_no_log_contains_a_secret_a_signature_or_the_content(
    sender: Sender, assets: Assets, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], secret: str
) -> None:
    caplog.set_level("DEBUG")
    assets.add(agent_run_asset("hooked"))
    body = body_of(event("completed", output={"artifacts": [{"title": "of-the-business"}]}))
    signature = sign(body, secret)
    sender.post(body, {HEADER: signature})
    sender.post(body + b"}", {HEADER: sign(body + b"}", secret)})
    out, err = capfd.readouterr()
    for written in (caplog.text, out, err):
        assert SECRET not in written
        assert signature.removeprefix("sha256=") not in written
        assert "of-the-business" not in written

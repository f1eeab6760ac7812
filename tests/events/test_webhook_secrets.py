# SPDX-License-Identifier: Apache-2.0
"""What webhooks are signed with: exchanged without a gap, read seldom, and shown nowhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.events.signature import HEADER, sign
from airflow_provider_agentruns.plugins.webhooks import secrets
from airflow_provider_agentruns.plugins.webhooks.secrets import TooManyError, WebhookSecrets
from tests.events.assets import Assets
from tests.events.sender import SECRET, Sender, body_of, event


def test_while_a_secret_is_exchanged_for_another_each_of_both_is_good(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("rotated"))
    path = "/agent-runs/webhooks/rotated"
    for secret, status in {"the-old-secret": 204, "the-new-secret": 204, "the-lost-secret": 401}.items():
        assert sender.send(event("completed"), path=path, secret=secret).status_code == status
    assert len(assets.payloads(asset)) == 2


def set_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """Have the connection ``changing`` hold a secret."""
    value = json.dumps({"conn_type": "agentruns", "extra": {"webhook_secret": secret}})
    monkeypatch.setenv("AIRFLOW_CONN_CHANGING", value)


async def test_a_connection_is_read_anew_after_some_seconds_and_not_before(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = WebhookSecrets()
    set_secret(monkeypatch, "the-old-secret")
    assert await known.secrets("changing") == ("the-old-secret",)
    set_secret(monkeypatch, "the-old-secret the-new-secret")
    assert await known.secrets("changing") == ("the-old-secret",)
    monkeypatch.setattr(secrets, "FRESH", 0.0)
    assert await known.secrets("changing") == ("the-old-secret", "the-new-secret")
    monkeypatch.delenv("AIRFLOW_CONN_CHANGING")
    # To Airflow, a database that cannot be read for a moment is the same.
    assert await known.secrets("changing") == ("the-old-secret", "the-new-secret")
    assert await known.secrets("changing") == ()
    set_secret(monkeypatch, "the-new-secret")
    assert await known.secrets("changing") == ("the-new-secret",)


async def test_who_asks_for_any_number_of_connections_that_there_are_not_is_held_up(airflow_home: Path) -> None:
    known = WebhookSecrets()
    asked = [asyncio.create_task(known.secrets(f"none_{number}")) for number in range(100)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TooManyError)]
    assert len(refused) == 100 - secrets.MOST_WAITING
    assert [answer for answer in answers if answer not in refused] == [()] * secrets.MOST_WAITING


async def test_strangers_do_not_keep_the_service_out(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "FRESH", 0.0)
    monkeypatch.setattr(secrets, "MOST_REMEMBERED", 5)
    known = WebhookSecrets()
    set_secret(monkeypatch, "the-secret-of-ours")
    assert await known.secrets("changing") == ("the-secret-of-ours",)
    strangers = [asyncio.create_task(known.secrets(f"none_{number}")) for number in range(secrets.MOST_WAITING)]
    await asyncio.sleep(0)
    assert await known.secrets("changing") == ("the-secret-of-ours",)
    await asyncio.gather(*strangers)
    assert "changing" in known._known


async def test_what_is_remembered_does_not_grow_without_end(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "MOST_REMEMBERED", 10)
    known = WebhookSecrets()
    for number in range(25):
        await known.secrets(f"none_{number}")
    assert len(known._known) == 10


@pytest.mark.parametrize("secret", [SECRET, "wrong"])
def test_neither_secret_nor_signature_nor_content_is_in_a_log(
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

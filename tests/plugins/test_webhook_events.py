# SPDX-License-Identifier: Apache-2.0
"""The endpoint accepts what the service sends, and asks for it again while the database is busy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from airflow.utils.retries import run_with_db_retries

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from tests.events.assets import Assets
from tests.events.sender import SECRET, Sender, event
from tests.plugins.conftest import BUSINESS
from tests.plugins.served import ServedAirflow
from tests.triggers.waiting import until


@pytest.mark.usefixtures("database")
def test_a_signed_webhook_creates_one_event_however_often_it_arrives(sender: Sender, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked", status="completed"))
    sent = event("completed", "r-1", output={"artifacts": [{"title": "secret of the business"}]})
    assert [sender.send(sent).status_code for _ in range(3)] == [204] * 3
    assert assets.payloads(asset) == [{"run_id": "r-1", "status": "completed", "agent": "cip_orchestrator"}]


async def test_the_offline_service_reaches_airflow(served: ServedAirflow, assets: Assets) -> None:
    asset = assets.add(agent_run_asset("hooked"))
    statuses = {"instant": "completed", "fails": "error", "two_questions": "interrupted"}
    url = f"{served.url}/agent-runs/webhooks/hooked"
    with Emulator(speed=20, webhook=url, webhook_secret=SECRET) as emulator:
        runs = [emulator.service.create_run(agent, business_id=BUSINESS) for agent in statuses]
        await until(lambda: len(assets.payloads(asset)) == 3)
    reported = {(payload["run_id"], payload["status"], payload["agent"]) for payload in assets.payloads(asset)}
    assert reported == {(run.id, statuses[run.agent], run.agent) for run in runs}


def test_a_webhook_that_the_database_cannot_take_is_sent_again(
    sender: Sender, assets: Assets, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset_events, "run_with_db_retries", lambda: run_with_db_retries(1))
    asset = assets.add(agent_run_asset("hooked"))
    sent = event("completed")
    with closing(sqlite3.connect(airflow_home / "airflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        response = sender.send(sent)
    assert (response.status_code, response.headers["retry-after"]) == (503, "30")
    assert assets.payloads(asset) == []
    assert sender.send(sent).status_code == 204
    assert len(assets.payloads(asset)) == 1

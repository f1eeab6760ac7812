# SPDX-License-Identifier: Apache-2.0
"""The endpoint accepts what the service sends, asks for it again while the database is busy, and counts it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk.observability.metrics import stats_utils
from airflow.utils.retries import run_with_db_retries

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.emulator.server import Emulator
from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.plugins import webhooks
from tests.events.assets import Assets
from tests.events.sender import SECRET, Sender, event
from tests.plugins.served import ServedAirflow
from tests.support import BUSINESS
from tests.support.statsd import StatsdServer
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


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """Return a server that receives the metrics of this process through Airflow."""
    with StatsdServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("_factory", "_backend", "_export_legacy_names"):
            monkeypatch.setattr(stats, name, getattr(stats, name))
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
        yield server


async def test_webhooks_are_counted_by_connection_and_status(sender: Sender, statsd: StatsdServer) -> None:
    sent = event("completed")
    statuses = [
        sender.send(sent).status_code,
        sender.send(sent, secret="another-secret").status_code,
        sender.send(b"{}").status_code,
        sender.send(sent, path="/agent-runs/webhooks/chosen-by-a-stranger").status_code,
    ]
    assert statuses == [204, 401, 400, 404]
    await until(lambda: len(statsd.metrics) >= 4)
    assert [(metric.name, metric.tags, metric.value, metric.kind) for metric in statsd.metrics] == [
        ("airflow.agentruns.webhooks.accepted", {"conn_id": "hooked", "status": "204"}, 1, "c"),
        ("airflow.agentruns.webhooks.rejected", {"conn_id": "hooked", "status": "401"}, 1, "c"),
        ("airflow.agentruns.webhooks.rejected", {"conn_id": "hooked", "status": "400"}, 1, "c"),
        ("airflow.agentruns.webhooks.rejected", {"conn_id": "unknown", "status": "404"}, 1, "c"),
    ]
    assert SECRET not in repr(statsd.metrics)


async def test_a_connection_that_cannot_be_read_is_not_a_tag(
    sender: Sender, statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is a stranger then, who can send any ID."""

    def fail(conn_id: str) -> None:
        raise OSError(f"no secrets backend for {conn_id}")

    monkeypatch.setattr(webhooks, "read_connection", fail)
    assert sender.send(event("completed"), path="/agent-runs/webhooks/chosen-by-a-stranger").status_code == 503
    await until(lambda: len(statsd.metrics) >= 1)
    assert [metric.tags for metric in statsd.metrics] == [{"conn_id": "unknown", "status": "503"}]

# SPDX-License-Identifier: Apache-2.0
"""Accepted and rejected webhooks are counted, with tags that a stranger cannot choose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk.observability.metrics import stats_utils

from airflow_provider_agentruns.plugins.webhooks import secrets
from tests.events.sender import SECRET, Sender, event
from tests.support.statsd import StatsdServer
from tests.triggers.waiting import until


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

    monkeypatch.setattr(secrets, "read_connection", fail)
    assert sender.send(event("completed"), path="/agent-runs/webhooks/chosen-by-a-stranger").status_code == 503
    await until(lambda: len(statsd.metrics) >= 1)
    assert [metric.tags for metric in statsd.metrics] == [{"conn_id": "unknown", "status": "503"}]

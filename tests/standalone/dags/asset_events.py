# SPDX-License-Identifier: Apache-2.0
"""DAGs that agent runs start: through watchers, and through webhooks. Each returns the payloads of its events."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger


def dag(dag_id: str, asset: Asset) -> None:
    with DAG(dag_id, schedule=[asset], start_date=datetime(2026, 1, 1)):

        @task
        def payloads(triggering_asset_events: dict | None = None) -> list[dict]:
            return [event.extra["payload"] for event in triggering_asset_events[asset]]

        payloads()


trigger = AgentRunEventTrigger(agent="watched", poll_interval=1)
# Airflow shares one trigger among watchers with the same arguments.
for dag_id in ("asset_events", "asset_events_too"):
    dag(dag_id, Asset(dag_id, watchers=[AssetWatcher(name="runs", trigger=trigger)]))

dag("started_by_webhooks", agent_run_asset("hooked", status="completed", agent="slow"))

# SPDX-License-Identifier: Apache-2.0
"""A DAG that agent runs start."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger

# Two assets, one trigger: Airflow makes one of those that have the same arguments.
watched, also_watched = (
    Asset(name, watchers=[AssetWatcher(name="runs", trigger=AgentRunEventTrigger(poll_interval=1))])
    for name in ("watched_runs", "also_watched_runs")
)

with DAG("asset_events", schedule=[watched], start_date=datetime(2026, 1, 1)):

    @task
    def payloads(triggering_asset_events: dict | None = None) -> list[dict]:
        """Hand on what the events hold."""
        return [event.extra["payload"] for event in triggering_asset_events[watched]]

    payloads()

with DAG("asset_events_too", schedule=[also_watched], start_date=datetime(2026, 1, 1)):

    @task
    def nothing() -> None:
        """Do nothing."""

    nothing()

# SPDX-License-Identifier: Apache-2.0
"""DAGs that webhooks start."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, task

from airflow_provider_agentruns.events.asset_uris import agent_run_asset

completed = agent_run_asset("hooked", status="completed", agent="slow")

with DAG("started_by_webhooks", schedule=[completed], start_date=datetime(2026, 1, 1)):

    @task
    def payloads(triggering_asset_events: dict | None = None) -> list[dict]:
        """Return the payloads of the events."""
        return [event.extra["payload"] for event in triggering_asset_events[completed]]

    payloads()

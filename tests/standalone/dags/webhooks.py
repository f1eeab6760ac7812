# SPDX-License-Identifier: Apache-2.0
"""DAGs that webhooks start, or wake."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, task

from airflow_provider_agentruns.assets import agent_run_asset
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

completed = agent_run_asset("hooked", status="completed", agent="slow")

with DAG("started_by_webhooks", schedule=[completed], start_date=datetime(2026, 1, 1)):

    @task
    def payloads(triggering_asset_events: dict | None = None) -> list[dict]:
        """Hand on what the events hold."""
        return [event.extra["payload"] for event in triggering_asset_events[completed]]

    payloads()

with DAG("woken_by_webhooks", schedule=None, start_date=datetime(2026, 1, 1)):
    # A look each minute, so that nothing but a hint can end it sooner.
    AgentRunSensor(
        task_id="wait",
        run_id="{{ dag_run.conf['run_id'] }}",
        agentruns_conn_id="hooked",
        wait_for="completed",
        poke_interval=60,
        deferrable=True,
    )

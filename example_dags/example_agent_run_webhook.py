# SPDX-License-Identifier: Apache-2.0
"""
Starts this DAG from a webhook as soon as an agent run completes.

This needs Airflow 3.3 or newer, a connection with a webhook secret, and a service that sends webhooks to Airflow. Each
run creates one asset event, even if the service sends its webhook several times.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_agentruns.events.asset_uris import agent_run_asset
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator

# Only runs of the agent "slow". Without `agent`: all agents. Without `status`: failed and interrupted runs as well.
completed_runs = agent_run_asset("agentruns_default", status="completed", agent="slow")

with DAG(
    "example_agent_run_webhook",
    schedule=[completed_runs],
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
):

    @task
    def run_ids(triggering_asset_events: dict | None = None) -> list[str]:
        """Return the IDs of the runs in the asset events that started this DAG run."""
        events = triggering_asset_events[completed_runs]
        # An event that a person created in Airflow's UI has no payload.
        return [event.extra["payload"]["run_id"] for event in events if "payload" in event.extra]

    output = AgentRunOutputOperator.partial(
        task_id="output", retries=2, retry_delay=timedelta(seconds=10), map_index_template="{{ task.run_id }}"
    ).expand(run_id=run_ids())

    @task
    def summaries(outputs: list[dict]) -> list[str]:
        """Return one summary per artifact."""
        return [artifact["summary"] for output in outputs for artifact in output["artifacts"]]

    summaries(output.output)

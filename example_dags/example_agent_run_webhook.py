# SPDX-License-Identifier: Apache-2.0
"""
Be started by agent runs as soon as they complete, since the service tells of them by webhooks.

It takes Airflow 3.3, a connection with a webhook secret, and the service to be told where to send its webhooks. Each
run makes one event, however often the service tells of it. Tasks that wait for the run go on at once, too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_agentruns.assets import agent_run_asset
from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator

# Of one kind of agent. Without `agent`, of all; without `status`, also those that fail or ask something.
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
        """Read the runs' ids out of the events that have started this DAG run."""
        events = triggering_asset_events[completed_runs]
        # What a person adds by hand has none.
        return [event.extra["payload"]["run_id"] for event in events if "payload" in event.extra]

    output = AgentRunOutputOperator.partial(
        task_id="output", retries=2, retry_delay=timedelta(seconds=10), map_index_template="{{ task.run_id }}"
    ).expand(run_id=run_ids())

    @task
    def summaries(outputs: list[dict]) -> list[str]:
        """Gather one line from each output."""
        return [artifact["summary"] for output in outputs for artifact in output["artifacts"]]

    summaries(output.output)

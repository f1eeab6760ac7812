# SPDX-License-Identifier: Apache-2.0
"""
Be started by agent runs that complete, whoever started them, and put their outputs together.

The asset gets an event for each run. The DAG is started when there are some, and takes all that have come by then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger

completed_runs = Asset(
    "completed_agent_runs",
    watchers=[
        AssetWatcher(
            name="agent_runs",
            # Of one kind of agent. Without `agent`, of all; without `statuses`, also those that fail or ask something.
            trigger=AgentRunEventTrigger(agent="slow", statuses=["completed"], poll_interval=30),
        )
    ],
)

with DAG(
    "example_agent_run_assets",
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
        payloads = [event.extra["payload"] for event in events if "payload" in event.extra]
        print(*payloads, sep="\n")
        # A triggerer that dies may tell of a run once more.
        return list(dict.fromkeys(payload["run_id"] for payload in payloads))

    output = AgentRunOutputOperator.partial(
        task_id="output", retries=2, retry_delay=timedelta(seconds=10), map_index_template="{{ task.run_id }}"
    ).expand(run_id=run_ids())

    @task
    def summaries(outputs: list[dict]) -> list[str]:
        """Gather one line from each output."""
        return [artifact["summary"] for output in outputs for artifact in output["artifacts"]]

    summaries(output.output)

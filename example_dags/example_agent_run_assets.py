# SPDX-License-Identifier: Apache-2.0
"""
Starts this DAG when agent runs complete, whoever started them, and combines their outputs.

The asset receives one event per run. Airflow starts the DAG with all events that have arrived since its last run. Each
event reaches a DAG run, also if many arrive together. On Airflow 3.3, each run is reported at least once, even if the
triggerer is killed, the DAG is paused, or the watcher is edited.
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
            # Without `agent`: all agents. Without `statuses`: also runs that failed or are interrupted.
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
        """Return the IDs of the runs in the asset events that started this DAG run."""
        events = triggering_asset_events[completed_runs]
        # An event that a person created in Airflow's UI has no payload.
        payloads = [event.extra["payload"] for event in events if "payload" in event.extra]
        print(*payloads, sep="\n")
        # If a triggerer is killed, a run can be reported twice.
        return list(dict.fromkeys(payload["run_id"] for payload in payloads))

    output = AgentRunOutputOperator.partial(
        task_id="output", retries=2, retry_delay=timedelta(seconds=10), map_index_template="{{ task.run_id }}"
    ).expand(run_id=run_ids())

    @task
    def summaries(outputs: list[dict]) -> list[str]:
        """Return one summary per artifact."""
        return [artifact["summary"] for output in outputs for artifact in output["artifacts"]]

    summaries(output.output)

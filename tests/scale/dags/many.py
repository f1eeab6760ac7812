# SPDX-License-Identifier: Apache-2.0
"""A DAG that waits for many agent runs at the same time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

with DAG("many_runs", schedule=None, start_date=datetime(2026, 1, 1)):

    @task
    def run_ids() -> Any:
        return get_current_context()["dag_run"].conf["run_ids"]

    AgentRunSensor.partial(task_id="wait", deferrable=True, poke_interval=5).expand(run_id=run_ids())

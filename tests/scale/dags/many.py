# SPDX-License-Identifier: Apache-2.0
"""The DAGs of many waits at a time: for agent runs, and, with a sensor of Airflow's own, for files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG, get_current_context, task

from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor


def dag(name: str) -> DAG:
    """Return a DAG that only a test starts."""
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1))


@task
def each(key: str) -> Any:
    """Hand on what the test has given as ``conf``."""
    return get_current_context()["dag_run"].conf[key]


with dag("many_runs"):
    AgentRunSensor.partial(task_id="wait", deferrable=True, poke_interval=5).expand(run_id=each("run_ids"))

with dag("many_files"):
    FileSensor.partial(task_id="wait", deferrable=True, poke_interval=5).expand(filepath=each("files"))

# SPDX-License-Identifier: Apache-2.0
"""A DAG that starts a run for each business, answers its question, and returns its output."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task, task_group

from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
    AgentRunResumeOperator,
)

#: Workers are killed repeatedly.
PATIENT = {"retries": 20, "retry_delay": timedelta(seconds=1)}


@task(**PATIENT)
def businesses() -> Any:
    return get_current_context()["dag_run"].conf["businesses"]


with DAG("soak", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=64):

    @task_group
    def case(business_id: str) -> None:
        started = AgentRunOperator(
            task_id="start",
            agent="approval",
            business_id=business_id,
            wait_for="interrupted",
            deferrable=True,
            poll_interval=2,
            **PATIENT,
        )
        answered = AgentRunResumeOperator(
            task_id="answer",
            run_id=started.output["run_id"],
            interrupt_id="{{ ti.xcom_pull('case.start', map_indexes=ti.map_index)['interrupts'][0]['id'] }}",
            input={"decision": "approve"},
            **PATIENT,
        )
        answered >> AgentRunOutputOperator(
            task_id="output", run_id=started.output["run_id"], deferrable=True, poll_interval=2, **PATIENT
        )

    case.expand(business_id=businesses())

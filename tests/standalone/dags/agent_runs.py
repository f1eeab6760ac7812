# SPDX-License-Identifier: Apache-2.0
"""DAGs with one task each. Tests start them."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
    AgentRunResumeOperator,
)

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
RETRY = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def dag(name: str) -> DAG:
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1))


with dag("start"):
    AgentRunOperator(task_id="review", agent="slow", business_id=BUSINESS, deferrable=True, poll_interval=0.5, **RETRY)

with dag("start_only"):
    AgentRunOperator(task_id="review", agent="needs_approval", business_id="b-of-start-only", wait_for=())

with dag("answer"):
    AgentRunResumeOperator(
        task_id="answer",
        run_id="{{ dag_run.conf['run_id'] }}",
        interrupt_id="{{ dag_run.conf['interrupt_id'] }}",
        input={"decision": "approve"},
        wait_for="completed",
        deferrable=True,
        poll_interval=0.5,
        **RETRY,
    )

with dag("patient"):
    AgentRunOutputOperator(
        task_id="output",
        run_id="{{ dag_run.conf['run_id'] }}",
        on_interrupt="wait",
        deferrable=True,
        poll_interval=0.5,
        **RETRY,
    )

# SPDX-License-Identifier: Apache-2.0
"""Lets a person answer an agent's question on Airflow's Required Actions page, and then returns the output."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_agentruns.operators.agent_run import (
    AgentRunOperator,
    AgentRunOutputOperator,
    AgentRunReviewOperator,
)

with DAG(
    "example_agent_run_review",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        "agent": Param("needs_approval", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
    default_args={"deferrable": True, "retries": 2, "retry_delay": timedelta(seconds=30)},
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="interrupted",
    )
    review = AgentRunReviewOperator(
        task_id="review",
        run_id=start.output["run_id"],
        interrupt="{{ ti.xcom_pull('start')['interrupts'][0]['id'] }}",
        params={"reason": Param(None, type=["null", "string"], title="Why?", maxLength=500)},
    )
    output = AgentRunOutputOperator(task_id="output", run_id=start.output["run_id"])
    start >> review >> output

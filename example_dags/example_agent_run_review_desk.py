# SPDX-License-Identifier: Apache-2.0
"""
One DAG with the reviews of all pipelines.

A pipeline triggers this DAG for each of its runs that asks something, and waits for the run to end. Reviewers find all
questions in one DAG, and need permissions for that DAG only.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunOutputOperator, review_rounds

RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30)}

with DAG(
    "example_agent_run_review_desk",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"run_id": Param(type="string", description="The ID of an agent run that asks something.")},
    default_args={"deferrable": True, **RETRIES},
):
    review_rounds("reviewed", run_id="{{ params.run_id }}", rounds=5)

with DAG(
    "example_agent_run_pipeline",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        "agent": Param("needs_approval", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
    default_args=RETRIES,
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for=("completed", "interrupted"),
        deferrable=True,
    )

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def asks_something(result: dict) -> bool:
        """Continue to the review only if the run waits for a person. Otherwise it has completed."""
        return bool(result.get("interrupts"))

    to_the_desk = TriggerDagRunOperator(
        task_id="to_the_desk",
        trigger_dag_id="example_agent_run_review_desk",
        conf={"run_id": "{{ ti.xcom_pull('start', key='run_id') }}"},
    )
    output = AgentRunOutputOperator(
        task_id="output",
        run_id=start.output["run_id"],
        on_interrupt="wait",
        deferrable=True,
        trigger_rule="none_failed",
    )
    asks_something(start.output) >> to_the_desk >> output

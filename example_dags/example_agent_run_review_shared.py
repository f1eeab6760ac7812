# SPDX-License-Identifier: Apache-2.0
"""
One DAG contains the forms of all pipelines.

Reviewers find all questions in the DAG ``example_agent_run_reviews``, and need permissions for this DAG only. A
pipeline starts an agent run, starts that DAG for this run, and waits for the run's output. Unpause both DAGs, and
trigger the pipeline.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunOutputOperator, review_rounds

DEFAULTS = {"deferrable": True, "retries": 2, "retry_delay": timedelta(seconds=30)}

with DAG(
    "example_agent_run_reviews",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"run_id": Param(type="string", description="Pipelines set this. Trigger a pipeline, not this DAG.")},
    default_args=DEFAULTS,
):
    # If the run asks nothing, Airflow skips the reviews.
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
    default_args=DEFAULTS,
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="start",
    )
    request_review = TriggerDagRunOperator(
        task_id="request_review",
        trigger_dag_id="example_agent_run_reviews",
        conf={"run_id": "{{ ti.xcom_pull('start')['run_id'] }}"},
        # The task does not wait for the other DAG.
        deferrable=False,
    )
    # Waits until the run has completed, because the other DAG answers its questions.
    output = AgentRunOutputOperator(task_id="output", run_id=start.output["run_id"], on_interrupt="wait")
    start >> request_review >> output

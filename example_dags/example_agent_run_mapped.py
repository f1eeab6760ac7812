# SPDX-License-Identifier: Apache-2.0
"""Starts one agent run for each business in a list, all at the same time, and combines their outputs."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator

with DAG(
    "example_agent_run_mapped",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
):

    @task
    def businesses() -> list[str]:
        """Return the IDs of the businesses to review. Replace this with your own query."""
        return [
            "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e01",
            "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e02",
            "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e03",
        ]

    review = AgentRunOperator.partial(
        task_id="review",
        agent="slow",
        deferrable=True,
        # A retry waits for the run that the first try started.
        retries=2,
        retry_delay=timedelta(seconds=10),
        map_index_template="{{ task.business_id }}",
    ).expand(business_id=businesses())

    @task
    def summaries(outputs: list[dict]) -> list[str]:
        """Return one summary per artifact."""
        return [artifact["summary"] for output in outputs for artifact in output["artifacts"]]

    summaries(review.output)

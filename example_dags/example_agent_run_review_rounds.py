# SPDX-License-Identifier: Apache-2.0
"""Lets people answer all questions of a run: simultaneous questions side by side, follow-up questions in rounds."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, review_rounds

with DAG(
    "example_agent_run_review_rounds",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        # This agent asks two questions at once. The agent two_rounds asks a second question after the first answer.
        "agent": Param("two_questions", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
    default_args={"deferrable": True, "retries": 2, "retry_delay": timedelta(seconds=30)},
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="start",
    )
    reviewed = review_rounds("reviewed", run_id=start.output["run_id"], rounds=2)

    @task
    def report(output: dict) -> list[str]:
        """Return the titles of the artifacts."""
        return [artifact["title"] for artifact in output["artifacts"]]

    report(reviewed.output)

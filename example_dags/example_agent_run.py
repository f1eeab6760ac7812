# SPDX-License-Identifier: Apache-2.0
"""Starts an agent run, waits for it without occupying a worker, and passes its output to the next task."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator

with DAG(
    "example_agent_run",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        # An agent of the offline service. Use one that the service lists for your account.
        "agent": Param("slow", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
):
    review = AgentRunOperator(
        task_id="review",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        deferrable=True,
    )

    @task
    def report(output: dict) -> list[str]:
        """Return one line per artifact of the output."""
        lines = [f"{artifact['title']}: {artifact.get('summary')}" for artifact in output["artifacts"]]
        print(*lines, sep="\n")
        return lines

    report(review.output)

# SPDX-License-Identifier: Apache-2.0
"""
Starts one agent run for each of 5,000 businesses, and counts the artifacts of all runs.

Airflow maps a task over at most 1,024 values (``[core] max_map_length``), so this DAG maps one task per batch. The pool
``agent_runs`` limits how many workers start runs at the same time; deferred tasks do not use it. Airflow never runs a
task whose pool does not exist, so create the pool first: ``airflow pools set agent_runs 8 "Starts of agent runs"``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator

#: Up to 1,024 runs each.
BATCHES = 5

with DAG(
    "example_agent_run_thousands",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"runs": Param(5000, type="integer", minimum=1, maximum=1024 * BATCHES)},
):

    @task
    def businesses(params: dict) -> list[str]:
        """Return the IDs of the businesses to review. Replace this with your own query."""
        return [str(UUID(int=number)) for number in range(params["runs"])]

    @task
    def batch(all_businesses: list[str], number: int) -> list[str]:
        """Return one of the batches, which differ in size by at most one."""
        return all_businesses[number::BATCHES]

    @task
    def count(outputs: list[dict]) -> int:
        """Return the number of artifacts."""
        return sum(len(output["artifacts"]) for output in outputs)

    # Also runs if batches were skipped because they are empty.
    @task(trigger_rule="none_failed")
    def total(counts: list[int | None]) -> int:
        """Return the number of all artifacts."""
        return sum(number or 0 for number in counts)

    found = businesses()
    counts = []
    for number in range(BATCHES):
        review = AgentRunOperator.partial(
            task_id=f"review_{number}",
            agent="slow",
            deferrable=True,
            pool="agent_runs",
            retries=2,
            retry_delay=timedelta(seconds=30),
        ).expand(business_id=batch.override(task_id=f"batch_{number}")(found, number))
        counts.append(count.override(task_id=f"count_{number}")(review.output))
    total(counts)

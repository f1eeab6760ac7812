# SPDX-License-Identifier: Apache-2.0
"""Starts a run for the business that a function returns, with ``@task.agent_run``."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param, task

with DAG(
    "example_agent_run_decorator",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"case": Param("C-1001", type="string", enum=["C-1001", "C-1002"])},
):

    @task.agent_run(agent="slow", deferrable=True)
    def review(params: dict) -> str:
        """Return the ID of the business to review. Replace the dict with your own query."""
        businesses = {
            "C-1001": "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e01",
            "C-1002": "3f6d2a54-8f0e-4c53-9a3b-0d1c5b7a9e02",
        }
        return businesses[params["case"]]

    @task
    def report(output: dict) -> list[str]:
        """Return one line per artifact. The value of an ``agent_run`` task is the output of its run."""
        return [f"{artifact['title']}: {artifact['summary']}" for artifact in output["artifacts"]]

    report(review())

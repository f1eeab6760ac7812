# SPDX-License-Identifier: Apache-2.0
"""Wait for an agent run that somebody else started, and go on by whether it is done or asks something."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOutputOperator
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

with DAG(
    "example_agent_run_sensor",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"run_id": Param(type="string", description="The id of the agent run to wait for.")},
):
    wait = AgentRunSensor(
        task_id="wait",
        run_id="{{ params.run_id }}",
        wait_for=("completed", "interrupted"),
        deferrable=True,
        timeout=24 * 60 * 60,
    )

    @task.branch
    def decide(run: dict) -> str:
        """Choose the way by the run's status."""
        return "output" if run["status"] == "completed" else "tell_people"

    output = AgentRunOutputOperator(task_id="output", run_id="{{ params.run_id }}")

    @task
    def tell_people(run: dict) -> list[str]:
        """List what the agent asks."""
        questions = [interrupt["value"].get("label", interrupt["id"]) for interrupt in run["interrupts"]]
        print(*questions, sep="\n")
        return questions

    decide(wait.output) >> [output, tell_people(wait.output)]

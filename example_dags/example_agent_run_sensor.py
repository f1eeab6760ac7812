# SPDX-License-Identifier: Apache-2.0
"""Waits for an agent run that something else started, and branches by whether it completed or asks something."""

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
    params={"run_id": Param(type="string", description="The ID of the agent run to wait for.")},
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
        """Return the next task by the run's status."""
        return "output" if run["status"] == "completed" else "show_questions"

    output = AgentRunOutputOperator(task_id="output", run_id="{{ params.run_id }}")

    @task
    def show_questions(run: dict) -> list[str]:
        """Return the questions of the agent."""
        questions = [interrupt["value"].get("label", interrupt["id"]) for interrupt in run["interrupts"]]
        print(*questions, sep="\n")
        return questions

    decide(wait.output) >> [output, show_questions(wait.output)]

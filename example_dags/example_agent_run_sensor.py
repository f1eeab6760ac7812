# SPDX-License-Identifier: Apache-2.0
"""Waits for a run whose ID is known, and branches by whether the run has completed or asks something."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunOutputOperator
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

with DAG(
    "example_agent_run_sensor",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={
        "agent": Param("two_questions", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
):
    # Replaces the program that starts your runs. If another program starts them, pass the ID that it received, such as
    # run_id="{{ dag_run.conf['run_id'] }}".
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="start",
    )
    wait = AgentRunSensor(
        task_id="wait",
        run_id=start.output["run_id"],
        wait_for=("completed", "interrupted"),
        deferrable=True,
        timeout=24 * 60 * 60,
    )

    @task.branch
    def decide(run: dict) -> str:
        """Return the next task by the run's status."""
        return "output" if run["status"] == "completed" else "show_questions"

    output = AgentRunOutputOperator(task_id="output", run_id=start.output["run_id"])

    @task
    def show_questions(run: dict) -> list[str]:
        """Return the questions of the agent."""
        questions = [interrupt["value"].get("label", interrupt["id"]) for interrupt in run["interrupts"]]
        print(*questions, sep="\n")
        return questions

    decide(wait.output) >> [output, show_questions(wait.output)]

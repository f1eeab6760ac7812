# SPDX-License-Identifier: Apache-2.0
"""The DAGs that the tests of reviews start; each takes a run's id as ``conf``."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator, review_rounds

RUN = "{{ dag_run.conf['run_id'] }}"
INTERRUPT = "{{ dag_run.conf['interrupt_id'] }}"
RETRY = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def dag(name: str) -> DAG:
    """Return a DAG that only a test starts."""
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1))


with dag("review"):
    AgentRunReviewOperator(task_id="review", run_id=RUN, interrupt=INTERRUPT, **RETRY)

with dag("rounds"):
    reviewed = review_rounds("reviewed", run_id=RUN, rounds=2, deferrable=True, poke_interval=0.5)

    @task
    def report(output: dict) -> list[str]:
        """Say what became of it."""
        return [artifact["title"] for artifact in output["artifacts"]]

    report(reviewed.output)

with dag("defaults"):
    AgentRunReviewOperator(
        task_id="review",
        run_id=RUN,
        interrupt=INTERRUPT,
        defaults="Reject",
        response_timeout=timedelta(seconds=5),
    )

with dag("no_defaults"):
    AgentRunReviewOperator(task_id="review", run_id=RUN, interrupt=INTERRUPT, response_timeout=timedelta(seconds=5))

with dag("fields"):
    AgentRunReviewOperator(
        task_id="review",
        run_id=RUN,
        interrupt=INTERRUPT,
        options=["Yes", "No", "Later"],
        params={"reason": Param("", type="string", title="Why")},
        build_input={"decision": "{{ answer.decision }}", "why": "{{ answer.fields.reason }}"},
    )

# SPDX-License-Identifier: Apache-2.0
"""DAGs with reviews. Tests start them with a run ID in ``conf``."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator, review_rounds

RUN = "{{ dag_run.conf['run_id'] }}"
INTERRUPT = "{{ dag_run.conf['interrupt_id'] }}"
RETRY = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def dag(name: str, **default_args: Any) -> DAG:
    return DAG(name, schedule=None, start_date=datetime(2026, 1, 1), default_args=default_args)


class DiesAfterAsking(AgentRunReviewOperator):
    """Its first worker dies after it has shown the form, before Airflow knows that the task waits."""

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        finally:
            if context["ti"].try_number == 1:
                os.kill(os.getpid(), signal.SIGKILL)


with dag("review"):
    AgentRunReviewOperator(task_id="review", run_id=RUN, interrupt=INTERRUPT, **RETRY)

with dag("no_retries"):
    AgentRunReviewOperator(task_id="review", run_id=RUN, interrupt=INTERRUPT)

with dag("rounds", **RETRY):
    reviewed = review_rounds("reviewed", run_id=RUN, rounds=2, deferrable=True, poke_interval=0.5)

    @task
    def report(output: dict) -> list[str]:
        return [artifact["title"] for artifact in output["artifacts"]]

    report(reviewed.output)

with dag("defaults", **RETRY):
    AgentRunReviewOperator(
        task_id="review", run_id=RUN, interrupt=INTERRUPT, defaults="Reject", response_timeout=timedelta(seconds=15)
    )

with dag("no_defaults"):
    AgentRunReviewOperator(task_id="review", run_id=RUN, interrupt=INTERRUPT, response_timeout=timedelta(seconds=15))

with dag("fields", **RETRY):
    AgentRunReviewOperator(
        task_id="review",
        run_id=RUN,
        interrupt=INTERRUPT,
        options=["Yes", "No", "Later"],
        params={"reason": Param("", type="string", title="Why")},
        build_input={"decision": "{{ answer.decision }}", "why": "{{ answer.fields.reason }}"},
        feedback=True,
    )

with dag("dies_after_asking"):
    DiesAfterAsking(task_id="review", run_id=RUN, interrupt=INTERRUPT, **RETRY)

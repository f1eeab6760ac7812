# SPDX-License-Identifier: Apache-2.0
"""Notifies people of a question, and reminds them if nobody has answered after some hours."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.providers.standard.sensors.time_delta import WaitSensor
from airflow.sdk import DAG, BaseNotifier, Param, task

from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.operators.agent_run import AgentRunReviewOperator
from airflow_provider_agentruns.sensors.agent_run import AgentRunSensor

log = logging.getLogger(__name__)


class LogNotifier(BaseNotifier):
    """Writes to the log. Replace it with one of Airflow's notifiers for Slack or email."""

    def notify(self, context: dict) -> None:
        """Log the link to the form."""
        log.info("An agent asks a question: %s", context["task"].generate_link_to_ui_from_context(context=context))


with DAG(
    "example_agent_run_review_reminder",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["agentruns"],
    params={"run_id": Param(type="string", description="The ID of an agent run.")},
    default_args={"deferrable": True},
):
    wait = AgentRunSensor(task_id="wait", run_id="{{ params.run_id }}", wait_for="interrupted")
    review = AgentRunReviewOperator(
        task_id="review",
        run_id="{{ params.run_id }}",
        interrupt="{{ ti.xcom_pull('wait')['interrupts'][0]['id'] }}",
        notifiers=[LogNotifier()],
        # If nobody answers, the harmless answer is sent.
        response_timeout=timedelta(days=3),
        defaults="Reject",
    )
    patience = WaitSensor(task_id="patience", time_to_wait=timedelta(hours=4))

    @task
    def remind(run: dict) -> str:
        """Remind people unless someone has answered, here or elsewhere."""
        [asked, *_] = run["interrupts"]
        if AgentRunHook().get_run(run["run_id"]).pending(asked["id"]) is None:
            return "answered"
        log.warning("Still waiting for an answer: %s", asked["value"].get("label"))
        return "reminded"

    wait >> [review, patience]
    patience >> remind(wait.output)

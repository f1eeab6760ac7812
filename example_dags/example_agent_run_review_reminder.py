# SPDX-License-Identifier: Apache-2.0
"""
Notifies people of a question, and reminds them if nobody has answered after four hours.

The form and the clock start at the same time. When the clock ends, a task reads the run, and reminds people only if the
question is still open.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.providers.standard.sensors.time_delta import WaitSensor
from airflow.sdk import DAG, BaseNotifier, Param, task

from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.operators.agent_run import AgentRunOperator, AgentRunReviewOperator

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
    params={
        "agent": Param("needs_approval", type="string"),
        "business_id": Param("0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10", type="string", format="uuid"),
    },
    default_args={"deferrable": True},
):
    start = AgentRunOperator(
        task_id="start",
        agent="{{ params.agent }}",
        business_id="{{ params.business_id }}",
        wait_for="interrupted",
    )
    review = AgentRunReviewOperator(
        task_id="review",
        run_id=start.output["run_id"],
        interrupt="{{ ti.xcom_pull('start')['interrupts'][0]['id'] }}",
        # Notified once, when the form appears.
        notifiers=[LogNotifier()],
        # If nobody answers within three days, the task sends this answer.
        response_timeout=timedelta(days=3),
        defaults="Reject",
    )
    clock = WaitSensor(task_id="clock", time_to_wait=timedelta(hours=4))

    @task
    def remind(run: dict) -> str:
        """Remind people if the question is still open, wherever they could have answered it."""
        question = run["interrupts"][0]
        if AgentRunHook().get_run(run["run_id"]).pending(question["id"]) is None:
            return "answered"
        log.warning("Still waiting for an answer: %s", question["value"].get("label"))
        return "reminded"

    start >> [review, clock]
    clock >> remind(start.output)

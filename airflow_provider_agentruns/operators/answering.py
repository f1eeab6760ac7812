# SPDX-License-Identifier: Apache-2.0
"""Answers what a run asks, for the tasks that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.idempotency.resume_run import Answered, answer_once

if TYPE_CHECKING:
    from airflow.sdk import Context


def answer_interrupt(
    task: AgentRunTask, context: Context, run_id: str, interrupt_id: str, answer: Any, question: str | None = None
) -> Answered:
    """
    Answer one pending interrupt; see :func:`~airflow_provider_agentruns.idempotency.resume_run.answer_once`.

    :param answer: Any JSON value.
    :param question: The digest of what was asked when the answer was given, if known.
    """
    task.run_page = task.hook.settings.run_page(run_id)
    try:
        answered = answer_once(
            run_id,
            interrupt_id,
            answer,
            send=task.hook.send,
            store=state_store(context),
            is_retry=task.current_attempt(context).number > 1,
            question=question,
        )
    except AgentRunsError as e:
        metrics.resumed(task.agentruns_conn_id, type(e).__name__)
        raise
    metrics.resumed(task.agentruns_conn_id, "confirmed" if answered.confirmed else "presumed")
    return answered

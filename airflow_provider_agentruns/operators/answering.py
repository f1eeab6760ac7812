# SPDX-License-Identifier: Apache-2.0
"""Reads and answers what a run asks, for the tasks that answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.exceptions import AgentRunInterruptGoneError, AgentRunsError
from airflow_provider_agentruns.idempotency.interrupt_state import read_interrupt
from airflow_provider_agentruns.idempotency.resume_run import Answered, answer_once
from airflow_provider_agentruns.models import AgentRun, Interrupt

if TYPE_CHECKING:
    from airflow.sdk import Context


def answer_interrupt(
    task: AgentRunTask,
    context: Context,
    run_id: str,
    interrupt_id: str,
    answer: Any,
    question: str | None = None,
    seen: str | None = None,
) -> Answered:
    """Answer a pending interrupt; see :func:`~airflow_provider_agentruns.idempotency.resume_run.answer_once`."""
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
            seen=seen,
        )
    except AgentRunsError as e:
        metrics.resumed(task.agentruns_conn_id, type(e).__name__)
        raise
    metrics.resumed(task.agentruns_conn_id, "confirmed" if answered.confirmed else "presumed")
    return answered


def read_pending(
    task: AgentRunTask, run_id: str, interrupt_id: str, *, question: str | None, seen: str | None
) -> tuple[AgentRun, Interrupt]:
    """
    Return a run and its pending interrupt. Read again for some seconds if the response is outdated.

    :param question: The digest of the question at an earlier read, if any.
    :param seen: The run's ``updated_at`` at that read in ISO 8601, if known.
    :raises AgentRunInterruptGoneError: If the interrupt is not pending.
    :raises AgentRunReviewError: If several questions have this ID.
    """
    run, interrupt = read_interrupt(
        lambda: cast("AgentRun", task.read_run(run_id)),
        interrupt_id,
        question=question,
        seen=seen,
        until=("open",),
        sleep=time.sleep,
    )
    if interrupt is None:
        raise AgentRunInterruptGoneError.of(run_id, interrupt_id, run, "another client may have answered it")
    return run, interrupt

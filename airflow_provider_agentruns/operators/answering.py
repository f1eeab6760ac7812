# SPDX-License-Identifier: Apache-2.0
"""Reads, answers, and rates what a run asks, for the tasks that answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.base import AgentRunTask, state_store
from airflow_provider_agentruns.exceptions import AgentRunInterruptGoneError, AgentRunsError
from airflow_provider_agentruns.idempotency.probe import (
    hides_questions,
    interrupt_state,
    no_question,
    read_until,
)
from airflow_provider_agentruns.idempotency.resume_run import Answered, answer_once

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_agentruns.models import Interrupt


def pending_interrupt(task: AgentRunTask, run_id: str, interrupt_id: str, expected: str | None = None) -> Interrupt:
    """
    Return an interrupt as the run shows it now.

    :param task: The task that reads it.
    :param run_id: The ID of the run.
    :param interrupt_id: The ID of the interrupt.
    :param expected: The digest of what it asked, if known. If a response shows something else, the run is read again
        for some seconds, because a response can be outdated.
    :raises AgentRunInterruptGoneError: If it is not pending.
    """
    run = task.read_run(run_id)
    if run and interrupt_state(run, interrupt_id, expected) == "unclear":
        run = read_until(
            lambda: task.hook.get_run(run_id),
            lambda run: interrupt_state(run, interrupt_id, expected) != "unclear",
            time.sleep,
        )
    if run and (interrupt := run.pending(interrupt_id)):
        return interrupt
    if run and hides_questions(run):
        raise no_question(run_id, interrupt_id)
    raise AgentRunInterruptGoneError.of(run_id, interrupt_id, run, "another client may have answered it")


def answer_interrupt(
    task: AgentRunTask, context: Context, run_id: str, interrupt_id: str, answer: Any, question: str | None = None
) -> Answered:
    """
    Answer one pending interrupt; see :func:`~airflow_provider_agentruns.idempotency.resume_run.answer_once`.

    :param task: The task that answers.
    :param context: The task's context.
    :param run_id: The ID of the run.
    :param interrupt_id: The ID of the interrupt.
    :param answer: Any JSON value.
    :param question: The digest of what was asked when the answer was given, if known.
    """
    settings = task.hook.settings
    task.run_page = settings.run_page(run_id)
    try:
        answered = answer_once(
            run_id,
            interrupt_id,
            answer,
            send=task.hook.send,
            store=state_store(context),
            resume_body=settings.resume_body,
            log=task.log,
            question=question,
        )
    except AgentRunsError as e:
        metrics.resumed(task.agentruns_conn_id, type(e).__name__)
        raise
    metrics.resumed(task.agentruns_conn_id, "confirmed" if answered.confirmed else "presumed")
    return answered


def rate_artifact(
    task: AgentRunTask, run_id: str, artifact_id: str, rating: str, comment: str | None
) -> dict[str, Any]:
    """
    Rate an artifact, and return what was sent, with the error if it failed.

    :param task: The task that rates it.
    :param run_id: The ID of the run.
    :param artifact_id: The ID of the artifact.
    :param rating: ``POSITIVE`` or ``NEGATIVE``.
    :param comment: The reason, if the person gave one.
    """
    given = {"artifact_id": artifact_id, "rating": rating, "comment": comment}
    try:
        task.hook.rate_artifact(run_id, artifact_id, rating, comment)
    except AgentRunsError as e:
        # Without the message, in which the service can repeat the comment.
        task.log.warning("The answer was sent, but not the rating of the artifact: %s", type(e).__name__)
        return {**given, "error": str(e)}
    return given

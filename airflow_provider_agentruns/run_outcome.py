# SPDX-License-Identifier: Apache-2.0
"""Decides whether a run's status ends a wait, and describes the outcome. No Airflow, no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunFailedError, AgentRunInterruptedError
from airflow_provider_agentruns.text import quoted, single_line

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun, Step

_MAX_QUESTIONS = 10


def has_reached(run: AgentRun, wait_for: Collection[str], *, fail_on_interrupt: bool = False) -> bool:
    """
    Return whether a wait is over.

    :raises AgentRunFailedError: If the run ended with a status that is not awaited.
    :raises AgentRunInterruptedError: If the run is interrupted and ``fail_on_interrupt`` is set.
    """
    if run.status in wait_for:
        return True
    if run.status == "error":
        raise AgentRunFailedError(describe_failure(run))
    if run.status.finished:
        raise AgentRunFailedError(
            f"Agent run {single_line(run.id)} is {single_line(run.status)}, and can no longer become "
            f"{' or '.join(wait_for)}"
        )
    if run.status == "interrupted" and fail_on_interrupt:
        raise AgentRunInterruptedError(
            f"Agent run {single_line(run.id)} waits for a person: {describe_questions(run)}. Answer with "
            'AgentRunReviewOperator or AgentRunResumeOperator, or set on_interrupt="wait" if someone answers elsewhere'
        )
    return False


def log_status(log: Callable[..., Any], run_id: str, status: str, previous: str | None) -> None:
    """Log a changed status with an Airflow logger, as text and as searchable fields."""
    run_id, status = single_line(run_id), single_line(status)
    fields = {"agent_run_id": run_id, "agent_run_status": status, "agent_run_was": previous}
    log(logging.INFO, "Agent run %s is %s", run_id, status, **fields)


def describe_failure(run: AgentRun) -> str:
    agent = f" of {single_line(run.agent)}" if run.agent else ""
    return f"Agent run {single_line(run.id)}{agent} ended in error {failure_reason(run)}"


def failure_reason(run: AgentRun) -> str:
    """Return the failing step and the messages of the service, for the end of a sentence."""
    steps = [step for root in run.steps or () for step in root.walk()]
    # The innermost step failed first. The steps around it failed because of it.
    failing = [step for step in steps if step.status == "error" or step.type == "error"]
    unknown = "and its steps are unknown" if run.steps is None else "and the service names no failing step"
    where = f"at the step {_step_name(failing[-1])}" if failing else unknown
    said = _messages(failing[-1].model_extra, failing[-1].result) if failing else []
    messages = said or _messages(run.model_extra)
    return f"{where}: {'; '.join(messages)}" if messages else where


def describe_questions(run: AgentRun) -> str:
    asked = run.interrupts[:_MAX_QUESTIONS]
    shown = [f"{quoted(interrupt.label, 300)} (interrupt {single_line(interrupt.id)})" for interrupt in asked]
    if (more := len(run.interrupts) - _MAX_QUESTIONS) > 0:
        shown.append(f"and {more} more")
    return ", ".join(shown) or "the service shows no question yet"


def _messages(fields: dict[str, Any] | None, result: Any = None) -> list[str]:
    """Return the messages of a failing step or run from the usual places. The API specification defines none."""
    fields = fields or {}
    errors = fields.get("errors")
    places = [fields, result, fields.get("error"), *(errors if isinstance(errors, list) else ())]
    found = [place.get("message") if isinstance(place, dict) else place for place in places]
    texts = [single_line(text, 500) for text in found if isinstance(text, str) and text.strip()]
    return list(dict.fromkeys(texts))[:3]


def _step_name(step: Step) -> str:
    label = step.label or step.name or step.id or "without a name"
    return quoted(label) + (f" ({single_line(step.name)})" if step.name and step.name != label else "")

# SPDX-License-Identifier: Apache-2.0
"""What a run's status means to a task that waits for it, and the messages about it. Free of Airflow and I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.exceptions import AgentRunFailedError, AgentRunInterruptedError

if TYPE_CHECKING:
    # Building the models is slow, and Airflow imports this module whenever it parses a DAG file.
    from airflow_provider_agentruns.models import AgentRun, Step

_QUESTIONS_SHOWN = 10
_QUESTION_LENGTH = 300

_MESSAGES_SHOWN = 3
_MESSAGE_LENGTH = 500


def has_reached(run: AgentRun, wait_for: Collection[str], *, fail_on_interrupt: bool = False) -> bool:
    """
    Say whether a wait is over.

    :param run: The run; with its steps where it ended as ``error``.
    :param wait_for: The awaited statuses.
    :param fail_on_interrupt: Whether an interrupt that is not awaited ends the wait as a failure.
    :raises AgentRunFailedError: If the run has ended, and not as awaited.
    :raises AgentRunInterruptedError: If it is interrupted, and that counts as a failure.
    """
    if run.status in wait_for:
        return True
    if run.status == "error":
        raise AgentRunFailedError(describe_failure(run))
    if run.status.finished:
        raise AgentRunFailedError(
            f"Agent run {run.id} is {run.status}, and can no longer become {' or '.join(wait_for)}"
        )
    if run.status == "interrupted" and fail_on_interrupt:
        raise AgentRunInterruptedError(
            f"Agent run {run.id} waits for a person: {describe_questions(run)}. Answer with AgentRunReviewOperator or "
            'AgentRunResumeOperator, or set on_interrupt="wait" where somebody answers elsewhere'
        )
    return False


def log_status(tell: Callable[..., Any], run_id: str, status: str, was: str | None) -> None:
    """
    Log what a run has become, in words and as fields that a log store can be searched by.

    :param tell: Takes a level, a message with its arguments, and fields; as ``log`` of Airflow's loggers does.
    :param was: What it was when it was last logged, where it was.
    """
    fields = {"agent_run_id": run_id, "agent_run_status": str(status), "agent_run_was": was}
    tell(logging.INFO, "Agent run %s is %s", run_id, status, **fields)


def describe_failure(run: AgentRun) -> str:
    """Say that a run ended as ``error``, at which step, and what the service says about that."""
    steps = [step for root in run.steps or () for step in root.walk()]
    # The innermost is where it happened; those around it fail because of it.
    failing = [step for step in steps if step.status == "error" or step.type == "error"]
    where = f"at the step {_name(failing[-1])}" if failing else "and the service names no failing step"
    who = f" of {run.agent}" if run.agent else ""
    said = (failing and _messages(failing[-1].model_extra, failing[-1].result)) or _messages(run.model_extra)
    return f"Agent run {run.id}{who} ended in error {where}{': ' if said else ''}{'; '.join(said)}"


def describe_questions(run: AgentRun) -> str:
    """List the questions that a run waits with, each with the interrupt's id."""
    shown = [
        f"{interrupt.label[:_QUESTION_LENGTH]!r} (interrupt {interrupt.id})"
        for interrupt in run.interrupts[:_QUESTIONS_SHOWN]
    ]
    if (more := len(run.interrupts) - _QUESTIONS_SHOWN) > 0:
        shown.append(f"and {more} more")
    return ", ".join(shown) or "the service shows no question yet"


def _messages(fields: dict[str, Any] | None, result: Any = None) -> list[str]:
    """
    Return what a failing step, or the run, says of itself.

    The contract has no field for that, though its errors have a ``message``: so look where one would be.

    :param fields: The fields that the contract does not know.
    """
    fields = fields or {}
    errors = fields.get("errors")
    places = [fields, result, fields.get("error"), *(errors if isinstance(errors, list) else ())]
    said = [place.get("message") if isinstance(place, dict) else place for place in places]
    return list(dict.fromkeys(text[:_MESSAGE_LENGTH] for text in said if isinstance(text, str) and text.strip()))[
        :_MESSAGES_SHOWN
    ]


def _name(step: Step) -> str:
    label = step.label or step.name or step.id or "without a name"
    return f"{label!r} ({step.name})" if step.name and step.name != label else repr(label)

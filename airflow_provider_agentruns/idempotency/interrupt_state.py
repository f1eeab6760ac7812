# SPDX-License-Identifier: Apache-2.0
"""
Decides whether an interrupt is still open, before and after an answer is sent.

Only a run that has visibly changed counts as answered. A response that lacks a question, or shows it with another
field, proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from airflow_provider_agentruns.exceptions import AgentRunReviewError, AgentRunsError
from airflow_provider_agentruns.idempotency.state import Sleep
from airflow_provider_agentruns.models import AgentRun, Interrupt
from airflow_provider_agentruns.text import digest, quoted, single_line

#: Seconds between reads of a run that may have accepted an answer. The service may still be processing a request
#: whose connection broke.
_PAUSES = (0.5, 1.5, 3.0)

InterruptState = Literal["open", "closed", "unclear"]


def read_until(read: Callable[[], AgentRun], is_clear: Callable[[AgentRun], bool], sleep: Sleep) -> AgentRun:
    """Read a run for some seconds until ``is_clear`` accepts it, and return the last response."""
    run = read()
    for pause in _PAUSES:
        if is_clear(run):
            break
        sleep(pause)
        run = read()
    return run


def read_interrupt(
    read: Callable[[], AgentRun],
    interrupt_id: str,
    *,
    question: str | None,
    seen: str | None,
    until: tuple[InterruptState, ...],
    sleep: Sleep,
) -> tuple[AgentRun, Interrupt | None]:
    """
    Read a run for some seconds until an interrupt has one of some states. Return both; None if it is not pending.

    :param question: The digest of the question; None if unknown.
    :param seen: The run's ``updated_at`` at an earlier read in ISO 8601, if known.
    :raises AgentRunsError: If it is unknown whether the interrupt is pending. Another try may show it.
    :raises AgentRunReviewError: If several questions have this ID.
    """
    since = datetime.fromisoformat(seen) if seen else None
    run = read_until(read, lambda run: interrupt_state(run, interrupt_id, question, since) in until, sleep)
    if _is_older(run, since):
        how = f"as of {run.updated_at}, older than the run that it showed before"
    elif (interrupt := pending_interrupt(run, interrupt_id)) or not _hides_questions(run):
        return run, interrupt
    else:
        how = "as interrupted, but shows no question"
    raise AgentRunsError(
        f"The service shows agent run {single_line(run.id)} {how}, so it is unknown whether interrupt "
        f"{quoted(interrupt_id)} is pending. Nothing was sent"
    )


def interrupt_state(
    run: AgentRun, interrupt_id: str, question: str | None, since: datetime | None = None
) -> InterruptState:
    """Return the state of a question in a run that was just read. See :func:`read_interrupt`."""
    if _is_older(run, since):
        return "unclear"
    interrupt = pending_interrupt(run, interrupt_id)
    if interrupt is None:
        return "unclear" if _hides_questions(run) else "closed"
    # A different question: the agent used the ID again, or the service shows the same question differently.
    return "open" if question in (None, digest(interrupt.value)) else "unclear"


def pending_interrupt(run: AgentRun, interrupt_id: str) -> Interrupt | None:
    """
    Return the pending interrupt with this ID, or None.

    :raises AgentRunReviewError: If several questions have this ID, because an answer could reach the wrong one.
    """
    found = [interrupt for interrupt in run.interrupts if interrupt.id == interrupt_id]
    if any(interrupt.value != found[0].value for interrupt in found):
        raise AgentRunReviewError(
            f"Agent run {single_line(run.id)} asks {len(found)} questions with the same interrupt ID "
            f"{quoted(interrupt_id)}. IDs must be unique, because an answer could reach the wrong question. Nothing is "
            "shown or sent. Report this to the agent's provider"
        )
    return found[0] if found else None


def _hides_questions(run: AgentRun) -> bool:
    return run.status == "interrupted" and not run.interrupts


def _is_older(run: AgentRun, since: datetime | None) -> bool:
    return since is not None and run.updated_at is not None and run.updated_at < since

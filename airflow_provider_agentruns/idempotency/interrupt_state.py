# SPDX-License-Identifier: Apache-2.0
"""
Decides whether an interrupt is still open, before and after an answer is sent.

Only a run that has visibly changed since counts as answered. A response may lack a question for a moment, or show it
with one more field; neither proves anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunReviewError, AgentRunsError
from airflow_provider_agentruns.idempotency.state import Sleep
from airflow_provider_agentruns.models import AgentRun, Interrupt
from airflow_provider_agentruns.text import quoted, single_line

#: Seconds between reads of a run that may have accepted the answer. The service may still be processing a request
#: whose connection broke, and gets this time before anything is sent again.
_PAUSES = (0.5, 1.5, 3.0)

InterruptState = Literal["open", "closed", "unclear"]


def read_until(read: Callable[[], AgentRun], is_clear: Callable[[AgentRun], bool], sleep: Sleep) -> AgentRun:
    """Read a run for some seconds until ``is_clear`` accepts it, and return it as it was at the last read."""
    run = read()
    for pause in _PAUSES:
        if is_clear(run):
            break
        sleep(pause)
        run = read()
    return run


def interrupt_state(
    run: AgentRun, interrupt_id: str, question: str | None, since: datetime | None = None
) -> InterruptState:
    """
    Return the state of a question in a run that was just read.

    :param question: The digest of the question; None if unknown.
    :param since: The run's ``updated_at`` at an earlier read, if known.
    """
    if is_older(run, since):
        return "unclear"
    interrupt = pending_interrupt(run, interrupt_id)
    if interrupt is None:
        return "unclear" if hides_questions(run) else "closed"
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


def hides_questions(run: AgentRun) -> bool:
    """Return whether a run is interrupted but shows no question."""
    return run.status == "interrupted" and not run.interrupts


def is_older(run: AgentRun, since: datetime | None) -> bool:
    """Return whether the service shows an older state of the run than at an earlier read."""
    return since is not None and run.updated_at is not None and run.updated_at < since


def no_question(run_id: str, interrupt_id: str) -> AgentRunsError:
    """Return the error for a run that hides its questions. Another try may see them."""
    return AgentRunsError(
        f"Agent run {single_line(run_id)} is interrupted but shows no question, so it is unknown whether interrupt "
        f"{quoted(interrupt_id)} is pending. Nothing was sent"
    )

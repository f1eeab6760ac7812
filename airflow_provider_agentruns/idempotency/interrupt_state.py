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


class InterruptReader:
    """
    Reads a run for some seconds, until the state of one interrupt is clear.

    :param read: Reads the run.
    :param question: The digest of the question; None if unknown.
    :param seen: The run's ``updated_at`` at an earlier read in ISO 8601; None if unknown.
    """

    def __init__(
        self, read: Callable[[], AgentRun], interrupt_id: str, sleep: Sleep, question: str | None, seen: str | None
    ) -> None:
        self._read, self._sleep = read, sleep
        self._interrupt_id, self._question = interrupt_id, question
        self._since = datetime.fromisoformat(seen) if seen else None

    def read_until(self, *states: InterruptState) -> AgentRun:
        """Return the first response with one of the states, or the last response."""
        run = self._read()
        for pause in _PAUSES:
            if self.state(run) in states:
                break
            self._sleep(pause)
            run = self._read()
        return run

    def find(self, *states: InterruptState) -> tuple[AgentRun, Interrupt | None]:
        """
        Return this response and its interrupt; None if the interrupt is not pending.

        :raises AgentRunsError: If it is unknown whether the interrupt is pending. Another try may show it.
        :raises AgentRunReviewError: If several questions have this ID.
        """
        run = self.read_until(*states)
        if self._is_outdated(run):
            how = f"as of {run.updated_at}, older than the run that it showed before"
        elif (interrupt := self._pending(run)) or not _hides_questions(run):
            return run, interrupt
        else:
            how = "as interrupted, but shows no question"
        raise AgentRunsError(
            f"The service shows agent run {single_line(run.id)} {how}, so it is unknown whether interrupt "
            f"{quoted(self._interrupt_id)} is pending. Nothing was sent"
        )

    def state(self, run: AgentRun) -> InterruptState:
        """Return the state of the question in a run that was just read."""
        if self._is_outdated(run):
            return "unclear"
        interrupt = self._pending(run)
        if interrupt is None:
            return "unclear" if _hides_questions(run) else "closed"
        # A different question: the agent used the ID again, or the service shows the same question differently.
        return "open" if self._question in (None, digest(interrupt.value)) else "unclear"

    def _is_outdated(self, run: AgentRun) -> bool:
        return self._since is not None and run.updated_at is not None and run.updated_at < self._since

    def _pending(self, run: AgentRun) -> Interrupt | None:
        found = [interrupt for interrupt in run.interrupts if interrupt.id == self._interrupt_id]
        if any(interrupt.value != found[0].value for interrupt in found):
            raise AgentRunReviewError(
                f"Agent run {single_line(run.id)} asks {len(found)} questions with the same interrupt ID "
                f"{quoted(self._interrupt_id)}. IDs must be unique, because an answer could reach the wrong question. "
                "Nothing is shown or sent. Report this to the agent's provider"
            )
        return found[0] if found else None


def _hides_questions(run: AgentRun) -> bool:
    return run.status == "interrupted" and not run.interrupts

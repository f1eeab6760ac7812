# SPDX-License-Identifier: Apache-2.0
"""
Reads a run to find out whether an interrupt is still open, before and after an answer is sent.

Only a run that has visibly changed since counts as answered. A response may lack a question for a moment, or show it
with one more field; neither proves anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from pendulum import DateTime

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.idempotency.state import Send, Sleep
from airflow_provider_agentruns.models import AgentRun
from airflow_provider_agentruns.text import quoted, single_line

#: Seconds before each read of a run that may have accepted the answer. The service may still be processing a request
#: whose connection broke, and gets this time before anything is sent again.
_PAUSES = (0.5, 1.5, 3.0)

#: The same question is open, or is not open any more, or the run does not show which.
InterruptState = Literal["open", "closed", "unclear"]


class RunProbe:
    """Reads one interrupt of a run, repeatedly for some seconds."""

    def __init__(self, run_id: str, interrupt_id: str, send: Send, sleep: Sleep) -> None:
        self._run_id = run_id
        self._interrupt_id = interrupt_id
        self._send = send
        self._sleep = sleep
        self._since: DateTime | None = None
        self._question = ""
        #: The state at the last read of :meth:`wait_until_closed`.
        self.last_state: InterruptState = "unclear"

    def read(self) -> AgentRun:
        """Read the run."""
        run: AgentRun = self._send(requests.get_run, self._run_id)
        return run

    def read_until(self, is_clear: Callable[[AgentRun], bool]) -> AgentRun:
        """Read the run until ``is_clear`` accepts it, and return it as it was at the last read."""
        run = self.read()
        for pause in _PAUSES:
            if is_clear(run):
                break
            self._sleep(pause)
            run = self.read()
        return run

    def set_baseline(self, run: AgentRun, question: str) -> None:
        """
        Set the state before an answer is sent, with which later reads are compared.

        :param question: The digest of the question.
        """
        self._since, self._question = run.updated_at, question

    def wait_until_closed(self) -> AgentRun | None:
        """Return the run once the question is not open any more, or None if it stays open for some seconds."""
        for pause in _PAUSES:
            self._sleep(pause)
            run = self.read()
            self.last_state = self.state(run)
            if self.last_state == "closed":
                return run
        return None

    def state(self, run: AgentRun) -> InterruptState:
        """Return the state of the question in a run that was just read."""
        if is_older(run, self._since):
            # A part of the service lags behind.
            return "unclear"
        interrupt = run.pending(self._interrupt_id)
        if interrupt is None:
            return "unclear" if hides_questions(run) else "closed"
        # A different question: the agent used the ID again, or the service shows the same question differently.
        return "open" if digest(interrupt.value) == self._question else "unclear"


def hides_questions(run: AgentRun) -> bool:
    """Return whether a run is interrupted but shows no question."""
    return run.status == "interrupted" and not run.interrupts


def is_older(run: AgentRun, since: DateTime | None) -> bool:
    """
    Return whether the service shows an older state of the run than before.

    :param since: The run's ``updated_at`` at an earlier read, or None.
    """
    return since is not None and run.updated_at is not None and run.updated_at < since


def no_question(run_id: str, interrupt_id: str) -> AgentRunsError:
    """Return the error for a run that hides its questions. Another try may see them."""
    return AgentRunsError(
        f"Agent run {single_line(run_id)} is interrupted but shows no question, so it is unknown whether interrupt "
        f"{quoted(interrupt_id)} is pending. Nothing was sent"
    )


def shows(run: AgentRun, interrupt_id: str, expected: Collection[str | None]) -> bool:
    """
    Return whether a run shows a question as expected, or clearly does not have it any more.

    :param expected: The digests of the question at earlier times; None if unknown.
    """
    interrupt = run.pending(interrupt_id)
    if interrupt is None:
        return not hides_questions(run)
    return all(question in (None, digest(interrupt.value)) for question in expected)

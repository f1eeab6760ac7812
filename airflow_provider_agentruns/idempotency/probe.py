# SPDX-License-Identifier: Apache-2.0
"""
Looking at a run that was, or may have been, sent an answer: is its question still open?

What counts as answered is only what shows that the run has gone on. An answer of the service may lack something for a
moment, or show a question with a field more; neither tells anything of what became of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Literal

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunsError

if TYPE_CHECKING:
    from pendulum import DateTime

    from airflow_provider_agentruns.idempotency.state import Send
    from airflow_provider_agentruns.models import AgentRun

#: Pauses between looks at a run that may have taken the answer, in seconds. A request that was cut off may
#: still be at work in the service, and is given the time to show before anything is sent again.
_LOOKS = (0.5, 1.5, 3.0)

#: Whether the same question is open; or it is not any more; or that cannot be told.
InterruptState = Literal["open", "over", "unclear"]


class RunProbe:
    """
    Looks at one interrupt of a run, again and again for some seconds.

    :param sleep: Pauses for some seconds.
    """

    def __init__(self, run_id: str, interrupt_id: str, send: Send, sleep: Callable[[float], None]) -> None:
        self._run_id = run_id
        self._interrupt_id = interrupt_id
        self._send = send
        self._sleep = sleep
        self._since: DateTime | None = None
        self._about = ""
        #: What the last look told.
        self.last: InterruptState = "unclear"

    def read(self) -> AgentRun:
        """Read the run."""
        run: AgentRun = self._send(requests.get_run, self._run_id)
        return run

    def until(self, clear: Callable[[AgentRun], bool]) -> AgentRun:
        """Return the run as it is once it is clear, or as it was at the last look."""
        run = self.read()
        for pause in _LOOKS:
            if clear(run):
                break
            self._sleep(pause)
            run = self.read()
        return run

    def before(self, run: AgentRun, about: str) -> None:
        """
        Compare with how the run was before an answer was sent.

        :param about: The digest of what was asked.
        """
        self._since, self._about = run.updated_at, about

    def over(self) -> AgentRun | None:
        """Return the run once it shows that the question is not open any more; None if it does not in time."""
        for pause in _LOOKS:
            self._sleep(pause)
            run = self.read()
            self.last = self.fate(run)
            if self.last == "over":
                return run
        return None

    def fate(self, run: AgentRun) -> InterruptState:
        """Say what became of the question, by how the run is now."""
        if is_older(run, self._since):
            # A part of the service lags behind.
            return "unclear"
        interrupt = run.pending(self._interrupt_id)
        if interrupt is None:
            return "unclear" if hides_questions(run) else "over"
        # Else an agent has used the id again for its next question, or the same one is only shown otherwise.
        return "open" if digest(interrupt.value) == self._about else "unclear"


def hides_questions(run: AgentRun) -> bool:
    """Whether a run says that it asks something, and does not say what."""
    return run.status == "interrupted" and not run.interrupts


def is_older(run: AgentRun, since: DateTime | None) -> bool:
    """
    Whether a run is shown as it was before it was seen last.

    :param since: When it had last changed then; None where that is not known.
    """
    return since is not None and run.updated_at is not None and run.updated_at < since


def no_question(run_id: str, interrupt_id: str) -> AgentRunsError:
    """Return the error for a run that hides its questions. Another try may see them."""
    return AgentRunsError(
        f"Agent run {run_id} is interrupted and shows no question, so that it cannot be told whether interrupt "
        f"{interrupt_id!r} is pending. Nothing was sent"
    )


def shows(run: AgentRun, interrupt_id: str, expected: Collection[str | None]) -> bool:
    """
    Whether a run shows a question as it was expected, or clearly not at all.

    :param expected: The digests of what was asked before; None where nothing is known.
    """
    interrupt = run.pending(interrupt_id)
    if interrupt is None:
        return not hides_questions(run)
    return all(about in (None, digest(interrupt.value)) for about in expected)

# SPDX-License-Identifier: Apache-2.0
"""What a review keeps for its later tries, in the task's memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.text import plain

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.state import StateStore
    from airflow_provider_agentruns.models import Interrupt

_KEY = "agent_run_review"
_LABEL_LENGTH = 300

#: What there is to do about a form that cannot be shown.
START_NEW_RUN = "Nothing is shown or sent. Start a new DAG run to review it"


@dataclass
class ReviewState:
    """
    All that is known of a review.

    :param series: Changes when a person clears the task; see :class:`~...idempotency.state.Attempt`.
    :param question: The digest of what is asked.
    :param shown: What the person was shown; None where nobody was asked.
    :param decision: What was decided, once it was; see :class:`~...reviews.decision.Decision`.
    :param sent: The answer that is sent, in a list, once it is made.
    """

    run_id: str
    interrupt_id: str
    series: int
    question: str
    label: str = ""
    agent: str | None = None
    shown: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    sent: list[Any] | None = None

    @classmethod
    def on(cls, run_id: str, interrupt: Interrupt, series: int) -> ReviewState:
        """Begin a note on an interrupt that is pending."""
        return cls(
            run_id=run_id,
            interrupt_id=interrupt.id,
            series=series,
            question=digest(interrupt.value),
            # Airflow keeps no half of a surrogate pair.
            label=plain(interrupt.label, _LABEL_LENGTH),
            agent=interrupt.agent and plain(interrupt.agent, _LABEL_LENGTH),
        )

    @classmethod
    def kept(cls, memory: StateStore | None, run_id: str, interrupt_id: str) -> ReviewState | None:
        """
        Return what an earlier try kept, or None.

        :raises AgentRunReviewError: If the task instance has shown the form of another interrupt, of which it
            cannot be rid any more.
        """
        kept = memory.get(_KEY) if memory else None
        note = cls(**kept) if kept else None
        if note is None or (note.run_id, note.interrupt_id) == (run_id, interrupt_id):
            return note
        if note.shown is None:
            return None
        raise AgentRunReviewError(
            f"This task instance has shown interrupt {note.interrupt_id!r} of agent run {note.run_id}, and Airflow "
            f"keeps a task instance's form for ever: it cannot show interrupt {interrupt_id!r} of agent run {run_id}. "
            f"{START_NEW_RUN}"
        )

    def keep(self, memory: StateStore | None) -> None:
        """Keep this for later tries, where there is a memory."""
        if memory:
            memory.set(_KEY, asdict(self))

    def check_still_asked(self, interrupt: Interrupt) -> None:
        """
        Refuse an interrupt that asks something else than what was kept: an agent may use an id again.

        :raises AgentRunReviewError: If it does.
        """
        if digest(interrupt.value) != self.question:
            raise AgentRunReviewError(
                f"Interrupt {interrupt.id!r} of agent run {self.run_id} asks something else now than when this task "
                f"showed it, and Airflow keeps a task instance's form for ever. {START_NEW_RUN}"
            )

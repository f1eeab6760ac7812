# SPDX-License-Identifier: Apache-2.0
"""The state of a review, which the operator stores before each step, so that a later try continues there."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.answer_schema import ID_FIELD, QUESTION_FIELD
from airflow_provider_agentruns.reviews.decision import Decision
from airflow_provider_agentruns.reviews.text import interrupt_name, plain
from airflow_provider_agentruns.text import digest

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import AgentRun, Interrupt

_LABEL_LENGTH = 300

_START_NEW_RUN = "Nothing is shown or sent. Start a new DAG run to review it"


@dataclass
class ReviewState:
    """
    The progress of a review: first ``shown`` is set, then ``decision``, ``sent``, and ``delivered``.

    :param max_tries: Airflow's ``max_tries``; see ``Attempt``.
    :param question: The digest of the question; empty if unknown.
    :param seen: The run's ``updated_at`` when its question was last read, in ISO 8601.
    :param shown: What the form showed; None if nobody was asked.
    :param form: The options, fields, and rules of Airflow's form.
    :param sent: The answer in a list; None before it is known.
    :param superseded: Earlier decisions that were not delivered, because the review began again.
    """

    run_id: str
    interrupt_id: str
    max_tries: int
    question: str
    label: str = ""
    agent: str | None = None
    seen: str | None = None
    shown: dict[str, Any] | None = None
    form: dict[str, Any] | None = None
    decision: Decision | None = None
    sent: list[Any] | None = None
    delivered: bool = False
    superseded: list[Decision] = field(default_factory=list)

    @classmethod
    def begin(cls, run: AgentRun, interrupt: Interrupt, max_tries: int, earlier: ReviewState | None) -> ReviewState:
        """Return the state of a new review, which supersedes an undelivered decision of the ``earlier`` one."""
        superseded = list(earlier.superseded) if earlier else []
        if earlier and earlier.decision and not earlier.delivered:
            superseded.append(earlier.decision)
        return cls(
            run_id=run.id,
            interrupt_id=interrupt.id,
            max_tries=max_tries,
            question=digest(interrupt.value),
            # Cleaned, because Airflow's database rejects lone surrogates.
            label=plain(interrupt.label, _LABEL_LENGTH),
            agent=interrupt.agent and plain(interrupt.agent, _LABEL_LENGTH),
            seen=run.updated_at.isoformat() if run.updated_at else None,
            superseded=superseded,
        )

    @classmethod
    def load(cls, stored: dict[str, Any]) -> ReviewState:
        """Return the state that was stored as JSON, possibly by another version of the package."""
        known = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        state = cls(**known)
        state.decision = Decision(**known["decision"]) if known.get("decision") else None
        state.superseded = [Decision(**one) for one in known.get("superseded", ())]
        return state

    @classmethod
    def restore(cls, stored: dict[str, Any] | None, run_id: str, interrupt_id: str) -> ReviewState | None:
        """Return the state of this interrupt, if any. Raise ``AgentRunReviewError`` if a form for another was shown."""
        state = cls.load(stored) if stored else None
        if state is None or (state.run_id, state.interrupt_id) == (run_id, interrupt_id):
            return state
        if state.shown is None:
            return None
        raise AgentRunReviewError(
            f"This task instance cannot show {interrupt_name(run_id, interrupt_id)}. It showed "
            f"{state.name}, and Airflow cannot replace a form. {_START_NEW_RUN}"
        )

    @property
    def name(self) -> str:
        return interrupt_name(self.run_id, self.interrupt_id)

    @property
    def decided(self) -> Decision:
        return cast("Decision", self.decision)

    def check_question(self, interrupt: Interrupt) -> None:
        """Raise ``AgentRunReviewError`` if the question has changed. An agent can reuse an ID."""
        if digest(interrupt.value) != self.question:
            raise AgentRunReviewError(
                f"The question of {self.name} has changed since this task showed it, and Airflow cannot replace a "
                f"form. {_START_NEW_RUN}"
            )

    def check_answer(self) -> None:
        """Raise ``AgentRunReviewError`` if the decision belongs to another form than that of this question."""
        constants = {ID_FIELD: self.interrupt_id, QUESTION_FIELD: self.question}
        if any(self.decided.params_input.get(name, value) != value for name, value in constants.items()):
            # What a person sent can be personal data, so the message does not repeat it.
            raise AgentRunReviewError(
                f"The answer is not for the current question of {self.name}. Nothing was sent. Clear the task to ask "
                "again"
            )

    def check_form(self, form: dict[str, Any]) -> None:
        """Raise ``AgentRunReviewError`` if the form that Airflow holds differs from the DAG's."""
        if differing := [name for name, value in form.items() if (self.form or {}).get(name) != value]:
            raise AgentRunReviewError(
                f"Airflow's form for {self.name} differs from the DAG in: {', '.join(differing)}. Airflow cannot "
                "replace a form. Undo that change of the DAG and clear the task, or start a new DAG run to review the "
                "question. Nothing is shown or sent"
            )

    @property
    def seconds_to_decide(self) -> float | None:
        """The seconds between form and decision; None if there was no form."""
        since, until = (self.shown or {}).get("at"), self.decided.responded_at
        if not since or not until:
            return None
        return max(0.0, (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())

# SPDX-License-Identifier: Apache-2.0
"""What was decided about an interrupt, by whom and when; and the answer that the agent gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.exceptions import AgentRunReviewError
from airflow_provider_agentruns.reviews.form import (
    ID_FIELD,
    QUESTION_FIELD,
    RATING,
    RATING_COMMENT,
    answer_by_schema,
    answer_schema,
    option_values,
)

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What was decided, as it is kept and shown: JSON values only.

    :param by: A person, a policy of the DAG author's, or nobody in time.
    :param chosen_options: As on the form, such as ``["Approve"]``; empty where a policy gave the answer itself.
    :param params_input: The form's fields, with the interrupt's id.
    :param responded_by: ``{"id", "name"}``; None where nobody answered in time.
    :param responded_at: ISO 8601.
    """

    by: Literal["person", "policy", "timeout"]
    chosen_options: list[str]
    responded_at: str
    responded_by: dict[str, Any] | None = None
    params_input: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Decision:
        """Read what Airflow resumes a task with that waited for a person."""
        by, at = event.get("responded_by_user"), event["responded_at"]
        return cls(
            by="timeout" if event.get("timedout") else "person",
            chosen_options=list(event["chosen_options"]),
            params_input=dict(event.get("params_input") or {}),
            responded_by=dict(by) if by else None,
            responded_at=at.isoformat() if isinstance(at, datetime) else str(at),
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Decision:
        """Read what :meth:`as_json` gave."""
        return cls(**value)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)

    @property
    def fields(self) -> dict[str, Any]:
        """What was filled in for the agent."""
        ours = (ID_FIELD, QUESTION_FIELD, RATING, RATING_COMMENT)
        return {name: value for name, value in self.params_input.items() if name not in ours}

    def check_echo(self, run_id: str, interrupt_id: str, question: str) -> None:
        """
        Refuse an answer that was given to the form of another interrupt, or of another question with the same id.

        :param question: The digest of what the interrupt asks.
        :raises AgentRunReviewError: If it was.
        """
        if (echoed := self.params_input.get(ID_FIELD, interrupt_id)) != interrupt_id:
            raise AgentRunReviewError(
                f"The answer was given to interrupt {echoed!r}, and this form is of interrupt {interrupt_id!r} of "
                f"agent run {run_id}. Nothing was sent"
            )
        if self.params_input.get(QUESTION_FIELD, question) != question:
            raise AgentRunReviewError(
                f"The answer was given to another question than interrupt {interrupt_id!r} of agent run {run_id} asks "
                "now: the agent has used its id again. Nothing was sent"
            )


def material_for_answer(interrupt: Interrupt, decision: Decision) -> dict[str, Any]:
    """Return what a DAG author's ``build_input`` makes an answer from."""
    return {
        "interrupt": {"id": interrupt.id, "agent": interrupt.agent, "value": interrupt.value},
        "decision": _word(interrupt, decision),
        "fields": decision.fields,
        "chosen_options": decision.chosen_options,
        "responded_by": decision.responded_by,
        "responded_at": decision.responded_at,
        "by": decision.by,
    }


def default_answer(interrupt: Interrupt, decision: Decision) -> Any:
    """
    Return the answer that an agent gets unless the DAG author says otherwise.

    ``{"decision", "fields", "responded_by", "responded_at"}``, or what the interrupt's own JSON schema describes.
    """
    word = _word(interrupt, decision)
    who = {"responded_by": decision.responded_by, "responded_at": decision.responded_at}
    if (schema := answer_schema(interrupt)) is not None:
        return answer_by_schema(schema, word, decision.fields, who)
    return {"decision": word, "fields": decision.fields, **who}


def _word(interrupt: Interrupt, decision: Decision) -> str | list[str]:
    words = option_values(answer_schema(interrupt), decision.chosen_options)
    return words[0] if len(words) == 1 else words

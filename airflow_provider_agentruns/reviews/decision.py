# SPDX-License-Identifier: Apache-2.0
"""The decision on an interrupt, by a person, a policy, or a timeout, and the answer that the agent gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.reviews.answer_schema import OWN_FIELDS, AnswerSchema

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The decision on an interrupt, as JSON values.

    :param by: Who decided. ``timeout`` means that the DAG author's defaults apply, because nobody answered in time.
    :param chosen_options: Empty if a policy returned the answer.
    :param responded_at: The time in ISO 8601.
    :param responded_by: ``{"id", "name"}``, or None after a timeout.
    :param params_input: The form's fields, including the interrupt's ID.
    """

    by: Literal["person", "policy", "timeout"]
    chosen_options: list[str]
    responded_at: str
    responded_by: dict[str, Any] | None = None
    params_input: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Decision:
        """Return the decision in the event with which Airflow resumes a task."""
        by, at = event.get("responded_by_user"), event["responded_at"]
        return cls(
            by="timeout" if event.get("timedout") else "person",
            chosen_options=list(event["chosen_options"]),
            responded_at=at.isoformat() if isinstance(at, datetime) else str(at),
            responded_by=dict(by) if by else None,
            params_input=dict(event.get("params_input") or {}),
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that are for the agent."""
        return {name: value for name, value in self.params_input.items() if name not in OWN_FIELDS}


def decide_by_policy(
    policy: Callable[[Interrupt], Any], interrupt: Interrupt, options: Sequence[str], at: str
) -> tuple[Decision, list[Any] | None] | None:
    """
    Return a policy's decision and, in a list, the answer if the policy made it; None to ask a person.

    :param policy: Returns one or several of the options, any other JSON value as the answer, or None.
    :raises AgentRunsValueError: If the policy returned a value that is not JSON.
    """
    if (result := policy(interrupt)) is None:
        return None
    function: Any = policy.func if isinstance(policy, partial) else policy
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}.{named.__qualname__}"
    try:
        # As it is stored and sent: a tuple becomes a list, and a member of an enumeration its value.
        result = json.loads(json.dumps(result, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise AgentRunsValueError(
            f"The policy {name} returned a {type(result).__name__} that is not a JSON value. Return one of the "
            "options, an answer as JSON, or None to ask a person. Nothing was sent"
        ) from None
    chosen = [result] if isinstance(result, str) else result
    is_choice = isinstance(chosen, list) and bool(chosen) and all(option in options for option in chosen)
    decision = Decision(
        by="policy",
        chosen_options=chosen if is_choice else [],
        responded_at=at,
        responded_by={"id": "policy", "name": name},
    )
    return decision, None if is_choice else [result]


def answer_material(interrupt: Interrupt, decision: Decision) -> dict[str, Any]:
    """Return the values from which a DAG author's ``build_input`` makes an answer."""
    return {
        "interrupt": {"id": interrupt.id, "agent": interrupt.agent, "value": interrupt.value},
        "decision": AnswerSchema(interrupt).option_values(decision.chosen_options),
        "fields": decision.fields,
        "chosen_options": decision.chosen_options,
        "responded_by": decision.responded_by,
        "responded_at": decision.responded_at,
        "by": decision.by,
    }

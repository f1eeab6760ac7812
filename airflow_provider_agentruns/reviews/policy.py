# SPDX-License-Identifier: Apache-2.0
"""Deciding without a person, by a policy of the DAG author's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.reviews.decision import Decision

if TYPE_CHECKING:
    from airflow_provider_agentruns.models import Interrupt

#: Who answered, where it was no person.
POLICY_ID = "policy"


def decide_by_policy(
    policy: Callable[[Interrupt], Any], interrupt: Interrupt, options: Sequence[str]
) -> tuple[Decision, list[Any] | None] | None:
    """
    Ask a policy.

    :param policy: Returns one of the options or a list of them, or any other JSON value, which is the answer as
        it is sent; or None for a person to decide.
    :return: None for a person to decide; else the decision and, in a list, the answer where the policy gave it.
    :raises AgentRunsValueError: If what it returns is no JSON value.
    """
    result = policy(interrupt)
    if result is None:
        return None
    name = _name(policy)
    try:
        # As it is kept and sent: a tuple becomes a list, and a member of an enumeration its value.
        as_json = json.dumps(result, allow_nan=False, ensure_ascii=False)
        result = json.loads(as_json.encode())
    except (TypeError, ValueError, RecursionError):
        raise AgentRunsValueError(
            f"The policy {name} returned a {type(result).__name__} that is no JSON value: it should return one of the "
            "options, an answer as JSON, or None for a person to decide. Nothing was sent"
        ) from None
    chosen = [result] if isinstance(result, str) else result
    is_choice = isinstance(chosen, list) and bool(chosen) and all(option in options for option in chosen)
    decision = Decision(
        by="policy",
        chosen_options=chosen if is_choice else [],
        responded_by={"id": POLICY_ID, "name": name},
        responded_at=pendulum.now("UTC").isoformat(),
    )
    return decision, None if is_choice else [result]


def _name(policy: Callable[..., Any]) -> str:
    while isinstance(policy, partial):
        policy = policy.func
    kind = policy if hasattr(policy, "__qualname__") else type(policy)
    return ".".join(filter(None, (getattr(kind, "__module__", None), kind.__qualname__)))

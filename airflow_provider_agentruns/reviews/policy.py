# SPDX-License-Identifier: Apache-2.0
"""Deciding without a person, by a policy of the DAG author's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pendulum

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
    """
    result = policy(interrupt)
    if result is None:
        return None
    chosen = [result] if isinstance(result, str) else result
    is_choice = isinstance(chosen, list) and bool(chosen) and all(option in options for option in chosen)
    kind = policy if hasattr(policy, "__qualname__") else type(policy)
    decision = Decision(
        by="policy",
        chosen_options=chosen if is_choice else [],
        responded_by={"id": POLICY_ID, "name": f"{kind.__module__}.{kind.__qualname__}"},
        responded_at=pendulum.now("UTC").isoformat(),
    )
    return decision, None if is_choice else [result]

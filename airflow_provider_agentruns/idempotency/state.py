# SPDX-License-Identifier: Apache-2.0
"""The state store and the tries of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pendulum

Send = Callable[..., Any]
Sleep = Callable[[float], None]


class StateStore(Protocol):
    """Stores JSON values for one task instance, such as Airflow's task state store."""

    def get(self, key: str) -> Any: ...
    def set(self, key: str, value: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One try of a task.

    :param number: From 1; clearing the task does not reset it.
    :param max_tries: Airflow's ``max_tries``, which changes only when a person clears the task.
    :param earliest_start: No try of the task started before this time.
    :param was_cleared: Whether a person has ever cleared the task.
    :param restarted_at: When the DAG run started again after a person cleared it; None if nobody did.
    """

    number: int
    max_tries: int
    earliest_start: pendulum.DateTime
    was_cleared: bool = False
    restarted_at: pendulum.DateTime | None = None

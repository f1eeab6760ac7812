# SPDX-License-Identifier: Apache-2.0
"""What a task remembers from one try to the next, and what it knows about its tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import pendulum


T = TypeVar("T")

#: Sends a described request: ``AgentRunHook.send``.
Send = Callable[..., Any]


class StateStore(Protocol):
    """Keeps small JSON values for one task instance; Airflow's task state store is one."""

    def get(self, key: str) -> Any:
        """Return what was kept under the key, or None."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Keep a value, for good by the time this returns."""


class Log(Protocol):
    """As much of a logger as is used here."""

    def info(self, message: str, /, *args: Any) -> Any:
        """Tell what was done."""

    def warning(self, message: str, /, *args: Any) -> Any:
        """Tell what a person should know."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    Which try of a task this is.

    :param number: From 1, over all tries, also those before a person cleared the task.
    :param max_tries: Changes when a person clears the task, and at nothing else (Airflow's ``max_tries``).
    :param earliest_start: A moment before which no try of the task can have started.
    """

    number: int
    max_tries: int
    earliest_start: pendulum.DateTime

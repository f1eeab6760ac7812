# SPDX-License-Identifier: Apache-2.0
"""Threads and runs, with their steps and questions. ``script_runner`` changes runs."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.script_steps import Context, Json

Status = Literal["running", "completed", "error", "interrupted"]

_FINISHED = ("completed", "error")
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Question:
    """One interrupt of a run."""

    id: str
    value: Json
    step: Json
    answer: Any = None

    def as_json(self) -> Json:
        """Return the interrupt as the service shows it, with the ``agent`` of its value, if any."""
        agent = self.value.get("agent")
        return {"id": self.id, **({"agent": agent} if isinstance(agent, str) else {}), "value": self.value}


@dataclass(frozen=True, slots=True)
class State:
    """The status of a run from some moment on, and the IDs of the interrupts that are not answered yet."""

    since: datetime
    status: Status
    pending: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """
    One run.

    :param lock: Protects the run while it changes and while it is shown.
    :param steps: The steps as the service shows them, each inside its parent.
    :param states: All states so far, oldest first. The first one begins when the run is created.
    """

    id: str
    agent: str
    thread_id: str
    context: Context
    requester: Json
    lock: RLock = field(repr=False)
    states: list[State]
    updated_at: datetime
    steps: list[Json] = field(default_factory=list, repr=False)
    questions: list[Question] = field(default_factory=list, repr=False)
    artifacts: list[Json] = field(default_factory=list, repr=False)

    @property
    def status(self) -> Status:
        """``running``, ``completed``, ``error`` or ``interrupted``."""
        return self.states[-1].status

    @property
    def finished(self) -> bool:
        """Whether the run cannot change any more."""
        return self.status in _FINISHED

    @property
    def created_at(self) -> datetime:
        """When the run was created and started."""
        return self.states[0].since

    @property
    def ended_at(self) -> datetime | None:
        """When the run ended."""
        return self.states[-1].since if self.finished else None

    @property
    def interrupts(self) -> list[Json]:
        """The questions that are not answered yet, as the service shows them."""
        return list(self.as_json()["interrupts"])

    @property
    def output(self) -> Json | None:
        """The artifacts of a completed run in their envelope."""
        return {"artifacts": self.artifacts} if self.status == "completed" else None

    def touch(self, moment: datetime) -> datetime:
        """Update ``updated_at``, and return it. No two changes of a run have the same time."""
        self.updated_at = max(moment, self.updated_at + _TICK)
        return self.updated_at

    def as_json(self, *, steps: bool = False, state: State | None = None) -> Json:
        """
        Return the run as the service shows it.

        :param steps: Whether to show the steps too.
        :param state: Show the run as it was when this state began. Default: as it is now.
        """
        with self.lock:
            updated_at = state.since if state else self.updated_at
            state = state or self.states[-1]
            shown: Json = {
                "object": "run",
                "id": self.id,
                "created_at": timestamp(self.created_at),
                "updated_at": timestamp(updated_at),
                "status": state.status,
                "thread_id": self.thread_id,
                "agent": self.agent,
                "requester": self.requester,
                "started_at": timestamp(self.created_at),
                "ended_at": timestamp(state.since) if state.status in _FINISHED else None,
                "output": {"artifacts": self.artifacts} if state.status == "completed" else None,
                "interrupts": [question.as_json() for question in self.questions if question.id in state.pending],
            }
            return shown | {"steps": copy.deepcopy(self.steps)} if steps else shown


@dataclass(slots=True)
class Thread:
    """A conversation that runs take place in. Its status is that of its newest run."""

    id: str
    agent: str
    context: Context
    requester: Json
    created_at: datetime
    newest: Run | None = None

    def as_json(self, *, steps: bool = False) -> Json:
        """Return the thread as the service shows it, with the steps of the newest run if asked."""
        newest = self.newest
        shown: Json = {
            "object": "thread",
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(newest.updated_at if newest else self.created_at),
            # The contract has no status for a thread without runs.
            "status": newest.status if newest else "completed",
            "metadata": {"type": self.agent, "context_type": self.context.type, "context_id": self.context.id},
            "requester": self.requester,
        }
        if steps:
            shown["steps"] = newest.as_json(steps=True)["steps"] if newest else []
        return shown

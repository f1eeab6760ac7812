# SPDX-License-Identifier: Apache-2.0
"""Threads and runs with their steps and questions, and the format of IDs and timestamps."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

from airflow_provider_agentruns.emulator.script_steps import Context, Json

Status = Literal["running", "completed", "error", "interrupted"]

_FINISHED = ("completed", "error")


def uuid_of(*what: object) -> str:
    """Return the UUID of something, such as ``"run", 3``. It is always the same."""
    return str(uuid5(NAMESPACE_OID, "/".join(map(str, what))))


ACCOUNT: Json = {"id": uuid_of("account"), "name": "Offline account", "email": None}


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class State:
    """The status of a run since a moment, and the IDs of its pending interrupts."""

    since: datetime
    status: Status
    pending: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """One run and its states, oldest first. Steps, questions, and artifacts are as the service shows them."""

    id: str
    agent: str
    thread_id: str
    context: Context
    lock: RLock = field(repr=False)
    created_at: datetime
    updated_at: datetime
    states: list[State] = field(default_factory=list)
    steps: list[Json] = field(default_factory=list, repr=False)
    questions: list[Json] = field(default_factory=list, repr=False)
    artifacts: list[Json] = field(default_factory=list, repr=False)

    @property
    def status(self) -> Status:
        return self.states[-1].status

    @property
    def finished(self) -> bool:
        return self.status in _FINISHED

    @property
    def interrupts(self) -> list[Json]:
        return list(self.as_json()["interrupts"])

    @property
    def output(self) -> Json | None:
        return {"artifacts": self.artifacts} if self.status == "completed" else None

    def touch(self, moment: datetime) -> datetime:
        """Update and return ``updated_at``. No two changes of a run have the same time."""
        self.updated_at = max(moment, self.updated_at + timedelta(microseconds=1))
        return self.updated_at

    def as_json(self, *, steps: bool = False, state: State | None = None) -> Json:
        """Return the run as the service shows it: as it is, or as it was when a state began."""
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
                "requester": ACCOUNT,
                "started_at": timestamp(self.created_at),
                "ended_at": timestamp(state.since) if state.status in _FINISHED else None,
                "output": {"artifacts": self.artifacts} if state.status == "completed" else None,
                "interrupts": [it for it in self.questions if it["id"] in state.pending],
            }
            return shown | {"steps": copy.deepcopy(self.steps)} if steps else shown


@dataclass(slots=True)
class Thread:
    """A conversation. Its status and steps are those of its newest run."""

    id: str
    agent: str
    context: Context
    created_at: datetime
    newest: Run | None = None

    def as_json(self, *, steps: bool = False) -> Json:
        newest = self.newest
        shown: Json = {
            "object": "thread",
            "id": self.id,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(newest.updated_at if newest else self.created_at),
            # The contract has no status for a thread without runs.
            "status": newest.status if newest else "completed",
            "metadata": {"type": self.agent, "context_type": self.context.type, "context_id": self.context.id},
            "requester": ACCOUNT,
        }
        if steps:
            shown["steps"] = newest.as_json(steps=True)["steps"] if newest else []
        return shown

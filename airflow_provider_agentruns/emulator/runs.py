# SPDX-License-Identifier: Apache-2.0
"""A run: what has happened in it, with the moment of each change, so that a stream can be replayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Literal

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.scripts import Context, Json
from airflow_provider_agentruns.emulator.steps import Question, Step, nested

if TYPE_CHECKING:
    from airflow_provider_agentruns.emulator.engine import Engine

Status = Literal["running", "completed", "error", "interrupted"]

#: Two changes of a run are never at the same moment: each has a state of its own to show.
_APART = timedelta(microseconds=1)


@dataclass(slots=True)
class Run:
    """
    One run. It stands still: look it up in the service again to see how far it has come by now.

    :param lock: Held while the run changes and while it is shown.
    :param engine: What drives it; None once it has ended.
    """

    id: str
    agent: str
    thread_id: str
    context: Context
    requester: Json
    lock: RLock = field(repr=False)
    changes: list[datetime] = field(repr=False)
    statuses: list[tuple[datetime, Status]] = field(repr=False)
    steps: list[Step] = field(default_factory=list, repr=False)
    questions: list[Question] = field(default_factory=list, repr=False)
    artifacts: list[Json] = field(default_factory=list, repr=False)
    ended_at: datetime | None = None
    engine: Engine | None = field(default=None, repr=False)

    @property
    def status(self) -> Status:
        """``running``, ``completed``, ``error`` or ``interrupted``."""
        return self.statuses[-1][1]

    @property
    def finished(self) -> bool:
        """Whether it can never change again."""
        return self.ended_at is not None

    @property
    def created_at(self) -> datetime:
        """When it was created, which is also when it started."""
        return self.changes[0]

    @property
    def updated_at(self) -> datetime:
        """When it last changed."""
        return self.changes[-1]

    @property
    def interrupts(self) -> list[Json]:
        """The questions that it waits with, as the service shows them."""
        with self.lock:
            return [question.as_json() for question in self.questions if question.pending(self.updated_at)]

    @property
    def output(self) -> Json | None:
        """The envelope of its artifacts, once it is completed."""
        return {"artifacts": self.artifacts} if self.status == "completed" else None

    @property
    def known_artifacts(self) -> set[str]:
        """The ids of its results, and of what it has proposed in its questions, in lower case."""
        proposed = [artifact for question in self.questions for artifact in _proposed(question.value)]
        return {str(artifact["id"]).lower() for artifact in (*self.artifacts, *proposed) if "id" in artifact}

    def change(self, moment: datetime) -> datetime:
        """Note that something changes, and return the moment under which to keep it."""
        self.changes.append(max(moment, self.updated_at + _APART))
        return self.updated_at

    def pending(self, interrupt_id: str) -> Question | None:
        """Find the question with that id, if it waits for an answer."""
        return next((q for q in self.questions if q.id == interrupt_id and q.answered_at is None), None)

    def as_json(self, *, steps: bool = False, at: datetime | None = None) -> Json:
        """
        Show the run as the service does.

        :param steps: Whether to show its steps too.
        :param at: Show it as it was at this moment.
        """
        with self.lock:
            at = at or self.updated_at
            status = next(status for since, status in reversed(self.statuses) if since <= at)
            ended = self.ended_at is not None and self.ended_at <= at
            shown: Json = {
                "object": "run",
                "id": self.id,
                "created_at": timestamp(self.created_at),
                "updated_at": timestamp(at),
                "status": status,
                "thread_id": self.thread_id,
                "agent": self.agent,
                "requester": self.requester,
                "started_at": timestamp(self.created_at),
                "ended_at": timestamp(self.ended_at) if ended and self.ended_at else None,
                "output": {"artifacts": self.artifacts} if status == "completed" else None,
                "interrupts": [question.as_json() for question in self.questions if question.pending(at)],
            }
            if steps:
                shown["steps"] = nested(self.steps, at)
            return shown

    def events(self, first: int = 0) -> list[Json]:
        """
        Show what a stream sends: one event for each change, and one for the end.

        :param first: Leave out as many events from the start.
        """
        with self.lock:
            types = ["RUN_STARTED", *["STATE_SNAPSHOT"] * (len(self.changes) - 1)]
            moments = list(self.changes)
            if self.finished:
                types.append("RUN_FINISHED")
                moments.append(self.updated_at)
            return [
                {"type": kind, "run_id": self.id, "snapshot": self.as_json(steps=True, at=moment)}
                for kind, moment in zip(types[first:], moments[first:], strict=True)
            ]


def _proposed(value: Json) -> list[Json]:
    """Return the artifacts of an interrupt's value and of its proposals."""
    proposals = value.get("proposals")
    parts = [value, *(proposals if isinstance(proposals, list) else ())]
    lists = [part.get("artifacts") for part in parts if isinstance(part, dict)]
    return [artifact for found in lists if isinstance(found, list) for artifact in found if isinstance(artifact, dict)]

# SPDX-License-Identifier: Apache-2.0
"""Runs with their steps and questions. A run does not change by itself: see ``script_runner``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.scripts import Context, Json

Status = Literal["running", "completed", "error", "interrupted"]

_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Step:
    """One step of a run."""

    id: str
    run_id: str
    agent: str
    type: Literal["activity", "output", "interrupt", "error"]
    name: str
    label: str
    parent: Step | None
    started_at: datetime
    completed_at: datetime | None = None
    status: Literal["running", "completed", "error"] = "running"
    result: Json | None = None
    artifacts: list[Json] | None = None

    def end(self, moment: datetime, status: Literal["completed", "error"] = "completed") -> None:
        """End the step."""
        self.completed_at = moment
        self.status = status

    def as_json(self) -> Json:
        """Return the step as the service shows it, without the steps inside it."""
        shown: Json = {
            "id": self.id,
            "run_id": self.run_id,
            "agent": self.agent,
            "type": self.type,
            "name": self.name,
            "label": self.label,
            "parent_step_id": self.parent.id if self.parent else None,
            "status": self.status,
            "started_at": timestamp(self.started_at),
            "completed_at": timestamp(self.completed_at) if self.completed_at else None,
            "steps": [],
        }
        if self.completed_at and self.result is not None:
            shown["result"] = self.result
        if self.completed_at and self.artifacts:
            shown["artifacts"] = self.artifacts
        return shown


@dataclass(slots=True)
class Question:
    """One interrupt of a run."""

    id: str
    value: Json
    step: Step
    answered: bool = False
    answer: Any = None

    def as_json(self) -> Json:
        """Return the interrupt as the service shows it, with the ``agent`` of its value, if any."""
        lifted = {"agent": agent} if isinstance(agent := self.value.get("agent"), str) else {}
        return {"id": self.id, **lifted, "value": self.value}


@dataclass(frozen=True, slots=True)
class State:
    """
    The status of a run from some moment on.

    :param pending: The IDs of the interrupts that are not answered yet.
    """

    since: datetime
    status: Status
    pending: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """
    One run.

    :param lock: Protects the run while it changes and while it is shown.
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
    steps: list[Step] = field(default_factory=list, repr=False)
    questions: list[Question] = field(default_factory=list, repr=False)
    artifacts: list[Json] = field(default_factory=list, repr=False)

    @property
    def status(self) -> Status:
        """``running``, ``completed``, ``error`` or ``interrupted``."""
        return self.states[-1].status

    @property
    def finished(self) -> bool:
        """Whether the run cannot change any more."""
        return self.status in ("completed", "error")

    @property
    def created_at(self) -> datetime:
        """When the run was created and started."""
        return self.states[0].since

    @property
    def ended_at(self) -> datetime | None:
        """When the run ended."""
        return self.states[-1].since if self.finished else None

    @property
    def pending(self) -> list[Question]:
        """The questions that are not answered yet."""
        return [question for question in self.questions if not question.answered]

    @property
    def interrupts(self) -> list[Json]:
        """The questions that are not answered yet, as the service shows them."""
        with self.lock:
            return [question.as_json() for question in self.pending]

    @property
    def known_artifacts(self) -> set[str]:
        """The IDs of the artifacts that the run returned, or proposed in a question, in lower case."""
        values = [question.value for question in self.questions]
        proposals = [proposal for value in values for proposal in value.get("proposals") or ()]
        parts = [part for part in (*values, *proposals, {"artifacts": self.artifacts}) if isinstance(part, dict)]
        found = [artifact for part in parts for artifact in part.get("artifacts") or ()]
        return {str(artifact["id"]).lower() for artifact in found if isinstance(artifact, dict) and "id" in artifact}

    @property
    def output(self) -> Json | None:
        """The artifacts of a completed run in their envelope."""
        return {"artifacts": self.artifacts} if self.status == "completed" else None

    def touch(self, moment: datetime) -> datetime:
        """Update ``updated_at``, and return it. No two changes of a run have the same time."""
        self.updated_at = max(moment, self.updated_at + _TICK)
        return self.updated_at

    def enter(self, status: Status, moment: datetime) -> None:
        """Begin another state."""
        self.states.append(State(moment, status, tuple(question.id for question in self.pending)))

    def as_json(self, *, steps: bool = False, state: State | None = None) -> Json:
        """
        Return the run as the service shows it.

        :param steps: Whether to show the steps too.
        :param state: Show the run as it was when this state began. Default: as it is now.
        """
        with self.lock:
            shown_state = state or self.states[-1]
            pending = [q for q in self.questions if q.id in shown_state.pending] if state else self.pending
            ended = shown_state.status in ("completed", "error")
            shown: Json = {
                "object": "run",
                "id": self.id,
                "created_at": timestamp(self.created_at),
                "updated_at": timestamp(state.since if state else self.updated_at),
                "status": shown_state.status,
                "thread_id": self.thread_id,
                "agent": self.agent,
                "requester": self.requester,
                "started_at": timestamp(self.created_at),
                "ended_at": timestamp(shown_state.since) if ended else None,
                "output": {"artifacts": self.artifacts} if shown_state.status == "completed" else None,
                "interrupts": [question.as_json() for question in pending],
            }
            if steps:
                shown["steps"] = _nested(self.steps)
            return shown


def _nested(steps: Iterable[Step]) -> list[Json]:
    """
    Return steps as the service shows them, each inside its parent.

    :param steps: In the order in which they started, so parents come first.
    """
    shown: dict[str, Json] = {}
    outermost: list[Json] = []
    for step in steps:
        shown[step.id] = step.as_json()
        siblings = shown[step.parent.id]["steps"] if step.parent else outermost
        siblings.append(shown[step.id])
    return outermost

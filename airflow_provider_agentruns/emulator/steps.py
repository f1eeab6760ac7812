# SPDX-License-Identifier: Apache-2.0
"""Steps and questions of a run: kept with their times, so that each can be shown as it was at any moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.scripts import Json


@dataclass(slots=True)
class Step:
    """One step; ``ended_as`` counts from ``completed_at`` on."""

    id: str
    run_id: str
    agent: str
    type: Literal["activity", "output", "interrupt", "error"]
    name: str
    label: str
    parent: Step | None
    started_at: datetime
    completed_at: datetime | None = None
    ended_as: Literal["completed", "error"] = "completed"
    result: Json | None = None
    artifacts: list[Json] | None = None

    def end(self, moment: datetime, ended_as: Literal["completed", "error"] = "completed") -> None:
        """Note that the step is over."""
        self.completed_at = moment
        self.ended_as = ended_as

    def as_json(self, at: datetime) -> Json:
        """Show the step as it was at a moment, without the steps inside it."""
        ended = self.completed_at is not None and self.completed_at <= at
        shown: Json = {
            "id": self.id,
            "run_id": self.run_id,
            "agent": self.agent,
            "type": self.type,
            "name": self.name,
            "label": self.label,
            "parent_step_id": self.parent.id if self.parent else None,
            "status": self.ended_as if ended else "running",
            "started_at": timestamp(self.started_at),
            "completed_at": timestamp(self.completed_at) if ended and self.completed_at else None,
            "steps": [],
        }
        if ended and self.result is not None:
            shown["result"] = self.result
        if ended and self.artifacts:
            shown["artifacts"] = self.artifacts
        return shown


@dataclass(slots=True)
class Question:
    """One interrupt; pending from ``asked_at`` until ``answered_at``."""

    id: str
    value: Json
    step: Step
    asked_at: datetime
    answered_at: datetime | None = None
    answer: Any = None

    def pending(self, at: datetime) -> bool:
        """Whether it waited for an answer at a moment."""
        return self.asked_at <= at and (self.answered_at is None or at < self.answered_at)

    def as_json(self) -> Json:
        """Show it; ``agent`` is lifted out of the value, and absent where the value names none."""
        lifted = {"agent": agent} if isinstance(agent := self.value.get("agent"), str) else {}
        return {"id": self.id, **lifted, "value": self.value}


def nested(steps: Iterable[Step], at: datetime) -> list[Json]:
    """
    Show steps as they were at a moment, each inside its parent.

    :param steps: In the order in which they started, so parents come first.
    """
    shown: dict[str, Json] = {}
    outermost: list[Json] = []
    for step in steps:
        if step.started_at <= at:
            shown[step.id] = step.as_json(at)
            siblings = shown[step.parent.id]["steps"] if step.parent else outermost
            siblings.append(shown[step.id])
    return outermost

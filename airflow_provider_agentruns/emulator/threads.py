# SPDX-License-Identifier: Apache-2.0
"""Threads: the conversations that runs take place in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.scripts import Context, Json


@dataclass(slots=True)
class Thread:
    """One thread. Its status is that of its newest run."""

    id: str
    agent: str
    context: Context
    requester: Json
    created_at: datetime
    runs: list[Run] = field(default_factory=list, repr=False)

    @property
    def newest(self) -> Run | None:
        """The newest run of the thread."""
        return self.runs[-1] if self.runs else None

    def as_json(self, *, steps: bool = False) -> Json:
        """
        Return the thread as the service shows it.

        :param steps: Whether to show the steps of the newest run too.
        """
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

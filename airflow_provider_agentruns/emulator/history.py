# SPDX-License-Identifier: Apache-2.0
"""Runs of the past, for a service that looks as if it had been in use for long."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import RLock
from typing import Literal

from airflow_provider_agentruns.emulator.ids import Ids
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.threads import Thread

#: How far apart they were created, and how long each took.
APART = timedelta(seconds=1)
_TOOK = timedelta(seconds=0.5)


def finished_runs(
    thread: Thread, status: Literal["completed", "error"], *, numbers: range, ids: Ids, lock: RLock
) -> list[Run]:
    """
    Make runs that have ended, oldest first: the first was created together with their thread.

    :param numbers: What tells these runs from others made like this.
    """
    return [
        _finished_run(thread, status, thread.created_at + APART * place, ids.uuid("finished run", number), lock)
        for place, number in enumerate(numbers)
    ]


def _finished_run(
    thread: Thread, status: Literal["completed", "error"], created_at: datetime, run_id: str, lock: RLock
) -> Run:
    run = Run(
        id=run_id,
        agent=thread.agent,
        thread_id=thread.id,
        context=thread.context,
        requester=thread.requester,
        lock=lock,
        changes=[created_at],
        statuses=[(created_at, "running")],
    )
    run.ended_at = run.change(created_at + _TOOK)
    run.statuses.append((run.ended_at, status))
    if status == "completed":
        # One artifact, whose id may well be that of the run: they are different kinds of things.
        run.artifacts = [{"id": run_id, "title": "Report", "type": "report", "confidence": "high", "sources": []}]
    return run

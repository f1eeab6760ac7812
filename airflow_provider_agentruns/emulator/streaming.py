# SPDX-License-Identifier: Apache-2.0
"""The stream of a run's events: Server-Sent Events in AG-UI form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from airflow_provider_agentruns.emulator.scripts import Json
from airflow_provider_agentruns.emulator.service import Service

#: Seconds between two checks for an answer. The end of a step is sent on time.
_CHECK_EVERY = 0.05
_SHORTEST_SLEEP = 0.005


async def events_of(service: Service, run_id: str) -> AsyncIterator[str]:
    """
    Yield the events of a run until it ends: its start, a snapshot for each change, and its end.

    A stream that begins late begins with the run's current state. It does not repeat earlier snapshots.
    """
    run = service.get_run(run_id)
    yield _event("RUN_STARTED", run.as_json(steps=True))
    sent = None
    while True:
        run = service.get_run(run_id)
        snapshot = run.as_json(steps=True) if run.updated_at != sent else None
        if snapshot:
            sent = run.updated_at
            yield _event("STATE_SNAPSHOT", snapshot)
            if run.finished:
                yield _event("RUN_FINISHED", snapshot)
                return
        await asyncio.sleep(_until_next_check(service, run_id))


def _until_next_check(service: Service, run_id: str) -> float:
    runner = service.runner(run_id)
    if runner is None or runner.due_at is None:
        return _CHECK_EVERY
    seconds = (runner.due_at - service.clock()).total_seconds()
    return min(max(seconds, _SHORTEST_SLEEP), _CHECK_EVERY)


def _event(kind: str, snapshot: Json) -> str:
    event = {"type": kind, "run_id": snapshot["id"], "snapshot": snapshot}
    return f"event: {kind}\ndata: {json.dumps(event)}\n\n"

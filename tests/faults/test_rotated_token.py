# SPDX-License-Identifier: Apache-2.0
"""Waits continue after the token of the connection was rotated, without a restart of the triggerer."""

from __future__ import annotations

import asyncio
import logging

import pytest

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import FakeStore, Watcher, running, settled
from tests.faults import secrets
from tests.faults.stand import TOKEN_PREFIX, Stand, stands
from tests.triggers.waiting import event_of, until


@pytest.mark.usefixtures("short_pauses")
def test_waits_continue_with_the_new_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with stands("rotated") as made:
        stand = made["rotated"]
        stand.connect()
        runs = [stand.run("curious") for _ in range(3)]
        triggers = [
            AgentRunTrigger(run.id, stand.conn_id, ["completed"], poll_interval=0.1, watch=watch)
            for run, watch in zip(runs, ("poll", "stream", "poll"), strict=True)
        ]
        watcher = Watcher(store := FakeStore(), agentruns_conn_id=stand.conn_id)
        events = asyncio.run(rotate_while_they_wait(stand, triggers, watcher, store))
        assert events == [{"run_id": run.id, "status": "completed"} for run in runs]
        assert {(run.id, "completed") for run in runs} <= set(watcher.seen)
        assert {request.status for request in stand.emulator.requests} >= {200, 401}
    out = [triggers, events, store.values]
    assert secrets.leaks(TOKEN_PREFIX, [*secrets.of_all(out), *secrets.of_log(caplog)]) == []


async def rotate_while_they_wait(
    stand: Stand, triggers: list[AgentRunTrigger], watcher: Watcher, store: FakeStore
) -> list[dict[str, object]]:
    """Rotate the token twice during the waits, complete the runs, and return the events of the triggers."""
    async with running(watcher):
        await settled(watcher, store)
        waits = [asyncio.create_task(event_of(trigger)) for trigger in triggers]
        for _ in range(2):
            seen = len(stand.emulator.requests)
            await until(lambda seen=seen: len(stand.emulator.requests) > seen + 5)  # type: ignore[misc]
            stand.rotate()
        for trigger in triggers:
            run = stand.service.runs[trigger.run_id]
            stand.service.answer(run.id, run.interrupts[0]["id"], "continue")
        events = await asyncio.gather(*waits)
        await watcher.came(len(triggers))
    return events

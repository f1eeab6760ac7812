# SPDX-License-Identifier: Apache-2.0
"""
A token that is changed in the connection while a triggerer runs is picked up by what waits in it.

``tests/triggers/test_failures.py`` has the same for a trigger alone; here several wait at once, in both ways, beside a
watcher, and none of them is started anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from airflow_provider_agentruns.events import run_event_poller
from airflow_provider_agentruns.triggers import agent_run
from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import FakeStore, Watcher, running, settled
from tests.faults import secrets
from tests.faults.bench import SESAME, Bench, Stand
from tests.triggers.waiting import event_of, until


@pytest.fixture
def stand() -> Iterator[Stand]:
    """Return one service of its own."""
    with Bench(["rotated"]) as bench:
        yield bench["rotated"]


def test_what_waits_goes_on_with_the_new_token(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_run, "SHORTEST_EVENT_INTERVAL", 0.02)
    monkeypatch.setattr(run_event_poller, "_PAUSE_PER_PAGE", 0.0)
    stand.connect()
    runs = [stand.run("curious") for _ in range(3)]
    triggers = [
        AgentRunTrigger(run.id, stand.conn_id, ["completed"], poll_interval=0.1, watch=watch)
        for run, watch in zip(runs, ("poll", "stream", "poll"), strict=True)
    ]
    watcher = Watcher(store := FakeStore(), agentruns_conn_id=stand.conn_id)
    with secrets.Records() as records:
        events = asyncio.run(rotate_while_they_wait(stand, triggers, watcher, store))
    assert events == [{"run_id": run.id, "status": "completed"} for run in runs]
    assert {(run.id, "completed") for run in runs} <= set(watcher.seen)
    assert {request.status for request in stand.emulator.requests} >= {200, 401}
    out = [
        *secrets.of_things(triggers=triggers, events=events, store=store.values),
        ("log", str(records.texts).encode()),
    ]
    assert secrets.leaks(SESAME, out) == []


async def rotate_while_they_wait(
    stand: Stand, triggers: list[AgentRunTrigger], watcher: Watcher, store: FakeStore
) -> list[dict[str, object]]:
    """Rotate the token twice while all of them wait, then let the runs complete; return the triggers' events."""
    async with running(watcher):
        await settled(watcher, store)
        waits = [asyncio.create_task(event_of(trigger)) for trigger in triggers]
        for _ in range(2):
            seen = len(stand.emulator.requests)
            await until(lambda seen=seen: len(stand.emulator.requests) > seen + 5)  # type: ignore[misc]
            stand.rotate()
        for trigger in triggers:
            run = stand.service.runs[trigger.run_id]
            stand.service.answer(run.id, run.interrupts[0]["id"], "go on")
        events = await asyncio.gather(*waits)
        await watcher.came(len(triggers))
    return events

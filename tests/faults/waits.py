# SPDX-License-Identifier: Apache-2.0
"""The triggers that meet a fault, run as the triggerer does: to their end, in an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import FakeStore, Watcher, running, settled
from tests.faults.bench import Stand
from tests.faults.cells import Cell
from tests.faults.parts import PARTS
from tests.faults.placing import ROTATED, Rule, timeout_for
from tests.triggers.waiting import event_of, until

#: Within which every wait has to end, in seconds: also behind a service that hangs.
_WITHIN = 30.0

#: How long a watcher is given to tell of something twice, in seconds.
_AFTERWARDS = 0.3


def wait_for_run(fault: str, rule: Rule, stand: Stand, *, stream: bool) -> tuple[Cell, list[Any]]:
    """Have a trigger wait for a run; return what came of it, and what it left behind."""
    stand.connect(timeout_for(fault))
    run = stand.run("brief" if stream else "patient")
    trigger = AgentRunTrigger(
        run.id,
        stand.conn_id,
        wait_for=("completed",),
        # Where the token is rotated, that is to come before the next look.
        poll_interval=1.0 if fault == ROTATED else 0.4 if stream else 0.1,
        watch="stream" if stream else "poll",
    )
    with stand.suffering(rule, returns=True) as seen:
        event = asyncio.run(_event(trigger, fault, stand))
    if "status" in event:
        assert event == {"run_id": run.id, "status": "completed"}
    # The look that meets the fault, and one more.
    least = 1 if "error" in event or fault == "refused" else 2
    cell = Cell(error=event.get("error", ""), requests=least, at_least=True, met=seen.met)
    return _checked(cell, len(seen.requests), stand), [trigger, trigger.serialize(), event]


def watch_for_events(fault: str, rule: Rule, stand: Stand) -> tuple[Cell, list[Any]]:
    """Have a watcher tell of a run that completes while the fault is in force."""
    stand.connect(timeout_for(fault))
    store = FakeStore()
    watcher = Watcher(store, agentruns_conn_id=stand.conn_id, statuses=("completed",))
    seen = asyncio.run(_watch(watcher, store, stand, rule))
    run_id, told = seen.runs[0].id, watcher.events
    assert told == [{"run_id": run_id, "status": "completed", "agent": "instant"}], told
    cell = Cell(requests=1, at_least=True, met=seen.met)
    return _checked(cell, len(seen.requests), stand), [watcher.trigger, watcher.trigger.serialize(), store.values, told]


async def _event(trigger: AgentRunTrigger, fault: str, stand: Stand) -> dict[str, Any]:
    begun = len(stand.emulator.requests)
    waiting = asyncio.create_task(event_of(trigger, within=_WITHIN))
    if fault == ROTATED:
        await until(lambda: any(request.status for request in stand.emulator.requests[begun:]))
        # In the loop of the wait, which so meets either the old token or the new one.
        stand.rotate()
    return await waiting


async def _watch(watcher: Watcher, store: FakeStore, stand: Stand, rule: Rule) -> Any:
    async with running(watcher):
        await settled(watcher, store)
        with stand.suffering(rule, returns=True) as seen:
            if rule.fault == ROTATED:
                stand.rotate()
            stand.run("instant")
            await watcher.came(1)
            await asyncio.sleep(_AFTERWARDS)
    return seen


def _checked(cell: Cell, requests: int, stand: Stand) -> Cell:
    assert cell.requests <= requests <= PARTS[stand.name].most, f"{requests} requests of {stand.name}"
    return cell

# SPDX-License-Identifier: Apache-2.0
"""Triggers under a fault, run in an event loop as the triggerer runs them."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_agentruns.triggers.agent_run import AgentRunTrigger
from tests.events.watchers import FakeStore, Watcher, running, settled
from tests.faults.outcomes import Outcome
from tests.faults.placement import timeout_for
from tests.faults.stand import Placement, Seen, Stand
from tests.triggers.waiting import event_of, until

#: Seconds within which each wait must end, also if the service never responds.
_WITHIN = 120.0


def wait_for_run(fault: str, placement: Placement, stand: Stand, *, stream: bool) -> tuple[Outcome, list[Any]]:
    """Wait for a run that completes after the fault has applied; return the outcome and what to search for tokens."""
    stand.connect(timeout_for(fault))
    run = stand.run("curious")
    trigger = AgentRunTrigger(
        run.id, stand.conn_id, wait_for=("completed",), poll_interval=0.1, watch="stream" if stream else "poll"
    )

    async def wait(seen: Seen) -> dict[str, Any]:
        waiting = asyncio.create_task(event_of(trigger, within=_WITHIN))
        await until(lambda: waiting.done() or seen.met or len(stand.emulator.requests) > before + 5, within=_WITHIN)
        if not waiting.done():
            stand.service.answer(run.id, run.interrupts[0]["id"], "continue")
        return await waiting

    before = len(stand.emulator.requests)
    with stand.suffering(placement, returns=True) as seen:
        event = asyncio.run(wait(seen))
    if "status" in event:
        assert event == {"run_id": run.id, "status": "completed"}
    return seen.outcome(event.get("error", "")), [trigger, trigger.serialize(), event]


def watch_for_events(fault: str, placement: Placement, stand: Stand) -> tuple[Outcome, list[Any]]:
    """Watch for a run that completes while the fault is active; return the outcome and what to search for tokens."""
    stand.connect(timeout_for(fault))
    store = FakeStore()
    watcher = Watcher(store, agentruns_conn_id=stand.conn_id, statuses=("completed",))

    async def watch() -> Seen:
        async with running(watcher):
            await settled(watcher, store)
            with stand.suffering(placement, returns=True) as seen:
                await asyncio.to_thread(stand.run, "instant")
                async with asyncio.timeout(_WITHIN):
                    await watcher.came(1)
                # The watcher could report something twice.
                await asyncio.sleep(0.3)
        return seen

    seen = asyncio.run(watch())
    assert watcher.events == [{"run_id": seen.runs[0].id, "status": "completed", "agent": "instant"}]
    return seen.outcome(), [watcher.trigger, watcher.trigger.serialize(), store.values, watcher.events]

# SPDX-License-Identifier: Apache-2.0
"""Watchers run as the triggerer runs them, and a store that outlives them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger
from tests.support.airflow_versions import HAS_STATE_STORE
from tests.triggers.waiting import until

ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


class FakeStore:
    """Stands in for Airflow's state store of one asset: JSON values by key."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        #: The errors that the next reads and writes raise.
        self.read_errors: list[Exception] = []
        self.write_errors: list[Exception] = []

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        if self.read_errors:
            raise self.read_errors.pop()
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if self.write_errors:
            raise self.write_errors.pop()
        self.values[key] = json.dumps(value)

    @property
    def cursor(self) -> dict[str, Any]:
        return max(self.cursors, key=lambda cursor: cursor["saved_at"], default={})

    @property
    def cursors(self) -> list[dict[str, Any]]:
        values = map(json.loads, self.values.values())
        return [value for value in values if isinstance(value, dict) and "saved_at" in value]

    async def recorded(self, finished: int, *, watchers: int = 1) -> None:
        """Wait until the cursors of some watchers hold a number of finished runs."""
        await until(lambda: [len(cursor["finished"]) for cursor in self.cursors].count(finished) >= watchers)


class Watcher:
    """
    A watcher, and the payloads of its events.

    :param store: The state store of its asset; None as on an Airflow without such stores.
    :param stored: Whether the events reach Airflow's database.
    """

    def __init__(self, store: Any = None, *, stored: bool = True, **arguments: Any) -> None:
        arguments.setdefault("poll_interval", 0.05)
        self.trigger = AgentRunEventTrigger(**arguments)
        self.trigger.asset_state_store = store
        self.stored = stored
        self.events: list[dict[str, Any]] = []
        self.task: asyncio.Task[None]

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(event["run_id"], event["status"]) for event in self.events]

    async def came(self, count: int) -> None:
        """Wait for that many events. Fails if the trigger fails."""
        await until(lambda: len(self.events) >= count or self.ended)
        if self.ended:
            self.task.result()

    @property
    def ended(self) -> bool:
        return self.task.done()

    async def run(self) -> None:
        key = self.trigger.shared_stream_key() if HAS_STATE_STORE else None
        if key is None:
            try:
                async for event in self.trigger.run():
                    self.events.append(event.payload)
            finally:
                await self.trigger.cleanup()
            return
        # As in `TriggerRunner.run_trigger`.
        from airflow.triggers.shared_stream import SharedStreamManager

        manager = SharedStreamManager()
        stream = manager.subscribe(trigger_id=1, trigger=self.trigger, key=key)
        try:
            async for event in self.trigger.filter_shared_stream(stream):
                seq = manager.bind_pending_event(trigger_id=1, key=key)
                assert seq is not None
                self.events.append(event.payload)
                if self.stored:
                    asyncio.get_running_loop().call_later(0.01, manager.confirm_persisted, [seq])
        finally:
            await manager.unsubscribe(1, key)
            await self.trigger.cleanup()


@asynccontextmanager
async def running(watcher: Watcher) -> AsyncIterator[None]:
    """Run a watcher until the block ends. Then cancel it, as a triggerer does when it shuts down."""
    watcher.task = asyncio.create_task(watcher.run())
    try:
        yield
    finally:
        watcher.task.cancel()
        await asyncio.gather(watcher.task, return_exceptions=True)


async def settled(watcher: Watcher, store: FakeStore) -> None:
    """Wait until a watcher that starts for the first time knows which runs exist."""
    await until(lambda: bool(store.cursor) or watcher.ended)

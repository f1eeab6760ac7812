# SPDX-License-Identifier: Apache-2.0
"""Watchers as the triggerer runs them, and a store that outlives them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow_provider_agentruns.events import run_events as news
from airflow_provider_agentruns.triggers.agent_run import AgentRunEventTrigger
from tests.triggers.waiting import until

BUSINESS = "0b9a1f5e-5f0c-4a39-9d0c-6f2f2d1f7a10"
ENV = "AIRFLOW_CONN_AGENTRUNS_DEFAULT"


class FakeStore:
    """Stands for Airflow's store of an asset: JSON values under keys."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.writes = 0
        #: What the next readings and writings fail with.
        self.read_errors: list[Exception] = []
        self.write_errors: list[Exception] = []

    async def aget(self, key: str, default: Any = None) -> Any:
        await asyncio.sleep(0)
        if self.read_errors:
            raise self.read_errors.pop()
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        self.writes += 1
        if self.write_errors:
            raise self.write_errors.pop()
        self.values[key] = json.dumps(value)

    @property
    def cursor(self) -> dict[str, Any]:
        """The one value that is kept."""
        [value] = self.values.values()
        found: dict[str, Any] = json.loads(value)
        return found


class Watcher:
    """
    One watcher, and the payloads of its events.

    :param store: Where it keeps its cursor; None as on an Airflow that has no such store.
    """

    def __init__(self, store: Any = None, **arguments: Any) -> None:
        arguments.setdefault("poll_interval", 0.05)
        self.trigger = AgentRunEventTrigger(**arguments)
        self.trigger.asset_state_store = store
        self.events: list[dict[str, Any]] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def seen(self) -> list[tuple[str, str]]:
        """Run id and status of each event, in the order in which they came."""
        return [(event["run_id"], event["status"]) for event in self.events]

    def start(self) -> None:
        """Run, until stopped."""
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Cancel it, as a triggerer does that goes down."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def came(self, count: int) -> None:
        """Wait until as many events have come."""
        await until(lambda: len(self.events) >= count or (self.task is not None and self.task.done()))
        if self.task is not None and self.task.done():
            self.task.result()

    async def _run(self) -> None:
        try:
            async for event in self.trigger.run():
                self.events.append(event.payload)
        finally:
            await self.trigger.cleanup()


@asynccontextmanager
async def running(*watchers: Watcher) -> AsyncIterator[None]:
    """Run watchers as long as the block lasts."""
    for watcher in watchers:
        watcher.start()
    try:
        yield
    finally:
        for watcher in watchers:
            await watcher.stop()


async def settled(watcher: Watcher, store: FakeStore) -> None:
    """Wait until a watcher that has just begun knows what there is."""
    await until(lambda: bool(store.values) or (watcher.task is not None and watcher.task.done()))


async def kept(store: FakeStore) -> None:
    """Wait until all that was told must have been kept."""
    await asyncio.sleep(2.2 * news.KEEP_AFTER)
    writes = store.writes
    await asyncio.sleep(2.2 * news.KEEP_AFTER)
    assert store.writes == writes

# SPDX-License-Identifier: Apache-2.0
"""
Writes the changes that webhooks report to Airflow's database. Changes that arrive together share a transaction.

A burst of webhooks therefore takes one thread and one database connection of the API server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import anyio.to_thread

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.airflow_adapter.asset_events import NewAssetEvent
from airflow_provider_agentruns.events.asset_uris import SCHEME, asset_uris
from airflow_provider_agentruns.events.webhook_event import MAX_AGE, RunStatusChange

log = logging.getLogger(__name__)

#: The largest number of changes per transaction. Until it ends, other processes may wait for its locks.
BATCH_SIZE = 20

#: The largest number of changes that wait to be written. The service sends the others again.
MAX_WAITING = 2000

#: Old keys are deleted this often, in seconds, and after this time, which is longer than any event is accepted.
DELETE_INTERVAL = 3600.0
KEY_LIFETIME = MAX_AGE + timedelta(days=1)

_KEY_PREFIX = "webhook:"


class QueueFullError(Exception):
    """Too many changes wait to be written."""


class BatchWriter:
    """Writes changes of runs as asset events. For one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[NewAssetEvent, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        # Not at the start: all processes of an API server start together.
        self._delete_at = time.monotonic() + DELETE_INTERVAL

    async def write(self, conn_id: str, change: RunStatusChange) -> None:
        """
        Return when the database holds the asset events of a change. A change that it holds already has no effect.

        :raises QueueFullError: If too many changes wait.
        :raises sqlalchemy.exc.SQLAlchemyError: If the database fails.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise QueueFullError
        uris = tuple(asset_uris(conn_id, change.status, change.agent))
        event = NewAssetEvent(uris, _KEY_PREFIX + change.key, change.payload, change.event_id)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            if await self._write_batch(batch) is not None and len(batch) > 1:
                # One of them may be the reason. It must not keep out the others.
                for one in batch:
                    await self._write_batch([one], last=True)
            if not self._waiting and time.monotonic() >= self._delete_at:
                self._delete_at = time.monotonic() + DELETE_INTERVAL
                await self._delete_old_keys()

    @staticmethod
    async def _write_batch(
        batch: Sequence[tuple[NewAssetEvent, asyncio.Future[None]]], *, last: bool = False
    ) -> Exception | None:
        try:
            await _in_thread(asset_events.create_asset_events, [event for event, _ in batch])
        except Exception as e:  # noqa: BLE001 -- whoever waits for the change receives it
            error: Exception | None = e
        else:
            error = None
        for _, written in batch:
            if written.done():
                continue
            if error is None:
                written.set_result(None)
            elif last or len(batch) == 1:
                written.set_exception(error)
        return error

    @staticmethod
    async def _delete_old_keys() -> None:
        try:
            await _in_thread(asset_events.delete_keys, f"{SCHEME}://", _KEY_PREFIX, KEY_LIFETIME)
        except Exception:
            log.exception("Cannot delete the keys of old webhooks, and will try again")


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> None:
    # A limiter of its own, so that webhooks take none of the threads that Airflow's own requests use.
    await anyio.to_thread.run_sync(partial(function, *arguments), limiter=anyio.CapacityLimiter(1))

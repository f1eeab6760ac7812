# SPDX-License-Identifier: Apache-2.0
"""Drops duplicate webhooks, and writes the changes that the others report as asset events."""

from __future__ import annotations

import time
from asyncio import QueueFull
from datetime import timedelta
from functools import partial

import anyio.to_thread
from sqlalchemy.orm import Session

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.events.asset_uris import asset_uris
from airflow_provider_agentruns.events.signed_webhook import MAX_AGE, RunStatusChange

#: The largest number of changes that are pending. The service resends the others.
MAX_PENDING = 2000
#: Seconds between deletions of old keys, and the age at which a key is old. Events of that age are rejected.
DELETE_INTERVAL = 3600.0
KEY_LIFETIME = MAX_AGE + timedelta(days=1)
_KEY_PREFIX = "webhook:"


class WebhookWriter:
    """Writes one change after the other. For one event loop."""

    def __init__(self) -> None:
        # A burst of webhooks uses one thread and one database connection, and no thread of Airflow's own requests.
        self._limiter = anyio.CapacityLimiter(1)
        self._pending = 0
        # Not at the start: all processes of an API server start together.
        self._delete_at = time.monotonic() + DELETE_INTERVAL

    async def write(self, conn_id: str, change: RunStatusChange) -> None:
        """Return when the database holds the asset events of a change. A duplicate has no effect."""
        if self._pending >= MAX_PENDING:
            raise QueueFull
        self._pending += 1
        try:
            write = partial(self._write, conn_id, change)
            await anyio.to_thread.run_sync(asset_events.in_transaction, write, limiter=self._limiter)
        finally:
            self._pending -= 1

    def _write(self, conn_id: str, change: RunStatusChange, session: Session) -> None:
        # An asset that already has the key drops the change: it is a duplicate.
        uris = asset_uris(conn_id, change.status, change.agent)
        new = asset_events.add_key(session, uris, _KEY_PREFIX + change.key, change.event_id)
        payload = {"run_id": change.run_id, "status": change.status, "agent": change.agent}
        asset_events.create_events(session, new, payload)
        if time.monotonic() >= self._delete_at:
            self._delete_at = time.monotonic() + DELETE_INTERVAL
            asset_events.delete_keys(session, _KEY_PREFIX, KEY_LIFETIME)

# SPDX-License-Identifier: Apache-2.0
"""Saves a watcher's cursor in Airflow's asset state store, where a restarted or edited watcher finds it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError
from tenacity import AsyncRetrying, before_sleep_log, wait_exponential

from airflow_provider_agentruns.events.run_tracker import RunTracker

T = TypeVar("T")

log = logging.getLogger(__name__)

#: The longest pause between two attempts to use the store, in seconds.
_MAX_BACKOFF = 60.0


class StateStore(Protocol):
    """Holds JSON values by key: Airflow's asset state store for one asset."""

    async def aget(self, key: str) -> Any: ...
    async def aset(self, key: str, value: Any) -> None: ...


class CursorStore:
    """
    The cursor of one watcher, in the state of each asset that it watches.

    Each watcher has its own key, because several may watch one asset. Another key names the watcher of the connection
    that started last: a watcher without a cursor of its own (one that was edited) continues with that one's.

    :param stores: The state store of each asset. Without any, nothing is kept.
    :param conn_id: The Airflow connection ID.
    :param watched: What else tells the watchers of an asset apart, as JSON values.
    """

    def __init__(self, stores: Sequence[StateStore], conn_id: str, *watched: Any) -> None:
        self._stores = stores
        self._key = _key(conn_id, *watched)
        self._latest_key = f"{_key(conn_id)}:latest"
        self._saved: dict[str, Any] | None = None

    async def load(self) -> RunTracker | None:
        """Return the newest cursor, if any. A failing store is waited for: without a cursor, runs would be missed."""
        trackers = []
        for store in self._stores:
            cursor = await _persistently(self._read, store)
            try:
                trackers += [RunTracker.model_validate(cursor)] if cursor is not None else []
            except ValidationError:
                log.warning("Ignoring the cursor under %r, which has another structure", self._key)
        return max(trackers, key=lambda tracker: tracker.horizon, default=None)

    async def save(self, tracker: RunTracker) -> None:
        """Save the cursor if it has changed. A failure is logged, and a later call saves it."""
        cursor = tracker.model_dump(mode="json")
        if self._saved is None:
            # Before the first event: a restart without a cursor would take its run as already reported.
            await _persistently(self._write, cursor)
        elif cursor != self._saved:
            try:
                await self._write(cursor)
            except Exception as e:  # noqa: BLE001 -- Airflow documents no errors. The worst is a repeated event
                log.warning("Cannot save which agent runs have been reported, and will try again: %s", e)

    async def _write(self, cursor: dict[str, Any]) -> None:
        for store in self._stores:
            await store.aset(self._key, cursor)
            if self._saved is None:
                await store.aset(self._latest_key, self._key)
        self._saved = cursor

    async def _read(self, store: StateStore) -> Any:
        found = await store.aget(self._key)
        if found is None and isinstance(latest := await store.aget(self._latest_key), str):
            found = await store.aget(latest)
        return found


async def _persistently(function: Callable[[T], Awaitable[Any]], argument: T) -> Any:
    """Call a function until it succeeds."""
    log_retry = before_sleep_log(log, logging.WARNING)
    return await AsyncRetrying(wait=wait_exponential(max=_MAX_BACKOFF), before_sleep=log_retry)(function, argument)


def _key(*parts: Any) -> str:
    return f"agent_runs:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

# SPDX-License-Identifier: Apache-2.0
"""Keeps a watcher's cursor in the asset state store, where a restarted or edited watcher finds it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, wait_exponential

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
        self._loaded = False

    async def load(self, tracker: RunTracker) -> None:
        """Continue where the cursor is. If the store fails, wait for it: without the cursor, runs would be missed."""
        cursors = [found for store in self._stores if (found := await _persistently(self._read, store)) is not None]
        # One asset may have been added later, or its store may have failed.
        for cursor in sorted(cursors, key=_age):
            try:
                tracker.load(cursor)
            except ValueError as e:
                log.warning("Ignoring the cursor under %r: %s", self._key, e)
            else:
                self._loaded = True
                return

    async def save(self, tracker: RunTracker) -> None:
        """Save the cursor if it has changed. A failure is logged, and a later call saves it."""
        cursor = tracker.to_json()
        if not self._stores or cursor == self._saved:
            return
        if not self._loaded:
            # Before the first event: a restart without a cursor would take its run as already reported.
            await _persistently(self._write, cursor)
            self._loaded = True
            return
        try:
            await self._write(cursor)
        except Exception as e:  # noqa: BLE001 -- Airflow documents no errors. The worst is a repeated event
            log.warning("Cannot save which agent runs have been reported, and will try again: %s", e)

    async def _write(self, cursor: dict[str, Any]) -> None:
        for store in self._stores:
            await store.aset(self._key, {**cursor, "kept": int(time.time())})
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
    return await AsyncRetrying(wait=wait_exponential(max=_MAX_BACKOFF), before_sleep=_log_retry)(function, argument)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("Cannot use the store of reported agent runs, and will try again: %s", error)


def _age(cursor: Any) -> float:
    """Return a number that is smaller for a newer cursor."""
    kept = cursor.get("kept") if isinstance(cursor, dict) else None
    return -kept if isinstance(kept, int | float) else 0.0


def _key(*parts: Any) -> str:
    return f"agent_runs:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

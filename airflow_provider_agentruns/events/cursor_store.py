# SPDX-License-Identifier: Apache-2.0
"""Saves a watcher's cursor in Airflow's asset state store, where a restarted or edited watcher finds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

from airflow_provider_agentruns.client.retries import keep_trying
from airflow_provider_agentruns.digest import digest
from airflow_provider_agentruns.events.run_tracker import RunTracker

log = logging.getLogger(__name__)

#: An unchanged cursor is saved again after this many seconds, which shows that its watcher still exists.
SAVE_INTERVAL = 300.0

#: If another cursor was saved this many seconds later, the watcher of a cursor was removed and not edited.
_REMOVED_AFTER = 1800.0

#: The longest pause between two attempts to use the store, in seconds.
_MAX_BACKOFF = 60.0


class StateStore(Protocol):
    """Holds JSON values by key: Airflow's asset state store for one asset."""

    async def aget(self, key: str) -> Any: ...
    async def aset(self, key: str, value: Any) -> None: ...


class CursorStore:
    """
    The cursor of one watcher, in the state of each asset that it watches.

    A connection can have several watchers of one asset, and each has a cursor. Another key lists these cursors. If a
    watcher is edited, Airflow stops it, and starts another one that has no cursor. That one takes over the listed
    cursor that was not saved for the longest time.

    :param stores: The state store of each asset. Without any, nothing is saved.
    :param conn_id: The Airflow connection ID.
    :param watched: The other arguments that distinguish the watchers of an asset, as JSON values.
    """

    def __init__(self, stores: Sequence[StateStore], conn_id: str, *watched: Any) -> None:
        self._stores = stores
        self._list_key = f"agent_runs:{digest([conn_id])[:16]}"
        self._key = f"agent_runs:{digest([conn_id, *watched])[:16]}"
        self._saved: RunTracker | None = None
        self._saved_at = 0.0
        self._until_it_works = keep_trying("use the asset state store", Exception, first=1.0, longest=_MAX_BACKOFF)

    async def load(self) -> RunTracker | None:
        """Return the newest cursor, if any. Repeats until the store works: without a cursor, runs would be missed."""
        cursors: list[tuple[float, RunTracker] | None]
        cursors = [await self._until_it_works(self._load, store) for store in self._stores]
        return max(filter(None, cursors), key=lambda cursor: cursor[0], default=(0.0, None))[1]

    async def save(self, tracker: RunTracker) -> None:
        """Save the cursor if it has changed. A failure is logged, and a later call saves it."""
        if self._saved is None:
            # Before the first event: a restart without a cursor would take its run as already reported.
            await self._until_it_works(self._save, tracker)
        elif tracker != self._saved or time.time() - self._saved_at > SAVE_INTERVAL:
            try:
                await self._save(tracker)
            except Exception as e:  # noqa: BLE001 -- Airflow documents no errors. The worst is a repeated event
                log.warning("Cannot save which agent runs have been reported, and will try again: %s", e)

    async def _save(self, tracker: RunTracker) -> None:
        now = time.time()
        for store in self._stores:
            await store.aset(self._key, {"saved_at": now, **tracker.model_dump(mode="json")})
            keys = await store.aget(self._list_key) or []
            if self._key not in keys:
                await store.aset(self._list_key, [*keys, self._key])
        self._saved, self._saved_at = tracker.model_copy(deep=True), now

    async def _load(self, store: StateStore) -> tuple[float, RunTracker] | None:
        """Return the watcher's cursor in one store, and when it was saved. Take over another watcher's if necessary."""
        keys = await store.aget(self._list_key) or []
        cursors = {key: cursor for key in keys if (cursor := _parse(await store.aget(key)))}
        if self._key in cursors or not cursors:
            return cursors.get(self._key)
        oldest_first = sorted(cursors, key=lambda key: cursors[key][0])
        removed_before = cursors[oldest_first[-1]][0] - _REMOVED_AFTER
        taken, *others = [key for key in oldest_first if cursors[key][0] > removed_before]
        await store.aset(self._key, await store.aget(taken))
        await store.aset(self._list_key, [*others, self._key])
        return cursors[taken]


def _parse(value: Any) -> tuple[float, RunTracker] | None:
    """Return when a cursor was saved, and the cursor; None if it has another structure."""
    try:
        return float(value["saved_at"]), RunTracker.model_validate(value)
    except (KeyError, TypeError, ValueError):
        log.warning("Ignoring a cursor that has another structure")
        return None

# SPDX-License-Identifier: Apache-2.0
"""Saves a watcher's cursor in Airflow's asset state store, where a restarted or edited watcher finds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from airflow_provider_agentruns.client.retries import keep_trying
from airflow_provider_agentruns.events.run_tracker import RunTracker
from airflow_provider_agentruns.text import digest

log = logging.getLogger(__name__)

#: An unchanged cursor is saved again after this many seconds, which shows that its watcher still exists.
SAVE_INTERVAL = 300.0
#: A cursor belongs to a removed watcher if another cursor was saved this many seconds later.
_REMOVED_AFTER = 1800.0


class CursorStore:
    """
    The cursor of one watcher, saved for each asset that it watches.

    An asset can have several watchers, each with a cursor. Another key lists the keys of these cursors. When a watcher
    is edited, Airflow replaces it with one without a cursor. The new watcher takes over the listed cursor that was
    saved least recently.

    :param stores: Airflow's state store of each asset. Without any, nothing is saved.
    :param watched: The arguments besides the connection that distinguish the watchers of an asset, as JSON values.
    """

    def __init__(self, stores: Sequence[Any], conn_id: str, *watched: Any) -> None:
        self._stores = stores
        self._list_key = f"agent_runs:{digest([conn_id])[:16]}"
        self._key = f"agent_runs:{digest([conn_id, *watched])[:16]}"
        self._saved: RunTracker | None = None
        self._until_it_works = keep_trying("use the asset state store", Exception, first=1.0, longest=60.0)

    async def load(self) -> RunTracker | None:
        """Return the newest cursor, if any. Repeats until the store works: without a cursor, runs would be missed."""
        cursors: list[RunTracker | None]
        cursors = [await self._until_it_works(self._load, store) for store in self._stores]
        return max(filter(None, cursors), key=lambda cursor: cursor.saved_at, default=None)

    async def save(self, tracker: RunTracker) -> None:
        """Save the cursor if it has changed. A failure is logged, and a later call saves it."""
        if self._saved is None:
            # Before the first event: a restart without a cursor would consider its run as already reported.
            await self._until_it_works(self._save, tracker)
        elif tracker != self._saved or time.time() - tracker.saved_at > SAVE_INTERVAL:
            try:
                await self._save(tracker)
            except Exception as e:  # noqa: BLE001 -- such as for an asset that is no longer active, and has no store
                log.warning("Cannot save which agent runs have been reported, and will try again: %s", e)

    async def _save(self, tracker: RunTracker) -> None:
        tracker.saved_at = time.time()
        for store in self._stores:
            await store.aset(self._key, tracker.model_dump(mode="json"))
            keys = await store.aget(self._list_key) or []
            if self._key not in keys:
                await store.aset(self._list_key, [*keys, self._key])
        self._saved = tracker.model_copy(deep=True)

    async def _load(self, store: Any) -> RunTracker | None:
        keys = await store.aget(self._list_key) or []
        cursors = {key: cursor for key in keys if (cursor := _parse(await store.aget(key)))}
        if self._key in cursors or not cursors:
            return cursors.get(self._key)
        oldest_first = sorted(cursors, key=lambda key: cursors[key].saved_at)
        removed_before = cursors[oldest_first[-1]].saved_at - _REMOVED_AFTER
        taken, *others = [key for key in oldest_first if cursors[key].saved_at > removed_before]
        await store.aset(self._key, cursors[taken].model_dump(mode="json"))
        await store.aset(self._list_key, [*others, self._key])
        return cursors[taken]


def _parse(value: Any) -> RunTracker | None:
    try:
        return RunTracker.model_validate(value)
    except ValidationError:
        log.warning("Ignoring a cursor that has another structure")
        return None

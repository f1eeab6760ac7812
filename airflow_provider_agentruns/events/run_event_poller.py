# SPDX-License-Identifier: Apache-2.0
"""
Polls the service for one watcher, and yields the runs to report.

Each poll reads the listing from its newest end. A *shallow* poll stops at the first page without new runs. A *deep*
poll, every few minutes, continues to the tracker's horizon to find runs that the listing shows late. Both continue
while pages show several unfinished runs. The poller reads the other unfinished runs one by one, in turn.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Collection

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.listing_walk import ListingWalk
from airflow_provider_agentruns.client.responses import ListedPage
from airflow_provider_agentruns.client.retries import LONGEST_PAUSE, keep_trying
from airflow_provider_agentruns.events.cursor_store import CursorStore
from airflow_provider_agentruns.events.run_tracker import MAX_LISTING_LAG, RunSnapshot, RunTracker
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsError,
    AgentRunsResponseTooLargeError,
)
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

log = logging.getLogger(__name__)

#: The largest number of runs per batch. Airflow must store their events within ``shared_stream_ack_timeout``.
BATCH_SIZE = 100
#: The largest number of pages per poll, and of pages that are read only for unfinished runs.
MAX_PAGES = 1000
_MAX_UNFINISHED_PAGES = 10
#: The number of unfinished runs to read one by one, per second of the poll interval.
_READS_PER_SECOND = 0.25
#: The number of seconds between two deep polls. A deep poll also reads the connection again, which may be edited.
_DEEP_INTERVAL = MAX_LISTING_LAG / 2
#: Each page delays the next poll to at least this many seconds, which leaves requests to the account's tasks.
_PAUSE_PER_PAGE = 0.25


async def changed_runs(
    conn_id: str, interval: float, store: CursorStore, statuses: Collection[str], agent: str | None
) -> AsyncGenerator[list[RunSnapshot], None]:
    """
    Yield batches of runs to report. A batch counts as reported when the next one is requested.

    If ``store`` has no cursor, the runs that exist now are not reported. ``interval`` is in seconds.
    """
    poller = RunEventPoller(conn_id, interval, await store.load())
    tracker = poller.tracker
    try:
        while True:
            changes = await poller.poll()
            reported = [run for run in changes if run.status in statuses and agent in (None, run.agent)]
            tracker.record(run for run in changes if run.status not in statuses or agent not in (None, run.agent))
            for start in range(0, len(reported), BATCH_SIZE):
                batch = reported[start : start + BATCH_SIZE]
                yield batch
                tracker.record(batch)
                await store.save(tracker)
            tracker.advance(poller.read_until)
            await store.save(tracker)
            await asyncio.sleep(max(interval, poller.pages_read * _PAUSE_PER_PAGE))
    finally:
        await poller.close()


class RunEventPoller:
    """Compares the listing with the tracker. Without a tracker, the runs of the first poll count as reported."""

    def __init__(self, conn_id: str, interval: float, tracker: RunTracker | None) -> None:
        self._interval = interval
        self._first = tracker is None
        self.tracker = tracker or RunTracker(saved_at=0.0)
        self._hook = AgentRunHook(conn_id)
        self._deep_at = -math.inf
        self._walk: ListingWalk | None = None
        self.pages_read = 0
        #: The last poll read all runs created until this time (Unix time); 0 after a shallow poll.
        self.read_until = 0.0
        what = f"poll agent runs over connection {conn_id!r}"
        self._retrying = keep_trying(what, AgentRunsError, first=interval, longest=LONGEST_PAUSE)

    async def poll(self) -> list[RunSnapshot]:
        """Return the runs that changed since they were recorded. Repeats the poll until it succeeds."""
        found: dict[str, RunSnapshot] = await self._retrying(self._read_listing)
        await self._read_others(found)
        changes = [run for run in found.values() if self.tracker.has_changed(run)]
        if self._first:
            self.tracker.record(changes)
            self._first, changes = False, []
        return changes

    async def close(self) -> None:
        await self._hook.aclose()

    async def _read_listing(self) -> dict[str, RunSnapshot]:
        found: dict[str, RunSnapshot] = {}
        now, newest, unusable = time.time(), 0.0, 0
        deep = time.monotonic() - self._deep_at >= _DEEP_INTERVAL
        if deep:
            await self.close()
        # If this attempt fails, the next one is deep.
        deep_at, self._deep_at = self._deep_at, -math.inf
        walk = ListingWalk(max_pages=MAX_PAGES, previous=self._walk)
        self.read_until, self.pages_read = 0.0, 0
        while walk.page is not None:
            page = await self._read_page(walk, walk.page)
            if page is None:
                continue
            self.pages_read += 1
            runs = [run for listed in page.data if (run := RunSnapshot.from_listed(listed))]
            unusable += page.left_out + len(page.data) - len(runs)
            newest = max([newest, *(run.created for run in runs)])
            unfinished = {run.run_id for run in runs if run.run_id in self.tracker.unfinished}.difference(found)
            nothing_new = all(map(self.tracker.knows, runs))
            found |= {run.run_id: run for run in runs if run.run_id in unfinished or self.tracker.has_changed(run)}
            only_old = any(map(self.tracker.is_old, runs)) or (not deep and nothing_new)
            worthwhile = len(unfinished) > 1 and self.pages_read < _MAX_UNFINISHED_PAGES
            walk.advance(page, stop=only_old and not worthwhile)
        self._walk, self._deep_at = walk, time.monotonic() if deep else deep_at
        if deep:
            # A creation time in the future must not move the horizon past runs that are created in between.
            self.read_until = min(now, newest)
            if walk.truncated:
                log.warning("The listing is incomplete or has over %d pages. Some runs may get no events", MAX_PAGES)
            if unusable:
                log.warning("%d agent runs without a creation time or a usable ID get no events", unusable)
        return found

    async def _read_page(self, walk: ListingWalk, number: int) -> ListedPage | None:
        try:
            return await self._hook.asend(requests.list_run_states, page=number, page_size=walk.page_size)
        except (AgentRunsAPIError, AgentRunsResponseTooLargeError) as e:
            status = getattr(e, "status_code", 413)
            if walk.is_past_end(status):
                walk.advance(None)
            elif status not in (400, 413, 422) or not walk.shrink():
                raise
        return None

    async def _read_others(self, found: dict[str, RunSnapshot]) -> None:
        unfinished = self.tracker.unfinished
        others = [run_id for run_id in unfinished if run_id not in found]
        for run_id in others[: math.ceil(self._interval * _READS_PER_SECOND)]:
            # Move the run to the end, so that the next poll reads others.
            unfinished[run_id] = unfinished.pop(run_id)
            try:
                if run := RunSnapshot.from_listed(await self._hook.asend(requests.get_run_state, run_id)):
                    found[run_id] = run
            except AgentRunNotFoundError:
                # A replica of the service may not know a new run yet. An older run was deleted.
                if self.tracker.is_old(unfinished[run_id]):
                    del unfinished[run_id]
            except AgentRunsError as e:
                # Only this run may be unreadable.
                log.warning("Cannot read agent run %s, and will try again: %s", run_id, e)
                if not isinstance(e, AgentRunsAPIError):
                    return

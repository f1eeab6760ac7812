# SPDX-License-Identifier: Apache-2.0
"""
Polls the listing for one watcher and yields the runs that changed, in batches.

Each poll reads the listing from its newest end. A *shallow* poll stops at the first page that holds nothing new. A
*deep* poll, every few minutes, continues to the tracker's horizon, so that it finds runs that the listing shows late.
Both continue while pages hold several unfinished runs. The other unfinished runs are read one by one, and the longer
they have been unchanged, the less often.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Sequence
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.paging import NO_SUCH_PAGE, ListingWalk, Order
from airflow_provider_agentruns.client.partial_models import ListedPage
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.events.cursor_store import CursorStore
from airflow_provider_agentruns.events.run_tracker import MAX_LISTING_LAG, RunSnapshot, RunTracker
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsAuthError,
    AgentRunsConfigError,
    AgentRunsError,
)
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

T = TypeVar("T")

log = logging.getLogger(__name__)

#: At most this many runs are in a batch. Airflow must store their events within ``shared_stream_ack_timeout``.
BATCH_SIZE = 100

#: A poll reads at most this many pages.
MAX_PAGES = 1000

#: A shallow poll reads at most this many pages that hold nothing but unfinished runs.
_MAX_UNFINISHED_PAGES = 10

#: A deep poll takes place this often, in seconds.
_DEEP_INTERVAL = MAX_LISTING_LAG / 2

#: An unfinished run that no page shows is read after this part of the time for which it has been unchanged, and at
#: least this often, in seconds. Questions that nobody answers would add up otherwise.
_READ_PART = 0.01
_MAX_READ_INTERVAL = 600.0

#: At most this many runs are read one by one per second of the poll interval.
_MAX_READS_PER_SECOND = 2.0

#: Reading many pages delays the next poll by this many seconds per page, so that tasks of the account are not slowed.
_PAUSE_PER_PAGE = 0.25

#: The connection is read again after this many seconds, because it may have been edited.
_RELOAD_INTERVAL = 300.0

#: The longest pause after failures, in seconds, unless the poll interval is longer.
_MAX_BACKOFF = 300.0

#: The token is wrong, and not just being rotated, after this many refused attempts in a row.
_MAX_REFUSALS = 4

#: After a failure that a retry cannot fix, wait this many seconds before raising it. Airflow restarts a failed
#: watcher within seconds, without end.
_FAILURE_PAUSE = 60.0


async def changed_runs(conn_id: str, interval: float, store: CursorStore) -> AsyncGenerator[list[RunSnapshot], None]:
    """
    Yield batches of runs that newly reached a status. A batch counts as stored when the next one is requested.

    :param conn_id: The Airflow connection ID.
    :param interval: The number of seconds between two polls.
    :param store: Holds the cursor. If it is empty, the runs that exist now are not reported.
    :raises AgentRunsError: If the connection cannot work.
    """
    tracker = RunTracker()
    await store.load(tracker)
    poller = RunEventPoller(conn_id, interval, tracker)
    try:
        while True:
            begun = time.monotonic()
            changes = await poller.poll()
            for start in range(0, len(changes), BATCH_SIZE):
                batch = changes[start : start + BATCH_SIZE]
                yield batch
                for run in batch:
                    tracker.record(run)
                await store.save(tracker)
            poller.complete()
            await store.save(tracker)
            await asyncio.sleep(max(poller.pages_read * _PAUSE_PER_PAGE, begun + interval - time.monotonic()))
    except AgentRunsError as e:
        log.error("Cannot watch agent runs over connection %r: %s", conn_id, e)
        await asyncio.sleep(_FAILURE_PAUSE)
        raise
    finally:
        await poller.close()


class RunEventPoller:
    """
    Reads the listing and compares it with what the tracker knows.

    :param conn_id: The Airflow connection ID.
    :param interval: The number of seconds between two polls.
    """

    def __init__(self, conn_id: str, interval: float, tracker: RunTracker) -> None:
        self._interval = interval
        self._tracker = tracker
        self._first = tracker.horizon is None
        if self._first:
            tracker.start()
        self._hook = AgentRunHook(conn_id)
        self._opened_at = time.monotonic()
        self._refusals = 0
        self._walk: ListingWalk | None = None
        self._deep_at = -math.inf
        #: Until where the listing was read completely in this poll: the tracker's next horizon; None if it was not.
        self._read_until: float | None = None
        # When each unfinished run was last seen, by `time.monotonic()`, and last changed, by `time.time()`.
        self._seen_at: dict[str, float] = {}
        self._changed_at: dict[str, float] = {}
        # Runs that the service did not find when they were last read.
        self._missing: set[str] = set()
        self._warned = False
        self.pages_read = 0
        self._retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_pass),
            wait=wait_exponential(multiplier=interval, max=max(_MAX_BACKOFF, interval)),
            before_sleep=_log_retry,
            reraise=True,
        )

    async def poll(self) -> list[RunSnapshot]:
        """
        Return the runs that changed since they were recorded. Repeats the poll until it succeeds.

        :raises AgentRunsError: If the connection cannot work.
        """
        changes: list[RunSnapshot] = await self._retrying(self._poll_once)
        return changes

    def complete(self) -> None:
        """Move the tracker's horizon, after all changes of the poll were recorded."""
        if self._read_until is not None:
            forgotten = self._tracker.advance(self._read_until)
            if forgotten:
                log.warning("Too many agent runs are unfinished. %d of the oldest get no events", forgotten)

    async def close(self) -> None:
        """Close the connections."""
        await self._hook.aclose()

    async def _poll_once(self) -> list[RunSnapshot]:
        if time.monotonic() - self._opened_at > _RELOAD_INTERVAL:
            await self._reload()
        found: dict[str, RunSnapshot] = {}
        self._read_until, self.pages_read = None, 0
        await self._read_listing(found)
        await self._read_others(found)
        self._refusals = 0
        changes = [run for run in found.values() if self._tracker.has_changed(run)]
        self._changed_at.update((run.run_id, time.time()) for run in changes)
        return changes

    # The listing

    async def _read_listing(self, found: dict[str, RunSnapshot]) -> None:
        """Read the runs that changed, and the unfinished ones. The first time, record all instead."""
        first, begun = self._first, time.monotonic()
        deep = first or begun - self._deep_at >= _DEEP_INTERVAL
        walk = ListingWalk(max_pages=MAX_PAGES, previous=self._walk)
        served_at, newest = 0.0, 0.0
        while walk.page is not None:
            page = await self._read_page(walk, walk.page)
            if page is None:
                continue
            self.pages_read += 1
            runs = self._snapshots(page)
            newest = max([newest, *(run.created for run in runs if run.created is not None)])
            served_at = served_at or page.served_at or time.time()
            stop = not first and self._is_last(runs, found, deep=deep)
            for run in runs:
                if first:
                    # What a run was when it was first read counts as reported.
                    if not self._tracker.knows(run):
                        self._tracker.record(run)
                        if not run.finished:
                            found[run.run_id] = run
                elif self._tracker.is_unfinished(run) or self._tracker.has_changed(run):
                    before = found.get(run.run_id)
                    found[run.run_id] = before if before and before.finished else run
            walk.advance(page, stop=stop)
        if walk.truncated:
            log.warning("The listing has more than %d pages. Events for runs on later pages may be missing", MAX_PAGES)
        if walk.order is Order.UNORDERED and (self._walk is None or self._walk.order is not walk.order):
            log.warning("The listing is not sorted by creation time. Each poll reads all its pages")
        self._walk = walk
        self._first = False
        if deep or walk.order is Order.UNORDERED:
            # A creation time in the future must not move the horizon past runs that are created in between.
            self._deep_at, self._read_until = begun, min(served_at, newest)

    async def _read_page(self, walk: ListingWalk, number: int) -> ListedPage | None:
        """Return the page at which the walk is; None if the walk has to continue at another page instead."""
        try:
            return await self._send(requests.list_run_states(page=number, page_size=walk.page_size))
        except AgentRunsError as e:
            if isinstance(e, AgentRunsAPIError) and number > 1 and e.status_code in NO_SUCH_PAGE:
                walk.advance(None)
            elif not (_may_be_too_large(e) and walk.shrink()):
                raise
            return None

    def _snapshots(self, page: ListedPage) -> list[RunSnapshot]:
        runs = [run for listed in page.data if (run := RunSnapshot.from_listed(listed)) is not None]
        if not self._warned and (len(runs) < len(page.data) or any(run.created is None for run in runs)):
            self._warned = True
            log.warning("The listing holds agent runs without a creation time or a usable ID. They get no events")
        return runs

    def _is_last(self, runs: Sequence[RunSnapshot], found: dict[str, RunSnapshot], *, deep: bool) -> bool:
        """Whether older pages need not be read."""
        unfinished = sum(run.run_id not in found and self._tracker.is_unfinished(run) for run in runs)
        if unfinished > 1 and (deep or self.pages_read < _MAX_UNFINISHED_PAGES):
            return False
        return any(map(self._tracker.is_old, runs)) or (not deep and all(map(self._tracker.knows, runs)))

    # Runs that the pages did not show

    async def _read_others(self, found: dict[str, RunSnapshot]) -> None:
        now, unfinished = time.monotonic(), self._tracker.unfinished
        seen_at, changed_at = self._seen_at, self._changed_at
        self._seen_at = {run_id: now if run_id in found else seen_at.get(run_id, -math.inf) for run_id in unfinished}
        self._changed_at = {run_id: changed_at.get(run_id, unfinished[run_id]) for run_id in unfinished}
        due = [run_id for run_id in unfinished if now - self._seen_at[run_id] >= self._read_interval(run_id)]
        due.sort(key=self._seen_at.__getitem__)
        for run_id in due[: math.ceil(self._interval * _MAX_READS_PER_SECOND)]:
            self._seen_at[run_id] = now
            try:
                run = RunSnapshot.from_listed(await self._send(requests.get_run_state(run_id)))
            except AgentRunNotFoundError:
                # A listing and a single run may come from different replicas. The second time, it was deleted.
                if run_id in self._missing:
                    self._tracker.forget(run_id)
                self._missing ^= {run_id}
            except AgentRunsError as e:
                if isinstance(e, AgentRunsAuthError) and e.status_code == 401:
                    raise
                # This run may be the only one that cannot be read. It must not stop the events of others.
                log.warning("Cannot read agent run %s, and will try again: %s", run_id, e)
                if not isinstance(e, AgentRunsAPIError):
                    return
            else:
                self._missing.discard(run_id)
                if run is not None:
                    found[run_id] = run

    def _read_interval(self, run_id: str) -> float:
        unchanged = time.time() - self._changed_at[run_id]
        return min(max(self._interval, unchanged * _READ_PART), max(_MAX_READ_INTERVAL, self._interval))

    # The connection

    async def _send(self, request: Request[T]) -> T:
        return await (await self._hook.aget_conn()).send(request)

    async def _reload(self) -> None:
        self._opened_at = time.monotonic()
        await self._hook.aclose()

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another poll may succeed. Counts refusals of the token."""
        refused = isinstance(error, AgentRunsAuthError) and error.status_code == 401
        self._refusals = self._refusals + 1 if refused else 0
        # The token may have been rotated: the next poll reads the connection.
        self._opened_at = -math.inf if refused else self._opened_at
        wrong = isinstance(error, AgentRunsConfigError) and not error.retryable
        return isinstance(error, AgentRunsError) and not wrong and self._refusals < _MAX_REFUSALS


def _may_be_too_large(error: AgentRunsError) -> bool:
    """Whether smaller pages may help: the service rejects the size, or the client rejects the size of the response."""
    if isinstance(error, AgentRunsAPIError):
        return error.status_code in (400, 413, 422)
    return "response is larger than" in str(error)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    log.warning("Cannot poll agent runs, and will try again in %.0f s: %s", pause, error)

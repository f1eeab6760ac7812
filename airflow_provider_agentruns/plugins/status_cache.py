# SPDX-License-Identifier: Apache-2.0
"""The statuses of many runs, read with pages of the service's listing rather than one request per run."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.paging import NO_SUCH_PAGE, ListingWalk
from airflow_provider_agentruns.client.partial_models import ListedRun
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.plugins.serializers import as_time
from airflow_provider_agentruns.plugins.single_flight_cache import SingleFlightCache

#: Seconds that the statuses stay fresh.
FRESH_FOR = 4.0

#: Requests per refresh, at most: pages of the listing, and single runs that are on none of these pages.
MAX_PAGES, MAX_SINGLE_READS = 3, 5

#: Up to this many runs are read individually. A page of the listing costs the service more.
_FEW = 3

#: Seconds that a page waits for the first refresh. It can show what Airflow knows without it.
_MAX_WAIT = 2.0

#: Seconds that a run is refreshed after a page last asked for it.
_WANTED_FOR = 30.0

_FINISHED = (RunStatus.COMPLETED, RunStatus.ERROR)


@dataclass(frozen=True)
class RunSnapshot:
    """A run when it was last read. ``status`` is None if the service does not know the run."""

    status: str | None
    agent: str | None
    created_at: str | None
    read_at: float


class StatusCache:
    """
    The statuses of the runs on the overview page, of one connection. For one event loop.

    :param send: Sends a request and returns its result.
    """

    def __init__(self, send: Callable[[Request[Any]], Awaitable[Any]]) -> None:
        self._send = send
        self._wanted: dict[str, float] = {}
        self._known: dict[str, RunSnapshot] = {}
        self._walk: ListingWalk | None = None
        self._refreshes: SingleFlightCache[int] = SingleFlightCache(lambda _: FRESH_FOR, _MAX_WAIT)

    async def get(self, run_ids: Collection[str]) -> tuple[dict[str, RunSnapshot], AgentRunsError | None]:
        """Return what is known of some runs after a refresh, if one is due, and why the last refresh failed."""
        now = time.monotonic()
        self._wanted |= dict.fromkeys(run_ids, now)
        self._wanted = {run_id: at for run_id, at in self._wanted.items() if now - at < _WANTED_FOR}
        self._known = {run_id: known for run_id, known in self._known.items() if run_id in self._wanted}
        refresh = await self._refreshes.get("all", self._refresh)
        return {run_id: self._known[run_id] for run_id in run_ids if run_id in self._known}, refresh.error

    async def close(self) -> None:
        """Cancel the refresh."""
        await self._refreshes.close()

    async def _refresh(self) -> int:
        known = self._known
        missing = {run_id for run_id in self._wanted if run_id not in known or known[run_id].status not in _FINISHED}
        if len(missing) > _FEW:
            await self._read_pages(missing)
        # Start with the runs that were not read for the longest time.
        by_age = sorted(missing, key=lambda run_id: known[run_id].read_at if run_id in known else 0.0)
        for run_id in by_age[:MAX_SINGLE_READS]:
            try:
                self._store(run_id, await self._send(requests.get_run_state(run_id)))
            except AgentRunNotFoundError:
                known[run_id] = RunSnapshot(None, None, None, time.monotonic())
        return len(known)

    async def _read_pages(self, missing: set[str]) -> None:
        """Read pages of the listing, and remove the runs on them from the missing ones."""
        walk = self._walk = ListingWalk(max_pages=MAX_PAGES, previous=self._walk)
        while walk.page is not None and missing:
            try:
                page = await self._send(requests.list_run_states(page=walk.page, page_size=walk.page_size))
            except AgentRunsAPIError as e:
                if walk.page == 1 or e.status_code not in NO_SUCH_PAGE:
                    raise
                walk.advance(None)
                continue
            for run in page.data:
                if run["id"] in missing:
                    missing.remove(run["id"])
                    self._store(run["id"], run)
            walk.advance(page)

    def _store(self, run_id: str, run: ListedRun) -> None:
        created_at = as_time(run.get("created_at"))
        self._known[run_id] = RunSnapshot(run["status"], run.get("agent"), created_at, time.monotonic())

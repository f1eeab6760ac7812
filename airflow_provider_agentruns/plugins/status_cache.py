# SPDX-License-Identifier: Apache-2.0
"""The statuses of many runs, read from pages of the service's listing instead of one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.listing_walk import ListingWalk
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import ListedRun
from airflow_provider_agentruns.exceptions import AgentRunNotFoundError, AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.plugins.single_flight_cache import SingleFlightCache

#: The status of a run that the service does not know.
NOT_FOUND = "not found"

#: Seconds that the statuses stay fresh.
FRESH_FOR = 4.0

#: Requests per refresh, at most: pages of the listing, and single runs. Pages are read only for more than these runs.
MAX_PAGES, MAX_SINGLE_READS = 3, 5

#: The number of runs whose status is kept.
_MAX_RUNS = 5_000

#: Seconds that a page waits for the first refresh. It can show what Airflow knows without it.
_MAX_WAIT = 2.0

_FINISHED = (RunStatus.COMPLETED, RunStatus.ERROR)


class StatusCache:
    """The statuses of one connection's runs, for the overview page. For one event loop."""

    def __init__(self, send: Callable[[Request[Any]], Awaitable[Any]]) -> None:
        self._send = send
        # Runs that pages asked for since the last refresh.
        self._wanted: set[str] = set()
        # In the order in which they were read.
        self._known: dict[str, ListedRun] = {}
        self._walk: ListingWalk | None = None
        self._refreshes: SingleFlightCache[bool] = SingleFlightCache(self._refresh, lambda _: FRESH_FOR, _MAX_WAIT)

    async def get(self, run_ids: Collection[str]) -> tuple[dict[str, ListedRun], AgentRunsError | None]:
        """Refresh the statuses if they are due. Return those of some runs, and why the last refresh failed."""
        self._wanted.update(run_ids)
        refresh = await self._refreshes.get("all")
        return {run_id: self._known[run_id] for run_id in run_ids if run_id in self._known}, refresh.error

    async def _refresh(self, _: str) -> bool:
        wanted, self._wanted = self._wanted, set()
        missing = {
            run_id for run_id in wanted if run_id not in self._known or self._known[run_id]["status"] not in _FINISHED
        }
        if len(missing) > MAX_SINGLE_READS:
            await self._read_pages(missing)
        # Start with the runs that were not read for the longest time.
        by_age = [run_id for run_id in self._known if run_id in missing]
        for run_id in [*missing.difference(by_age), *by_age][:MAX_SINGLE_READS]:
            try:
                self._store(run_id, await self._send(requests.get_run_state(run_id)))
            except AgentRunNotFoundError:
                self._store(run_id, {"id": run_id, "status": NOT_FOUND})
        return True

    async def _read_pages(self, missing: set[str]) -> None:
        """Read pages of the listing, and remove their runs from the missing ones."""
        walk = self._walk = ListingWalk(max_pages=MAX_PAGES, previous=self._walk)
        while walk.page is not None and missing:
            try:
                page = await self._send(requests.list_run_states(page=walk.page, page_size=walk.page_size))
            except AgentRunsAPIError as e:
                if not walk.is_past_end(e.status_code):
                    raise
                walk.advance(None)
                continue
            for run in page.data:
                if run["id"] in missing:
                    missing.remove(run["id"])
                    self._store(run["id"], run)
            walk.advance(page)

    def _store(self, run_id: str, run: ListedRun) -> None:
        self._known.pop(run_id, None)
        self._known[run_id] = run
        if len(self._known) > _MAX_RUNS:
            del self._known[next(iter(self._known))]

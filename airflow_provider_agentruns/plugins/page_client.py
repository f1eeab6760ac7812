# SPDX-License-Identifier: Apache-2.0
"""
The client of the pages, one per connection.

All viewers of a run share one request. Pages have the lowest priority under the connection's rate limit. If they need
more requests than it allows, they show older data and say so.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any, Generic, TypeVar

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.listing_walk import ListingWalk
from airflow_provider_agentruns.client.request_queue import Priority
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import ListedRun
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsError,
    AgentRunsResponseTooLargeError,
)
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.plugins.serializers import FINISHED, parse_run

T = TypeVar("T")

#: Seconds that a run stays fresh: while it works, and after it has ended or if it is too large to read often.
FRESH_FOR, FRESH_FOR_LONG = 2.5, 60.0
#: Seconds that the statuses of the overview stay fresh, and seconds between a failed request and the next one.
STATUSES_FRESH_FOR, ERROR_FRESH_FOR = 4.0, 5.0
#: Seconds that a page waits for a run, for statuses, and for either of them if it can show older data.
MAX_WAIT, MAX_STATUSES_WAIT, MAX_WAIT_WITH_VALUE = 25.0, 2.0, 1.0

MAX_DELAY = 15.0
#: The largest response for a run, in bytes. Parsing it takes the API server a fraction of a second.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
#: Requests per refresh of statuses, at most: pages of the listing, if more runs are missing than can be read alone, and
#: single runs.
MAX_PAGES, MAX_SINGLE_READS = 3, 5

_MAX_RUNS, _MAX_STATUSES = 300, 5_000


class PageClient:
    """Reads runs over one connection, for all pages of this process. For one event loop."""

    def __init__(self, conn_id: str) -> None:
        self._hook = AgentRunHook(conn_id)
        self._runs = lru_cache(_MAX_RUNS)(lambda run_id: CachedValue(partial(self._load_run, run_id), MAX_WAIT))
        # In the order in which they were read.
        self._statuses: dict[str, ListedRun] = {}
        self._refresh = CachedValue(self._load_statuses, MAX_STATUSES_WAIT)
        # Runs that pages asked for since the last refresh of statuses.
        self._wanted: set[str] = set()
        self._walk: ListingWalk | None = None

    async def run(self, run_id: str) -> tuple[dict[str, Any] | None, AgentRunsError | None]:
        """Return the loaded run with its ``page`` and time, if any, and why it could not be read or updated, if so."""
        return await self._runs(run_id).get()

    async def statuses(self, run_ids: Collection[str]) -> tuple[dict[str, ListedRun], AgentRunsError | None]:
        """Refresh the statuses if they are due. Return those that are known, and why the last refresh failed."""
        self._wanted.update(run_ids)
        _, error = await self._refresh.get()
        return self._statuses, error

    async def _load_run(self, run_id: str) -> tuple[dict[str, Any], float]:
        began = time.monotonic()
        transport = await self._hook.areload()
        try:
            run = await _read_run(transport, run_id, include_steps=True)
        except AgentRunsResponseTooLargeError:
            run = {**await _read_run(transport, run_id, include_steps=False), "steps_too_large": True}
        fresh_for = FRESH_FOR_LONG if run["finished"] or run["steps_too_large"] else FRESH_FOR
        return {"run": run, "page": transport.settings.run_page(run_id) or None, "loaded_at": began}, fresh_for

    async def _load_statuses(self) -> tuple[bool, float]:
        finished = {run_id for run_id, run in self._statuses.items() if run["status"] in FINISHED}
        missing, self._wanted = self._wanted - finished, set()
        transport = await self._hook.areload()
        if len(missing) > MAX_SINGLE_READS:
            await self._load_pages(transport, missing)
        # Start with the runs that were not read for the longest time.
        by_age = [run_id for run_id in self._statuses if run_id in missing]
        for run_id in [*missing.difference(by_age), *by_age][:MAX_SINGLE_READS]:
            try:
                self._store(run_id, await _send(transport, requests.get_run_state(run_id)))
            except AgentRunNotFoundError:
                self._store(run_id, {"id": run_id, "status": "not found"})
        return True, STATUSES_FRESH_FOR

    async def _load_pages(self, transport: AsyncTransport, missing: set[str]) -> None:
        walk = self._walk = ListingWalk(max_pages=MAX_PAGES, previous=self._walk)
        while walk.page is not None and missing:
            try:
                page = await _send(transport, requests.list_run_states(page=walk.page, page_size=walk.page_size))
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
        self._statuses.pop(run_id, None)
        self._statuses[run_id] = run
        if len(self._statuses) > _MAX_STATUSES:
            del self._statuses[next(iter(self._statuses))]


#: The client of a connection. Its ID comes from a task, never from a browser.
client_of = cache(PageClient)


class CachedValue(Generic[T]):
    """A value whose readers share one load, which also returns how many seconds the value stays fresh."""

    def __init__(self, load: Callable[[], Awaitable[tuple[T, float]]], max_wait: float) -> None:
        self._load, self._max_wait = load, max_wait
        self._value: T | None = None
        self._error: AgentRunsError | None = None
        self._fresh_until = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def get(self) -> tuple[T | None, AgentRunsError | None]:
        """Return the latest value, None if no load has succeeded yet, and why the latest load failed, if it did."""
        if self._task is None and time.monotonic() >= self._fresh_until:
            self._task = asyncio.create_task(self._reload())
        if self._task is not None:
            # A reader who is canceled does not cancel the load for the others.
            timeout = self._max_wait if self._value is None else MAX_WAIT_WITH_VALUE
            done, _ = await asyncio.wait({self._task}, timeout=timeout)
            for task in done:
                task.result()
        return self._value, self._error

    async def _reload(self) -> None:
        try:
            self._value, fresh_for = await self._load()
            self._error = None
        except AgentRunsError as e:
            self._error, fresh_for = e, ERROR_FRESH_FOR
        finally:
            self._task = None
        self._fresh_until = time.monotonic() + fresh_for


async def _read_run(transport: AsyncTransport, run_id: str, *, include_steps: bool) -> dict[str, Any]:
    request = requests.get_run(run_id, include_steps=include_steps)
    raw = Request("GET", request.path, lambda response: response, request.params, max_bytes=MAX_RESPONSE_BYTES)
    response = await _send(transport, raw)
    try:
        # An agent decides how large a run is. Parsing it must not block the event loop.
        return await asyncio.to_thread(parse_run, response)
    except ValueError as e:
        raise AgentRunsAPIError(200, [f"the run cannot be read: {e}"], "GET", "/v1/runs/ID") from None


async def _send(transport: AsyncTransport, request: Request[T]) -> T:
    """Send a request once, because a page is refreshed soon anyway."""
    return await transport.send_once(replace(request, priority=Priority.PAGE, max_wait=MAX_DELAY))

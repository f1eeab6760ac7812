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
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.rate_state import Priority
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsAuthError, AgentRunsResponseTooLargeError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.plugins.serializers import parse_run
from airflow_provider_agentruns.plugins.single_flight_cache import SingleFlightCache
from airflow_provider_agentruns.plugins.status_cache import StatusCache

T = TypeVar("T")

#: Seconds that a run stays fresh: while it works, and after it has ended or if it is too large to read often.
FRESH_FOR, FRESH_FOR_LONG = 2.5, 60.0

#: Seconds that a page waits for the rate limit, and for the first response.
MAX_DELAY, MAX_WAIT = 15.0, 25.0

#: The largest response for a run, in bytes. Parsing it takes the API server a fraction of a second.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024

#: Seconds after which a client reads its Airflow connection again.
_CONNECTION_MAX_AGE = 60.0


class PageClient:
    """Reads runs over one connection, for all pages of this process."""

    def __init__(self, conn_id: str) -> None:
        self._hook = AgentRunHook(conn_id)
        # When the connection was loaded, by time.monotonic.
        self._loaded_at = -math.inf
        #: Runs as pages show them: ``run`` with its steps, and ``page``, the URL of the service's page.
        self.runs: SingleFlightCache[dict[str, Any]] = SingleFlightCache(self._load, _fresh_for, MAX_WAIT)
        self.statuses = StatusCache(self.send)

    async def send(self, request: Request[T]) -> T:
        """
        Send a request once, because a page is refreshed soon anyway.

        :raises AgentRunsThrottledError: If the rate limit would delay the request for more than :data:`MAX_DELAY`.
        :raises AgentRunsError: As :class:`AgentRunHook` does.
        """
        if (now := time.monotonic()) - self._loaded_at > _CONNECTION_MAX_AGE:
            await self._hook.areload()
            self._loaded_at = now
        transport = await self._hook.aget_conn()
        try:
            return await transport.send_once(replace(request, priority=Priority.PAGE, max_wait=MAX_DELAY))
        except AgentRunsAuthError:
            # The token may have been replaced in the connection.
            self._loaded_at = -math.inf
            raise

    async def _load(self, run_id: str) -> dict[str, Any]:
        try:
            run = await self._read_run(run_id, include_steps=True)
        except AgentRunsResponseTooLargeError:
            run = {**await self._read_run(run_id, include_steps=False), "steps_too_large": True}
        return {"run": run, "page": (await self._hook.aget_conn()).settings.run_page(run_id) or None}

    async def _read_run(self, run_id: str, *, include_steps: bool) -> dict[str, Any]:
        request = requests.get_run(run_id, include_steps=include_steps)
        raw = Request("GET", request.path, lambda response: response.body, request.params, max_bytes=MAX_RESPONSE_BYTES)
        body = await self.send(raw)
        try:
            # An agent decides how large a run is. Parsing it must not block the event loop.
            return await asyncio.to_thread(parse_run, body)
        except ValueError as e:
            raise AgentRunsAPIError(200, [f"the run cannot be read: {e}"], "GET", "/v1/runs/ID") from None


def _fresh_for(shown: dict[str, Any]) -> float:
    run = shown["run"]
    return FRESH_FOR_LONG if run["finished"] or run["steps_too_large"] else FRESH_FOR

# SPDX-License-Identifier: Apache-2.0
"""
Reading runs from the service for pages: by the server, whose token no browser sees, and within bounds.

However many pages are open, a connection's requests from this process keep to a small share of its rate limit, so
that tasks always get through: a run is read once for all who look at it, and never twice at the same time. Where
more runs are looked at than the share allows, what a page shows gets older, and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConnectionError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.plugins.serializers import serialize_run
from airflow_provider_agentruns.plugins.single_flight_cache import CachedValue, SingleFlightCache

P = ParamSpec("P")
T = TypeVar("T")

#: The part of a connection's rate limit that the pages of one process take at most.
SHARE = 0.2

#: How long what was read counts as new, in seconds: of a run that goes on, and of one that has ended.
FRESH, FRESH_WHEN_FINISHED = 2.5, 60.0

#: How long a page waits its turn, in seconds, before it is told that too many are open.
LONGEST_TURN = 15.0

#: How long a connection is used before it is read anew, in seconds.
_CONNECTION_AGE = 60.0

# Somebody sits in front of the page: an error now, and a look again in a moment, are better than patience.
_TIMEOUT, _RETRIES = 10.0, 1


#: The largest answer that is read for a page, in bytes: it is parsed beside all else that the API server does.
LARGEST_ANSWER = 16 * 1024 * 1024


class _PageHook(AgentRunHook):
    """The hook, which gives up sooner."""

    async def aget_conn(self) -> AsyncTransport:
        """Return what sends requests, and reads no more than a page can be made of."""
        transport = await super().aget_conn()
        transport.max_response_bytes = LARGEST_ANSWER
        return transport

    def _read(self, *args: Any, **kwargs: Any) -> Settings:
        settings = super()._read(*args, **kwargs)
        return settings.model_copy(
            update={"timeout": min(settings.timeout, _TIMEOUT), "max_retries": min(settings.max_retries, _RETRIES)}
        )


class Account:
    """
    One connection, as all pages of this process use it.

    :param conn_id: The Airflow connection.
    """

    def __init__(self, conn_id: str) -> None:
        self._hook = _PageHook(conn_id)
        self._opened = 0.0
        self._under_way = 0
        self._next_turn = 0.0
        self._runs: SingleFlightCache[dict[str, Any]] = SingleFlightCache(
            fresh_for=lambda shown: FRESH_WHEN_FINISHED if shown["run"]["finished"] else FRESH,
            patience=LONGEST_TURN + _TIMEOUT,
        )

    async def run(self, run_id: str) -> CachedValue[dict[str, Any]]:
        """Return what is to be shown of a run: ``run`` with its steps, and ``page``, where it can be opened."""

        async def read() -> dict[str, Any]:
            run = await self.send(requests.get_run, run_id, include_steps=True)
            settings = (await self._hook.aget_conn()).settings
            # Not in the event loop: an agent decides how much there is of it.
            shown = await asyncio.to_thread(serialize_run, run)
            return {"run": shown, "page": settings.run_page(run_id) or None}

        return await self._runs.glance(run_id, read)

    async def send(self, build: Callable[P, Request[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Send a request when it is its turn.

        :raises AgentRunsError: As :class:`AgentRunHook` does; also where too many wait for their turn.
        """
        now = time.monotonic()
        if now - self._opened > _CONNECTION_AGE and not self._under_way:
            # The connection may have been changed meanwhile.
            await self._hook.aclose()
            self._opened = now
        self._under_way += 1
        try:
            await self._wait_for_turn((await self._hook.aget_conn()).settings.rate_limit)
            return await self._hook.asend(build, *args, **kwargs)
        except AgentRunsAuthError:
            self._opened = 0.0
            raise
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Close what is open."""
        await self._runs.close()
        await self._hook.aclose()

    async def _wait_for_turn(self, rate_limit: float) -> None:
        now = time.monotonic()
        turn = max(now, self._next_turn)
        if turn - now > LONGEST_TURN:
            raise AgentRunsConnectionError(
                "So many runs are looked at that this one would have to wait too long: pages take "
                f"at most {rate_limit * SHARE:g} requests a second, so that tasks get through"
            )
        self._next_turn = turn + 1 / (rate_limit * SHARE)
        await asyncio.sleep(turn - now)

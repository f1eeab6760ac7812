# SPDX-License-Identifier: Apache-2.0
"""A client that reloads its Airflow connection, which may be edited while runs are waited for."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TypeVar

from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.limiter import Priority
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Seconds after which the connection is reloaded, and seconds that may take.
_RELOAD_AFTER = 300.0
_RELOAD_TIMEOUT = 10.0


class ReloadingClient:
    """Sends requests over one Airflow connection."""

    def __init__(self, agentruns_conn_id: str) -> None:
        self.conn_id = agentruns_conn_id
        self.hook = AgentRunHook(agentruns_conn_id)
        #: When the connection was last loaded.
        self.loaded_at = time.monotonic()
        # Hooks with earlier settings, over which requests may still be in progress.
        self._retired: list[AgentRunHook] = []

    async def settings(self) -> Settings:
        """
        Return the connection's settings, at most five minutes old if they can be reloaded.

        :raises AgentRunsError: If the connection cannot be loaded at all.
        """
        if time.monotonic() - self.loaded_at > _RELOAD_AFTER:
            earlier = self.hook
            self.reload()
            try:
                async with asyncio.timeout(_RELOAD_TIMEOUT):
                    await self.hook.aget_conn()
            except (AgentRunsError, TimeoutError) as e:
                log.warning("Cannot reload connection %r; keeping its earlier settings: %s", self.conn_id, e)
                self.hook, self._retired[-1] = earlier, self.hook
        return (await self.hook.aget_conn()).settings

    async def send(self, request: Request[T], *, urgent: bool = False) -> T:
        """
        Send a request once. The caller decides when to retry.

        :param urgent: Whether it goes before other reads, such as the opening of streams.
        :raises AgentRunsError: If it fails.
        """
        priority = Priority.START if urgent else Priority.WAIT
        return await (await self.hook.aget_conn()).send_once(request, priority=priority)

    def reload(self) -> None:
        """Load the connection again before the next request."""
        self.loaded_at = time.monotonic()
        self._retired.append(self.hook)
        self.hook = AgentRunHook(self.conn_id)

    async def close_retired(self) -> None:
        """Close clients with earlier settings. Call this while no request is in progress."""
        while self._retired:
            await self._retired.pop().aclose()

    async def close(self) -> None:
        """Close all clients."""
        await self.close_retired()
        await self.hook.aclose()

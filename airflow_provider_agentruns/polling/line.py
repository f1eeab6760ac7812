# SPDX-License-Identifier: Apache-2.0
"""The line to the service: one client, opened again where the connection may have been changed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_agentruns.client.limiter import Priority
from airflow_provider_agentruns.exceptions import AgentRunsConnectionError, AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook

if TYPE_CHECKING:
    from airflow_provider_agentruns.client.requests import Request
    from airflow_provider_agentruns.client.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

#: After how many seconds the connection is read anew, and how many that may take.
_READ_ANEW_AFTER = 300.0
_READ_WITHIN = 10.0

#: How many seconds more than the connection's timeout a request may take in all.
_GRACE = 5.0


class Line:
    """
    Sends requests over one Airflow connection.

    :param agentruns_conn_id: The Airflow connection.
    """

    def __init__(self, agentruns_conn_id: str) -> None:
        self.conn_id = agentruns_conn_id
        self.hook = AgentRunHook(agentruns_conn_id)
        #: When the connection was last read, or was to be read anew.
        self.opened_at = time.monotonic()
        # Of what the connection said before, while requests may still be under way over it.
        self._retired: list[AgentRunHook] = []

    async def settings(self) -> Settings:
        """
        Return what the connection says; read anew now and then, since it may be edited while some wait for days.

        :raises AgentRunsError: If it cannot be read at all.
        """
        if time.monotonic() - self.opened_at > _READ_ANEW_AFTER:
            self.opened_at = time.monotonic()
            hook = AgentRunHook(self.conn_id)
            try:
                async with asyncio.timeout(_READ_WITHIN):
                    await hook.aget_conn()
            except (AgentRunsError, TimeoutError) as e:
                log.warning("Cannot read connection %r anew, and go on with what it said: %s", self.conn_id, e)
            else:
                self._retired.append(self.hook)
                self.hook = hook
        return (await self.hook.aget_conn()).settings

    async def ask(self, request: Request[T], *, urgent: bool = False) -> T:
        """
        Send a request, once: when to ask again is the plan's to decide, and others may wait for their turn.

        :param urgent: Whether its latency counts.
        """
        transport = await self.hook.aget_conn()
        priority = Priority.START if urgent else None
        try:
            return await transport.send_once(request, priority=priority, within=transport.settings.timeout + _GRACE)
        except TimeoutError:
            raise AgentRunsConnectionError(
                f"{request.method} {request.path}: no answer within {transport.settings.timeout:g} s", resend=True
            ) from None

    def reopen(self, asked: float) -> bool:
        """
        Read the connection anew before the next request: its token may have been changed.

        :param asked: When a request was sent that the service refused.
        :return: False if that was done since.
        """
        if self.opened_at >= asked:
            return False
        self.opened_at = time.monotonic()
        self._retired.append(self.hook)
        self.hook = AgentRunHook(self.conn_id)
        return True

    async def close_retired(self) -> None:
        """Close what is no longer used, at a moment when no request is under way."""
        while self._retired:
            await self._retired.pop().aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self.close_retired()
        await self.hook.aclose()

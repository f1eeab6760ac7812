# SPDX-License-Identifier: Apache-2.0
"""A client that reloads its Airflow connection, which may be edited during a wait."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConnectionError, AgentRunsError
from airflow_provider_agentruns.hooks.agent_run import AgentRunHook
from airflow_provider_agentruns.text import single_line

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Seconds after which the connection is reloaded, and seconds that loading may take.
_RELOAD_AFTER = 300.0
_LOAD_TIMEOUT = 10.0
#: After this many rejections in a row, the token is wrong for all runs.
_REJECTIONS_OF_WRONG_TOKEN = 4


class ReloadingClient:
    def __init__(self, agentruns_conn_id: str) -> None:
        self._conn_id = agentruns_conn_id
        self._hook = AgentRunHook(agentruns_conn_id)
        self._transport: AsyncTransport | None = None
        self._loaded_at = -math.inf
        self._loading = asyncio.Lock()
        # Whether the latest attempt to reload failed. Only the first one in a row is logged as a warning.
        self._keeps_earlier = False
        # How often in a row the token was rejected.
        self._rejections = 0

    @property
    def token_is_wrong(self) -> bool:
        return self._rejections >= _REJECTIONS_OF_WRONG_TOKEN

    async def transport(self, newer_than: float = -math.inf) -> AsyncTransport:
        """Return a transport with settings that are newer than a time, and at most five minutes old."""
        async with self._loading:
            if self._transport is None or self._loaded_at <= max(newer_than, time.monotonic() - _RELOAD_AFTER):
                return await self._load()
            return self._transport

    async def send(self, request: Request[T]) -> T:
        """Send a request. If its token is rejected and may be rotated, reload the connection, and send it again."""
        resent = False
        while True:
            transport, sent_at = await self.transport(), time.monotonic()
            try:
                with _connection_errors(f"{request.method} {request.route}"):
                    response = await transport.send_once(request)
            except AgentRunsAuthError as e:
                if resent or (self._rejections and sent_at > self._loaded_at):
                    self._rejections += e.status_code == 401
                    raise
                await self.transport(newer_than=sent_at)
                if self._keeps_earlier:
                    message = "the token is rejected, and the connection cannot be reloaded"
                    raise AgentRunsConnectionError(message) from None
                self._rejections, resent = max(1, self._rejections), True
            else:
                self._rejections = 0
                return response

    async def _load(self) -> AsyncTransport:
        self._loaded_at = time.monotonic()
        try:
            with _connection_errors(f"connection {self._conn_id!r} cannot be loaded"):
                async with asyncio.timeout(_LOAD_TIMEOUT):
                    self._transport = await self._hook.areload()
            self._keeps_earlier = False
        except AgentRunsError as e:
            if self._transport is None:
                raise
            level = logging.DEBUG if self._keeps_earlier else logging.WARNING
            log.log(level, "Cannot reload connection %r; keeping its earlier settings: %s", self._conn_id, e)
            self._keeps_earlier = True
        return self._transport

    async def close(self) -> None:
        await self._hook.aclose()


@contextmanager
def _connection_errors(action: str) -> Iterator[None]:
    """Turn unexpected errors, such as those of a secrets backend or TLS, into retryable ones that end no waits."""
    try:
        yield
    except AgentRunsError:
        raise
    except Exception as e:
        log.debug("Unexpected error", exc_info=True)
        raise AgentRunsConnectionError(single_line(f"{action}: {type(e).__name__}: {e}", 500)) from e

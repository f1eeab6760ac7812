# SPDX-License-Identifier: Apache-2.0
"""The secrets with which webhooks are signed, per Airflow connection."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time

from airflow.sdk.log import mask_secret

from airflow_provider_agentruns.airflow_adapter.connections import read_connection
from airflow_provider_agentruns.client.connection_checks import webhook_secrets
from airflow_provider_agentruns.exceptions import AgentRunsConfigError

log = logging.getLogger(__name__)

#: Seconds after which secrets are read again, and after which a secret that was removed is no longer valid.
FRESH_FOR, MAX_AGE = 5.0, 15.0

#: The number of connections that are read at once if they have no known secrets. Anyone may send any ID.
MAX_READS = 20

#: Seconds that a webhook waits for its connection to be read: without and with secrets that are still valid.
_MAX_WAIT, _MAX_WAIT_IF_KNOWN = 10.0, 1.0

_CONN_TYPE = "agentruns"
_CONN_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")


class WebhookSecrets:
    """Reads secrets from connections, and caches them. For one event loop."""

    def __init__(self) -> None:
        # When the secrets of a connection were read, by time.monotonic, and the secrets. Connections without secrets
        # are not stored, so requests with any number of IDs need no memory.
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._reads: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        # A secrets backend may be slow, and requests from strangers must not occupy all threads.
        self._readers = asyncio.Semaphore(2)

    async def get(self, conn_id: str) -> tuple[str, ...]:
        """
        Return the secrets of a connection; empty if the connection does not exist or accepts no webhooks.

        :raises AgentRunsConfigError: If the connection cannot be read at the moment.
        """
        if not _CONN_ID.fullmatch(conn_id):
            return ()
        read_at, secrets = self._known.get(conn_id, (-math.inf, ()))
        if time.monotonic() - read_at < FRESH_FOR:
            return secrets
        if time.monotonic() - read_at >= MAX_AGE:
            self._known.pop(conn_id, None)
            secrets = ()
        if conn_id not in self._reads:
            if not secrets and len(self._reads) >= MAX_READS:
                raise AgentRunsConfigError("too many connections are being read")
            self._reads[conn_id] = asyncio.create_task(self._read(conn_id))
        try:
            async with asyncio.timeout(_MAX_WAIT_IF_KNOWN if secrets else _MAX_WAIT):
                return await asyncio.shield(self._reads[conn_id])
        except (TimeoutError, AgentRunsConfigError):
            if time.monotonic() - read_at < MAX_AGE:
                return secrets
            raise AgentRunsConfigError(f"connection {conn_id!r} cannot be read") from None

    async def _read(self, conn_id: str) -> tuple[str, ...]:
        try:
            async with self._readers:
                read_at, secrets = time.monotonic(), await asyncio.to_thread(_read, conn_id)
            if secrets is None and conn_id in self._known:
                # Airflow reports the same if its database is down, so the secrets stay valid until their maximum age.
                raise AgentRunsConfigError(f"Airflow has no connection {conn_id!r} at the moment")
            self._known.pop(conn_id, None)
            if secrets:
                self._known[conn_id] = read_at, secrets
            return secrets or ()
        finally:
            del self._reads[conn_id]


def _read(conn_id: str) -> tuple[str, ...] | None:
    try:
        connection = read_connection(conn_id)
    except Exception as e:  # noqa: BLE001 -- a secrets backend may raise anything
        # Its message may contain credentials.
        log.warning("Cannot read connection %r to verify a webhook: %s", conn_id, type(e).__name__)
        raise AgentRunsConfigError(f"connection {conn_id!r} cannot be read: {type(e).__name__}") from None
    if connection is None:
        return None
    if connection.conn_type != _CONN_TYPE:
        return ()
    try:
        secrets = webhook_secrets(connection.extra_dejson.get("webhook_secret") or [])
    except ValueError as e:
        log.error("Connection %r accepts no webhooks: webhook_secret (extra) %s", conn_id, e)
        return ()
    for secret in secrets:
        # Airflow masks the field as a whole, which may contain several.
        mask_secret(secret)
    return secrets

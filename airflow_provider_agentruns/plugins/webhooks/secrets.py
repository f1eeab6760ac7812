# SPDX-License-Identifier: Apache-2.0
"""The secrets with which webhooks are signed, per Airflow connection."""

from __future__ import annotations

import asyncio
import logging
import re

from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_provider_agentruns.client.connection_checks import webhook_secrets
from airflow_provider_agentruns.exceptions import AgentRunsConfigError
from airflow_provider_agentruns.plugins.single_flight_cache import SingleFlightCache

log = logging.getLogger(__name__)

#: Seconds after which secrets are read again, and after which a secret that was removed is no longer valid.
FRESH_FOR, MAX_AGE = 5.0, 15.0

#: The number of unknown connections that are read at once. Anyone may send any ID.
MAX_LOADS = 20

#: Seconds that a webhook waits for its connection to be read.
_MAX_WAIT = 10.0

_CONN_TYPE = "agentruns"
_CONN_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")


class WebhookSecrets:
    """Reads secrets from connections, and caches them. For one event loop."""

    def __init__(self) -> None:
        self._cache: SingleFlightCache[tuple[str, ...]] = SingleFlightCache(
            lambda _: FRESH_FOR, _MAX_WAIT, max_age=MAX_AGE, max_loads=MAX_LOADS
        )
        # A secrets backend may be slow, and requests from strangers must not occupy all threads.
        self._readers = asyncio.Semaphore(2)

    async def get(self, conn_id: str) -> tuple[str, ...]:
        """
        Return the secrets of a connection; empty if the connection does not exist or accepts no webhooks.

        :raises TooManyLoadsError: If too many other connections are read.
        :raises AgentRunsError: If the connection cannot be read at the moment.
        """
        if not _CONN_ID.fullmatch(conn_id):
            return ()
        cached = await self._cache.get(conn_id, lambda: self._load(conn_id))
        if cached.value is None:
            raise cached.error or AgentRunsConfigError(f"connection {conn_id!r} cannot be read in time")
        return cached.value

    async def _load(self, conn_id: str) -> tuple[str, ...]:
        async with self._readers:
            secrets = await asyncio.to_thread(_read, conn_id)
        if secrets is None and self._cache.peek(conn_id):
            # Airflow reports the same if its database is down, so the secrets stay valid until their maximum age.
            raise AgentRunsConfigError(f"Airflow has no connection {conn_id!r} at the moment")
        return secrets or ()


def _read(conn_id: str) -> tuple[str, ...] | None:
    """Return the secrets of a connection; None if it does not exist."""
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return None
    except Exception as e:  # noqa: BLE001 -- a secrets backend may raise anything
        # Its message may quote anything, so only the class is logged.
        log.warning("Cannot read connection %r to verify a webhook: %s", conn_id, type(e).__name__)
        raise AgentRunsConfigError(f"connection {conn_id!r} cannot be read: {type(e).__name__}") from None
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

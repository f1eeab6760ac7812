# SPDX-License-Identifier: Apache-2.0
"""What the webhooks of each connection are signed with, read where it is needed and not for each of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from functools import lru_cache, partial

import anyio.to_thread
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_agentruns.client.webhook_secrets import FIELD, webhook_secrets

log = logging.getLogger(__name__)

#: How long what was read counts, in seconds; so long a secret that was taken away is still good.
FRESH = 15.0

#: How many connections are remembered. Anybody may ask for any number of ids that there are not.
MOST_REMEMBERED = 500

#: So many may wait for theirs to be read, one after the other. Whoever asks for ids by the thousand asks in vain.
MOST_WAITING = 20

_LONGEST_ID = 250
_CONN_TYPE = "agentruns"


class TooManyError(Exception):
    """So many connections are asked for that this one cannot be read for the moment."""


class WebhookSecrets:
    """Knows the secrets of connections. For one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        #: Connections with secrets that were not to be found at the last look.
        self._missed: set[str] = set()
        self._reading: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        # One after the other: a secrets backend may be slow, or cost something.
        self._turn = asyncio.Semaphore(1)

    async def secrets(self, conn_id: str) -> tuple[str, ...]:
        """
        Return what webhooks of a connection are signed with; nothing where none are taken.

        :raises TooManyError: If it cannot be read for the moment.
        """
        now = time.monotonic()
        known = self._known.get(conn_id)
        if known is not None and now - known[0] < FRESH:
            self._known.move_to_end(conn_id)
            return known[1]
        if not conn_id.isprintable() or len(conn_id) > _LONGEST_ID:
            return ()
        reading = self._reading.get(conn_id)
        if reading is None:
            if len(self._reading) >= MOST_WAITING:
                if known is not None and known[1]:
                    # Old but good, rather than let strangers keep the service out.
                    return known[1]
                raise TooManyError
            reading = self._reading[conn_id] = asyncio.create_task(self._read(conn_id))
            reading.add_done_callback(lambda _: self._reading.pop(conn_id, None))
        # Whoever gives up takes nothing from the others who wait for it.
        return await asyncio.shield(reading)

    async def _read(self, conn_id: str) -> tuple[str, ...]:
        async with self._turn:
            found = await anyio.to_thread.run_sync(partial(_secrets, conn_id))
        _, before = self._known.get(conn_id, (0.0, ()))
        if not found and before and conn_id not in self._missed:
            # To Airflow a database that is down for a moment is a connection that there is not: once more, then.
            self._missed.add(conn_id)
            found = before
        else:
            self._missed.discard(conn_id)
        self._known[conn_id] = (time.monotonic(), found)
        self._known.move_to_end(conn_id)
        while len(self._known) > MOST_REMEMBERED:
            # Those of strangers first.
            self._known.pop(next((known for known, (_, found) in self._known.items() if not found), conn_id))
        return found


@lru_cache(maxsize=32)
def _tell_once(problem: str) -> None:
    log.warning("Connections cannot be read to see what webhooks are signed with: %s", problem)


def _secrets(conn_id: str) -> tuple[str, ...]:
    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return ()
    except Exception as e:  # noqa: BLE001 -- what a secrets backend raises, and whoever asks is to learn nothing of it
        _tell_once(type(e).__name__)
        return ()
    if connection.conn_type != _CONN_TYPE:
        return ()
    try:
        return webhook_secrets(connection.extra_dejson.get(FIELD) or None)
    except ValueError as e:
        log.error("Webhooks of connection %r are refused: %s (extra) %s", conn_id, FIELD, e)
        return ()

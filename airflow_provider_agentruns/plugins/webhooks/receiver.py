# SPDX-License-Identifier: Apache-2.0
"""What one process of the API server needs to take webhooks, and what it says where it cannot for the moment."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_agentruns.events.batch_writer import FullError, Intake
from airflow_provider_agentruns.events.webhook_event import RunChange
from airflow_provider_agentruns.plugins.webhooks.secrets import TooManyError, WebhookSecrets

log = logging.getLogger(__name__)


class Receiver:
    """Knows the secrets, and takes what is signed with them. For one event loop."""

    def __init__(self) -> None:
        self._accounts = WebhookSecrets()
        self._intake = Intake()

    async def secrets(self, conn_id: str) -> tuple[str, ...]:
        """
        Return what webhooks of a connection are signed with; nothing where none are taken.

        :raises HTTPException: 503 if that cannot be told for the moment.
        """
        with _or_later("the connection cannot be read"):
            return await self._accounts.secrets(conn_id)

    async def take(self, conn_id: str, change: RunChange) -> None:
        """
        Return when a change is in the database.

        :raises HTTPException: 503 if it does not come there for the moment.
        """
        with _or_later("it does not come into the database"):
            await self._intake.take(conn_id, change)


@contextmanager
def _or_later(problem: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, TooManyError, FullError) as e:
        # What a database says has the values of the statement in it.
        log.error("A webhook is to be sent again, since %s: %s", problem, type(e).__name__)
        raise HTTPException(503, "Not for the moment", {"Retry-After": "30"}) from e

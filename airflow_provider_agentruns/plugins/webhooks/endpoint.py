# SPDX-License-Identifier: Apache-2.0
"""
The route to which the service sends webhooks: ``POST /agent-runs/webhooks/{connection ID}``.

It requires no Airflow login, because the signature authenticates the sender. Without a valid signature, a sender
learns only which connections accept webhooks.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from functools import cache

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_agentruns.events.signature import WebhookSignature
from airflow_provider_agentruns.events.webhook_event import RunStatusChange, parse_webhook_event
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.plugins.single_flight_cache import TooManyLoadsError
from airflow_provider_agentruns.plugins.webhooks.body import BodyReader
from airflow_provider_agentruns.plugins.webhooks.secrets import SecretsUnavailableError, WebhookSecrets

log = logging.getLogger(__name__)

router = APIRouter()


class _Receiver:
    """What one process needs to receive webhooks. For one event loop."""

    def __init__(self) -> None:
        # Airflow before 3.3 lacks what this module imports.
        from airflow_provider_agentruns.events.webhook_writer import WebhookWriter

        self.secrets = WebhookSecrets()
        self.bodies = BodyReader()
        self._writer = WebhookWriter()

    async def read_secrets(self, conn_id: str) -> tuple[str, ...]:
        """Return the secrets of a connection; empty if it accepts no webhooks."""
        try:
            return await self.secrets.get(conn_id)
        except (TooManyLoadsError, SecretsUnavailableError) as e:
            raise _unavailable("its connection cannot be read", e) from e

    async def write(self, conn_id: str, change: RunStatusChange) -> None:
        """Return when the database holds the change."""
        try:
            await self._writer.write(conn_id, change)
        except (SQLAlchemyError, asyncio.QueueFull) as e:
            raise _unavailable("the database did not accept it", e) from e


@router.post("/webhooks/{conn_id}")
async def receive_webhook(conn_id: str, request: Request) -> Response:
    """Receive a webhook of the service behind a connection. After any 2xx response, the service does not resend it."""
    receiver = _receiver(request) if _is_supported() else None
    if receiver is None or not await receiver.read_secrets(conn_id):
        # The same response for a connection without secrets and for one that does not exist.
        raise HTTPException(404, "Not Found")
    signature = WebhookSignature.parse(request.headers.get(WebhookSignature.HEADER))
    if signature is None:
        raise HTTPException(401, f"The header {WebhookSignature.HEADER} must be the HMAC-SHA256 of the body, in hex")
    body = await receiver.bodies.read(request)
    # A body may take some time to arrive. Verify it with the secrets that are valid now.
    if not signature.matches(body, await receiver.read_secrets(conn_id)):
        log.warning("Rejected a webhook for connection %r: not signed with its webhook_secret", conn_id)
        raise HTTPException(401, "The signature does not match the body")
    try:
        change = parse_webhook_event(body)
    except AgentRunsValueError as e:
        log.warning("Rejected a webhook for connection %r: %s", conn_id, e)
        raise HTTPException(400, str(e)) from None
    if change is not None:
        await receiver.write(conn_id, change)
    return Response(status_code=204)


def _unavailable(problem: str, error: Exception) -> HTTPException:
    # The message of a database error would contain the values of the statement.
    log.error("Asked the service to resend a webhook, because %s (%s)", problem, type(error).__name__)
    return HTTPException(503, "Service temporarily unavailable", {"Retry-After": "30"})


def _receiver(request: Request) -> _Receiver:
    state = request.app.state
    if not hasattr(state, "webhook_receiver"):
        state.webhook_receiver = _Receiver()
    receiver: _Receiver = state.webhook_receiver
    return receiver


@cache
def _is_supported() -> bool:
    if importlib.util.find_spec("airflow.models.asset_state_store") is None:
        log.warning("Webhooks of agent runs require Airflow 3.3 or later; this Airflow rejects them")
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""
The route to which the service sends webhooks: ``POST /agent-runs/webhooks/{connection ID}``.

The signature authenticates the sender, not an Airflow login. Without a valid one, a sender learns only which
connections accept webhooks.
"""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_agentruns.events.signature import HEADER, is_signed, parse_signature
from airflow_provider_agentruns.events.webhook_event import parse_webhook_event
from airflow_provider_agentruns.events.webhook_writer import WebhookWriter
from airflow_provider_agentruns.exceptions import AgentRunsError, AgentRunsValueError
from airflow_provider_agentruns.plugins.webhooks.body import BodyReader
from airflow_provider_agentruns.plugins.webhooks.secrets import WebhookSecrets

log = logging.getLogger(__name__)

router = APIRouter()


class Receiver:
    """What one process needs to receive webhooks. For one event loop."""

    def __init__(self) -> None:
        self.secrets = WebhookSecrets()
        self.bodies = BodyReader()
        self.writer = WebhookWriter()


@router.post("/webhooks/{conn_id}")
async def receive_webhook(conn_id: str, request: Request) -> Response:
    """Receive a webhook of the service behind a connection. After any 2xx response, the service does not resend it."""
    try:
        await _receive(conn_id, request)
    except (AgentRunsError, asyncio.QueueFull, SQLAlchemyError) as e:
        # The message of a database error would contain the values of the statement.
        log.error("Asked the service to resend a webhook for connection %r: %s", conn_id, type(e).__name__)
        raise HTTPException(503, "Service temporarily unavailable", {"Retry-After": "30"}) from e
    return Response(status_code=204)


async def _receive(conn_id: str, request: Request) -> None:
    receiver: Receiver = request.app.state.webhook_receiver
    if not await receiver.secrets.get(conn_id):
        # The same response for a connection without secrets and for one that does not exist.
        raise HTTPException(404, "Not Found")
    signature = parse_signature(request.headers.get(HEADER))
    if signature is None:
        raise HTTPException(401, f"The header {HEADER} must be the HMAC-SHA256 of the body, in hex")
    body = await receiver.bodies.read(request)
    # A body may take some time to arrive. Verify it with the secrets that are valid now.
    if not is_signed(body, signature, await receiver.secrets.get(conn_id)):
        log.warning("Rejected a webhook for connection %r: not signed with its webhook_secret", conn_id)
        raise HTTPException(401, "The signature does not match the body")
    try:
        change = parse_webhook_event(body)
    except AgentRunsValueError as e:
        log.warning("Rejected a webhook for connection %r: %s", conn_id, e)
        raise HTTPException(400, str(e)) from None
    if change is not None:
        await receiver.writer.write(conn_id, change)

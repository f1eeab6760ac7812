# SPDX-License-Identifier: Apache-2.0
"""
The route to which the service sends webhooks: ``POST /agent-runs/webhooks/{connection ID}``.

The signature authenticates the sender, not an Airflow login. Without a valid one, a sender learns only which
connections accept webhooks.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time

from airflow.sdk.log import mask_secret
from fastapi import APIRouter, HTTPException, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.airflow_adapter.connections import read_connection
from airflow_provider_agentruns.client.connection_checks import webhook_secrets
from airflow_provider_agentruns.events.signed_webhook import HEADER, is_signed, parse_signature, parse_webhook_event
from airflow_provider_agentruns.events.webhook_writer import WebhookWriter
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsError, AgentRunsValueError

log = logging.getLogger(__name__)

#: The largest body, in bytes. A webhook may hold a run's output, which takes some hundred KiB.
MAX_SIZE = 1024 * 1024
#: The total size of the bodies that a process reads at once, in bytes.
MAX_TOTAL_SIZE = 64 * MAX_SIZE

_BODY_TIMEOUT = 20.0
# The rest of the body is not read, so the TCP connection cannot be used again.
_CLOSE = {"Connection": "close"}
#: Seconds after which secrets are read again, and after which a secret that was removed is no longer valid.
FRESH_FOR, MAX_AGE = 5.0, 15.0
#: The number of connections that are read at once if they have no known secrets. Anyone may send any ID.
MAX_READS = 20
#: Seconds that a webhook waits for its connection to be read: without and with secrets that are still valid.
_MAX_WAIT, _MAX_WAIT_IF_KNOWN = 10.0, 1.0

_CONN_ID = re.compile(r"[A-Za-z0-9_.-]{1,250}")

router = APIRouter()


class WebhookSecrets:
    """Reads secrets from connections, and caches them. For one event loop."""

    def __init__(self) -> None:
        # The secrets of a connection, and when they were read (time.monotonic). Connections without secrets are not
        # stored, so requests with any number of IDs need no memory.
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._reads: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        # A secrets backend may be slow, and requests from strangers must not occupy all threads.
        self._readers = asyncio.Semaphore(2)

    async def get(self, conn_id: str) -> tuple[str, ...]:
        """Return a connection's secrets, if it accepts webhooks. Raise an AgentRunsConfigError if it cannot be read."""
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


class Receiver:
    """Receives the webhooks of a process. For one event loop."""

    def __init__(self) -> None:
        self._secrets = WebhookSecrets()
        self._writer = WebhookWriter()
        self._bytes_in_memory = 0

    async def receive(self, conn_id: str, request: Request) -> None:
        """Verify a webhook and write its asset events. Raise an HTTPException to reject it."""
        if not await self._secrets.get(conn_id):
            # The same response for a connection without secrets and for one that does not exist.
            raise HTTPException(404, "Not Found")
        signature = parse_signature(request.headers.get(HEADER))
        if signature is None:
            raise HTTPException(401, f"The header {HEADER} must be the HMAC-SHA256 of the body, in hex")
        body = await self._read_body(request)
        # A body may take some time to arrive. Verify it with the secrets that are valid now.
        if not is_signed(body, signature, await self._secrets.get(conn_id)):
            log.warning("Rejected a webhook for connection %r: not signed with its webhook_secret", conn_id)
            raise HTTPException(401, "The signature does not match the body")
        try:
            change = parse_webhook_event(body)
        except AgentRunsValueError as e:
            log.warning("Rejected a webhook for connection %r: %s", conn_id, e)
            raise HTTPException(400, str(e)) from None
        if change is not None:
            await self._writer.write(conn_id, change)

    async def _read_body(self, request: Request) -> bytes:
        """Return the body, byte for byte as sent. The sender is not authenticated yet."""
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                # The server has checked that it is a number.
                _check_size(int(request.headers.get("content-length", 0)))
                async for part in request.stream():
                    _check_size(len(body) + len(part))
                    body += part
                    self._bytes_in_memory += len(part)
                    if self._bytes_in_memory > MAX_TOTAL_SIZE:
                        raise HTTPException(503, "Service temporarily unavailable", {"Retry-After": "30", **_CLOSE})
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {_BODY_TIMEOUT:g} s", _CLOSE) from None
        except ClientDisconnect:
            raise HTTPException(400, "The body is incomplete") from None
        finally:
            self._bytes_in_memory -= len(body)
        return bytes(body)


_receiver = Receiver()


@router.post("/webhooks/{conn_id}", status_code=204)
async def receive_webhook(conn_id: str, request: Request) -> None:
    """Receive a webhook of the service behind a connection. After any 2xx response, the service does not resend it."""
    try:
        await _receiver.receive(conn_id, request)
    except HTTPException as e:
        # A stranger can send any ID, and no tag should contain it.
        shown_id = "unknown" if e.status_code == 404 else conn_id
        metrics.count("webhooks.rejected", shown_id, status=str(e.status_code))
        raise
    except (AgentRunsError, asyncio.QueueFull, SQLAlchemyError) as e:
        # If the connection cannot be read, the sender can be anyone.
        shown_id = "unknown" if isinstance(e, AgentRunsError) else conn_id
        metrics.count("webhooks.rejected", shown_id, status="503")
        # The message of a database error would contain the values of the statement.
        log.error("Asked the service to resend a webhook for connection %r: %s", conn_id, type(e).__name__)
        raise HTTPException(503, "Service temporarily unavailable", {"Retry-After": "30"}) from e
    metrics.count("webhooks.accepted", conn_id, status="204")


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise HTTPException(413, f"The body is larger than {MAX_SIZE} bytes", _CLOSE)


def _read(conn_id: str) -> tuple[str, ...] | None:
    try:
        connection = read_connection(conn_id)
    except Exception as e:  # noqa: BLE001 -- a secrets backend may raise anything
        # Its message may contain credentials.
        log.warning("Cannot read connection %r to verify a webhook: %s", conn_id, type(e).__name__)
        raise AgentRunsConfigError(f"connection {conn_id!r} cannot be read: {type(e).__name__}") from None
    if connection is None:
        return None
    if connection.conn_type != "agentruns":
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

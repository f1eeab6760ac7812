# SPDX-License-Identifier: Apache-2.0
"""
Where the service sends its webhooks: ``POST /agent-runs/webhooks/{connection id}``.

No login of Airflow's is asked for, since the signature is the login: without one, nothing is read but the request, and
whoever sends it learns nothing but which connections take webhooks.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from airflow_provider_agentruns.events.signature import HEADER, is_signed, read_signature
from airflow_provider_agentruns.events.webhook_event import read_event
from airflow_provider_agentruns.exceptions import AgentRunsValueError
from airflow_provider_agentruns.plugins.webhooks.body import LARGEST, TooLargeError, read_body

if TYPE_CHECKING:
    from airflow_provider_agentruns.plugins.webhooks.receiver import Receiver

log = logging.getLogger(__name__)

router = APIRouter()


@router.post("/webhooks/{conn_id:path}")
async def take_webhook(conn_id: str, request: Request) -> Response:
    """Take a webhook of the service that a connection leads to. Any 2xx says that it need not be sent again."""
    receiver = _receiver(request)
    secrets = await receiver.secrets(conn_id) if receiver else ()
    if not receiver or not secrets:
        # The same for a connection without a secret, and for one that there is not.
        raise HTTPException(404, "Not Found")
    signature = read_signature(request.headers.get(HEADER))
    if signature is None:
        raise HTTPException(401, f"The header {HEADER} should hold the HMAC-SHA256 of the body, in hex")
    body = await _body(request)
    if not is_signed(body, signature, secrets):
        log.warning("A webhook for connection %r was refused: it is not signed with its webhook_secret", conn_id)
        raise HTTPException(401, "The signature is not that of this body")
    try:
        change = read_event(body)
    except AgentRunsValueError as e:
        log.warning("A webhook for connection %r was refused: %s", conn_id, e)
        raise HTTPException(400, str(e)) from None
    if change is not None:
        await receiver.take(conn_id, change)
    return Response(status_code=204)


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request)
    except TooLargeError:
        # What is left of it is not read, so that nothing else can come over this TCP connection.
        headers = {"Connection": "close"}
        raise HTTPException(413, f"A webhook has {LARGEST} bytes at most", headers) from None
    except TimeoutError:
        raise HTTPException(408, "The body takes too long to come", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "The body broke off") from None


def _receiver(request: Request) -> Receiver | None:
    """Return what takes webhooks in this process; None where Airflow is too old."""
    if not _airflow_can():
        return None
    # Not with the module: Airflow before 3.3 lacks what it imports.
    from airflow_provider_agentruns.plugins.webhooks.receiver import Receiver

    state = request.app.state
    if not hasattr(state, "webhooks"):
        state.webhooks = Receiver()
    receiver: Receiver = state.webhooks
    return receiver


@cache
def _airflow_can() -> bool:
    if importlib.util.find_spec("airflow.models.asset_state_store") is None:
        log.warning("Webhooks of agent runs take Airflow 3.3 or newer, and are refused here")
        return False
    return True

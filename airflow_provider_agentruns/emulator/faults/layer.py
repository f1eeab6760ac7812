# SPDX-License-Identifier: Apache-2.0
"""Where faults meet requests: around the whole application, which knows nothing of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_agentruns.emulator.errors import error_response
from airflow_provider_agentruns.emulator.faults.base import Fault
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.lineup import Faults
from airflow_provider_agentruns.emulator.faults.messages import Incoming
from airflow_provider_agentruns.emulator.guard import Token
from airflow_provider_agentruns.emulator.recording import record_of
from airflow_provider_agentruns.emulator.service import Service

log = logging.getLogger(__name__)


class FaultLayer:
    """
    Lets the faults in force happen to requests, before anybody looks at a token or counts towards the rate limit.

    :param token: Tells when it was rotated.
    :param outage: Takes the whole service off the network for so many seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        service: Service,
        token: Token,
        outage: Callable[[float], Awaitable[None]],
    ) -> None:
        self._app = app
        self._faults = faults
        self._service = service
        self._token = token
        self._outage = outage
        self._open: set[Exchange] = set()

    def close(self) -> None:
        """Reset the connections that faults keep open, in the event loop that they run in."""
        for exchange in self._open:
            exchange.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request meet the fault that is due, or pass it on."""
        send = _dated(send)
        request = self._incoming(scope) if self._faults.in_force else None
        rule = request and self._faults.meeting(request)
        if not request or not rule:
            return await self._app(scope, receive, send)
        record = record_of(scope)
        record.fault = rule.rule.fault.name
        exchange = Exchange(self._app, scope, receive, send, request, record, self._outage)
        if await exchange.read():
            self._open.add(exchange)
            try:
                await self._meet(rule.rule.fault, exchange)
            finally:
                self._open.discard(exchange)
        return None

    async def _meet(self, fault: Fault, exchange: Exchange) -> None:
        meeting = asyncio.create_task(_happen(fault, exchange))
        leaving = asyncio.create_task(exchange.left())
        try:
            await asyncio.wait((meeting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if exchange.broken:
                # The web server has to know it, too, or it takes the missing answer for a mistake.
                await leaving
        finally:
            meeting.cancel()
            leaving.cancel()
            await asyncio.wait((meeting, leaving))

    def _incoming(self, scope: Scope) -> Incoming:
        return Incoming(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode(),
            token=Headers(scope=scope).get("authorization", "").partition(" ")[2].strip(),
            token_since=self._token.since,
            service=self._service,
        )


async def _happen(fault: Fault, exchange: Exchange) -> None:
    try:
        await fault.meet(exchange)
    except Exception as error:
        log.exception("The fault %s could not happen", fault.name)
        if not exchange.answered and not exchange.broken:
            await exchange.respond(error_response(500, f"The fault {fault.name} could not happen: {error}"))


def _dated(send: Send) -> Send:
    async def dated(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            headers.setdefault("date", formatdate(usegmt=True))
            message = {**message, "headers": headers.raw}
        await send(message)

    return dated

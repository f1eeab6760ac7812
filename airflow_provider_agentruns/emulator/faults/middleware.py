# SPDX-License-Identifier: Apache-2.0
"""Applies the active faults to requests, around the whole application."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_agentruns.emulator.errors import error_response
from airflow_provider_agentruns.emulator.faults.active_faults import Faults
from airflow_provider_agentruns.emulator.faults.exchange import Exchange
from airflow_provider_agentruns.emulator.faults.plan import Rule
from airflow_provider_agentruns.emulator.recording import record_of
from airflow_provider_agentruns.emulator.service import Service

log = logging.getLogger(__name__)


class FaultMiddleware:
    """Applies the active faults before requests are authenticated or counted towards the rate limit."""

    def __init__(self, app: ASGIApp, faults: Faults, service: Service) -> None:
        self._app = app
        self._faults = faults
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the fault that is due, or pass the request on."""
        exchange = Exchange(self._app, scope, send, self._service)
        active = self._faults.select(exchange)
        if not active:
            return await self._app(scope, receive, send)
        record_of(scope).fault = active.rule.fault.name
        applying = asyncio.create_task(_apply(active.rule, exchange))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((applying, leaving), return_when=asyncio.FIRST_COMPLETED)
            if exchange.broken:
                # Otherwise the web server logs that the response is missing.
                await leaving
        finally:
            applying.cancel()
            leaving.cancel()
            await asyncio.wait((applying, leaving))
        return None


async def _apply(rule: Rule, exchange: Exchange) -> None:
    fault, parameters = rule.fault, dict(rule.parameters)
    taken = parameters.pop("taken", fault.carried_out)
    assert fault.run  # noqa: S101 -- faults that apply to requests have code
    try:
        if taken:
            async with exchange.carried_out() as response:
                await fault.run(exchange, response, **parameters)
        else:
            await fault.run(exchange, None, **parameters)
    except Exception as error:
        log.exception("The fault %r failed", fault.name)
        if not exchange.responded and not exchange.broken:
            await exchange.respond(error_response(500, f"The fault {fault.name!r} failed: {error}"))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

# SPDX-License-Identifier: Apache-2.0
"""The code of faults that replace the response or change its content. See ``table``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from airflow_provider_agentruns.emulator.app import listing, page_and_size
from airflow_provider_agentruns.emulator.errors import error_response
from airflow_provider_agentruns.emulator.faults.exchange import Exchange, ServiceResponse
from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.scripts import Json

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def status(code: int, message: str) -> Callable[..., Awaitable[None]]:
    """Return a fault that responds with an error of the contract."""

    async def respond(
        exchange: Exchange,
        _: ServiceResponse | None,
        *,
        retry_after: float | str | None = None,
        retry_after_date: float | None = None,
        seconds: float = 0,  # for the condition of the fault
    ) -> None:
        headers = {}
        if retry_after_date is not None:
            headers["Retry-After"] = formatdate(time.time() + retry_after_date, usegmt=True)
        elif retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        await exchange.respond(error_response(code, message, headers=headers))

    return respond


async def proxy_page(exchange: Exchange, _: ServiceResponse | None, *, status: int) -> None:
    await exchange.respond(Response(_PAGE, status, media_type="text/html"))


async def foreign_error(
    exchange: Exchange, _: ServiceResponse | None, *, status: int, body: str, content_type: str
) -> None:
    await exchange.respond(Response(body, status, {"Content-Type": content_type}))


async def redirect(exchange: Exchange, _: ServiceResponse | None, *, status: int) -> None:
    scope = exchange.request.scope
    to = f"http://127.0.0.2:{scope['server'][1]}{quote(scope['path'])}"
    await exchange.respond(Response(status_code=status, headers={"Location": to}))


def damaged_body(damage: Callable[[bytes], bytes]) -> Callable[..., Awaitable[None]]:
    """Return a fault that changes the bytes of the body."""

    async def respond(exchange: Exchange, response: ServiceResponse) -> None:
        await exchange.send_body(response.status, response.headers, damage(await response.body()))

    return respond


def changed_json(change: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """Return a fault that changes the JSON value of the body, or of each event of a stream."""

    async def respond(exchange: Exchange, response: ServiceResponse, **fields: Any) -> None:
        def changed(text: bytes) -> bytes:
            return json.dumps(change(json.loads(text), **fields)).encode()

        if not response.is_stream:
            await exchange.send_body(response.status, response.headers, changed(await response.body()))
            return
        await exchange.begin(response.status, response.headers)
        async for event in response.pieces():
            head, data = event.rstrip().split(b"data: ", 1)
            await exchange.piece(head + b"data: " + changed(data) + b"\n\n")
        await exchange.piece(b"", last=True)

    return respond


def unknown_status(value: Any, *, status: str) -> Any:
    return _each_object(value, lambda it: it | {"status": status} if it.get("object") in ("run", "thread") else it)


def unknown_fields(value: Any) -> Any:
    return _each_object(value, lambda it: it | {"x_unknown": {"since": "tomorrow", "values": [1, None]}})


def _each_object(value: Any, change: Callable[[Json], Json]) -> Any:
    """Change each object in a JSON value, the inner ones first."""
    if isinstance(value, dict):
        return change({name: _each_object(it, change) for name, it in value.items()})
    return [_each_object(it, change) for it in value] if isinstance(value, list) else value


async def clock_skew(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    def shifted(value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            with suppress(OverflowError):
                return timestamp(datetime.fromisoformat(value) + timedelta(seconds=seconds))
        if isinstance(value, list):
            return [shifted(it) for it in value]
        return {name: shifted(it) for name, it in value.items()} if isinstance(value, dict) else value

    response.headers["date"] = formatdate(time.time() + seconds, usegmt=True)
    await changed_json(shifted)(exchange, response)


async def listing_lags(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    body = await response.body()
    if response.status == 200:
        service = exchange.service
        at = service.clock() - timedelta(seconds=seconds)
        with service.lock:
            page = service.list_runs(*page_and_size(exchange.request), created_by=at)
            states = [next(state for state in reversed(run.states) if state.since <= at) for run in page.items]
            runs = [run.as_json(state=state) for run, state in zip(page.items, states, strict=True)]
        body = json.dumps(listing(page, runs)).encode()
    await exchange.send_body(response.status, response.headers, body)

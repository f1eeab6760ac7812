# SPDX-License-Identifier: Apache-2.0
"""The code of the faults: what each does with the service's response, or instead of it. See ``table``."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from airflow_provider_agentruns.emulator.app import page_of
from airflow_provider_agentruns.emulator.errors import error_response
from airflow_provider_agentruns.emulator.faults.exchange import Exchange, ServiceResponse
from airflow_provider_agentruns.emulator.ids import timestamp
from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.script_steps import Json

Effect = Callable[..., Coroutine[Any, Any, None]]

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def delay(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await exchange.send(response.status, response.headers, response.pieces())


async def slow_body(exchange: Exchange, response: ServiceResponse, *, size: int, pause: float) -> None:
    async def slowed() -> AsyncIterator[bytes]:
        async for piece in response.pieces():
            for start in range(0, len(piece), size):
                yield piece[start : start + size]
                await asyncio.sleep(pause)

    await exchange.send(response.status, response.headers, slowed())


async def cut_off(exchange: Exchange, response: ServiceResponse, *, part: float) -> None:
    body = await response.body()
    response.headers["content-length"] = str(max(len(body), 1))
    await exchange.send(response.status, response.headers, body[: int(len(body) * part)], whole=False)
    await exchange.close()


async def stream_cut(exchange: Exchange, response: ServiceResponse, *, events: int) -> None:
    async def cut() -> AsyncIterator[bytes]:
        left = events
        async for event in response.pieces():
            if left == 0:
                yield event[: len(event) // 2]
                return
            yield event
            left -= 1

    await exchange.send(response.status, response.headers, cut(), whole=False)
    await exchange.close()


async def stream_silent(exchange: Exchange, response: ServiceResponse, *, events: int) -> None:
    async def first() -> AsyncIterator[bytes]:
        pieces = response.pieces()
        for _ in range(events):
            yield await anext(pieces, b"")

    await exchange.send(response.status, response.headers, first(), whole=False)
    await exchange.hang()


def status(code: int, message: str) -> Effect:
    """Return a fault that responds with an error of the contract."""

    async def respond(
        exchange: Exchange,
        _: ServiceResponse | None,
        *,
        retry_after: float | str | None = None,
        retry_after_date: float | None = None,
        seconds: float = 0,  # for the condition of the fault
    ) -> None:
        if retry_after_date is not None:
            retry_after = formatdate(time.time() + retry_after_date, usegmt=True)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
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


def damaged_body(damage: Callable[[bytes], bytes]) -> Effect:
    """Return a fault that changes the bytes of the body."""

    async def respond(exchange: Exchange, response: ServiceResponse) -> None:
        await exchange.send(response.status, response.headers, damage(await response.body()))

    return respond


def changed_json(change: Callable[..., Any]) -> Effect:
    """Return a fault that changes the values in the JSON of the body or of each event, inner values first."""

    async def respond(exchange: Exchange, response: ServiceResponse, **fields: Any) -> None:
        def changed(value: Any) -> Any:
            if isinstance(value, dict):
                value = {name: changed(it) for name, it in value.items()}
            elif isinstance(value, list):
                value = [changed(it) for it in value]
            return change(value, **fields)

        def changed_text(text: bytes) -> bytes:
            return json.dumps(changed(json.loads(text))).encode()

        async def changed_events() -> AsyncIterator[bytes]:
            async for event in response.pieces():
                head, data = event.rstrip().split(b"data: ", 1)
                yield head + b"data: " + changed_text(data) + b"\n\n"

        body = changed_events() if response.is_stream else changed_text(await response.body())
        await exchange.send(response.status, response.headers, body)

    return respond


def unknown_status(value: Any, *, status: str) -> Any:
    is_run = isinstance(value, dict) and value.get("object") in ("run", "thread")
    return value | {"status": status} if is_run else value


def unknown_fields(value: Any) -> Any:
    return value | {"x_unknown": {"since": "tomorrow", "values": [1, None]}} if isinstance(value, dict) else value


async def clock_skew(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    def shifted(value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            with suppress(OverflowError):
                return timestamp(datetime.fromisoformat(value) + timedelta(seconds=seconds))
        return value

    response.headers["date"] = formatdate(time.time() + seconds, usegmt=True)
    await changed_json(shifted)(exchange, response)


async def listing_lags(exchange: Exchange, response: ServiceResponse, *, seconds: float) -> None:
    body = await response.body()
    if response.status == 200:
        at = exchange.service.clock() - timedelta(seconds=seconds)

        def as_it_was(run: Run) -> Json:
            return run.as_json(state=next(state for state in reversed(run.states) if state.since <= at))

        runs = [run for run in exchange.service.runs.values() if run.created_at <= at]
        body = json.dumps(page_of(exchange.request, runs, as_it_was)).encode()
    await exchange.send(response.status, response.headers, body)

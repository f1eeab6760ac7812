# SPDX-License-Identifier: Apache-2.0
"""
The code of the faults.

An effect takes a request, the response or None if the request was not carried out, and the fault's parameters. It
returns the response to send, or None if it broke the connection.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from airflow_provider_agentruns.emulator.app import error_response, page_of
from airflow_provider_agentruns.emulator.runs import Run, timestamp
from airflow_provider_agentruns.emulator.script_steps import Json
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import reset_connection, transport_of

Effect = Callable[..., Awaitable[Response | None]]

_PAGE = "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Please sign in</h1></body></html>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def hang(request: Request, _: Response | None = None, *, seconds: float | None = None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def close(request: Request, _: Response | None = None) -> None:
    transport_of(request.scope).close()
    await hang(request)


async def reset(request: Request, _: Response | None = None) -> None:
    reset_connection(transport_of(request.scope))
    await hang(request)


async def delay(request: Request, response: Response, *, seconds: float) -> Response:
    await hang(request, seconds=seconds)
    return response


async def slow_body(_: Request, response: StreamingResponse, *, size: int, pause: float) -> Response:
    async def slowed() -> AsyncIterator[bytes]:
        async for piece in _pieces(response):
            for start in range(0, len(piece), size):
                yield piece[start : start + size]
                await asyncio.sleep(pause)

    return _with_body(response, slowed())


async def cut_off(request: Request, response: StreamingResponse, *, part: float) -> Response:
    body = await _body(response)
    response.headers["content-length"] = str(max(len(body), 1))

    async def cut() -> AsyncIterator[bytes]:
        yield body[: int(len(body) * part)]
        await close(request)

    return _with_body(response, cut())


async def stream_cut(request: Request, response: StreamingResponse, *, events: int) -> Response:
    async def cut() -> AsyncIterator[bytes]:
        pieces = _pieces(response)
        for _ in range(events):
            yield await anext(pieces, b"")
        event = await anext(pieces, b"")
        yield event[: len(event) // 2]
        await close(request)

    return _with_body(response, cut())


async def stream_silent(request: Request, response: StreamingResponse, *, events: int) -> Response:
    async def first() -> AsyncIterator[bytes]:
        pieces = _pieces(response)
        for _ in range(events):
            yield await anext(pieces, b"")
        await hang(request)

    return _with_body(response, first())


def status(code: int, message: str) -> Effect:
    async def respond(
        request: Request, response: Response | None, *, retry_after: float | str | None = None, **_: Any
    ) -> Response:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return error_response(code, message, headers=headers)

    return respond


async def foreign_response(
    request: Request, _: Response | None, *, status: int, body: str = _PAGE, content_type: str = "text/html"
) -> Response:
    return Response(body, status, media_type=content_type)


async def redirect(request: Request, _: Response | None, *, status: int) -> Response:
    scope = request.scope
    location = f"http://127.0.0.2:{scope['server'][1]}{quote(scope['path'])}"
    return Response(status_code=status, headers={"Location": location})


def changed_bytes(damage: Callable[[bytes], bytes]) -> Effect:
    async def respond(request: Request, response: StreamingResponse) -> Response:
        return _with_body(response, damage(await _body(response)))

    return respond


def changed_json(change: Callable[..., Any]) -> Effect:
    """Return a fault that changes all values in the JSON of a body or of each event, inner values first."""

    async def respond(request: Request, response: StreamingResponse, **fields: Any) -> Response:
        def changed(value: Any) -> Any:
            if isinstance(value, dict):
                value = {name: changed(it) for name, it in value.items()}
            elif isinstance(value, list):
                value = [changed(it) for it in value]
            return change(value, **fields)

        def changed_text(text: bytes) -> bytes:
            return json.dumps(changed(json.loads(text))).encode()

        async def changed_events() -> AsyncIterator[bytes]:
            async for event in _pieces(response):
                head, data = event.split(b"data: ", 1)
                yield head + b"data: " + changed_text(data) + b"\n\n"

        return _with_body(response, changed_events() if _is_stream(response) else changed_text(await _body(response)))

    return respond


def unknown_status(value: Any, *, status: str) -> Any:
    is_run = isinstance(value, dict) and value.get("object") in ("run", "thread")
    return value | {"status": status} if is_run else value


def unknown_fields(value: Any) -> Any:
    return value | {"x_unknown": {"since": "tomorrow", "values": [1, None]}} if isinstance(value, dict) else value


async def clock_skew(request: Request, response: Response, *, seconds: float) -> Response | None:
    def shifted(value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return timestamp(datetime.fromisoformat(value) + timedelta(seconds=seconds))
        return value

    response.headers["date"] = formatdate(time.time() + seconds, usegmt=True)
    return await changed_json(shifted)(request, response)


async def listing_lags(request: Request, response: Response, *, seconds: float) -> Response:
    if response.status_code != 200:
        return response
    service: Service = request.app.state.service
    at = service.clock() - timedelta(seconds=seconds)

    def as_it_was(run: Run) -> Json:
        return run.as_json(state=next(state for state in reversed(run.states) if state.since <= at))

    runs = [run for run in service.runs.values() if run.created_at <= at]
    return _with_body(response, json.dumps(page_of(request, runs, as_it_was)).encode())


def _with_body(response: Response, body: bytes | AsyncIterator[bytes]) -> Response:
    if not isinstance(body, bytes):
        return StreamingResponse(body, response.status_code, response.headers)
    changed = Response(body, response.status_code, response.headers)
    changed.headers["content-length"] = str(len(body))
    return changed


async def _pieces(response: StreamingResponse) -> AsyncIterator[bytes]:
    async for piece in response.body_iterator:
        yield bytes(piece)  # type: ignore[arg-type]


async def _body(response: StreamingResponse) -> bytes:
    """Return the body. Of a stream, return the first event."""
    if _is_stream(response):
        return await anext(_pieces(response))
    return b"".join([piece async for piece in _pieces(response)])


def _is_stream(response: Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")

# SPDX-License-Identifier: Apache-2.0
"""One request that a fault applies to, the service's response, and the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope, Send

from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import BODY, replay, reset, transport_of

_EVENT_END = b"\n\n"


@dataclass(slots=True)
class ServiceResponse:
    """
    The response of the service to a request that it carried out.

    :param messages: The ASGI messages of the body. None marks the end.
    """

    status: int
    headers: MutableHeaders
    messages: asyncio.Queue[Message | None]

    @property
    def is_stream(self) -> bool:
        """Whether the response is a stream of events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces. Each event of a stream is one piece."""
        while (message := await self.messages.get()) is not None:
            body = message.get("body", b"")
            for piece in [event + _EVENT_END for event in body.split(_EVENT_END)[:-1]] if self.is_stream else [body]:
                yield piece

    async def body(self) -> bytes:
        """Return the whole body. Of a stream, return the first event."""
        body = b""
        async for piece in self.pieces():
            body += piece
            if self.is_stream:
                break
        return body


class Exchange:
    """A request and its response. The code of a fault is cancelled when the client disconnects."""

    def __init__(self, app: ASGIApp, scope: Scope, send: Send, service: Service) -> None:
        self.request = Request(scope)
        self.service = service
        self._app = app
        self._send = send

    @asynccontextmanager
    async def carried_out(self) -> AsyncIterator[ServiceResponse]:
        """Have the service carry out the request, and give its response until the block ends."""
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        scope = self.request.scope

        async def run() -> None:
            try:
                await self._app(scope, replay(scope[BODY], _silence), messages.put)
            finally:
                messages.put_nowait(None)

        running = asyncio.create_task(run())
        start = await messages.get() or {}
        try:
            yield ServiceResponse(start["status"], MutableHeaders(raw=list(start["headers"])), messages)
        finally:
            running.cancel()

    async def send(
        self, status: int, headers: MutableHeaders, body: AsyncIterator[bytes] | bytes, *, whole: bool = True
    ) -> None:
        """
        Send a response.

        :param body: The body, or its pieces.
        :param whole: Whether the response ends after the body. Otherwise it stays open.
        """
        if isinstance(body, bytes) and whole:
            headers["content-length"] = str(len(body))
        await self._send({"type": "http.response.start", "status": status, "headers": headers.raw})
        async for piece in _single(body) if isinstance(body, bytes) else body:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if whole:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def respond(self, response: Response) -> None:
        """Send another response than the service's."""
        await self.send(response.status_code, response.headers, bytes(response.body))

    async def close(self, _: ServiceResponse | None = None) -> None:
        """Close the connection after everything written has been sent."""
        transport_of(self.request.scope).close()
        await _silence()

    async def reset(self, _: ServiceResponse | None = None) -> None:
        """Reset the connection."""
        reset(transport_of(self.request.scope))
        await _silence()

    async def hang(self, _: ServiceResponse | None = None) -> None:
        """Send nothing more, and keep the connection open."""
        await _silence()


async def _single(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _silence() -> Any:
    await asyncio.Event().wait()

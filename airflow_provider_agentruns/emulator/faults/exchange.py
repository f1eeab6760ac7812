# SPDX-License-Identifier: Apache-2.0
"""One request that a fault applies to, the service's response, and the connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope, Send

from airflow_provider_agentruns.emulator.recording import body_of, replay
from airflow_provider_agentruns.emulator.service import Service
from airflow_provider_agentruns.emulator.web_server import reset, transport_of

log = logging.getLogger(__name__)

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
    def media_type(self) -> str:
        """The content type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def is_stream(self) -> bool:
        """Whether the response is a stream of events."""
        return self.media_type == "text/event-stream"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces. Each event of a stream is one piece."""
        while (message := await self.messages.get()) is not None:
            if body := message.get("body", b""):
                for event in body.split(_EVENT_END)[:-1] if self.is_stream else ():
                    yield event + _EVENT_END
                if not self.is_stream:
                    yield body

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
        #: Whether the fault closed or reset the connection.
        self.broken = False
        #: Whether the response has begun.
        self.responded = False
        self._app = app
        self._scope = scope
        self._send = send

    @asynccontextmanager
    async def carried_out(self) -> AsyncIterator[ServiceResponse]:
        """Have the service carry out the request, and give its response until the block ends."""
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        begun = asyncio.Event()

        async def keep(message: Message) -> None:
            messages.put_nowait(message)
            begun.set()

        async def run() -> None:
            try:
                await self._app(self._scope, replay(body_of(self._scope)), keep)
            finally:
                messages.put_nowait(None)
                begun.set()

        running = asyncio.create_task(run())
        try:
            start = await messages.get()
            if start is None:
                raise RuntimeError("the service gave no response")
            yield ServiceResponse(start["status"], MutableHeaders(raw=list(start["headers"])), messages)
        finally:
            # The service carries out a request even if the client has disconnected, as it does without a fault.
            await begun.wait()
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled() and (error := running.exception()):
                log.error("The offline service raised an error", exc_info=error)

    async def begin(self, status: int, headers: MutableHeaders) -> None:
        """Send the head of the response."""
        self.responded = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers.raw})

    async def piece(self, body: bytes, *, last: bool = False) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def send_body(self, status: int, headers: MutableHeaders, body: bytes) -> None:
        """Send a response with a body and a correct ``Content-Length``."""
        headers["content-length"] = str(len(body))
        await self.begin(status, headers)
        await self.piece(body, last=True)

    async def respond(self, response: Response) -> None:
        """Send another response than the service's."""
        await self.send_body(response.status_code, response.headers, bytes(response.body))

    def close(self) -> None:
        """Close the connection after everything written has been sent."""
        self.broken = True
        transport_of(self._scope).close()

    def reset(self) -> None:
        """Reset the connection."""
        self.broken = True
        reset(transport_of(self._scope))

# SPDX-License-Identifier: Apache-2.0
"""What a fault has at hand: the request, the service that may carry it out, and the connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_agentruns.emulator.faults.messages import Incoming, TrueAnswer
from airflow_provider_agentruns.emulator.recording import RecordedRequest
from airflow_provider_agentruns.emulator.serving import reset, transport_of

log = logging.getLogger(__name__)


class Exchange:
    """
    One request that a fault meets. When the client leaves, the fault is stopped wherever it is.

    :param outage: Takes the whole service off the network for so many seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        request: Incoming,
        record: RecordedRequest,
        outage: Callable[[float], Awaitable[None]],
    ) -> None:
        self.request = request
        #: Where the request comes from.
        self.client: tuple[str, int] = tuple(scope["client"])
        #: Where it came to.
        self.server: tuple[str, int] = tuple(scope["server"])
        #: Whether the connection has been broken on purpose.
        self.broken = False
        #: Whether something of an answer was sent.
        self.answered = False
        #: What the header ``Date`` says; None for the truth.
        self.date: str | None = None
        self.outage = outage
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self._transport = transport_of(scope)
        self._body = b""

    async def read(self) -> bool:
        """Read the request to its end; say whether it got there."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                return False
            self._body += message.get("body", b"")
            more = message.get("more_body", False)
        return True

    async def left(self) -> None:
        """Wait until the connection is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def carried_out(self) -> AsyncIterator[TrueAnswer]:
        """Have the request carried out, and give the answer. The answer ends with the block, a stream as well."""
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        done = asyncio.Event()

        async def keep(message: Message) -> None:
            messages.put_nowait(message)
            done.set()

        async def run() -> None:
            try:
                await self._app(self._scope, self._replay(), keep)
            finally:
                messages.put_nowait(None)
                done.set()

        running = asyncio.create_task(run())
        try:
            start = await messages.get()
            if start is None:
                raise RuntimeError("the service gave no answer")
            yield TrueAnswer(start, messages)
        finally:
            # Even if the client has left meanwhile: what it sent is carried out, as it is without a fault.
            await done.wait()
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled() and (problem := running.exception()):
                log.error("The service has a fault of its own", exc_info=problem)

    async def begin(self, status: int, headers: MutableHeaders) -> None:
        """Send the head of an answer."""
        self.answered = True
        if self.date is not None:
            headers["date"] = self.date
        await self._send({"type": "http.response.start", "status": status, "headers": headers.raw})

    async def piece(self, body: bytes) -> None:
        """Send a piece of its body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """End the answer."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, status: int, headers: MutableHeaders, body: bytes) -> None:
        """Send an answer with that body, and a ``Content-Length`` that is true."""
        headers["content-length"] = str(len(body))
        await self.begin(status, headers)
        await self.piece(body)
        await self.end()

    async def respond(self, response: Response) -> None:
        """Send an answer that somebody has made."""
        await self.whole(response.status_code, response.headers, bytes(response.body))

    async def raw(self, pieces: Iterable[bytes], status: int, pause: float = 0) -> None:
        """
        Write to the connection past the web server; the connection has to be closed afterwards.

        :param status: What the record of requests says was answered.
        :param pause: Seconds after each piece.
        """
        self.answered = True
        self._record.status = status
        for piece in pieces:
            self._transport.write(piece)
            await asyncio.sleep(pause)

    async def stand_still(self) -> None:
        """Do nothing until the client leaves."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Close the connection in the ordinary way, after what has been written."""
        self.broken = True
        self._transport.close()

    def reset(self) -> None:
        """Reset the connection: the client meets an error and not an end."""
        self.broken = True
        reset(self._transport)

    def _replay(self) -> Receive:
        unread = [self._body]

        async def replay() -> Message:
            if not unread:
                await self.stand_still()
            return {"type": "http.request", "body": unread.pop(), "more_body": False}

        return replay

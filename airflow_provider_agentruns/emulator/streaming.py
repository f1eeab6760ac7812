# SPDX-License-Identifier: Apache-2.0
"""
The stream of a run's events, as Server-Sent Events in AG-UI form.

A stream sleeps until the moment at which the run is known to change next, or until an answer to one of its
questions wakes it. It sends nothing in between: the contract promises no sign of life either.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_agentruns.emulator.runs import Run
from airflow_provider_agentruns.emulator.service import Service

# A clock that does not run at the pace of time, as in a test, must neither be missed nor keep us busy.
_SHORTEST_SLEEP = 0.005
_LONGEST_SLEEP = 60.0


class Streams:
    """The streams that are open. All end when the server shuts down."""

    def __init__(self) -> None:
        self.closed = False
        self._wakers: set[asyncio.Event] = set()

    def close(self) -> None:
        """End all streams, in the event loop that they run in."""
        self.closed = True
        for waker in self._wakers:
            waker.set()

    @contextmanager
    def waker(self) -> Iterator[asyncio.Event]:
        """Lend an event that is set when the streams are closed."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            yield waker
        finally:
            self._wakers.discard(waker)


class EventStream(Response):
    """The answer to a request for a run's stream: its events from the start, until it has ended."""

    media_type = "text/event-stream"

    def __init__(self, service: Service, run: Run, streams: Streams) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        # Its length is not known before its end.
        del self.headers["content-length"]
        self._service = service
        self._run = run
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the run ends, the client leaves or the server shuts down."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            # Already over unless the client has left; then nobody is there to send to.
            sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    async def _send(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with self._streams.waker() as waker:

            def wake() -> None:
                with suppress(RuntimeError):  # The loop is closed: the server is gone, and so is the stream.
                    loop.call_soon_threadsafe(waker.set)

            with self._service.listening(self._run.id, wake):
                await self._follow(send, waker)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send, waker: asyncio.Event) -> None:
        sent = 0
        while not self._streams.closed:
            waker.clear()
            for event in self._service.get_run(self._run.id).events(sent):
                data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                await send({"type": "http.response.body", "body": data.encode(), "more_body": True})
                sent += 1
                if event["type"] == "RUN_FINISHED":
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(waker.wait(), self._until_next_change())

    def _until_next_change(self) -> float:
        engine = self._run.engine
        if engine is None or engine.due is None:
            return _LONGEST_SLEEP
        seconds = (engine.due - self._service.clock()).total_seconds()
        return min(max(seconds, _SHORTEST_SLEEP), _LONGEST_SLEEP)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

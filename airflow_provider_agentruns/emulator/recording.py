# SPDX-License-Identifier: Apache-2.0
"""Reads requests and records them for tests. A record contains no token and no other header."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where a scope contains the record and the body of its request.
RECORD = "agent_runs.record"
BODY = "agent_runs.body"


@dataclass(slots=True)
class RecordedRequest:
    """
    One request.

    :param query: The part after the question mark, not decoded.
    :param at: When the request arrived, by ``time.monotonic()``.
    :param status: The status of the response. None until the response begins.
    :param fault: The name of the fault that changed the request or its response, if any.
    """

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None


class Recorder:
    """Outermost application: records each request before its response is sent, and passes it on with its whole body."""

    def __init__(self, app: ASGIApp) -> None:
        self.requests: list[RecordedRequest] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a request, and pass it on."""
        record = RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode(), time.monotonic())
        self.requests.append(record)

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(raw=list(message["headers"]))
                # The fault "clock skew" sets another date.
                headers.setdefault("date", formatdate(usegmt=True))
                message = {**message, "headers": headers.raw}
            await send(message)

        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            return
        await self._app({**scope, RECORD: record, BODY: body}, replay(body, receive), recording)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body again, and then what another one gives."""
    unread = [body]

    async def receive_again() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return receive_again

# SPDX-License-Identifier: Apache-2.0
"""Reads requests and records them for tests. A record contains no token and no other header."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_agentruns.emulator.errors import error_response

#: The size of the largest request body, in bytes.
MAX_BODY = 10_000_000

_RECORD = "agent_runs.record"
_BODY = "agent_runs.body"


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
    """Outermost application. It records each request before its response is sent, and limits the size of bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self.requests: list[RecordedRequest] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a request, and pass it on with its whole body."""
        record = RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode(), time.monotonic())
        self.requests.append(record)

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(raw=list(message["headers"]))
                headers.setdefault("date", formatdate(usegmt=True))
                message = {**message, "headers": headers.raw}
            await send(message)

        body = b""
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            size += len(message.get("body", b""))
            # Drop the rest of a body that is too large, but read it: many clients read no response before that.
            body = body + message.get("body", b"") if size <= MAX_BODY else b""
            if not message.get("more_body", False):
                break
        app = self._app if size <= MAX_BODY else error_response(413, f"A body has at most {MAX_BODY} bytes")
        await app({**scope, _RECORD: record, _BODY: body}, replay(body, receive), recording)


def record_of(scope: Scope) -> RecordedRequest:
    """Return the record of a request."""
    record: RecordedRequest = scope[_RECORD]
    return record


def body_of(scope: Scope) -> bytes:
    """Return the body of a request."""
    body: bytes = scope[_BODY]
    return body


def replay(body: bytes, receive: Receive | None = None) -> Receive:
    """
    Return a ``receive`` that gives a body again.

    :param receive: Gives the messages after the body. Default: there are none.
    """
    unread = [body]

    async def receive_again() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        if receive:
            return await receive()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return receive_again

# SPDX-License-Identifier: Apache-2.0
"""Keeps a record of every request, for tests to look at. It never holds a token, nor any other header."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_RECORD = "agent_runs.record"


@dataclass(slots=True)
class RecordedRequest:
    """
    One request.

    :param query: The part after the question mark, as it came.
    :param at: When it came, by ``time.monotonic()``.
    :param status: The status of the answer; None while there is none.
    :param fault: The name of the fault that met it; None where none did.
    """

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None


class Recorder:
    """An application around another one, which notes each request before its answer is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.requests: list[RecordedRequest] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note a request, and pass it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        record = RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode(), time.monotonic())
        self.requests.append(record)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        await self._app({**scope, _RECORD: record}, receive, noting)
        return None


def record_of(scope: Scope) -> RecordedRequest:
    """Find the record of a request."""
    record: RecordedRequest = scope[_RECORD]
    return record

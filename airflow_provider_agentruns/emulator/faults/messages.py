# SPDX-License-Identifier: Apache-2.0
"""The request that a fault meets, and what the service truly answers to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.types import Message

from airflow_provider_agentruns.emulator.service import Service

_EVENT_END = b"\n\n"


@dataclass(frozen=True, slots=True)
class Incoming:
    """
    A request that came.

    :param token_since: When the token that is good came to be so, by ``time.monotonic()``.
    """

    method: str
    path: str
    query: str
    token: str = field(repr=False)
    token_since: float
    service: Service


class TrueAnswer:
    """
    What the service answers to a request that it carried out.

    :param messages: The rest of its answer; None at the end.
    """

    def __init__(self, start: Message, messages: asyncio.Queue[Message | None]) -> None:
        self.status: int = start["status"]
        self.headers = MutableHeaders(raw=list(start["headers"]))
        self._messages = messages

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return self._type == "text/event-stream"

    @property
    def is_json(self) -> bool:
        """Whether it is one JSON value."""
        return self._type == "application/json"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body as it comes; of a stream, each event is a piece."""
        while (message := await self._messages.get()) is not None:
            if not self.is_stream:
                yield message.get("body", b"")
                continue
            for event in message.get("body", b"").split(_EVENT_END)[:-1]:
                yield event + _EVENT_END

    async def body(self) -> bytes:
        """Give the whole body; of a stream, the first event alone."""
        body = b""
        async for piece in self.pieces():
            body += piece
            if self.is_stream:
                break
        return body

    @property
    def _type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

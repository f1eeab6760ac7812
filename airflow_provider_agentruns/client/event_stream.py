# SPDX-License-Identifier: Apache-2.0
"""Reads the server-sent events of one response, each within a size limit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Generic, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent

from airflow_provider_agentruns.client.body import is_gzip
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsAPIError

T = TypeVar("T")

#: The largest event, in bytes.
MAX_EVENT_BYTES = 16 * 1024 * 1024

#: A stream that is silent for this many seconds counts as broken.
STREAM_SILENCE = 600.0

#: The arguments of httpx for a request that opens a stream.
STREAM_ARGUMENTS: dict[str, Any] = {
    "headers": {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"},
    "timeout": httpx.Timeout(30.0, read=STREAM_SILENCE),
}


class EventStream(Generic[T]):
    """
    The events of one response.

    :raises AgentRunsAPIError: The response is not an uncompressed stream of events.
    """

    def __init__(self, request: Request[T], response: httpx.Response, redact: Callable[[str], str]) -> None:
        self._request = request
        content_type = response.headers.get("content-type", "no content type")
        if "text/event-stream" not in content_type:
            raise self._error(redact(f"the response is {content_type} instead of a stream of events"))
        if is_gzip(response.headers):
            # httpx would decompress without a limit.
            raise self._error("the stream of events is compressed")
        response.stream = self._meter = _Meter(response.stream)
        self.source = EventSource(response)

    def parse(self, event: ServerSentEvent) -> T:
        self._meter.size = 0
        try:
            return self._request.parse(Response(200, {"event": event.event}, event.data.encode()))
        except (ValueError, TypeError):
            raise self._error("an event of the stream cannot be read") from None

    def _error(self, problem: str) -> AgentRunsAPIError:
        return AgentRunsAPIError(200, [problem], self._request.method, self._request.path)


class _Meter(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Counts the bytes since the last event, and limits them."""

    def __init__(self, stream: Any) -> None:
        self.size = 0
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._count(chunk)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self._stream:
            yield self._count(chunk)

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _count(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        if self.size > MAX_EVENT_BYTES:
            raise httpx.ReadError(f"an event of the stream is larger than {MAX_EVENT_BYTES} bytes")
        return chunk

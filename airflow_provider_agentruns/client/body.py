# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a response, or its server-sent events, with limits on time, size, and content encoding."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.exceptions import AgentRunsAPIError
from airflow_provider_agentruns.models import RunEvent

MAX_EVENT_BYTES = 16 * 1024 * 1024

#: A stream that is silent for 600 seconds counts as broken.
STREAM_ARGUMENTS: dict[str, Any] = {
    "headers": {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"},
    "timeout": httpx.Timeout(30.0, read=600.0),
}


def is_gzip(headers: Mapping[str, str]) -> bool:
    """Return whether a response is gzip. Raise for any other compression, which could expand to gigabytes."""
    value = headers.get("content-encoding", "")
    encoding = value.strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise httpx.DecodingError(f"the response has the content encoding {value!r} instead of gzip or none")
    return encoding == "gzip"


class BodyTooLargeError(httpx.ReadError):
    """The body has more bytes than its reader accepts."""


class BodyReader:
    """Collects the body of one response. A violation of a limit raises an ``httpx.HTTPError``."""

    def __init__(self, headers: Mapping[str, str], timeout: float, max_bytes: int) -> None:
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if is_gzip(headers) else None
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._max_bytes = max_bytes
        self._received = 0
        self._content = bytearray()

    def add(self, raw: bytes) -> None:
        self._received += len(raw)
        if self._gzip:
            try:
                # One byte above the limit shows that the body is too large.
                raw = self._gzip.decompress(raw, self._max_bytes - len(self._content) + 1)
            except zlib.error as e:
                raise httpx.DecodingError(f"the response cannot be decompressed: {e}") from None
        self._content += raw
        if max(self._received, len(self._content)) > self._max_bytes:
            raise BodyTooLargeError(f"the response is larger than {self._max_bytes} bytes")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the response took longer than {self._timeout:g} s")

    def content(self) -> bytes:
        if self._gzip and self._received and (not self._gzip.eof or self._gzip.unused_data):
            raise httpx.DecodingError("the compressed response is incomplete or has data after its end")
        return bytes(self._content)


class EventStream:
    """The events of one response. Raises an AgentRunsAPIError if it is not an uncompressed stream of events."""

    def __init__(self, request: Request[RunEvent], response: httpx.Response, redact: Callable[[str], str]) -> None:
        self._request = request
        content_type = response.headers.get("content-type", "no content type")
        if "text/event-stream" not in content_type:
            raise self._error(redact(f"the response is {content_type} instead of a stream of events"))
        if is_gzip(response.headers):
            # httpx would decompress without a limit.
            raise self._error("the stream of events is compressed")
        response.stream = self._meter = _Meter(response.stream)
        self.source = EventSource(response)

    def parse(self, event: ServerSentEvent) -> RunEvent:
        self._meter.size = 0
        try:
            # The type is in the data or, failing that, in the event's header.
            return RunEvent.model_validate({"type": event.event, **(event.json() if event.data else {})})
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

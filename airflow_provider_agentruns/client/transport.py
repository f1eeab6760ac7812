# SPDX-License-Identifier: Apache-2.0
"""
Sending requests: two thin transports over httpx, one sync and one async, that differ in nothing else.

Neither follows a redirect, so that the token goes nowhere but to the base URL. An answer may take no more
than the timeout and a fixed number of bytes, however slowly or endlessly it comes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent
from tenacity import AsyncRetrying, Retrying

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client import retries
from airflow_provider_agentruns.client.deadline import limited
from airflow_provider_agentruns.client.errors import connection_error, read
from airflow_provider_agentruns.client.limiter import Priority, limiter_for
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsConfigError, AgentRunsRateLimitError

T = TypeVar("T")

#: The largest answer that is read, in bytes.
LARGEST_ANSWER = 256 * 1024 * 1024

#: The largest event of a stream that is read, in bytes.
LARGEST_EVENT = 16 * 1024 * 1024

#: How long a stream may be silent, in seconds, before it counts as broken.
STREAM_SILENCE = 600.0


@dataclass(slots=True)
class RequestRecord:
    """
    A request that was sent, and what became of it; for who counts them.

    :param request: The request.
    :param paced: How long it had to wait for its turn under the rate limit, in seconds.
    :param sent: When it was sent, by ``time.monotonic()``.
    :param status: The status of the answer; None where none came whole.
    :param seconds: How long that took, from the sending.
    """

    request: Request[Any]
    throttle_delay: float
    sent: float
    status: int | None = None
    seconds: float = 0.0

    def finish(self, status: int | None = None) -> None:
        """Record the status and the duration; for a stream, as soon as it is open."""
        self.status, self.seconds = status, time.monotonic() - self.sent


def _unobserved(record: RequestRecord) -> None:
    """Count nothing."""


class _Transport:
    """
    What both transports share: where to send, with which headers, and how to read what comes.

    :param observe: Is told of each request once it is over, in the process and thread that sent it.
    """

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] = _unobserved) -> None:
        self.settings = settings
        self._observe = observe
        #: The largest answer that is read, in bytes, where that is less than for all.
        self.largest_answer: int | None = None
        self._limiter = limiter_for(settings.account, settings.rate_limit)
        self._policy = retries.policy(settings.max_retries)

    def _client_arguments(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "base_url": settings.base_url,
            "headers": {
                "Authorization": f"Bearer {settings.token.get_secret_value()}",
                "Accept": "application/json",
                "User-Agent": f"airflow-provider-agentruns/{__version__}",
            },
            "timeout": settings.timeout,
            "verify": _ssl_context(settings.verify),
            "proxy": settings.proxy,
            "follow_redirects": False,
        }

    @contextmanager
    def _recorded(self, request: Request[Any], throttle_delay: float) -> Iterator[RequestRecord]:
        """Tell the observer what becomes of a request, however that ends."""
        record = RequestRecord(request, throttle_delay, time.monotonic())
        try:
            yield record
        except httpx.HTTPError as e:
            raise connection_error(request, e, self.settings.base_url, self.settings.redact) from None
        finally:
            if record.status is None:
                record.finish()
            self._observe(record)

    def _read(self, request: Request[T], response: httpx.Response, body: bytes) -> T:
        return read(request, Response(response.status_code, response.headers, body), self.settings.redact)

    def _block_after(self, error: AgentRunsRateLimitError) -> None:
        """Stop all requests of the account: it is over its limit, whichever process was."""
        self._limiter.block_for(min(error.retry_after or 1.0, retries.LONGEST_PAUSE))

    def _source(self, request: Request[Any], response: httpx.Response) -> tuple[EventSource, _Meter]:
        kind = self.settings.redact(response.headers.get("content-type", "no content type"))
        if "text/event-stream" not in kind:
            raise AgentRunsAPIError(
                response.status_code, [f"{kind} instead of a stream of events"], request.method, request.path
            )
        if "content-encoding" in response.headers:
            # None was asked for, and a little of it may be a lot once it is unpacked.
            raise AgentRunsAPIError(response.status_code, ["a packed stream of events"], request.method, request.path)
        response.stream = meter = _Meter(response.stream)
        return EventSource(response), meter


class Transport(_Transport):
    """Sends requests and waits for the answers."""

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] = _unobserved) -> None:
        super().__init__(settings, observe)
        self._http = httpx.Client(**self._client_arguments())
        self._deadlines = limited(self._http)

    def send(self, request: Request[T], *, priority: Priority | None = None, max_wait: float | None = None) -> T:
        """
        Send a request and return its result. Repeat it after an error if that is harmless.

        :param priority: Replaces the request's own priority.
        :param max_wait: The longest acceptable delay by the rate limit, in seconds, for each attempt; None for any.
        :raises AgentRunsThrottledError: If the delay would be longer than ``max_wait``.
        :raises AgentRunsConnectionError: If the service could not be reached.
        :raises AgentRunsAPIError: If it answered with anything but what was asked for.
        """
        result: T = Retrying(**self._policy)(self._send_once, request, priority or request.priority, max_wait)
        return result

    def stream(self, request: Request[T]) -> Iterator[T]:
        """Follow a stream of events until the service closes it. A cut is an error, not an end."""
        delay = self._limiter.wait(request.priority)
        with (
            self._recorded(request, delay) as record,
            self._http.stream(request.method, request.path, **_STREAM) as response,
        ):
            record.finish(response.status_code)
            if response.status_code != 200:
                self._finish(request, response, self._whole(response))
            source, meter = self._source(request, response)
            for event in source.iter_sse():
                meter.size = 0
                yield _event(request, event)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _send_once(self, request: Request[T], priority: Priority, max_wait: float | None) -> T:
        delay = self._limiter.wait(priority, max_wait)
        with (
            self._recorded(request, delay) as record,
            # To connect has a limit of its own, and is over by then.
            self._deadlines.within(2 * self.settings.timeout),
            self._http.stream(request.method, request.path, params=request.params, json=request.body) as response,
        ):
            body = self._whole(response)
            record.finish(response.status_code)
        return self._finish(request, response, body)

    def _finish(self, request: Request[T], response: httpx.Response, body: bytes) -> T:
        try:
            return self._read(request, response, body)
        except AgentRunsRateLimitError as e:
            self._block_after(e)
            raise

    def _whole(self, response: httpx.Response) -> bytes:
        body = _Body(self.settings.timeout, self.largest_answer)
        for chunk in response.iter_bytes():
            body.add(chunk)
        return body.whole()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTransport(_Transport):
    """The same as :class:`Transport`, for an event loop."""

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] = _unobserved) -> None:
        super().__init__(settings, observe)
        self._http = httpx.AsyncClient(**self._client_arguments())
        self._streams: httpx.AsyncClient | None = None

    async def send(self, request: Request[T], *, priority: Priority | None = None, max_wait: float | None = None) -> T:
        """Async twin of :meth:`Transport.send`."""
        result: T = await AsyncRetrying(**self._policy)(self.send_once, request, priority=priority, max_wait=max_wait)
        return result

    async def stream(self, request: Request[T]) -> AsyncGenerator[T, None]:
        """Do as :meth:`Transport.stream` does, without blocking."""
        delay = await self._limiter.wait_async(request.priority)
        with self._recorded(request, delay) as record:
            async with self._for_streams.stream(request.method, request.path, **_STREAM) as response:
                record.finish(response.status_code)
                if response.status_code != 200:
                    await self._finish(request, response, await self._whole(response))
                source, meter = self._source(request, response)
                async for event in source.aiter_sse():
                    meter.size = 0
                    yield _event(request, event)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        if self._streams:
            await self._streams.aclose()

    @property
    def _for_streams(self) -> httpx.AsyncClient:
        """A client of their own: each holds a connection for as long as it is open, however many there are."""
        if self._streams is None:
            self._streams = httpx.AsyncClient(**self._client_arguments(), limits=httpx.Limits(max_connections=None))
        return self._streams

    async def send_once(
        self,
        request: Request[T],
        *,
        priority: Priority | None = None,
        max_wait: float | None = None,
        within: float | None = None,
    ) -> T:
        """
        Send a request once, for a caller that retries in its own way.

        :param priority: Replaces the request's own priority.
        :param max_wait: The longest acceptable delay by the rate limit, in seconds; None for any.
        :param within: The longest acceptable time for the request and its response, in seconds, without the delay.
            None allows twice the connection's timeout.
        :raises AgentRunsThrottledError: If the delay would be longer than ``max_wait``.
        :raises TimeoutError: If it takes longer than ``within``.
        """
        delay = await self._limiter.wait_async(priority or request.priority, max_wait)
        with self._recorded(request, delay) as record:
            try:
                # To connect has a limit of its own, and is over by then.
                async with (
                    asyncio.timeout(2 * self.settings.timeout if within is None else within),
                    self._http.stream(
                        request.method, request.path, params=request.params, json=request.body
                    ) as response,
                ):
                    body = await self._whole(response)
                    record.finish(response.status_code)
            except TimeoutError:
                if within is not None:
                    raise
                raise httpx.ReadTimeout("the answer took too long") from None
        return await self._finish(request, response, body)

    async def _finish(self, request: Request[T], response: httpx.Response, body: bytes) -> T:
        try:
            return self._read(request, response, body)
        except AgentRunsRateLimitError as e:
            # In a thread, because the shared file may be in use.
            await asyncio.to_thread(self._block_after, e)
            raise

    async def _whole(self, response: httpx.Response) -> bytes:
        body = _Body(self.settings.timeout, self.largest_answer)
        async for chunk in response.aiter_bytes():
            body.add(chunk)
        return body.whole()

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Body:
    """Collects an answer's body, and stops where it takes too long or too much."""

    def __init__(self, timeout: float, largest: int | None = None) -> None:
        self._largest = largest or LARGEST_ANSWER
        self._chunks: list[bytes] = []
        self._size = 0
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._largest:
            raise httpx.ReadError(f"the answer is larger than {self._largest} bytes")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(f"the answer took longer than {self._timeout:g} s")

    def whole(self) -> bytes:
        return b"".join(self._chunks)


class _Meter(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream's bytes, as long as no event takes too many. Who reads the events sets ``size`` to 0 at each."""

    def __init__(self, stream: Any) -> None:
        self.size = 0
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._count(chunk)
            yield chunk

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self._stream:
            self._count(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _count(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > LARGEST_EVENT:
            raise httpx.ReadError(f"an event of the stream is larger than {LARGEST_EVENT} bytes")


_STREAM: dict[str, Any] = {
    "headers": {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"},
    "timeout": httpx.Timeout(30.0, read=STREAM_SILENCE),
}


def _event(request: Request[T], event: ServerSentEvent) -> T:
    try:
        return request.parse(Response(200, {"event": event.event}, event.data.encode()))
    except (ValueError, TypeError):
        raise AgentRunsAPIError(200, ["an event of the stream cannot be read"], request.method, request.path) from None


@lru_cache(maxsize=8)
def _ssl_context(verify: bool | str) -> ssl.SSLContext | bool:
    """Load the certificates once in a process: that takes some ten milliseconds, which would block a loop."""
    if verify is False:
        return False
    if not isinstance(verify, str):
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as e:
        raise AgentRunsConfigError(f"verify (extra): no CA certificates can be read from {verify}: {e}") from None

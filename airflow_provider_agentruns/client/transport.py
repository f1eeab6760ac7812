# SPDX-License-Identifier: Apache-2.0
"""Sends requests over httpx, sync and async. Redirects are not followed, so the token goes to the base URL only."""

from __future__ import annotations

import asyncio
import ssl
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, Retrying

from airflow_provider_agentruns import __version__
from airflow_provider_agentruns.client import retries
from airflow_provider_agentruns.client.body import STREAM_ARGUMENTS, BodyReader, EventStream
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.errors import connection_error, read
from airflow_provider_agentruns.client.limiter import limiter_for
from airflow_provider_agentruns.client.requests import Request, fill_resume_body
from airflow_provider_agentruns.client.responses import Response
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsRateLimitError
from airflow_provider_agentruns.models import RunEvent

T = TypeVar("T")

#: The largest response, in bytes, unless the request or the transport sets a smaller limit.
MAX_RESPONSE_BYTES = 32 * 1024 * 1024
#: Larger responses are parsed in a thread, so that the event loop keeps running.
_PARSE_IN_THREAD_BYTES = 1024 * 1024
#: An async request may exceed the connection's timeout by this many seconds, e.g. to connect.
_GRACE = 5.0


@dataclass(slots=True)
class RequestRecord:
    """
    One sent request and its outcome, for metrics.

    :param throttle_delay: How long the rate limit delayed the request, in seconds.
    :param sent: When it was sent, by ``time.monotonic()``.
    :param status: The HTTP status; None if no complete response arrived.
    :param seconds: Seconds until the whole response was read; for a stream, until it began.
    """

    request: Request[Any]
    throttle_delay: float
    sent: float
    status: int | None = None
    seconds: float = 0.0

    def finish(self, status: int | None = None) -> None:
        self.status, self.seconds = status, time.monotonic() - self.sent


class _Transport:
    """The common part of both transports. ``observe`` receives a record of each request, in the thread that sent it."""

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] | None = None) -> None:
        self.settings = settings
        self._observe = observe
        self.limiter = limiter_for(settings)

    def _client_arguments(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "base_url": settings.base_url,
            "headers": {
                "Authorization": f"Bearer {settings.token.get_secret_value()}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"airflow-provider-agentruns/{__version__}",
            },
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "timeout": settings.timeout,
            "verify": _ssl_context(settings.verify),
            "proxy": settings.proxy_url,
            "trust_env": False,
            "follow_redirects": False,
            # Each open stream occupies a connection.
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        }

    @contextmanager
    def _recorded(self, request: Request[Any], throttle_delay: float) -> Iterator[RequestRecord]:
        record = RequestRecord(request, throttle_delay, time.monotonic())
        try:
            yield record
        except httpx.HTTPError as e:
            raise connection_error(request, e, self.settings.base_url, self.settings.redact) from None
        finally:
            if record.status is None:
                record.finish()
            if self._observe:
                self._observe(record)

    def _arguments(self, request: Request[Any]) -> dict[str, Any]:
        body = fill_resume_body(self.settings.resume_body, *request.answer) if request.answer else request.body
        return {"method": request.method, "url": request.path, "params": request.params, "json": body}

    def _result(self, request: Request[T], response: httpx.Response, body: bytes) -> T:
        try:
            return read(request, Response(response.status_code, response.headers, body), self.settings.redact)
        except AgentRunsRateLimitError as e:
            self.limiter.block_for(min(e.retry_after or 1.0, retries.LONGEST_PAUSE))
            raise


class Transport(_Transport):
    """Sends requests and blocks until the response arrives."""

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] | None = None) -> None:
        super().__init__(settings, observe)
        self._http = httpx.Client(**self._client_arguments())
        # Users rarely close a hook. Its sockets close together with it.
        weakref.finalize(self, self._http.close).atexit = False

    def send(self, request: Request[T]) -> T:
        """Send a request and return its result. Repeat it after an error if that is harmless."""
        result: T = Retrying(**retries.policy(self.settings.max_retries))(self.send_once, request)
        return result

    def stream(self, request: Request[RunEvent]) -> Iterator[RunEvent]:
        """Yield the events of a stream until the service closes it. Raise an AgentRunsConnectionError if it breaks."""
        delay = self.limiter.wait(request.priority)
        with (
            self._recorded(request, delay) as record,
            self._http.stream(request.method, request.path, **STREAM_ARGUMENTS) as response,
        ):
            record.finish(response.status_code)
            if response.status_code != 200:
                self._result(request, response, self._read(request, response))
            events = EventStream(request, response, self.settings.redact)
            for event in events.source.iter_sse():
                yield events.parse(event)

    def send_once(self, request: Request[T]) -> T:
        delay = self.limiter.wait(request.priority, request.max_wait)
        with self._recorded(request, delay) as record, self._http.stream(**self._arguments(request)) as response:
            content = self._read(request, response)
            record.finish(response.status_code)
        return self._result(request, response, content)

    def close(self) -> None:
        self._http.close()

    def _read(self, request: Request[Any], response: httpx.Response) -> bytes:
        body = BodyReader(response.headers, self.settings.timeout, request.max_bytes or MAX_RESPONSE_BYTES)
        for chunk in response.iter_raw():
            body.add(chunk)
        return body.content()


class AsyncTransport(_Transport):
    """Async twin of :class:`Transport`, for one event loop."""

    def __init__(self, settings: Settings, observe: Callable[[RequestRecord], None] | None = None) -> None:
        super().__init__(settings, observe)
        self._http = httpx.AsyncClient(**self._client_arguments())

    async def send(self, request: Request[T]) -> T:
        return await AsyncRetrying(**retries.policy(self.settings.max_retries))(self.send_once, request)

    async def stream(
        self, request: Request[RunEvent], *, on_send: Callable[[], None] | None = None
    ) -> AsyncGenerator[RunEvent, None]:
        """Async twin of :meth:`Transport.stream`. Calls ``on_send`` when the rate limit allows the request."""
        delay = await self.limiter.wait_async(request.priority)
        if on_send:
            on_send()
        with self._recorded(request, delay) as record:
            async with self._http.stream(request.method, request.path, **STREAM_ARGUMENTS) as response:
                record.finish(response.status_code)
                if response.status_code != 200:
                    content = await self._read(request, response)
                    await asyncio.to_thread(self._result, request, response, content)
                events = EventStream(request, response, self.settings.redact)
                async for event in events.source.aiter_sse():
                    yield events.parse(event)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send_once(self, request: Request[T]) -> T:
        delay = await self.limiter.wait_async(request.priority, request.max_wait)
        with self._recorded(request, delay) as record:
            try:
                async with (
                    # httpx limits single reads only, so that slow headers could take days.
                    asyncio.timeout(self.settings.timeout + _GRACE),
                    self._http.stream(**self._arguments(request)) as response,
                ):
                    content = await self._read(request, response)
                    record.finish(response.status_code)
            except TimeoutError:
                raise httpx.ReadTimeout(f"no response within {self.settings.timeout:g} s") from None
        if len(content) > _PARSE_IN_THREAD_BYTES or response.status_code == 429:
            # In a thread, because parsing takes long, and a 429 changes the limiter's store.
            return await asyncio.to_thread(self._result, request, response, content)
        return self._result(request, response, content)

    async def _read(self, request: Request[Any], response: httpx.Response) -> bytes:
        body = BodyReader(response.headers, self.settings.timeout, request.max_bytes or MAX_RESPONSE_BYTES)
        async for chunk in response.aiter_raw():
            body.add(chunk)
        return body.content()


@lru_cache(maxsize=8)
def _ssl_context(verify: bool | str) -> ssl.SSLContext | bool:
    """Load the certificates once per process, because loading blocks the event loop."""
    if verify is False:
        return False
    try:
        return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else httpx.create_ssl_context()
    except OSError as e:
        source = f"verify (extra), {verify}" if isinstance(verify, str) else "environment variable SSL_CERT_FILE"
        raise AgentRunsConfigError(f"{source}: no CA certificates can be read from it: {e}") from None

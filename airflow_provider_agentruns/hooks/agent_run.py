# SPDX-License-Identifier: Apache-2.0
"""The hook: the service's requests as methods, over an Airflow connection of type ``agentruns``."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook
from airflow.sdk import log as airflow_log

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.connection_settings import Settings
from airflow_provider_agentruns.client.listing_walk import ListingWalk
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.exceptions import AgentRunsAuthError, AgentRunsConfigError, AgentRunsError
from airflow_provider_agentruns.final_errors import mark_final_errors
from airflow_provider_agentruns.models import AgentRun, RunEvent
from airflow_provider_agentruns.text import single_line

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_agentruns.client.requests import Request

P = ParamSpec("P")
T = TypeVar("T")


def _methods(
    build: Callable[P, Request[T]],
) -> tuple[Callable[Concatenate[AgentRunHook, P], T], Callable[Concatenate[AgentRunHook, P], Coroutine[Any, Any, T]]]:
    """Return a method that sends the request that ``build`` describes, and its async twin."""

    def method(self: AgentRunHook, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build, *args, **kwargs)

    async def twin(self: AgentRunHook, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.asend(build, *args, **kwargs)

    _describe(method, build, build.__name__, build.__doc__)
    _describe(twin, build, f"a{build.__name__}", f"Async twin of :meth:`{build.__name__}`.")
    return method, twin


def _describe(method: Any, build: Callable[..., Any], name: str, doc: str | None) -> None:
    method.__name__, method.__qualname__, method.__doc__ = name, f"AgentRunHook.{name}", doc
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.signature(build)
    result = str(signature.return_annotation).removeprefix("Request[").removesuffix("]")
    method.__signature__ = signature.replace(
        parameters=[this, *signature.parameters.values()], return_annotation=result
    )
    # Tools that read annotations, such as Sphinx, would show the type variable instead of the result.
    method.__annotations__ = {}


class AgentRunHook(BaseHook):
    """
    Sends requests to the agent runs service.

    Every method has an async twin with the prefix ``a``, for triggers and ``async`` tasks. The hook repeats harmless
    requests up to ``max_retries`` times, but no ``create_run`` or ``resume_run`` after an error with ``in_doubt`` set.
    If the service rejects the token with 401, the hook reads the connection again, and repeats the request if the
    connection was edited. Errors that another try cannot fix do not consume the task's retries.

    :param agentruns_conn_id: The Airflow connection.
    :raises AgentRunsValueError: From all methods: an argument is wrong. Nothing was sent.
    :raises AgentRunsConfigError: The connection is missing or cannot work.
    :raises AgentRunsConnectionError: The service could not be reached.
    :raises AgentRunsAPIError: The service returned an error. Subclasses stand for its status.
    """

    conn_name_attr = "agentruns_conn_id"
    default_conn_name = "agentruns_default"
    conn_type = "agentruns"
    hook_name = "Agent runs"

    def __init__(self, agentruns_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.agentruns_conn_id = agentruns_conn_id
        # By process or event loop, because others cannot use the same connections. The last transport of a list is in
        # use. Requests may still be in progress over the others.
        self._transports: defaultdict[int, list[Transport]] = defaultdict(list)
        self._async_transports: defaultdict[asyncio.AbstractEventLoop, list[AsyncTransport]] = defaultdict(list)

    get_run, aget_run = _methods(requests.get_run)
    create_run, acreate_run = _methods(requests.create_run)
    resume_run, aresume_run = _methods(requests.resume_run)
    rate_artifact, arate_artifact = _methods(requests.rate_artifact)
    list_agents, alist_agents = _methods(requests.list_agents)
    create_thread, acreate_thread = _methods(requests.create_thread)
    get_thread, aget_thread = _methods(requests.get_thread)

    def list_runs(self, *, page_size: int = 100) -> Iterator[AgentRun]:
        """
        Iterate over all runs of the account in the service's order. A run may appear twice if others are created.

        :param page_size: The number of runs to request per page. Pages are read as they are needed.
        """
        walk = ListingWalk(page_size=page_size, as_listed=True)
        while walk.page is not None:
            page = self.send(requests.list_runs, page=walk.page, page_size=page_size)
            walk.advance(page)
            yield from page.data

    async def alist_runs(self, *, page_size: int = 100) -> AsyncIterator[AgentRun]:
        """Async twin of :meth:`list_runs`."""
        walk = ListingWalk(page_size=page_size, as_listed=True)
        while walk.page is not None:
            page = await self.asend(requests.list_runs, page=walk.page, page_size=page_size)
            walk.advance(page)
            for run in page.data:
                yield run

    def stream_run(self, run_id: str) -> Iterator[RunEvent]:
        """
        Yield a run's events until the service closes the stream. A new stream starts with the first event again.

        Read the run before you act on an event: the service does not document what a stream does at an interrupt.

        :raises AgentRunsConnectionError: The stream broke.
        """
        with mark_final_errors():
            request, transport = requests.stream_run(run_id), self.get_conn()
            try:
                yield from transport.stream(request)
            except AgentRunsAuthError as e:
                yield from self._replacement(transport, e).stream(request)

    async def astream_run(self, run_id: str) -> AsyncIterator[RunEvent]:
        """Async twin of :meth:`stream_run`."""
        with mark_final_errors():
            request, transport = requests.stream_run(run_id), await self.aget_conn()
            try:
                async for event in transport.stream(request):
                    yield event
            except AgentRunsAuthError as e:
                async for event in (await self._areplacement(transport, e)).stream(request):
                    yield event

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the service accepts this connection, and a message. Airflow's Test button calls this."""
        try:
            transport = self.get_conn()
            # Once, because the repetitions after a 429 can take minutes.
            agents = transport.send_once(replace(requests.list_agents(), max_wait=5.0))
        except AgentRunsError as e:
            return False, str(e)
        accepted = f"{transport.settings.base_url} accepts the token"
        if problem := transport.limiter.store.problem:
            return False, f"{accepted}, but {problem}"
        names = ", ".join(agent.type for agent in agents) or "none"
        return True, single_line(f"{accepted}. Agents of the account: {names}", 2000)

    @property
    def settings(self) -> Settings:
        """The checked settings of the connection."""
        return self.get_conn().settings

    def get_conn(self) -> Transport:
        """Return the transport. The first call reads the connection."""
        transports = self._transports[os.getpid()]
        return transports[-1] if transports else self.reload()

    async def aget_conn(self) -> AsyncTransport:
        """Async twin of :meth:`get_conn`. Each event loop has its own transport."""
        transports = self._async_transports[asyncio.get_running_loop()]
        return transports[-1] if transports else await self.areload()

    def reload(self) -> Transport:
        """Read the connection again, and return a transport with its settings. The others stay open."""
        with self._reading():
            connection = self.get_connection(self.agentruns_conn_id)
            settings = self._check(connection, connection.extra_dejson)
            for secret in settings.secrets:
                airflow_log.mask_secret(secret)
            transports = self._transports[os.getpid()]
            if not transports or transports[-1].settings != settings:
                transports.append(Transport(settings, partial(metrics.request, self.agentruns_conn_id)))
            return transports[-1]

    async def areload(self) -> AsyncTransport:
        """Async twin of :meth:`reload`."""
        with self._reading():
            connection = await self.aget_connection(self.agentruns_conn_id)
            # Airflow 3.3 has async versions of both, because masking sends a message to the supervisor.
            extra = getattr(connection, "aextra_dejson", None)
            settings = self._check(connection, await extra() if extra else connection.extra_dejson)
            for secret in settings.secrets:
                if mask := getattr(airflow_log, "amask_secret", None):
                    await mask(secret)
                else:
                    airflow_log.mask_secret(secret)
            for loop in list(self._async_transports):
                if loop.is_closed():
                    # Nothing can close its transports.
                    self._async_transports.pop(loop, None)
            transports = self._async_transports[asyncio.get_running_loop()]
            # Another task may have opened a transport meanwhile.
            if not transports or transports[-1].settings != settings:
                transports.append(AsyncTransport(settings, partial(metrics.request, self.agentruns_conn_id)))
            return transports[-1]

    def close(self) -> None:
        """Close the sync transport. The next call reads the connection again."""
        for transport in self._transports.pop(os.getpid(), ()):
            transport.close()

    async def aclose(self) -> None:
        """Close the async transport of this event loop. The next call reads the connection again."""
        for transport in self._async_transports.pop(asyncio.get_running_loop(), ()):
            await transport.aclose()

    def send(self, build: Callable[P, Request[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Send any request of :mod:`airflow_provider_agentruns.client.requests`.

        :param build: The function that describes the request. It receives the other arguments.
        """
        with mark_final_errors():
            request, transport = build(*args, **kwargs), self.get_conn()
            try:
                return transport.send(request)
            except AgentRunsAuthError as e:
                return self._replacement(transport, e).send(request)

    async def asend(self, build: Callable[P, Request[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Async twin of :meth:`send`."""
        with mark_final_errors():
            request, transport = build(*args, **kwargs), await self.aget_conn()
            try:
                return await transport.send(request)
            except AgentRunsAuthError as e:
                return await (await self._areplacement(transport, e)).send(request)

    def _replacement(self, rejected: Transport, error: AgentRunsAuthError) -> Transport:
        """After a 401, read the connection again, and return its transport. Raise the error if it was not edited."""
        if error.status_code != 401 or (current := self.reload()).settings == rejected.settings:
            raise error
        return current

    async def _areplacement(self, rejected: AsyncTransport, error: AgentRunsAuthError) -> AsyncTransport:
        if error.status_code != 401 or (current := await self.areload()).settings == rejected.settings:
            raise error
        return current

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with mark_final_errors():
            try:
                yield
            except AirflowNotFoundException:
                error = AgentRunsConfigError(
                    f"Airflow has no connection {self.agentruns_conn_id!r}. Add one of type Agent runs under Admin, "
                    f"Connections, or set AIRFLOW_CONN_{self.agentruns_conn_id.upper()}, e.g. to "
                    "agentruns://:TOKEN@HOST"
                )
                # A secrets backend that is briefly unavailable has the same effect.
                error.retryable = True
                raise error from None

    def _check(self, connection: Connection, extra: dict[str, Any]) -> Settings:
        if connection.conn_type and connection.conn_type != self.conn_type:
            # Its password belongs to another service.
            raise AgentRunsConfigError(
                f"Airflow connection {self.agentruns_conn_id!r} is of type {connection.conn_type!r}; it should be of "
                f"type {self.conn_type!r}. Nothing was sent"
            )
        return Settings.from_parts(
            host=connection.host,
            port=connection.port,
            schema=connection.schema,
            password=connection.password,
            extra=extra,
            name=f"Airflow connection {self.agentruns_conn_id!r}",
        )

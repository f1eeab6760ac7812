# SPDX-License-Identifier: Apache-2.0
"""The hook: the service's calls as methods, over an Airflow connection of type ``agentruns``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.settings import Settings
from airflow_provider_agentruns.client.transport import AsyncTransport, Transport
from airflow_provider_agentruns.exceptions import AgentRunsConfigError, AgentRunsError
from airflow_provider_agentruns.hooks.task_errors import task_errors
from airflow_provider_agentruns.models import (
    Agent,
    AgentRun,
    Feedback,
    Rating,
    RunEvent,
    RunStatus,
    Thread,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_agentruns.client.requests import Request

P = ParamSpec("P")
T = TypeVar("T")


class AgentRunHook(BaseHook):
    """
    Talks to the agent runs service.

    Every method has an async twin with the prefix ``a`` for triggers and ``async`` tasks. All requests of a
    machine for one account are spaced out under the connection's ``rate_limit``, and those that may be sent
    again without harm are, up to ``max_retries`` times.

    All methods raise the errors of :mod:`airflow_provider_agentruns.exceptions`: ``AgentRunsValueError`` for
    an argument that makes no sense, before anything is sent; ``AgentRunsConfigError`` for a connection that
    is missing or cannot work; ``AgentRunsConnectionError`` where the service could not be reached; and
    ``AgentRunsAPIError``, or the subclass for its status, where it answered with an error. Those that another
    try cannot mend do not use up the task's retries.

    :param agentruns_conn_id: The Airflow connection.
    """

    conn_name_attr = "agentruns_conn_id"
    default_conn_name = "agentruns_default"
    conn_type = "agentruns"
    hook_name = "Agent runs"

    def __init__(self, agentruns_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.agentruns_conn_id = agentruns_conn_id
        self._transport: Transport | None = None
        self._async: tuple[asyncio.AbstractEventLoop, AsyncTransport] | None = None

    # Runs

    def get_run(self, run_id: str, *, include_steps: bool = False) -> AgentRun:
        """
        Read one run.

        :param run_id: The run's id.
        :param include_steps: Whether to fetch its steps, too; they cost the service a look-up.
        """
        return self.send(requests.get_run, run_id, include_steps=include_steps)

    async def aget_run(self, run_id: str, *, include_steps: bool = False) -> AgentRun:
        """Async twin of :meth:`get_run`."""
        return await self.asend(requests.get_run, run_id, include_steps=include_steps)

    async def aget_run_status(self, run_id: str) -> RunStatus:
        """Read a run's status alone, without the cost of reading a large output. For triggers."""
        return await self.asend(requests.get_run_status, run_id)

    def list_runs(self, *, page_size: int = 100) -> Iterator[AgentRun]:
        """
        Iterate over all runs of the account, in the service's order, a page at a time as they are needed.

        A run may come twice, or a new one be missed, where runs are started meanwhile: the service numbers
        its pages anew.

        :param page_size: Runs for each request; the service may give fewer.
        """
        page = 1
        while True:
            answer = self.send(requests.list_runs, page=page, page_size=page_size)
            yield from answer.data
            if not answer.has_more or not answer.data:
                return
            page += 1

    async def alist_runs(self, *, page_size: int = 100) -> AsyncIterator[AgentRun]:
        """Async twin of :meth:`list_runs`."""
        page = 1
        while True:
            answer = await self.asend(requests.list_runs, page=page, page_size=page_size)
            for run in answer.data:
                yield run
            if not answer.has_more or not answer.data:
                return
            page += 1

    def create_run(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
        thread_id: str | None = None,
    ) -> AgentRun:
        """
        Start a run.

        It is never sent twice by itself: where an error has ``in_doubt``, a run may have been started.
        ``AgentRunOperator`` knows how to find it.

        :param agent: The agent's type, e.g. ``cip_orchestrator``; :meth:`list_agents` has them.
        :param business_id: Short for ``context_type="business"`` with this ``context_id``.
        :param context_type: Kind of the resource to work on; goes with ``context_id``.
        :param context_id: Which resource of that kind.
        :param thread_id: Run inside this thread; then no context is needed.
        """
        return self.send(
            requests.create_run,
            agent,
            business_id=business_id,
            context_type=context_type,
            context_id=context_id,
            thread_id=thread_id,
        )

    async def acreate_run(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
        thread_id: str | None = None,
    ) -> AgentRun:
        """Async twin of :meth:`create_run`."""
        return await self.asend(
            requests.create_run,
            agent,
            business_id=business_id,
            context_type=context_type,
            context_id=context_id,
            thread_id=thread_id,
        )

    def resume_run(
        self,
        run_id: str,
        interrupt_id: str,
        input: Any,  # noqa: A002 -- the service's own word
        *,
        include_steps: bool = False,
    ) -> AgentRun:
        """
        Answer one pending interrupt, with the body that the connection's ``resume_body`` describes.

        It is never sent twice by itself: where an error has ``in_doubt``, the answer may have been taken.
        ``AgentRunResumeOperator`` knows how to find out.

        :param run_id: The run's id.
        :param interrupt_id: Which of its pending interrupts.
        :param input: Any JSON value: what the agent asked for.
        :param include_steps: Whether the run that comes back should have its steps.
        """
        template = self.settings.resume_body
        return self.send(
            requests.resume_run, run_id, interrupt_id, input, include_steps=include_steps, template=template
        )

    async def aresume_run(
        self,
        run_id: str,
        interrupt_id: str,
        input: Any,  # noqa: A002 -- the service's own word
        *,
        include_steps: bool = False,
    ) -> AgentRun:
        """Async twin of :meth:`resume_run`."""
        template = (await self.aget_conn()).settings.resume_body
        return await self.asend(
            requests.resume_run, run_id, interrupt_id, input, include_steps=include_steps, template=template
        )

    def stream_run(self, run_id: str) -> Iterator[RunEvent]:
        """
        Follow a run's events until the service closes the stream, which it does when the run ends.

        What the stream does at an interrupt is not documented: read the run itself before acting on an
        event. A stream that is cut raises ``AgentRunsConnectionError``; a new one starts over.

        :param run_id: The run's id.
        """
        with task_errors():
            yield from self.get_conn().stream(requests.stream_run(run_id))

    async def astream_run(self, run_id: str) -> AsyncIterator[RunEvent]:
        """Async twin of :meth:`stream_run`."""
        with task_errors():
            async for event in (await self.aget_conn()).stream(requests.stream_run(run_id)):
                yield event

    def rate_artifact(
        self, run_id: str, artifact_id: str, rating: Rating | str, comment: str | None = None
    ) -> Feedback:
        """
        Rate one artifact of a run.

        :param run_id: The run's id.
        :param artifact_id: The artifact's id.
        :param rating: ``POSITIVE`` or ``NEGATIVE``.
        :param comment: At most 5,000 characters.
        """
        return self.send(requests.rate_artifact, run_id, artifact_id, rating, comment)

    async def arate_artifact(
        self, run_id: str, artifact_id: str, rating: Rating | str, comment: str | None = None
    ) -> Feedback:
        """Async twin of :meth:`rate_artifact`."""
        return await self.asend(requests.rate_artifact, run_id, artifact_id, rating, comment)

    # Agents and threads

    def list_agents(self) -> list[Agent]:
        """Read the agents that the account may run."""
        return self.send(requests.list_agents)

    async def alist_agents(self) -> list[Agent]:
        """Async twin of :meth:`list_agents`."""
        return await self.asend(requests.list_agents)

    def create_thread(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
    ) -> Thread:
        """
        Open a thread, inside which runs of an agent can be started.

        :param agent: The agent's type.
        :param business_id: Short for ``context_type="business"`` with this ``context_id``.
        :param context_type: Kind of the resource to work on; goes with ``context_id``.
        :param context_id: Which resource of that kind.
        """
        return self.send(
            requests.create_thread,
            agent,
            business_id=business_id,
            context_type=context_type,
            context_id=context_id,
        )

    async def acreate_thread(
        self,
        agent: str,
        *,
        business_id: str | None = None,
        context_type: str | None = None,
        context_id: str | None = None,
    ) -> Thread:
        """Async twin of :meth:`create_thread`."""
        return await self.asend(
            requests.create_thread,
            agent,
            business_id=business_id,
            context_type=context_type,
            context_id=context_id,
        )

    def get_thread(self, thread_id: str) -> Thread:
        """Read one thread."""
        return self.send(requests.get_thread, thread_id)

    async def aget_thread(self, thread_id: str) -> Thread:
        """Async twin of :meth:`get_thread`."""
        return await self.asend(requests.get_thread, thread_id)

    # The connection

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the service takes this connection, and in words why not. Airflow's Test button."""
        try:
            agents = self.list_agents()
        except AgentRunsError as e:
            return False, str(e)
        names = ", ".join(agent.type for agent in agents) or "none"
        return True, f"{self.settings.base_url} accepts the token. Agents of the account: {names}"

    @property
    def settings(self) -> Settings:
        """The connection's content, checked."""
        return self.get_conn().settings

    def get_conn(self) -> Transport:
        """Return what sends requests; opened at the first use, and closed by :meth:`close`."""
        if self._transport is None:
            with task_errors():
                try:
                    connection = self.get_connection(self.agentruns_conn_id)
                except AirflowNotFoundException:
                    raise self._missing() from None
                settings = self._read(connection, connection.extra_dejson)
                self._transport = Transport(settings, metrics.observer(self.agentruns_conn_id))
        return self._transport

    async def aget_conn(self) -> AsyncTransport:
        """Async twin of :meth:`get_conn`; each event loop has its own."""
        loop = asyncio.get_running_loop()
        if self._async is None or self._async[0] is not loop:
            with task_errors():
                try:
                    connection = await self.aget_connection(self.agentruns_conn_id)
                except AirflowNotFoundException:
                    raise self._missing() from None
                # Where Airflow has it: masking the extra's secrets must not block the loop either.
                aextra = getattr(connection, "aextra_dejson", None)
                settings = self._read(connection, await aextra() if aextra else connection.extra_dejson)
                # Another task of this loop may have come here meanwhile.
                if self._async is None or self._async[0] is not loop:
                    self._async = loop, AsyncTransport(settings, metrics.observer(self.agentruns_conn_id))
        return self._async[1]

    def close(self) -> None:
        """Close the sync side's connections. The next call opens new ones, with the connection read anew."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    async def aclose(self) -> None:
        """Close the async side's connections. The next call opens new ones, with the connection read anew."""
        if self._async is not None:
            transport, self._async = self._async[1], None
            await transport.close()

    def send(self, build: Callable[P, Request[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Send any request of :mod:`airflow_provider_agentruns.client.requests`.

        :param build: The function that describes it; the other arguments are its own.
        """
        with task_errors():
            return self.get_conn().send(build(*args, **kwargs))

    async def asend(self, build: Callable[P, Request[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Async twin of :meth:`send`."""
        with task_errors():
            request = build(*args, **kwargs)
            return await (await self.aget_conn()).send(request)

    def _read(self, connection: Connection, extra: dict[str, Any]) -> Settings:
        return Settings.from_parts(
            host=connection.host,
            port=connection.port,
            schema=connection.schema,
            password=connection.password,
            extra=extra,
            name=f"Airflow connection {self.agentruns_conn_id!r}",
        )

    def _missing(self) -> AgentRunsConfigError:
        error = AgentRunsConfigError(
            f"Airflow has no connection {self.agentruns_conn_id!r}. Add one of type Agent runs under Admin, "
            f"Connections, or set AIRFLOW_CONN_{self.agentruns_conn_id.upper()}, e.g. to agentruns://:TOKEN@HOST"
        )
        # A secrets backend that is down for a moment looks the same.
        error.retryable = True
        return error

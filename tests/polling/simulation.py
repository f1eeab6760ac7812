# SPDX-License-Identifier: Apache-2.0
"""
Waits in virtual time: the real poller and its scheduler, over a service behind function calls.

Only the HTTP client is replaced.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from airflow_provider_agentruns.client.request_queue import RequestQueue
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.polling import poller, reloading_client
from tests.polling.fake_service import FakeRun, FakeService
from tests.polling.virtual_time import BEGINNING, EPOCH, run, virtual_time

_PACKAGE = "airflow_provider_agentruns.polling"


@dataclass(eq=False)
class Wait:
    """
    A wait, and its result.

    :param joins: When the wait begins.
    :param end: When it times out.
    :param leaves: When it is cancelled.
    """

    run: FakeRun
    joins: float = BEGINNING
    wait_for: tuple[str, ...] = ("completed", "interrupted")
    interval: float = 5.0
    end: float | None = None
    leaves: float | None = None
    #: The result, and when it came.
    result: dict[str, str] = field(default_factory=dict)
    ended_at: float = math.inf

    @property
    def over_at(self) -> float:
        """When the run enters a status that ends the wait, for good or for long enough to be noticed."""
        for since, until, status in self.run.lives:
            begin = max(since, self.joins)
            if status in ("completed", "error", *self.wait_for) and until - begin > 2 * self.interval:
                return begin
        return math.inf

    @property
    def late(self) -> float:
        return self.ended_at - self.over_at

    def had(self, status: str, *, lag: float = 0.0) -> bool:
        """Whether the run was in a status during the wait, or at most ``lag`` seconds before it."""
        return any(
            name == status and since <= self.ended_at and until > self.joins - lag
            for since, until, name in self.run.lives
        )


class PollRequest(NamedTuple):
    #: When the poller decided on it. The limiter may have delayed it.
    at: float
    #: The page number; None if a single run was read.
    page: int | None


class Simulation:
    """
    Runs waits, and records the requests.

    :param limit: Requests per second.
    :param latency: Returns the seconds that a response takes.
    """

    def __init__(
        self, service: FakeService, *, limit: float = 20.0, latency: Callable[[], float] = lambda: 0.05
    ) -> None:
        self.requests: list[PollRequest] = []
        #: When each run was read, individually or on a page.
        self.reads: dict[str, list[float]] = defaultdict(list)
        self._service = service
        self._latency = latency
        self.settings = SimpleNamespace(rate_limit=limit, timeout=30.0, max_streams=0)
        self._rate = RequestQueue()

    def run(self, waits: Iterable[Wait], *, within: float = 1200.0) -> list[Wait]:
        """
        Run waits until all have ended.

        :param within: Seconds after which the others are cancelled.
        """
        waits = list(waits)
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(reloading_client, "AgentRunHook", lambda conn_id: self)
            patch.setattr(poller, "structlog", log_with(lambda *args, **fields: None))
            stack.enter_context(virtual_time(_PACKAGE))
            run(self._all(waits, within))
        return waits

    @property
    def pages(self) -> int:
        return sum(request.page is not None for request in self.requests)

    @property
    def single(self) -> int:
        return len(self.requests) - self.pages

    def most_in_a_second(self) -> int:
        moments = [request.at for request in self.requests]
        return max((bisect_left(moments, at + 1.0 - 1e-6) - first for first, at in enumerate(moments)), default=0)

    # The simulation replaces the hook, and also its transport.

    async def areload(self) -> Simulation:
        return self

    async def aclose(self) -> None:
        pass

    async def send_once(self, request: Request[Any]) -> Any:
        loop = asyncio.get_running_loop()
        page = int(request.params["page"]) if request.path == "/v1/runs" else None
        self.requests.append(PollRequest(loop.time(), page))
        self._rate, ticket = self._rate.issue(loop.time(), self.settings.rate_limit, request.priority)
        await asyncio.sleep(self._rate.delay(ticket, loop.time()) or 0.0)
        latency = self._latency()
        # The response shows the runs as they are halfway.
        await asyncio.sleep(latency / 2)
        try:
            return self._answer(request, loop.time())
        finally:
            await asyncio.sleep(latency / 2)

    def _answer(self, request: Request[Any], now: float) -> Any:
        if request.path != "/v1/runs":
            run_id = request.path.rpartition("/")[2]
            status = self._service.status(run_id, now)
            self.reads[run_id].append(now)
            return {"id": run_id, "status": status}
        page = self._service.page(int(request.params["page"]), int(request.params["per_page"]), now)
        for listed in page.data:
            self.reads[listed["id"]].append(now)
        return page

    async def _all(self, waits: list[Wait], within: float) -> None:
        tasks = [asyncio.create_task(self._one(wait)) for wait in waits]
        await asyncio.wait(tasks, timeout=within)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def _one(self, wait: Wait) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(wait.joins - loop.time())
        end_time = None if wait.end is None else wait.end - BEGINNING + EPOCH
        waiting = poller.wait_for_run(wait.run.id, "agentruns_default", wait.wait_for, wait.interval, end_time)
        try:
            async with asyncio.timeout_at(wait.leaves):
                wait.result = await waiting
                wait.ended_at = loop.time()
        except TimeoutError:
            pass


def log_with(log: Callable[..., None]) -> Any:
    """Return a replacement of ``structlog`` that passes all messages to a function."""
    logger = SimpleNamespace(log=log)
    return SimpleNamespace(get_logger=lambda name: SimpleNamespace(bind=lambda: logger))

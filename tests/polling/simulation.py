# SPDX-License-Identifier: Apache-2.0
"""
Waits in virtual time: the real watch and its plan, over a service that is asked by function calls.

Nothing but the HTTP client is left out, so that what is found here is how the watch itself behaves.
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
from typing import Any

import pytest

from airflow_provider_agentruns.client.limiter import Priority, RateState
from airflow_provider_agentruns.client.requests import Request
from airflow_provider_agentruns.polling import registry, reloading_client
from tests.polling.fake_service import FakeRun, FakeService
from tests.polling.virtual_time import BEGINNING, EPOCH, run, virtual_time

_PACKAGE = "airflow_provider_agentruns.polling"


@dataclass(eq=False)
class Wait:
    """
    Someone who waits for a run, and what came of it.

    :param joins: When the wait begins.
    :param end: When it ends at the latest.
    :param leaves: When it is cancelled.
    """

    run: FakeRun
    joins: float = BEGINNING
    wait_for: tuple[str, ...] = ("completed", "interrupted")
    interval: float = 5.0
    end: float | None = None
    leaves: float | None = None
    #: What was told, and when.
    verdict: dict[str, str] = field(default_factory=dict)
    told_at: float = math.inf

    @property
    def over_at(self) -> float:
        """From when on the run is, for good or for long enough to be noticed, in a status that ends the wait."""
        for since, until, status in self.run.lives:
            begin = max(since, self.joins)
            if status in ("completed", "error", *self.wait_for) and until - begin > 2 * self.interval:
                return begin
        return math.inf

    @property
    def late(self) -> float:
        """How many seconds after that it was told."""
        return self.told_at - self.over_at

    def had(self, status: str, *, lag: float = 0.0) -> bool:
        """Whether the run truly was in a status while the wait lasted, or so many seconds before it."""
        return any(
            name == status and since <= self.told_at and until > self.joins - lag
            for since, until, name in self.run.lives
        )


@dataclass(frozen=True)
class Asked:
    """
    A request.

    :param at: When the watch decided on it; the pacer may have sent it later.
    :param page: The number of the page; None where a run was asked for.
    :param urgent: Whether it went outside of the usual pace.
    """

    at: float
    page: int | None
    urgent: bool


class Simulation:
    """
    Lets waits happen, and keeps a record of what the service was asked.

    :param limit: Requests per second.
    :param latency: Returns how long the service takes to answer, in seconds.
    """

    def __init__(
        self, service: FakeService, *, limit: float = 20.0, latency: Callable[[], float] = lambda: 0.05
    ) -> None:
        self.requests: list[Asked] = []
        #: When each run was shown, singly or on a page.
        self.looks: dict[str, list[float]] = defaultdict(list)
        #: How many waits were told something after they had been told something.
        self.told_again = 0
        self._service = service
        self._latency = latency
        self._settings = SimpleNamespace(rate_limit=limit, timeout=30.0, max_streams=0)
        self._rate = RateState()

    def run(self, waits: Iterable[Wait], *, within: float = 1200.0) -> list[Wait]:
        """
        Let waits happen until all are over.

        :param within: Seconds after which those that are not over never will be.
        """
        waits = list(waits)
        tell = registry._set_result

        def count_and_tell(found: asyncio.Future[dict[str, str]], verdict: dict[str, str]) -> None:
            self.told_again += found.done() and not found.cancelled()
            tell(found, verdict)

        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(reloading_client, "AgentRunHook", lambda conn_id: _Hook(self))
            patch.setattr(registry, "_set_result", count_and_tell)
            stack.enter_context(virtual_time(_PACKAGE))
            run(self._all(waits, within))
        return waits

    @property
    def pages(self) -> int:
        """How many pages of the listing were asked for."""
        return sum(request.page is not None for request in self.requests)

    @property
    def single(self) -> int:
        """How many runs were asked for singly."""
        return len(self.requests) - self.pages

    def most_in_a_second(self) -> int:
        """Return how many requests there are in the fullest second."""
        moments = [request.at for request in self.requests if not request.urgent]
        return max((bisect_left(moments, at + 1.0 - 1e-6) - first for first, at in enumerate(moments)), default=0)

    async def send_once(
        self, request: Request[Any], *, priority: Priority | None = None, within: float | None = None
    ) -> Any:
        """Answer as the transport would."""
        loop = asyncio.get_running_loop()
        page = int(request.params["page"]) if request.path == "/v1/runs" else None
        self.requests.append(Asked(loop.time(), page, priority is Priority.START))
        priority = priority or Priority.WAIT
        self._rate, at = self._rate.assign(loop.time(), self._settings.rate_limit, priority)
        await asyncio.sleep(at - loop.time())
        latency = self._latency()
        # The service sees its runs at some moment in between.
        await asyncio.sleep(latency / 2)
        try:
            return self._answer(request, loop.time())
        finally:
            await asyncio.sleep(latency / 2)

    def _answer(self, request: Request[Any], now: float) -> Any:
        if request.path != "/v1/runs":
            run_id = request.path.rpartition("/")[2]
            status = self._service.status(run_id, now)
            self.looks[run_id].append(now)
            return status
        page = self._service.page(int(request.params["page"]), int(request.params["per_page"]), now)
        for listed in page.data:
            self.looks[listed["id"]].append(now)
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
        waiting = registry.wait_for_run(
            wait.run.id,
            "agentruns_default",
            wait.wait_for,
            interval=wait.interval,
            end=None if wait.end is None else wait.end - BEGINNING + EPOCH,
            log=lambda *args, **fields: None,
        )
        try:
            async with asyncio.timeout_at(wait.leaves):
                wait.verdict = await waiting
                wait.told_at = loop.time()
        except TimeoutError:
            pass


class _Hook:
    """Stands for the hook: gives the settings, and a transport that asks the simulated service."""

    def __init__(self, simulation: Simulation) -> None:
        self._transport = SimpleNamespace(settings=simulation._settings, send_once=simulation.send_once)

    async def aget_conn(self) -> SimpleNamespace:
        return self._transport

    async def aclose(self) -> None:
        pass

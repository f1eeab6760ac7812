# SPDX-License-Identifier: Apache-2.0
"""The lowest cost of waiting in three ways, to judge the benchmark itself. Not for use."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tests.benchmarks.bodies import WARM_UP, durations, run_id
from tests.benchmarks.rows import LIMIT, Row
from tests.benchmarks.subjects import Subject

_WAITING = "running"

#: The most requests in progress.
_AT_ONCE = 50


class _Reference(BaseTrigger):
    """Waits for one run through an object that all triggers share."""

    def __init__(self, shared: Any, number: int) -> None:
        super().__init__()
        self._shared = shared
        self._number = number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self._shared.wait(self._number))


class _Pace:
    """Assigns send times within the limit."""

    def __init__(self, row: Row) -> None:
        self._interval = 1.05 / LIMIT if row.limited else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        moment = max(now, self._next)
        self._next = moment + self._interval
        if moment > now:
            await asyncio.sleep(moment - now)


class _Single:
    """One GET per run and poll, all through one client."""

    def __init__(self, row: Row, port: int) -> None:
        self._interval = row.poll_interval
        self._pace = _Pace(row)
        # The client's own queue needs more time per request the longer it is.
        self._turns = asyncio.Semaphore(_AT_ONCE)
        limits = httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE)
        self._http = httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", timeout=30, limits=limits)

    async def wait(self, number: int) -> str:
        path = f"/v1/runs/{run_id(number)}"
        while True:
            await self._pace.wait()
            async with self._turns:
                answer = await self._http.get(path)
            if answer.status_code == 429:
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
            status: str = answer.json()["status"]
            if status != _WAITING:
                return status
            await asyncio.sleep(self._interval)


class _Pages:
    """One task that reads the listing for all."""

    def __init__(self, row: Row, port: int) -> None:
        self._interval = row.poll_interval
        self._pace = _Pace(row)
        self._http = httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", timeout=30)
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, number: int) -> str:
        future = self._waiting[run_id(number)] = asyncio.get_running_loop().create_future()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return await future

    async def _poll(self) -> None:
        await asyncio.sleep(0.1)
        next_look = time.monotonic()
        while True:
            await self._look()
            if not self._waiting:
                return
            next_look += self._interval
            await asyncio.sleep(next_look - time.monotonic())

    async def _look(self) -> None:
        page = 1
        while True:
            await self._pace.wait()
            answer = await self._http.get("/v1/runs", params={"page": page, "per_page": 100})
            listed = json.loads(answer.content)
            for run in listed["data"]:
                if run["status"] != _WAITING and (future := self._waiting.pop(run["id"], None)):
                    future.set_result(run["status"])
            if not listed["has_more"]:
                return
            page += 1


class _Idle:
    """Knows when each run ends, so that only the cost of waiting itself is left."""

    def __init__(self, row: Row) -> None:
        self._began = 0.0
        self._durations = durations(row.waits)

    async def wait(self, number: int) -> str:
        if number != WARM_UP:
            # The first wait begins just after the runs.
            self._began = self._began or time.time()
            await asyncio.sleep(self._began + self._durations[number] - time.time())
        return "completed"


def single(row: Row, port: int) -> Subject:
    """One GET per run and poll."""
    return _subject(_Single(row, port))


def pages(row: Row, port: int) -> Subject:
    """One poller for all."""
    return _subject(_Pages(row, port))


def idle(row: Row, port: int) -> Subject:
    """No request at all."""
    return _subject(_Idle(row))


def _subject(shared: Any) -> Subject:
    return Subject(lambda number: _Reference(shared, number), lambda payload: payload == "completed")

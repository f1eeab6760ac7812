# SPDX-License-Identifier: Apache-2.0
"""
The way of webhooks into the database: those that come at the same time share a transaction, in a thread.

So a burst neither takes all of the API server's threads and database connections, nor holds up its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

import anyio
import anyio.to_thread

from airflow_provider_agentruns.airflow_adapter import asset_events
from airflow_provider_agentruns.events.webhook_event import RunChange

log = logging.getLogger(__name__)

#: How many changes a transaction holds at most. Until it ends, others may wait for what it has locked.
TOGETHER = 20

#: How many may wait. Who comes then is sent away, and comes again by himself.
MOST_WAITING = 2000

#: How often what is too old to come again is forgotten, in seconds.
FORGET_EVERY = 3600.0


class FullError(Exception):
    """So many changes wait to be taken that this one is not."""


class Intake:
    """Takes changes of runs. For one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asset_events.Told, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        # The first to come after a while cleans up, and not the first of all: many processes start at a time.
        self._forget_at = time.monotonic() + FORGET_EVERY

    async def take(self, conn_id: str, change: RunChange) -> None:
        """
        Return when a change is in the database, or has been before.

        :raises FullError: If too many wait.
        :raises sqlalchemy.exc.SQLAlchemyError: If the database does not take it.
        """
        if change.status is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            raise FullError
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((conn_id, change), taken))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        await taken

    async def _work(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            try:
                await _take([told for told, _ in some])
            except Exception as e:  # noqa: BLE001 -- whatever it is, the others are to come through
                await self._take_each(some, e)
            else:
                for _, taken in some:
                    _settle(taken, None)
            if not self._waiting:
                # In here: what comes meanwhile is looked at once more.
                await self._forget_now_and_then()

    async def _take_each(
        self, some: Sequence[tuple[asset_events.Told, asyncio.Future[None]]], error: Exception
    ) -> None:
        for told, taken in some:
            problem: Exception | None = error
            if len(some) > 1:
                try:
                    await _take([told])
                except Exception as e:  # noqa: BLE001 -- it is told to who waits for it
                    problem = e
                else:
                    problem = None
            _settle(taken, problem)

    async def _forget_now_and_then(self) -> None:
        if time.monotonic() < self._forget_at:
            return
        self._forget_at = time.monotonic() + FORGET_EVERY
        try:
            await anyio.to_thread.run_sync(asset_events.forget_old, limiter=_threads())
        except Exception:
            log.exception("Cannot clean up what is remembered of webhooks; it is tried again")


async def _take(told: Sequence[asset_events.Told]) -> None:
    await anyio.to_thread.run_sync(partial(asset_events.take, told), limiter=_threads())


def _threads() -> anyio.CapacityLimiter:
    # A thread that none of Airflow's own requests waits for. One transaction comes after the other all the same.
    return anyio.CapacityLimiter(1)


def _settle(taken: asyncio.Future[None], error: Exception | None) -> None:
    if taken.done():
        return
    if error is None:
        taken.set_result(None)
    else:
        taken.set_exception(error)

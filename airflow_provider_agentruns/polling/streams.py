# SPDX-License-Identifier: Apache-2.0
"""
Following the events of runs whose latency counts.

A stream only gives hints: at each, the run itself is read. The watch looks at the run all the same, so that a
stream that is cut, falls silent or cannot be had costs latency and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.polling.followed import Followed
from airflow_provider_agentruns.polling.line import Line

log = logging.getLogger(__name__)

#: The part of the connection's rate limit within which streams are opened; hints have to be followed meanwhile.
_OPENING_SHARE = 0.8

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

#: After so many failures in a row a run is left to the watch.
_MOST_FAILURES = 6


class Streams:
    """
    The open streams of one connection.

    :param line: The line to the service.
    :param hint: Is told which run to look at now.
    """

    def __init__(self, line: Line, hint: Callable[[Followed], None]) -> None:
        self._line = line
        self._hint = hint
        # In the order in which they came.
        self._queue: dict[str, Followed] = {}
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._opener: asyncio.Task[None] | None = None

    def follow(self, run: Followed) -> None:
        """Follow a run's events from now on, as soon as a stream is free."""
        if run.run_id not in self._streams:
            self._queue[run.run_id] = run
            self._changed.set()
        if self._opener is None:
            self._opener = asyncio.create_task(self._open())

    def leave(self, run: Followed) -> None:
        """Follow it no longer."""
        self._queue.pop(run.run_id, None)
        if (stream := self._streams.pop(run.run_id, None)) is not None:
            self._leaving.add(stream)
            stream.add_done_callback(self._leaving.discard)
            stream.cancel()
            self._changed.set()

    async def close(self) -> None:
        """End all streams."""
        tasks = [*self._leaving, *self._streams.values()]
        if self._opener:
            tasks.append(self._opener)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self) -> None:
        while True:
            try:
                settings = await self._line.settings()
            except AgentRunsError:
                # The watch says so, and whether there is anything to wait for.
                await asyncio.sleep(_FIRST_PAUSE)
                continue
            if not self._queue or len(self._streams) + len(self._leaving) >= settings.max_streams:
                self._changed.clear()
                await self._changed.wait()
                continue
            run = self._queue.pop(next(iter(self._queue)))
            task = self._streams[run.run_id] = asyncio.create_task(self._follow(run))
            task.add_done_callback(partial(self._ended, run))
            await asyncio.sleep(1.0 / (settings.rate_limit * _OPENING_SHARE))

    def _ended(self, run: Followed, task: asyncio.Task[None]) -> None:
        if self._streams.get(run.run_id) is task:
            del self._streams[run.run_id]
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Following agent run %s by its stream failed, and it is polled", run.run_id, exc_info=error)

    async def _follow(self, run: Followed) -> None:
        failures = 0
        while run.waiters and failures < _MOST_FAILURES:
            opened = time.monotonic()
            try:
                await self._listen(run)
            except AgentRunsError as e:
                if isinstance(e, AgentRunsAPIError) and not e.retryable:
                    # What is wrong with the run shows when it is asked for itself.
                    log.info("Agent run %s cannot be followed by its stream, and is polled: %s", run.run_id, e)
                    return
                log.debug("The stream of agent run %s was cut: %s", run.run_id, e)
            # One that ends again and again, as some may at an interrupt, is opened ever more seldom.
            failures = 1 if time.monotonic() - opened > _LONGEST_PAUSE else failures + 1
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE))

    async def _listen(self, run: Followed) -> None:
        transport = await self._line.hook.aget_conn()
        heard = False
        try:
            async with aclosing(transport.stream(requests.stream_run_hints(run.run_id))) as events:
                async for event in events:
                    heard = True
                    if event.worth_a_look:
                        self._hint(run)
        finally:
            # Whether it has ended or was cut: the run may have changed.
            if heard and run.waiters:
                self._hint(run)

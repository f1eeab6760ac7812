# SPDX-License-Identifier: Apache-2.0
"""
Follows the event streams of runs for which latency matters (``watch="stream"``).

An event only triggers a read of the run. The poller polls the run as well, so a stream that breaks, falls silent, or
cannot be opened costs latency and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.retries import backoff
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.polling.reloading_client import ReloadingClient
from airflow_provider_agentruns.polling.tracked_run import TrackedRun

log = logging.getLogger(__name__)

#: The fraction of the rate limit used to open streams, so that runs can be read meanwhile.
_OPENING_SHARE = 0.45

#: The first and the longest pause before a stream is opened again, in seconds.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0

#: After this many failures in a row, the run is only polled.
_MOST_FAILURES = 6


class Streams:
    """The open streams of one connection. Calls ``wake`` with a run that may have changed."""

    def __init__(self, client: ReloadingClient, wake: Callable[[TrackedRun], None]) -> None:
        self._client = client
        self._wake = wake
        # Runs without a stream, in the order in which they came.
        self._queue: dict[str, TrackedRun] = {}
        # All streams, also those that are being closed.
        self._streams: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._opener: asyncio.Task[None] | None = None

    def follow(self, run: TrackedRun) -> None:
        """Open a stream for a run, as soon as the connection's ``max_streams`` and rate limit allow it."""
        if run.stream is None or run.stream.done():
            self._queue[run.run_id] = run
            self._changed.set()
        if self._opener is None:
            self._opener = asyncio.create_task(self._open_streams())

    def leave(self, run: TrackedRun) -> None:
        """Close a run's stream."""
        self._queue.pop(run.run_id, None)
        if run.stream is not None:
            run.stream.cancel()

    async def close(self) -> None:
        """Close all streams."""
        tasks = [*self._streams, *([self._opener] if self._opener else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open_streams(self) -> None:
        while True:
            try:
                settings = await self._client.settings()
            except AgentRunsError:
                # The poller reports this, and ends the waits if it lasts.
                await asyncio.sleep(_FIRST_PAUSE)
                continue
            if not self._queue or len(self._streams) >= settings.max_streams:
                self._changed.clear()
                await self._changed.wait()
                continue
            run = self._queue.pop(next(iter(self._queue)))
            run.stream = asyncio.create_task(self._follow(run))
            self._streams.add(run.stream)
            run.stream.add_done_callback(self._stream_done)
            await asyncio.sleep(1.0 / (settings.rate_limit * _OPENING_SHARE))

    def _stream_done(self, task: asyncio.Task[None]) -> None:
        self._streams.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Following the stream of an agent run failed; polling only", exc_info=error)

    async def _follow(self, run: TrackedRun) -> None:
        failures = 0
        while run.waiters and failures < _MOST_FAILURES:
            opened_at = time.monotonic()
            try:
                await self._read_events(run)
            except AgentRunsError as e:
                if isinstance(e, AgentRunsAPIError) and not e.retryable:
                    # If something is wrong with the run itself, polling shows it.
                    log.info("Cannot open the stream of agent run %s; polling only: %s", run.label, e)
                    return
                log.debug("The stream of agent run %s broke: %s", run.label, e)
            # A stream may end again and again, for instance at an interrupt, so that counts as a failure as well.
            failures = 1 if time.monotonic() - opened_at > _LONGEST_PAUSE else failures + 1
            await asyncio.sleep(backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE))

    async def _read_events(self, run: TrackedRun) -> None:
        transport = await self._client.hook.aget_conn()
        received = False
        try:
            async with aclosing(transport.stream(requests.stream_run_hints(run.run_id))) as events:
                async for event in events:
                    received = True
                    if event.worth_a_look:
                        self._wake(run)
        finally:
            # Whether the stream ended or broke, the run may have changed.
            if received and run.waiters:
                self._wake(run)

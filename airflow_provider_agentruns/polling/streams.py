# SPDX-License-Identifier: Apache-2.0
"""Follows event streams. An event only triggers a read of the run, so a stream that fails costs only latency."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, aclosing

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.retries import LONGEST_PAUSE, backoff
from airflow_provider_agentruns.client.transport import AsyncTransport
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunsError
from airflow_provider_agentruns.models import RunEvent
from airflow_provider_agentruns.polling.reloading_client import ReloadingClient
from airflow_provider_agentruns.polling.tracked_run import TrackedRun

log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
#: After this many failures in a row, the run is only polled.
_MOST_FAILURES = 6


class Streams:
    """The streams of one connection. Calls ``wake`` for a run that may have changed."""

    def __init__(self, client: ReloadingClient, wake: Callable[[TrackedRun], None]) -> None:
        self._client = client
        self._wake = wake
        self._places: asyncio.Semaphore | None = None
        self._opening = asyncio.Lock()

    async def follow(self, run: TrackedRun) -> None:
        """Follow a run's stream as soon as the connection's ``max_streams`` and rate limit allow it."""
        failures = 0
        while failures < _MOST_FAILURES:
            began_at = time.monotonic()
            try:
                transport = await self._client.transport()
                if self._places is None:
                    self._places = asyncio.Semaphore(transport.settings.max_streams)
                if self._places.locked():
                    run.opened()
                async with self._places:
                    began_at = time.monotonic()
                    await self._read_events(run, transport)
            except AgentRunsError as e:
                if isinstance(e, AgentRunsAPIError) and not e.retryable:
                    log.info("Cannot open the stream of agent run %s; polling only: %s", run.label, e)
                    return
                log.debug("The stream of agent run %s broke: %s", run.label, e)
            finally:
                run.opened()
            # A stream that ends early, for instance at an interrupt, counts as a failure as well.
            failures = 1 if time.monotonic() - began_at > LONGEST_PAUSE else failures + 1
            await asyncio.sleep(backoff(failures, _FIRST_PAUSE, LONGEST_PAUSE))

    async def _read_events(self, run: TrackedRun, transport: AsyncTransport) -> None:
        received = False
        with ExitStack() as turn:
            # Streams open one at a time, so that they do not reserve requests that reads need sooner.
            await self._opening.acquire()
            turn.callback(self._opening.release)
            stream = transport.stream(requests.stream_run(run.run_id), on_send=turn.close)
            turn.callback(run.opened)
            try:
                async with aclosing(stream) as events:
                    async for event in events:
                        received = True
                        if _may_have_changed(event):
                            self._wake(run)
            finally:
                # Whether the stream ended or broke, the run may have changed.
                if received and run.waiters:
                    self._wake(run)


def _may_have_changed(event: RunEvent) -> bool:
    status = event.snapshot.get("status") if isinstance(event.snapshot, dict) else None
    return event.type != "RUN_STARTED" and (status != "running" or event.type.startswith("RUN_"))

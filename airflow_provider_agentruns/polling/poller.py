# SPDX-License-Identifier: Apache-2.0
"""Sends the scheduler's requests while any waiter remains, and resolves the waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from contextlib import suppress

import structlog

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.rate_state import Priority
from airflow_provider_agentruns.client.retries import backoff
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.polling.listing_round import ListingRound
from airflow_provider_agentruns.polling.reloading_client import ReloadingClient
from airflow_provider_agentruns.polling.scheduler import PollScheduler, Step
from airflow_provider_agentruns.polling.streams import Streams
from airflow_provider_agentruns.polling.tracked_run import Log, TrackedRun, Waiter, WaitResult
from airflow_provider_agentruns.run_outcome import log_status

log = logging.getLogger(__name__)

_RETRYING = "Cannot read agent run %s, retrying: %s"

#: The largest number of requests in progress. A slow response does not delay the others.
_MOST_REQUESTS = 8

#: After this many failures in a row to load the connection, i.e. after some minutes, the waits end.
_CONNECTION_ATTEMPTS = 10

#: The longest pause between two attempts to load the connection, in seconds.
_LONGEST_PAUSE = 60.0

#: Seconds between two reports of the poll lag.
_LAG_REPORT_INTERVAL = 10.0

#: Statuses that may mean that a page is too large. None: the response was cut off, or took too long.
_TOO_LARGE = (None, 400, 413, 422)


class RunPoller:
    """Polls all runs that the waiters of one connection in one event loop wait for."""

    def __init__(self, agentruns_conn_id: str) -> None:
        self.conn_id = agentruns_conn_id
        #: The number of waits, which the registry counts.
        self.waits = self._reported_waits = 0
        self._next_lag_report_at = -math.inf
        #: The default log of waiters. Bound once, because binding takes as long as logging.
        self.log: Log = structlog.get_logger(__name__).bind().log
        self._client = ReloadingClient(agentruns_conn_id)
        self._streams = Streams(self._client, self._wake)
        self._scheduler = PollScheduler(time.monotonic())
        self._changed = asyncio.Event()
        self._sleeps_until = -math.inf
        self._requests: set[asyncio.Task[None]] = set()
        self._warned_overdue = False
        # An empty context, because its messages belong to the log of no waiting task.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._task_done, context=contextvars.Context())

    def add(self, run_id: str, waiter: Waiter) -> TrackedRun:
        run = self._scheduler.add(run_id, waiter)
        if waiter.stream:
            self._streams.follow(run)
        if run.next_poll_at < self._sleeps_until:
            self._changed.set()
        return run

    def remove(self, run: TrackedRun, waiter: Waiter) -> None:
        self._scheduler.remove(run, waiter)
        if run.stream is not None and not run.waiters:
            run.stream.cancel()

    @property
    def failed(self) -> bool:
        """Whether the poller stopped because of a bug, and cannot be used for other waits."""
        return self._task.done()

    async def close(self) -> None:
        """Stop, and close all HTTP connections."""
        tasks = [self._task, *self._requests]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._streams.close()
        finally:
            await self._client.close()

    # Sending requests

    async def _run(self) -> None:
        failures = 0
        while True:
            self._report()
            try:
                self._scheduler.rate.limit = (await self._client.transport()).settings.rate_limit
                failures = 0
            except AgentRunsError as e:
                failures += 1
                if not e.retryable or failures > _CONNECTION_ATTEMPTS:
                    self._fail_all(e)
                else:
                    await self._warn_all(e)
                await asyncio.sleep(backoff(failures, self._interval(), _LONGEST_PAUSE))
                continue
            now = time.monotonic()
            step = self._scheduler.next(now) if len(self._requests) < _MOST_REQUESTS else math.inf
            if isinstance(step, float):
                self._sleeps_until = step
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if step == math.inf else max(0.0, step - now)):
                        await self._changed.wait()
                self._changed.clear()
                continue
            task = asyncio.create_task(self._send(step))
            self._requests.add(task)
            task.add_done_callback(self._task_done)

    def _report(self) -> None:
        """Report the number of waits and the poll lag, and warn once if polls are late."""
        now = time.monotonic()
        if self.waits != self._reported_waits:
            self._reported_waits = self.waits
            metrics.waiting(self.conn_id, self.waits)
        if now >= self._next_lag_report_at:
            self._next_lag_report_at = now + _LAG_REPORT_INTERVAL
            metrics.poll_lag(self.conn_id, self._scheduler.lag(now))
        if self._scheduler.overdue and not self._warned_overdue:
            self._warned_overdue = True
            log.warning(
                "Connection %r: polling %d agent runs every %g s exceeds the connection's rate_limit or the speed of "
                "the service, so some changes are noticed later. Raise poll_interval, or rate_limit if the account "
                "allows it",
                self.conn_id,
                len(self._scheduler.runs),
                self._interval(),
            )

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail_all(error)

    async def _send(self, step: Step) -> None:
        requested_at = time.monotonic()
        try:
            if isinstance(step, TrackedRun):
                statuses = [(step, await self._read_status(step))]
            else:
                page = await self._client.send(step.request())
                statuses = self._scheduler.page_read(step, page)
        except AgentRunsError as e:
            if isinstance(step, TrackedRun):
                self._run_failed(step, e, requested_at)
            else:
                await self._page_failed(step, e, requested_at)
            return
        self._scheduler.rate.failures = 0
        for run, status in statuses:
            self._take_status(run, status, requested_at)

    async def _read_status(self, run: TrackedRun) -> RunStatus:
        priority = Priority.START if run.woken else Priority.WAIT
        run.woken = False
        try:
            state = await self._client.send(requests.get_run_state(run.run_id, priority))
            return RunStatus(state["status"])
        finally:
            run.busy = False

    def _wake(self, run: TrackedRun) -> None:
        self._scheduler.wake(run, time.monotonic())
        self._changed.set()

    # Resolving waits

    def _take_status(self, run: TrackedRun, status: RunStatus, requested_at: float) -> None:
        """Resolve the waits that a status ends. Trust a listed status, because the resumed task reads the run."""
        if not self._scheduler.run_read(run, status, requested_at, time.monotonic()):
            return
        for waiter in list(run.waiters):
            if waiter.joined > requested_at:
                # The response may be older than what this waiter knows, such as the answer it has just sent.
                continue
            if status.finished or status in waiter.wait_for:
                # The resumed task logs this status.
                self._resolve(run, waiter, {"status": str(status)})
            elif waiter.end <= requested_at:
                self._resolve(run, waiter, timed_out(run))
            elif status != waiter.seen:
                log_status(waiter.log, run.run_id, status, waiter.seen)
                waiter.seen = str(status)

    def _resolve(self, run: TrackedRun, waiter: Waiter, result: WaitResult) -> None:
        self._scheduler.remove(run, waiter)
        if not waiter.result.done():
            waiter.result.set_result(result)

    def _fail_all(self, error: BaseException) -> None:
        if not isinstance(error, AgentRunsError):
            log.error("The poller for agent runs of connection %r failed", self.conn_id, exc_info=error)
        for run in list(self._scheduler.runs.values()):
            for waiter in list(run.waiters):
                self._resolve(run, waiter, _failed(error))

    # Failures

    async def _page_failed(self, step: ListingRound, error: AgentRunsError, requested_at: float) -> None:
        status = error.status_code if isinstance(error, AgentRunsAPIError) else None
        if step.walk.is_past_end(status):
            self._scheduler.page_read(step, None)
            return
        now = time.monotonic()
        rejected = status is not None and status < 500 and status not in (401, 403, 429)
        if error.retryable:
            self._scheduler.rate.failed(self._interval(), requested_at, now)
        log.warning("Cannot read page %d of the agent runs, retrying: %s", step.walk.page, error)
        self._scheduler.page_failed(step, now, rejected=rejected, too_large=status in _TOO_LARGE)
        await self._warn_all(error)

    def _run_failed(self, run: TrackedRun, error: AgentRunsError, requested_at: float) -> None:
        if self._client.token_is_wrong:
            self._fail_all(error)
        now = time.monotonic()
        if error.retryable:
            self._scheduler.rate.failed(run.interval, requested_at, now)
        for waiter in list(run.waiters):
            may_appear = isinstance(error, AgentRunNotFoundError) and now < waiter.missing_until
            if not (error.retryable or may_appear):
                self._resolve(run, waiter, _failed(error))
            elif waiter.end <= requested_at:
                self._resolve(run, waiter, timed_out(run, error))
            else:
                waiter.log(logging.WARNING, _RETRYING, run.label, error)
        self._scheduler.run_failed(run, now)

    async def _warn_all(self, error: AgentRunsError) -> None:
        """Log in each waiting task that its run cannot be read, once per outage."""
        for number, run in enumerate(list(self._scheduler.runs.values())):
            if not run.warned:
                run.warned = True
                for waiter in run.waiters:
                    waiter.log(logging.WARNING, _RETRYING, run.label, error)
            if number % 50 == 49:
                await asyncio.sleep(0)

    def _interval(self) -> float:
        return min((run.interval for run in self._scheduler.runs.values()), default=5.0)


def timed_out(run: TrackedRun, error: AgentRunsError | None = None) -> WaitResult:
    """Return the result of a wait that ended before the run reached an awaited status."""
    message = f"agent run {run.label} is {run.status or 'of unknown status'} at the end of the wait"
    if error:
        message += f"; the last read failed: {error}"
    return {"error": AgentRunTimeoutError.__name__, "message": message}


def _failed(error: BaseException) -> WaitResult:
    return {"error": type(error).__name__, "message": str(error)}

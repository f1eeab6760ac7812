# SPDX-License-Identifier: Apache-2.0
"""One poller per connection and event loop: the first wait starts it, the last one closes it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

import structlog

from airflow_provider_agentruns import metrics
from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.request_queue import Priority
from airflow_provider_agentruns.client.retries import LONGEST_PAUSE, backoff
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.polling.reloading_client import ReloadingClient
from airflow_provider_agentruns.polling.scheduler import ListingRound, PollScheduler, Step
from airflow_provider_agentruns.polling.streams import Streams
from airflow_provider_agentruns.polling.tracked_run import Log, TrackedRun, Waiter, WaitResult
from airflow_provider_agentruns.run_outcome import log_status

log = logging.getLogger(__name__)

_RETRYING = "Cannot read agent run %s, retrying: %s"
_MOST_REQUESTS_IN_PROGRESS = 8
#: If the connection cannot be loaded this many times in a row, which takes some minutes, the waits end.
_CONNECTION_ATTEMPTS = 10
_REPORT_INTERVAL = 10.0
#: Seconds that the last read of a wait may take. If the service hangs, Airflow's scheduler would fail the task later.
_LAST_READ = 10.0

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, RunPoller]] = WeakKeyDictionary()


async def wait_for_run(
    run_id: str,
    agentruns_conn_id: str,
    wait_for: Collection[str],
    poll_interval: float,
    end_time: float | None = None,
    missing_until: float | None = None,
    watch: str = "poll",
    seen: str | None = None,
) -> WaitResult:
    """Wait until a run reaches an awaited status, ends, or cannot be read. Parameters: see ``AgentRunTrigger``."""
    now = time.monotonic()
    to_monotonic = now - time.time()
    loop = asyncio.get_running_loop()
    pollers = _pollers.setdefault(loop, {})
    poller = pollers.get(agentruns_conn_id)
    if poller is None or poller.task.done():
        # A poller that stopped because of a bug cannot serve other waits.
        poller = pollers[agentruns_conn_id] = RunPoller(agentruns_conn_id)
    waiter = Waiter(
        wait_for,
        poll_interval,
        loop.create_future(),
        joined=now,
        # Airflow finds the log of the waiting task by the context.
        log=partial(contextvars.copy_context().run, poller.log),
        end=math.inf if end_time is None else end_time + to_monotonic,
        missing_until=-math.inf if missing_until is None else missing_until + to_monotonic,
        stream=watch == "stream",
        seen=seen or RunStatus.RUNNING,
    )
    run = poller.add(run_id, waiter)
    follower = asyncio.create_task(poller.streams.follow(run)) if waiter.stream else None
    result: WaitResult | None = None
    try:
        async with asyncio.timeout_at(None if end_time is None else max(now, waiter.end) + _LAST_READ):
            result = await waiter.result
    except TimeoutError:
        result = _timed_out(run)
    finally:
        poller.scheduler.remove(run, waiter)
        if result:
            outcome = str(result.get("status") or result.get("error"))
            metrics.count("waits.ended", agentruns_conn_id, outcome=outcome)
            metrics.timing("wait.duration", time.monotonic() - now, agentruns_conn_id, outcome=outcome)
        if follower:
            follower.cancel()
            await asyncio.wait([follower])
        if not poller.scheduler.runs:
            # Removed before it closes, so that a wait that begins meanwhile starts another poller.
            if pollers.get(agentruns_conn_id) is poller:
                del pollers[agentruns_conn_id]
            await poller.close()
    return result


class RunPoller:
    """Sends the scheduler's requests while any waiter remains, and resolves the waits."""

    def __init__(self, agentruns_conn_id: str) -> None:
        self.conn_id = agentruns_conn_id
        self._next_report_at = -math.inf
        #: The default log of waiters. Bound once, because binding takes as long as logging.
        self.log: Log = structlog.get_logger(__name__).bind().log
        self._client = ReloadingClient(agentruns_conn_id)
        self.streams = Streams(self._client, self._wake)
        self.scheduler = PollScheduler(time.monotonic())
        self._changed = asyncio.Event()
        self._sleeps_until = -math.inf
        self._requests: set[asyncio.Task[None]] = set()
        self._warned_overdue = False
        # An empty context, because the poller's messages do not belong to the log of a waiting task.
        self.task = asyncio.create_task(self._run(), context=contextvars.Context())
        self.task.add_done_callback(self._task_done, context=contextvars.Context())

    def add(self, run_id: str, waiter: Waiter) -> TrackedRun:
        run = self.scheduler.add(run_id, waiter)
        if run.next_poll_at < self._sleeps_until:
            self._changed.set()
        return run

    async def close(self) -> None:
        metrics.gauge("waits", 0, self.conn_id)
        metrics.gauge("poll.lag", 0, self.conn_id)
        tasks = [self.task, *self._requests]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._client.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            self._report()
            try:
                self.scheduler.rate.limit = (await self._client.transport()).settings.rate_limit
                failures = 0
            except AgentRunsError as e:
                failures += 1
                if not e.retryable or failures > _CONNECTION_ATTEMPTS:
                    self._fail_all(e)
                else:
                    await self._warn_all(e)
                await asyncio.sleep(backoff(failures, self._interval(), LONGEST_PAUSE))
                continue
            now = time.monotonic()
            step = self.scheduler.next(now) if len(self._requests) < _MOST_REQUESTS_IN_PROGRESS else math.inf
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
        now = time.monotonic()
        if now >= self._next_report_at:
            self._next_report_at = now + _REPORT_INTERVAL
            waits = sum(len(run.waiters) for run in self.scheduler.runs.values())
            metrics.gauge("waits", waits, self.conn_id)
            metrics.gauge("poll.lag", self.scheduler.lag(now), self.conn_id)
        if self.scheduler.overdue and not self._warned_overdue:
            self._warned_overdue = True
            log.warning(
                "Connection %r: polling %d agent runs every %g s exceeds the connection's rate_limit or the speed of "
                "the service, so some changes are noticed later. Raise poll_interval, or rate_limit if the account "
                "allows it",
                self.conn_id,
                len(self.scheduler.runs),
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
                request = requests.list_run_states(page=step.walk.page or 1, page_size=step.walk.page_size)
                page = await self._client.send(request)
                statuses = self.scheduler.page_read(step, page)
        except AgentRunsError as e:
            if e.retryable:
                self.scheduler.rate.failed(step.interval, requested_at, time.monotonic())
            if isinstance(step, TrackedRun):
                self._run_failed(step, e, requested_at)
            else:
                await self._page_failed(step, e)
            return
        self.scheduler.succeeded(time.monotonic())
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
        self.scheduler.wake(run, time.monotonic())
        self._changed.set()

    def _take_status(self, run: TrackedRun, status: RunStatus, requested_at: float) -> None:
        """Resolve the waits that a status ends. Trust a listed status, because the resumed task reads the run."""
        if not self.scheduler.run_read(run, status, requested_at, time.monotonic()):
            return
        for waiter in run.waiters:
            if waiter.joined > requested_at:
                # The response may be older than what this waiter knows, such as an answer that its task has just sent.
                continue
            if status.finished or status in waiter.wait_for:
                waiter.resolve({"status": str(status)})
            elif waiter.end <= requested_at:
                waiter.resolve(_timed_out(run))
            elif status != waiter.seen:
                log_status(waiter.log, run.run_id, status, waiter.seen)
                waiter.seen = str(status)

    def _fail_all(self, error: BaseException) -> None:
        if not isinstance(error, AgentRunsError):
            log.error("The poller for agent runs of connection %r failed", self.conn_id, exc_info=error)
        for run in self.scheduler.runs.values():
            for waiter in run.waiters:
                waiter.resolve(_failed(error))

    async def _page_failed(self, step: ListingRound, error: AgentRunsError) -> None:
        status = error.status_code if isinstance(error, AgentRunsAPIError) else None
        if step.walk.is_past_end(status):
            self.scheduler.page_read(step, None)
            return
        log.warning("Cannot read page %d of the agent runs, retrying: %s", step.walk.page, error)
        self.scheduler.page_failed(step, status, time.monotonic())
        await self._warn_all(error)

    def _run_failed(self, run: TrackedRun, error: AgentRunsError, requested_at: float) -> None:
        if self._client.token_is_wrong:
            self._fail_all(error)
        now = time.monotonic()
        for waiter in run.waiters:
            may_appear = isinstance(error, AgentRunNotFoundError) and now < waiter.missing_until
            if not (error.retryable or may_appear):
                waiter.resolve(_failed(error))
            elif waiter.end <= requested_at:
                waiter.resolve(_timed_out(run, error))
            else:
                waiter.log(logging.WARNING, _RETRYING, run.label, error)
        self.scheduler.run_failed(run, now)

    async def _warn_all(self, error: AgentRunsError) -> None:
        for number, run in enumerate(list(self.scheduler.runs.values())):
            if not run.warned:
                run.warned = True
                for waiter in run.waiters:
                    waiter.log(logging.WARNING, _RETRYING, run.label, error)
            if number % 50 == 49:
                await asyncio.sleep(0)

    def _interval(self) -> float:
        return min((run.interval for run in self.scheduler.runs.values()), default=5.0)


def _timed_out(run: TrackedRun, error: AgentRunsError | None = None) -> WaitResult:
    message = f"agent run {run.label} is {run.status or 'of unknown status'} at the end of the wait"
    if error:
        message += f"; the last read failed: {error}"
    return _failed(AgentRunTimeoutError(message))


def _failed(error: BaseException) -> WaitResult:
    return {"error": type(error).__name__, "message": str(error)}

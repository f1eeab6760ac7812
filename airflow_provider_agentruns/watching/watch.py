# SPDX-License-Identifier: Apache-2.0
"""The watch itself: does what the plan says, over one client, for as long as anybody waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Iterable
from contextlib import suppress

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import (
    AgentRunNotFoundError,
    AgentRunsAPIError,
    AgentRunsAuthError,
    AgentRunsConnectionError,
    AgentRunsError,
    AgentRunTimeoutError,
)
from airflow_provider_agentruns.models import ListedRun, RunStatus
from airflow_provider_agentruns.watching.followed import Followed, Verdict, Waiter
from airflow_provider_agentruns.watching.line import Line
from airflow_provider_agentruns.watching.plan import Plan, ReadPage, ReadRun, Step
from airflow_provider_agentruns.watching.streams import Streams

log = logging.getLogger(__name__)

_TRYING = "Cannot look at agent run %s, and go on trying: %s"

#: So many requests may be under way: a service that is slow to answer should not make it slow to ask.
_MOST_AT_ONCE = 8

#: How often in a row Airflow may know no such connection before the waits end. A secrets backend that is down for
#: some minutes should end none.
_LOOKS_WITHOUT_CONNECTION = 10

_LONGEST_PAUSE = 60.0

#: So many refusals of the token in a row, each by another run, and no good answer: it is refused for all.
_REFUSED_FOR_ALL = 3


class Watch:
    """
    Waits for all the runs that one connection's waiters in one event loop want to know of.

    :param agentruns_conn_id: The Airflow connection.
    """

    def __init__(self, agentruns_conn_id: str) -> None:
        self._line = Line(agentruns_conn_id)
        self._streams = Streams(self._line, self._hinted)
        self._plan = Plan(20.0, time.monotonic())
        self._changed = asyncio.Event()
        self._steps: set[asyncio.Task[None]] = set()
        self._refusals = 0
        self._page_refused = False
        self._told_overdue = False
        # With no context of its own: what it logs belongs to none of the tasks that wait.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._done)

    def join(self, run_id: str, waiter: Waiter) -> Followed:
        """Wait for a run."""
        run = self._plan.join(run_id, waiter)
        if waiter.stream:
            self._streams.follow(run)
        self._changed.set()
        return run

    def leave(self, run: Followed, waiter: Waiter) -> None:
        """Wait for it no longer."""
        self._plan.leave(run, waiter)
        if waiter.stream and not run.waiters:
            self._streams.leave(run)

    @property
    def idle(self) -> bool:
        """Whether nobody waits."""
        return not self._plan.runs

    async def close(self) -> None:
        """Stop, and close all connections."""
        tasks = [self._task, *self._steps]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._streams.close()
        finally:
            await self._line.close()

    # Doing what the plan says

    async def _run(self) -> None:
        await self._open()
        while True:
            self._plan.pace.limit = await self._rate_limit()
            now = time.monotonic()
            step = self._plan.next(now) if len(self._steps) < _MOST_AT_ONCE else math.inf
            if isinstance(step, float):
                if not self._steps:
                    await self._line.close_retired()
                await self._rest(step - now)
                continue
            if self._plan.overdue and not self._told_overdue:
                self._tell_overdue()
            task = asyncio.create_task(self._do(step))
            self._steps.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._steps.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail_all(error)

    async def _rest(self, seconds: float) -> None:
        """Wait until a moment comes, or something changes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else max(0.0, seconds)):
                await self._changed.wait()
        self._changed.clear()

    async def _do(self, step: Step) -> None:
        if isinstance(step, ReadPage):
            await self._read_page(step)
        else:
            await self._read_run(step)

    async def _read_page(self, step: ReadPage) -> None:
        asked = time.monotonic()
        try:
            page = await self._line.ask(requests.list_run_states(page=step.number, page_size=step.size))
        except AgentRunsError as e:
            self._page_failed(step, e, asked)
            await self._tell_all(e)
            return
        now = time.monotonic()
        self._refusals = 0
        self._page_refused = False
        for run, listed in self._plan.page_came(step, page, asked, now):
            status = RunStatus(listed["status"])
            self._saw(run, status, asked, now, whole=_is_whole(status, listed))

    async def _read_run(self, step: ReadRun) -> None:
        run, asked = step.run, time.monotonic()
        try:
            status = await self._line.ask(requests.get_run_status(run.run_id), urgent=step.urgent)
        except AgentRunsError as e:
            self._run_failed(run, e, asked)
            return
        self._refusals = 0
        self._plan.run_came(run)
        self._saw(run, status, asked, time.monotonic(), whole=True)

    def _hinted(self, run: Followed) -> None:
        self._plan.hint(run, time.monotonic())
        self._changed.set()

    # What came of it

    def _saw(self, run: Followed, status: RunStatus, asked: float, now: float, *, whole: bool) -> None:
        """Tell those whose wait is over; where the listing has left it open, have the run itself looked at."""
        before = run.status
        if not self._plan.seen(run, status, asked, now):
            return
        for waiter in list(run.waiters):
            if waiter.joined > asked:
                continue
            waiter.refused = False
            if status.finished or status in waiter.wait_for:
                if not whole:
                    self._plan.look_alone(run, now)
                    return
                self._tell(run, waiter, {"status": str(status)})
            elif waiter.end is not None and waiter.end <= asked:
                self._tell(run, waiter, timed_out(run))
            elif before is not None and before != status:
                waiter.tell(logging.INFO, "Agent run %s is %s", run.run_id, status)

    def _tell(self, run: Followed, waiter: Waiter, verdict: Verdict) -> None:
        self._plan.leave(run, waiter)
        waiter.settle(verdict)

    def _page_failed(self, step: ReadPage, error: AgentRunsError, asked: float) -> None:
        now = time.monotonic()
        status = error.status_code if isinstance(error, AgentRunsAPIError) else None
        refused = status not in (None, 429)
        if isinstance(error, AgentRunsAuthError) and not self._page_refused:
            # Once more, with what the connection says now.
            self._page_refused = True
            self._line.reopen(asked)
            refused = False
        elif not refused:
            self._plan.trouble(_interval(step.expected), asked, now)
        # An answer that breaks off or takes too long may be too much, too.
        too_large = status in (None, 400, 413, 422)
        log.warning("Cannot read page %d of the agent runs, and go on trying: %s", step.number, error)
        self._plan.page_failed(step, now, refused=refused, too_large=too_large)
        for run in step.expected:
            self._end_those_in_time(run, asked, error)

    def _run_failed(self, run: Followed, error: AgentRunsError, asked: float) -> None:
        now = time.monotonic()
        if isinstance(error, AgentRunsAuthError):
            self._run_refused(run, error, asked)
            return
        if isinstance(error, AgentRunsConnectionError) or error.retryable:
            self._plan.trouble(run.interval, asked, now)
        for waiter in list(run.waiters):
            may_appear = isinstance(error, AgentRunNotFoundError) and now < (waiter.missing_until or 0.0)
            if not (error.retryable or may_appear):
                self._tell(run, waiter, _failed(error))
            else:
                waiter.tell(logging.WARNING, _TRYING, run.run_id, error)
        self._end_those_in_time(run, asked, error)
        self._plan.run_failed(run, now)

    def _run_refused(self, run: Followed, error: AgentRunsAuthError, asked: float) -> None:
        again = [waiter for waiter in run.waiters if not waiter.refused]
        for waiter in list(run.waiters):
            if waiter.refused:
                self._tell(run, waiter, _failed(error))
        for waiter in again:
            waiter.refused = True
        if not again:
            self._refusals += 1
            if error.status_code == 401 and self._refusals >= _REFUSED_FOR_ALL:
                self._fail_all(error)
        self._line.reopen(asked)
        self._plan.look_again(run, time.monotonic(), at_once=True)

    def _end_those_in_time(self, run: Followed, asked: float, error: AgentRunsError) -> None:
        for waiter in list(run.waiters):
            if waiter.end is not None and waiter.end <= asked:
                self._tell(run, waiter, timed_out(run, error))

    def _fail_all(self, error: BaseException) -> None:
        if not isinstance(error, AgentRunsError):
            log.error("The watch over agent runs of connection %r failed", self._line.conn_id, exc_info=error)
        for run in list(self._plan.runs.values()):
            for waiter in list(run.waiters):
                self._tell(run, waiter, _failed(error))

    async def _tell_all(self, error: AgentRunsError) -> None:
        """Say in the log of each that waits why nothing comes; once, until it has been looked at again."""
        for number, run in enumerate(list(self._plan.runs.values())):
            if not run.failures:
                run.failures = 1
                for waiter in run.waiters:
                    waiter.tell(logging.WARNING, _TRYING, run.run_id, error)
            if number % 50 == 49:
                await asyncio.sleep(0)

    # The connection

    async def _rate_limit(self) -> float:
        try:
            return (await self._line.settings()).rate_limit
        except AgentRunsError as e:
            # It was given up because the token was refused, and cannot be read anew for the moment.
            await self._tell_all(e)
            return self._plan.pace.limit

    async def _open(self) -> None:
        """Read the connection; Airflow may not be able to give it for a moment."""
        failures = 0
        while True:
            try:
                await self._line.settings()
            except AgentRunsError as e:
                failures += 1
                if not e.retryable or failures > _LOOKS_WITHOUT_CONNECTION:
                    self._fail_all(e)
                else:
                    await self._tell_all(e)
                interval = _interval(self._plan.runs.values())
                await asyncio.sleep(min(interval * 2 ** min(failures, 10), max(_LONGEST_PAUSE, interval)))
            else:
                return

    def _tell_overdue(self) -> None:
        self._told_overdue = True
        log.warning(
            "%d agent runs are waited for over connection %r, and looking at each of them every %g s takes more than "
            "its rate_limit allows, or the service too long: some changes are noticed later. Raise rate_limit where "
            "the account's limit allows it, or poll_interval",
            len(self._plan.runs),
            self._line.conn_id,
            _interval(self._plan.runs.values()),
        )


def _is_whole(status: RunStatus, listed: ListedRun) -> bool:
    """Whether the listing shows what a run in that status has, so that it need not be asked itself."""
    if status == RunStatus.COMPLETED:
        return listed.get("output") is not None
    return status != RunStatus.INTERRUPTED or bool(listed.get("interrupts"))


def timed_out(run: Followed, error: AgentRunsError | None = None) -> Verdict:
    """Say that a wait has ended without what was awaited."""
    message = f"agent run {run.run_id} is {run.status or 'of unknown status'} at the end of the wait"
    if error:
        message += f"; the last look failed: {error}"
    return {"error": AgentRunTimeoutError.__name__, "message": message}


def _failed(error: BaseException) -> Verdict:
    return {"error": type(error).__name__, "message": str(error)}


def _interval(runs: Iterable[Followed]) -> float:
    return min((run.interval for run in runs), default=5.0)

# SPDX-License-Identifier: Apache-2.0
"""The watch itself: does what the plan says, over one client, for as long as anybody waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable, Iterable
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
from airflow_provider_agentruns.models import ListedPage, ListedRun, RunStatus
from airflow_provider_agentruns.polling.followed import Followed, Verdict, Waiter
from airflow_provider_agentruns.polling.line import Line
from airflow_provider_agentruns.polling.plan import Errand, Plan, ReadPage, ReadRun, Step
from airflow_provider_agentruns.polling.streams import Streams
from airflow_provider_agentruns.run_outcome import log_status

log = logging.getLogger(__name__)

_TRYING = "Cannot look at agent run %s, and go on trying: %s"

#: So many requests may be under way: a service that is slow to answer should not make it slow to ask.
_MOST_AT_ONCE = 8

#: How often in a row Airflow may know no such connection before the waits end. A secrets backend that is down for
#: some minutes should end none.
_LOOKS_WITHOUT_CONNECTION = 10

_LONGEST_PAUSE = 60.0

#: So many refusals in a row of the token as it was read anew, and no good answer: it is refused for all.
_REFUSED_FOR_ALL = 3


class Watch:
    """
    Waits for all the runs that one connection's waiters in one event loop want to know of.

    :param agentruns_conn_id: The Airflow connection.
    """

    def __init__(self, agentruns_conn_id: str) -> None:
        self.conn_id = agentruns_conn_id
        self._line = Line(agentruns_conn_id)
        self._streams = Streams(self._line, self._hinted)
        self._plan = Plan(20.0, time.monotonic())
        self._changed = asyncio.Event()
        self._steps: set[asyncio.Task[None]] = set()
        self._refusals = 0
        # Whether a page, and whether the connection that was read anew for it, has been refused since the last answer.
        self._page_refused = False
        self._read_anew = False
        self._told_overdue = False
        #: How many wait for a status; for who counts them.
        self.waits = 0
        # With no context of its own: what it logs belongs to none of the tasks that wait.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._done, context=contextvars.Context())

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

    def renew(self, run: Followed) -> None:
        """Go by another interval of one who waits for it."""
        self._plan.renew(run)
        self._changed.set()

    def look_alone(self, run: Followed) -> None:
        """Have a run itself looked at soon, since what the listing shows of it is not enough."""
        if not run.busy:
            self._plan.look_alone(run, time.monotonic())
            self._changed.set()

    @property
    def page_size(self) -> int:
        """How many runs a page is asked for. Where that changes, pages are numbered anew."""
        return self._plan.page_size

    async def read_page(self, number: int, take: Callable[[ListedPage, float], None]) -> None:
        """
        Have a page of the listing read when it is its turn. All who wait for the runs on it are served, too.

        :param take: Is given the page, and told when it was asked for; before those who wait are. Who is waited for
            from then on has been seen.
        :raises AgentRunsError: If it does not come.
        """
        if self._task.done():
            raise RuntimeError("the watch over agent runs has failed")
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def came(page: ListedPage, asked: float) -> None:
            if not taken.done():
                try:
                    take(page, asked)
                except Exception as e:  # noqa: BLE001 -- it is who wanted the page that has failed, and nobody else
                    taken.set_exception(e)
                else:
                    taken.set_result(None)

        def failed(error: BaseException) -> None:
            if not taken.done():
                taken.set_exception(error)

        errand = Errand(number, time.monotonic(), came, failed)
        self._plan.want(errand)
        self._changed.set()
        try:
            await taken
        finally:
            self._plan.want_no_more(errand)

    @property
    def failed(self) -> bool:
        """Whether it has come to an end by a fault of its own, and nobody can wait by it any more."""
        return self._task.done()

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
            if step.errand:
                step.errand.failed(e)
            await self._tell_all(e)
            return
        now = time.monotonic()
        self._answered()
        if step.errand:
            step.errand.came(page, asked)
        for run, listed in self._plan.page_came(step, page, asked, now):
            self._saw(run, listed, asked, now, whole=_is_whole(listed))

    async def _read_run(self, step: ReadRun) -> None:
        run, asked = step.run, time.monotonic()
        try:
            if run.observed:
                listed = await self._line.ask(requests.get_run_state(run.run_id), urgent=step.urgent)
            else:
                status = await self._line.ask(requests.get_run_status(run.run_id), urgent=step.urgent)
                listed = ListedRun(id=run.run_id, status=status)
        except AgentRunsError as e:
            self._run_failed(run, e, asked)
            return
        self._answered()
        self._plan.run_came(run)
        self._saw(run, listed, asked, time.monotonic(), whole=True)

    def _answered(self) -> None:
        self._refusals = 0
        self._page_refused = self._read_anew = False

    def _hinted(self, run: Followed) -> None:
        self._plan.hint(run, time.monotonic())
        self._changed.set()

    # What came of it

    def _saw(self, run: Followed, listed: ListedRun, asked: float, now: float, *, whole: bool) -> None:
        """Tell those whose wait is over; where the listing has left it open, have the run itself looked at."""
        status = RunStatus(listed["status"])
        if not self._plan.seen(run, status, asked, now):
            return
        for waiter in list(run.waiters):
            if waiter.joined > asked:
                continue
            waiter.refused = False
            if waiter.observe is not None:
                waiter.observe(listed, asked, whole)
            elif status.finished or status in waiter.wait_for:
                if not whole:
                    self._plan.look_alone(run, now)
                    return
                self._tell(run, waiter, {"status": _say(run, waiter, status)})
            elif waiter.end is not None and waiter.end <= asked:
                self._tell(run, waiter, timed_out(run))
            else:
                _say(run, waiter, status)

    def _tell(self, run: Followed, waiter: Waiter, verdict: Verdict) -> None:
        self._plan.leave(run, waiter)
        waiter.settle(verdict)

    def _page_failed(self, step: ReadPage, error: AgentRunsError, asked: float) -> None:
        now = time.monotonic()
        status = error.status_code if isinstance(error, AgentRunsAPIError) else None
        refused = status is not None and status < 500 and status != 429
        if isinstance(error, AgentRunsAuthError) and (not self._page_refused or asked <= self._line.opened_at):
            # Once more, with what the connection says now.
            self._page_refused = True
            self._read_anew = self._line.reopen(asked) or self._read_anew
            refused = False
        elif not refused:
            self._plan.trouble(_interval(step.expected), asked, now)
        # An answer that breaks off or takes too long may be too much, too.
        too_large = status in (None, 400, 413, 422)
        if step.number > 1 and (status == 404 or (status in (400, 422) and step.scan and step.scan.seeks_last)):
            # There is no such page, which says nothing of the listing.
            self._plan.page_came(step, ListedPage(), asked, now)
            return
        log.warning("Cannot read page %d of the agent runs, and go on trying: %s", step.number, error)
        self._plan.page_failed(step, asked, now, refused=refused, too_large=too_large)
        for run in step.expected:
            self._end_those_in_time(run, asked, error)

    def _run_failed(self, run: Followed, error: AgentRunsError, asked: float) -> None:
        now = time.monotonic()
        if isinstance(error, AgentRunsAuthError):
            self._run_refused(run, error, asked)
            return
        if isinstance(error, AgentRunsConnectionError) or error.retryable:
            self._plan.trouble(run.interval, asked, now)
        awaited = False
        for waiter in list(run.waiters):
            may_appear = isinstance(error, AgentRunNotFoundError) and now < (waiter.missing_until or 0.0)
            awaited = awaited or may_appear
            if not (error.retryable or may_appear):
                self._tell(run, waiter, _failed(error))
            else:
                waiter.tell(logging.WARNING, _TRYING, run.run_id, error)
        self._end_those_in_time(run, asked, error)
        self._plan.run_failed(run, now, awaited=awaited)

    def _run_refused(self, run: Followed, error: AgentRunsAuthError, asked: float) -> None:
        again = [waiter for waiter in run.waiters if not waiter.refused]
        for waiter in list(run.waiters):
            if waiter.refused:
                self._tell(run, waiter, _failed(error))
        for waiter in again:
            waiter.refused = True
        if error.status_code == 401 and self._read_anew and asked > self._line.opened_at:
            self._refusals += 1
            if self._refusals >= _REFUSED_FOR_ALL:
                self._fail_all(error)
        if not self._read_anew and self._line.reopen(asked):
            self._read_anew = True
        self._plan.look_again(run, time.monotonic(), at_once=True)

    def _end_those_in_time(self, run: Followed, asked: float, error: AgentRunsError) -> None:
        for waiter in list(run.waiters):
            if waiter.end is not None and waiter.end <= asked:
                self._tell(run, waiter, timed_out(run, error))

    def _fail_all(self, error: BaseException) -> None:
        if not isinstance(error, AgentRunsError):
            log.error("The watch over agent runs of connection %r failed", self._line.conn_id, exc_info=error)
        self._plan.fail_errands(error)
        for run in list(self._plan.runs.values()):
            for waiter in list(run.waiters):
                self._tell(run, waiter, _failed(error))

    async def _tell_all(self, error: AgentRunsError) -> None:
        """Say in the log of each that waits why nothing comes; once, until it has been looked at again."""
        for number, run in enumerate(list(self._plan.runs.values())):
            if not (run.failures or run.told):
                run.told = True
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


def _say(run: Followed, waiter: Waiter, status: RunStatus) -> str:
    """Log the status of a run, unless the waiter knows it, and return it."""
    if status != waiter.seen:
        log_status(waiter.tell, run.run_id, status, waiter.seen)
        waiter.seen = str(status)
    return str(status)


def _is_whole(listed: ListedRun) -> bool:
    """Whether the listing shows what a run in its status has, so that it need not be asked itself."""
    status = listed["status"]
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

# SPDX-License-Identifier: Apache-2.0
"""
Decides what to read next: one run, or a page of the listing. Free of I/O; the caller supplies the time.

Every run must be polled before its interval is over. As soon as one is due, a round reads the listing from its newest
end until it has shown all runs that are due, or its pages show too few of them. Runs that no page has shown are read
individually. If there are only a few runs, each is read individually.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_agentruns.client.partial_models import ListedPage
from airflow_provider_agentruns.client.retries import backoff
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.polling.due_queue import DueQueue
from airflow_provider_agentruns.polling.listing_round import ListingRound
from airflow_provider_agentruns.polling.request_rate import RequestRate
from airflow_provider_agentruns.polling.tracked_run import TrackedRun, Waiter

#: At most this many runs are read individually rather than from the listing.
_FEW = 3

#: A round includes runs that become due within this fraction of the interval.
_EARLY = 0.3

#: Runs are read individually if the page that may show them takes this many seconds; or this many, if the wait ends.
_PAGE_PATIENCE = 10.0
_END_PATIENCE = 2.0

#: A run that the listing did not show is read individually for this many seconds, before another round looks for it.
_UNLISTED_FOR = 30.0

#: Seconds without the listing after it failed twice, and after it was rejected.
_WITHOUT_FAILED_LISTING = 1.0
_WITHOUT_REJECTED_LISTING = 15.0

#: The longest time in seconds without the listing, for one run or for all, and with smaller pages.
_LONGEST_EXCEPTION = 600.0

#: The longest pause after a read of a run has failed, in seconds.
_LONGEST_PAUSE = 60.0

#: Each of a few runs is polled after this fraction of the time since its last change, and this many seconds at least.
_QUICK_FRACTION = 0.25
_QUICKEST = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ReadRun:
    """Read one run; urgently if a stream event asks for it."""

    run: TrackedRun
    urgent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """Read one page of the listing."""

    number: int
    size: int
    round: ListingRound


Step = ReadRun | ReadPage


class PollScheduler:
    """The tracked runs, and which step comes next."""

    def __init__(self, rate_limit: float, now: float) -> None:
        self.rate = RequestRate(rate_limit, now)
        self.runs: dict[str, TrackedRun] = {}
        self._queue = DueQueue()
        self._woken: deque[TrackedRun] = deque()
        self._round: ListingRound | None = None
        self._last_round: ListingRound | None = None
        self._page_failures = 0
        self._no_listing_until = now
        self._smaller_pages_until = math.inf

    def add(self, run_id: str, waiter: Waiter) -> TrackedRun:
        """Track a run for one more waiter."""
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = TrackedRun(run_id, waiter.joined)
        run.add(waiter)
        run.preferred_poll_at = waiter.joined
        due_at = min(waiter.joined + waiter.interval, max(waiter.joined, waiter.end))
        if not run.busy and due_at < run.next_poll_at:
            self._queue.schedule(run, due_at)
        return run

    def remove(self, run: TrackedRun, waiter: Waiter) -> None:
        """Stop tracking a run for a waiter."""
        run.remove(waiter)
        if not run.waiters and self.runs.get(run.run_id) is run:
            del self.runs[run.run_id]
            if self._round is not None:
                self._round.wanted.pop(run.run_id, None)

    def wake(self, run: TrackedRun, now: float) -> None:
        """Read a run now, because a stream event says that it has changed."""
        if not run.woken:
            run.woken = True
            run.changed_at = now
            self._woken.append(run)

    # Which step is next

    def next(self, now: float) -> Step | float:
        """Return the next step, or the time until which there is none."""
        urgent_at = self.rate.next_urgent_at if self._woken else math.inf
        step = self._next_woken() if urgent_at <= now else None
        if step is None:
            if self.rate.next_at > now:
                return min(self.rate.next_at, urgent_at) if urgent_at > now else self.rate.next_at
            step = self._next_of_few(now) if len(self.runs) <= _FEW else self._next_of_many(now)
        if step is None:
            return self.next_poll_at()
        self.rate.request_sent(now)
        if isinstance(step, ReadRun):
            step.run.busy = True
        else:
            step.round.requested_at = now
        return step

    def next_poll_at(self) -> float:
        """Return when the next run is due."""
        if len(self.runs) > _FEW:
            first = self._queue.first()
            return min(first.next_poll_at if first else math.inf, self._page_timeout)
        return min((_preferred_poll_at(run) for run in self.runs.values() if not run.busy), default=math.inf)

    def _next_woken(self) -> Step | None:
        for _ in range(len(self._woken)):
            run = self._woken.popleft()
            if run.busy:
                # The read in progress may have been requested before the change.
                self._woken.append(run)
                continue
            run.woken = False
            if run.waiters:
                return ReadRun(run, urgent=True)
        return None

    def _next_of_few(self, now: float) -> Step | None:
        if self._round is not None:
            self._end_round(self._round, now, unlisted=False)
        run = min((run for run in self.runs.values() if not run.busy), key=_preferred_poll_at, default=None)
        return ReadRun(run) if run is not None and _preferred_poll_at(run) <= now else None

    def _next_of_many(self, now: float) -> Step | None:
        if self._round is not None and now >= self._page_timeout:
            self._end_round(self._round, now, unlisted=True)
        while (run := self._queue.first()) is not None and run.next_poll_at <= now:
            current = self._round
            if current is not None and current.requested_at is None and current.due_at <= run.next_poll_at:
                break
            single = now < run.single_until or now < self._no_listing_until
            if current is None and not single and self._begin_round(run, now):
                continue
            if current is None or single or run.end <= now:
                self.rate.adjust(run, now)
                return ReadRun(run)
            self._queue.pop()
            if current.can_find(run):
                current.wanted[run.run_id] = run
            else:
                current.late.append(run)
            self._schedule_ends([run], now)
        if self._round is None or self._round.requested_at is not None or self._round.walk.page is None:
            return None
        return ReadPage(self._round.walk.page, self._round.walk.page_size, self._round)

    @property
    def _page_timeout(self) -> float:
        """When to give up the round, because its page does not arrive."""
        if self._round is None or self._round.requested_at is None:
            return math.inf
        return self._round.requested_at + _PAGE_PATIENCE

    def _begin_round(self, first: TrackedRun, now: float) -> bool:
        """Begin a round, unless it would be for a few runs only."""
        if now >= self._smaller_pages_until:
            # What made the pages too large may have passed.
            self._last_round, self._smaller_pages_until = None, math.inf
        current = ListingRound(now, first, self._last_round)
        self._add_due(current, now)
        if len(current.wanted) <= _FEW:
            for run in current.wanted.values():
                self._queue.schedule(run, run.next_poll_at)
            return False
        self.rate.adjust(first, now)
        self._round = self._last_round = current
        self._schedule_ends(current.wanted.values(), now)
        return True

    def _add_due(self, current: ListingRound, now: float) -> None:
        """Let a round find the runs that are due soon, unless they are on pages that it has read."""
        for run in self._queue.pop_due(now + _EARLY * current.interval):
            if now >= run.single_until and (now == current.began_at or current.can_find(run)):
                current.wanted[run.run_id] = run
            else:
                self._queue.schedule(run, run.next_poll_at)

    def _end_round(self, current: ListingRound, now: float, *, unlisted: bool) -> None:
        """End the round. Runs that it has not found are ``unlisted``, or wait for another round."""
        self._round = None
        for run in current.wanted.values():
            if unlisted:
                run.unlisted_for = min(_LONGEST_EXCEPTION, max(_UNLISTED_FOR, 2 * run.unlisted_for))
                run.single_until = now + run.unlisted_for
        for run in (*current.wanted.values(), *current.late):
            if run.waiters and not run.busy:
                self._queue.schedule(run, now)

    def _schedule_ends(self, runs: Iterable[TrackedRun], now: float) -> None:
        """Schedule runs that a round will find for the end of their waits, in case that comes first."""
        for run in runs:
            if run.end < math.inf:
                self._queue.schedule(run, max(now + _END_PATIENCE, run.end))

    # What was read

    def page_read(self, step: ReadPage, page: ListedPage | None, now: float) -> list[tuple[TrackedRun, RunStatus]]:
        """Take in a page, None for no such page. Pass each of the returned runs to :meth:`run_read`."""
        self._page_failures = 0
        self.rate.succeeded()
        shown = []
        for listed in page.data if page else ():
            if (run := self.runs.get(listed["id"])) is not None:
                run.single_until, run.unlisted_for = -math.inf, 0.0
                shown.append((run, RunStatus(listed["status"])))
        step.round.requested_at = None
        if step.round is self._round:
            step.round.page_read(page)
            if not step.round.wanted:
                # Runs that have become due meanwhile and are on later pages save another reading from the top.
                self._add_due(step.round, now)
                self._schedule_ends(step.round.wanted.values(), now)
            if step.round.over:
                self._end_round(step.round, now, unlisted=True)
        return shown

    def run_read(self, run: TrackedRun, status: RunStatus, requested_at: float, now: float) -> bool:
        """Take in a run's status, and schedule the next poll. False if a later request has been answered already."""
        news = requested_at >= run.last_request_at
        if news:
            if run.status is not None and status != run.status:
                run.changed_at = now
            run.last_request_at, run.status = requested_at, status
            run.failures, run.warned, run.token_rejected = 0, False, False
        run.preferred_poll_at = run.last_request_at + max(_QUICKEST, _QUICK_FRACTION * (now - run.changed_at))
        self._schedule(run, run.last_request_at + run.interval, now)
        return news

    def single_read(self, run: TrackedRun) -> None:
        """Note that a run was read individually. Call :meth:`run_read` next."""
        run.busy = False
        self.rate.succeeded()

    # What failed

    def run_failed(self, run: TrackedRun, now: float, *, after: float | None = None) -> None:
        """Schedule another read, ``after`` some seconds or a pause that grows with each failure in a row."""
        run.busy = False
        if after is None:
            run.failures += 1
            after = backoff(run.failures, run.interval, _LONGEST_PAUSE)
        self._schedule(run, now + after, now)
        run.preferred_poll_at = run.next_poll_at

    def page_failed(self, step: ReadPage, now: float, *, rejected: bool, too_large: bool) -> None:
        """
        Give up the round, and do without the listing for a while if it fails again and again.

        :param rejected: Whether the service rejects the request itself.
        :param too_large: Whether the size of the page may be the reason.
        """
        if step.round is self._round:
            self._end_round(step.round, now, unlisted=False)
        self._page_failures += 1
        again = self._page_failures > 1
        # Not if all requests fail, single reads too.
        if too_large and (rejected or (again and self.rate.failures <= 1)) and step.round.walk.shrink():
            self._smaller_pages_until = now + _LONGEST_EXCEPTION
            if rejected:
                return
        if rejected or again:
            first = _WITHOUT_REJECTED_LISTING if rejected else _WITHOUT_FAILED_LISTING
            self._no_listing_until = now + backoff(self._page_failures, first, _LONGEST_EXCEPTION)

    def _schedule(self, run: TrackedRun, at: float, now: float) -> None:
        if not run.busy:
            self._queue.schedule(run, min(at, max(now, run.end)))


def _preferred_poll_at(run: TrackedRun) -> float:
    """Return when to poll one of a few runs, which may be soon if it has just started or changed."""
    return min(run.preferred_poll_at, run.next_poll_at)

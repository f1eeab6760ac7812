# SPDX-License-Identifier: Apache-2.0
"""
Decides what to read next: one run, or a page of the listing. No I/O; the caller supplies the time.

If more than a few runs are due, a round reads pages of the listing, which ``client.listing_walk`` selects. It ends when
the pages have shown all these runs, or show too few of them. Runs that no page has shown are read individually.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import attrgetter

from airflow_provider_agentruns.client.listing_walk import ListingWalk, Order
from airflow_provider_agentruns.client.responses import ListedPage
from airflow_provider_agentruns.client.retries import LONGEST_PAUSE, backoff
from airflow_provider_agentruns.models import RunStatus
from airflow_provider_agentruns.polling.tracked_run import TrackedRun, Waiter

#: At most this many runs are read individually rather than from the listing.
_FEW = 3
#: A round includes runs that become due within this fraction of their interval.
_EARLY = 0.3

#: A page is useful if it shows this many of the wanted runs. A round ends after this many pages in a row that are not
#: useful, or after this fraction of the number of wanted runs if that is more.
_WORTH_A_PAGE = 2
_WASTED_PAGES = 3
_WASTED_FRACTION = 0.2

#: Runs are read individually if the page that may show them takes this many seconds, or this many if their wait ends.
_PAGE_PATIENCE = 10.0
_END_PATIENCE = 2.0

#: A run that the listing did not show is read individually for this many seconds.
_UNLISTED_FOR = 60.0
#: Seconds without the listing after it has failed twice, and after it was rejected.
_WITHOUT_FAILED_LISTING = 1.0
_WITHOUT_REJECTED_LISTING = 15.0
#: The longest time in seconds without the listing, and with smaller pages.
_LONGEST_EXCEPTION = 600.0

#: A few runs are polled after this fraction of the time since their last change, but at least this many seconds.
_QUICK_FRACTION = 0.25
_QUICKEST = 0.5

#: The usual share of the rate limit, and the share if a poll is late by this fraction of its interval. Workers use the
#: rest.
_USUAL_SHARE = 0.45
_LARGEST_SHARE = 0.8
_LATE = 0.5

#: After this many failures in a row, all requests pause.
_FAILURES_UNTIL_PAUSE = 3
#: Statuses that may mean that a page is too large. None: the response was cut off, or took too long.
_TOO_LARGE = (None, 400, 413, 422)


class RequestRate:
    """Limits a poller to a share of the rate limit, and pauses it during an outage."""

    def __init__(self, now: float) -> None:
        #: Requests per second; changes if the connection is edited.
        self.limit = 20.0
        #: How many requests in a row have failed.
        self.failures = 0
        self.sent_at = -math.inf
        self._paused_until = now
        self._failed_at = now

    def next_request_at(self, *, urgent: bool) -> float:
        share = _LARGEST_SHARE if urgent else _USUAL_SHARE
        return max(self.sent_at + 1.0 / (self.limit * share), self._paused_until)

    def failed(self, interval: float, requested_at: float, now: float) -> None:
        if requested_at < self._failed_at:
            # A request that was already in progress at the last failure does not count as another failure.
            return
        self._failed_at = now
        self.failures += 1
        if self.failures >= _FAILURES_UNTIL_PAUSE:
            pause = backoff(self.failures - _FAILURES_UNTIL_PAUSE + 1, interval, LONGEST_PAUSE)
            self._paused_until = max(self._paused_until, now + pause)


class ListingRound:
    """One reading of the listing, which begins with the order and page size that the previous round found."""

    def __init__(self, now: float, first: TrackedRun, previous: ListingRound | None) -> None:
        self.began_at = now
        self.next_poll_at = first.next_poll_at
        self.interval = first.interval
        self.wanted: dict[str, TrackedRun] = {}
        #: Runs that became due after it began, and may be on pages that it has read already.
        self.late: list[TrackedRun] = []
        self.walk: ListingWalk = ListingWalk(previous=previous.walk if previous else None)
        #: When the page in progress was requested; infinite if there is none.
        self.requested_at = math.inf
        self._wasted = 0

    def can_find(self, run: TrackedRun) -> bool:
        """Return whether the listing has shown a run before this round, but not during it."""
        return -math.inf < run.last_request_at < self.began_at

    def page_read(self, page: ListedPage | None) -> None:
        shown = page.data if page else ()
        found = sum(self.wanted.pop(listed["id"], None) is not None for listed in shown)
        self.requested_at = math.inf
        self.walk.advance(page)
        looking_for_last_page = self.walk.order is Order.OLDEST_FIRST and self.walk.last_page is None
        if found >= _WORTH_A_PAGE:
            self._wasted = 0
        elif page is not None and not looking_for_last_page:
            self._wasted += 1

    @property
    def over(self) -> bool:
        """Whether no further page is worth its request."""
        most_wasted = max(_WASTED_PAGES, _WASTED_FRACTION * len(self.wanted))
        return not self.wanted or self.walk.page is None or self._wasted >= most_wasted


Step = TrackedRun | ListingRound


class PollScheduler:
    """The tracked runs, and which request comes next."""

    def __init__(self, now: float) -> None:
        self.rate = RequestRate(now)
        self.runs: dict[str, TrackedRun] = {}
        #: Whether a run was polled so late that its waiters notice, although the service responds.
        self.overdue = False
        self._urgent = False
        self._round: ListingRound | None = None
        self._last_round: ListingRound | None = None
        self._page_failures = 0
        self._no_listing_until = now
        self._smaller_pages_until = math.inf

    def add(self, run_id: str, waiter: Waiter) -> TrackedRun:
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = TrackedRun(run_id, waiter.joined)
            if len(self.runs) == _FEW + 1:
                # From now on, pages of the listing show them all.
                for other in self.runs.values():
                    self._schedule(other, other.preferred_poll_at, waiter.joined)
        run.add(waiter)
        within = 0.0 if len(self.runs) <= _FEW else run.interval
        self._schedule(run, min(run.next_poll_at, waiter.joined + within), waiter.joined)
        return run

    def remove(self, run: TrackedRun, waiter: Waiter) -> None:
        run.remove(waiter)
        if not run.waiters:
            del self.runs[run.run_id]
            if self._round is not None:
                self._round.wanted.pop(run.run_id, None)

    def wake(self, run: TrackedRun, now: float) -> None:
        """Read a run next, because a stream event says that it has changed."""
        run.woken = True
        run.changed_at = now
        self._urgent = True
        self._schedule(run, now, now)

    def next(self, now: float) -> Step | float:
        """Return the run or the round to send a request for, or the time until which there is none."""
        if (soonest := self.rate.next_request_at(urgent=self._urgent)) > now:
            return soonest
        due: list[Step] = [*self._individual(now)]
        if self._round is not None and self._round.requested_at == math.inf:
            due.insert(0, self._round)
        if not due:
            page_timeout = self._round.requested_at + _PAGE_PATIENCE if self._round is not None else math.inf
            return min(min(map(_next_poll_at, self.runs.values()), default=math.inf), page_timeout)
        first = min(due, key=_next_poll_at)
        self._urgent = now - first.next_poll_at > _LATE * first.interval
        if (soonest := self.rate.next_request_at(urgent=self._urgent)) > now:
            return soonest
        self.rate.sent_at = now
        if isinstance(first, TrackedRun):
            first.busy, first.next_poll_at = True, math.inf
        else:
            first.requested_at = now
        return first

    def lag(self, now: float) -> float:
        return max(0.0, now - min((run.preferred_poll_at for run in self.runs.values()), default=now))

    def _individual(self, now: float) -> list[TrackedRun]:
        current = self._round
        if current is not None:
            if not current.wanted:
                # If later pages show runs that are due soon, no other round must read the first pages again.
                below = [run for run in self._for_listing(self._due_soon(now), now) if current.can_find(run)]
                self._add_to_round(current, below, now)
            if current.over or now >= current.requested_at + _PAGE_PATIENCE:
                self._end_round(current, now, unlisted=True)
        due = [run for run in self.runs.values() if run.next_poll_at <= now]
        listed = self._for_listing(due, now)
        if self._round is not None:
            self._add_to_round(self._round, listed, now)
        elif listed:
            self._begin_round(now)
        return [run for run in due if run.next_poll_at <= now]

    def _for_listing(self, runs: list[TrackedRun], now: float) -> list[TrackedRun]:
        if now < self._no_listing_until:
            return []
        ending = self._round is not None
        return [run for run in runs if not (run.woken or now < run.single_until or (ending and run.end <= now))]

    def _due_soon(self, now: float) -> list[TrackedRun]:
        return [run for run in self.runs.values() if run.next_poll_at - _EARLY * run.interval <= now]

    def _begin_round(self, now: float) -> None:
        if now >= self._smaller_pages_until:
            # Request full pages again: the reason for smaller pages may have passed.
            self._last_round, self._smaller_pages_until = None, math.inf
        wanted = self._for_listing(self._due_soon(now), now)
        if len(wanted) > _FEW:
            self._round = ListingRound(now, min(wanted, key=_next_poll_at), self._last_round)
            self._last_round = self._round
            self._add_to_round(self._round, wanted, now)

    def _add_to_round(self, current: ListingRound, runs: Iterable[TrackedRun], now: float) -> None:
        for run in runs:
            if now == current.began_at or current.can_find(run):
                current.wanted[run.run_id] = run
            else:
                current.late.append(run)
            # If its wait ends before the round has found it, it is read individually.
            run.next_poll_at = max(now + _END_PATIENCE, run.end)

    def _end_round(self, current: ListingRound, now: float, *, unlisted: bool) -> None:
        """End the round. Runs that it has not found are ``unlisted``, or wait for another round."""
        self._round = None
        if unlisted:
            for run in current.wanted.values():
                run.single_until = now + _UNLISTED_FOR
        for run in (*current.wanted.values(), *current.late):
            self._schedule(run, run.preferred_poll_at, now)

    def page_read(self, current: ListingRound, page: ListedPage | None) -> list[tuple[TrackedRun, RunStatus]]:
        """Process a page; None for no such page. The caller passes each returned run to :meth:`run_read`."""
        self._page_failures = 0
        current.page_read(page)
        shown = []
        for listed in page.data if page else ():
            if (run := self.runs.get(listed["id"])) is not None:
                run.single_until = -math.inf
                shown.append((run, RunStatus(listed["status"])))
        return shown

    def run_read(self, run: TrackedRun, status: RunStatus, requested_at: float, now: float) -> bool:
        """Process a status, and schedule the next poll. Return False if the response to a later request came first."""
        news = requested_at >= run.last_request_at
        if news:
            if status != run.status and run.status is not None:
                run.changed_at = now
            if requested_at - run.preferred_poll_at > run.interval and not (run.warned or run.opening):
                self.overdue = True
            run.last_request_at, run.status = requested_at, status
            run.failures, run.warned = 0, False
        within = run.interval
        if len(self.runs) <= _FEW:
            within = min(within, max(_QUICKEST, _QUICK_FRACTION * (now - run.changed_at)))
        self._schedule(run, run.last_request_at + within, now)
        return news

    def succeeded(self, now: float) -> None:
        """Reset the count of failures. After an outage, read the listing again at once."""
        if self.rate.failures >= _FAILURES_UNTIL_PAUSE:
            self._no_listing_until, self._page_failures = now, 0
        self.rate.failures = 0

    def run_failed(self, run: TrackedRun, now: float) -> None:
        run.failures += 1
        run.warned = True
        self._schedule(run, now + backoff(run.failures, run.interval, LONGEST_PAUSE), now)

    def page_failed(self, current: ListingRound, status: int | None, now: float) -> None:
        """End the round. If the listing fails repeatedly, do not read it for a while."""
        if current is self._round:
            self._end_round(current, now, unlisted=False)
        self._page_failures += 1
        again = self._page_failures > 1
        rejected = status is not None and status < 500 and status not in (401, 403, 429)
        # The size is not the reason if individual reads fail as well.
        too_large = status in _TOO_LARGE and (rejected or (again and self.rate.failures <= 1))
        if too_large and current.walk.shrink():
            self._smaller_pages_until = now + _LONGEST_EXCEPTION
            if rejected:
                return
        if rejected or again:
            first = _WITHOUT_REJECTED_LISTING if rejected else _WITHOUT_FAILED_LISTING
            self._no_listing_until = now + backoff(self._page_failures, first, _LONGEST_EXCEPTION)

    def _schedule(self, run: TrackedRun, at: float, now: float) -> None:
        if not run.busy:
            run.next_poll_at = -math.inf if run.woken else min(at, max(now, run.end))


_next_poll_at = attrgetter("next_poll_at")

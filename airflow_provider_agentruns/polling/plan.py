# SPDX-License-Identifier: Apache-2.0
"""
What a watch does next, and what it makes of what has come. Free of I/O: whoever drives it tells the time.

Each run has to be looked at before its waiters' interval is over. Whose turn is first decides: where that run is
known to be on a page of the listing with others, the page is read, which serves all of them. Otherwise it is
asked for singly. Runs that have not been seen in the listing yet are looked for there together.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airflow_provider_agentruns.models import ListedPage, ListedRun, RunStatus
from airflow_provider_agentruns.polling.agenda import Agenda
from airflow_provider_agentruns.polling.followed import Followed, Waiter
from airflow_provider_agentruns.polling.pace import Pace, quick_interval
from airflow_provider_agentruns.polling.places import Places
from airflow_provider_agentruns.polling.scan import Scan, order_of

#: So many runs are asked for singly, wherever they are.
_FEW = 3

#: So many on a page are worth reading it.
_WORTH_A_PAGE = 2

#: How many seconds a wait whose time is up goes without its last look, for a page that may show the run.
_PATIENCE_AT_END = 2.0

#: How often in a row a run may be somewhere else than expected.
_MOST_MISSES = 3

#: How long runs that the listing did not show are asked for singly before they are looked for again, in seconds; and
#: how long at most, where they were not found the last time either.
_UNLISTED_FOR = 30.0
_LONGEST_UNLISTED_FOR = 600.0

_LONGEST_PAUSE = 60.0

#: How long it is done without the listing at first, in seconds: where it fails, and where it is refused.
_FIRST_WITHOUT_LISTING = 1.0
_FIRST_WHERE_REFUSED = 15.0
_LONGEST_WITHOUT_LISTING = 600.0


@dataclass(frozen=True, slots=True)
class ReadRun:
    """
    Read one run.

    :param urgent: Whether latency counts.
    """

    run: Followed
    urgent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """
    A page that somebody wants for other reasons than the runs that are followed.

    :param since: Since when.
    :param came: Is given the page, and told when it was asked for; before those who wait for the runs on it are.
    :param failed: Is told why it did not come.
    """

    number: int
    since: float
    came: Callable[[ListedPage, float], None]
    failed: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class ReadPage:
    """
    Read one page of the listing.

    :param size: How many runs to ask for.
    :param expected: The runs that should be on it.
    :param scan: Whose next page it is, if any's.
    :param errand: For whom else it is read.
    """

    number: int
    size: int
    expected: list[Followed] = field(repr=False)
    scan: Scan | None = None
    errand: Errand | None = None


Step = ReadRun | ReadPage


class Plan:
    """
    The runs that are followed, and which step is next.

    :param limit: The connection's requests per second.
    """

    def __init__(self, limit: float, now: float) -> None:
        self.pace = Pace(limit, now)
        self.runs: dict[str, Followed] = {}
        self._places = Places()
        self._due = Agenda(lambda run: run.due)
        self._wishes = Agenda(lambda run: run.wish)
        self._hints: deque[Followed] = deque()
        self._errands: deque[Errand] = deque()
        self._unplaced: dict[str, Followed] = {}
        self._scan: Scan | None = None
        self._scan_asked = now
        self._unlisted_for = _UNLISTED_FOR
        self._look_for_unlisted_at = math.inf
        self._paused_until = now
        self._troubles = 0
        self._trouble_at = now
        self._page_failure_at = now
        self._no_listing_until = now
        self._page_failures = 0
        #: Whether some looks come later than wanted, although all is done that the limit allows.
        self.overdue = False

    def join(self, run_id: str, waiter: Waiter) -> Followed:
        """Follow a run for one more waiter."""
        run = self.runs.get(run_id)
        if run is None:
            run = self.runs[run_id] = self._unplaced[run_id] = Followed(run_id, waiter.joined)
            run.due = math.inf
        run.add(waiter)
        due = (
            waiter.joined + waiter.interval if waiter.end is None else min(waiter.joined + waiter.interval, waiter.end)
        )
        wish = waiter.joined if run.quick else math.inf
        self._schedule(run, due=min(run.due, max(due, waiter.joined)), wish=wish)
        return run

    def leave(self, run: Followed, waiter: Waiter) -> None:
        """Follow a run for one waiter less."""
        if waiter in run.waiters:
            run.remove(waiter)
        if not run.waiters and self.runs.get(run.run_id) is run:
            del self.runs[run.run_id]
            self._unplaced.pop(run.run_id, None)
            self._places.forget(run)

    def hint(self, run: Followed, now: float) -> None:
        """Have a run looked at now, since something says that it has changed."""
        if not run.hinted:
            run.hinted = True
            # Should it show only a moment later, it is looked at soon again.
            run.since = now
            self._hints.append(run)

    def renew(self, run: Followed) -> None:
        """Go by another interval of one who waits for it."""
        run.settle_interval()
        if not run.busy and run.asked + run.interval < run.due:
            self._schedule(run, due=run.asked + run.interval, wish=run.wish)

    @property
    def page_size(self) -> int:
        """How many runs a page is asked for. Where that changes, pages are numbered anew."""
        return self._places.asking

    def want(self, errand: Errand) -> None:
        """Have a page read, as soon as it is its turn."""
        self._errands.append(errand)

    def want_no_more(self, errand: Errand) -> None:
        """Do without it after all, if it has not been asked for."""
        with suppress(ValueError):
            self._errands.remove(errand)

    def fail_errands(self, error: BaseException) -> None:
        """Tell all who want a page that none comes."""
        while self._errands:
            self._errands.popleft().failed(error)

    # What is next

    def next(self, now: float) -> Step | float:
        """Return what is to be done now, or until when nothing is."""
        if now >= self._look_for_unlisted_at:
            self._look_for_unlisted()
        hint_at = max(self._paused_until, self.pace.hint_at(now)) if self._hints else math.inf
        if hint_at <= now and (hinted := self._next_hint()) is not None:
            self.pace.hint(now)
            hinted.busy = True
            return ReadRun(hinted, urgent=True)
        # One that is being looked at will be called for when that is over.
        hint_at = hint_at if hint_at > now else math.inf
        if (moment := max(self.pace.free_at, self._paused_until)) > now:
            return min(moment, hint_at)
        while (run := self._due.first()) is not None and run.due <= now:
            if self._scan_comes_first(run.due) or (self._errands and self._errands[0].since < run.due):
                break
            self._due.pop()
            if (step := self._step_for(run, now, due=True)) is not None:
                if not run.failures and now > self._paused_until + run.interval:
                    self.overdue = self.pace.looked(now - run.due, run.interval)
                return self._take(step, now)
        if self._errands:
            return self._take(self._errand_step(self._errands.popleft()), now)
        if self._scan is not None and self._may_scan(self._scan):
            return self._take(self._scan_step(self._scan), now)
        if self.pace.quick_at(now) <= now:
            while (run := self._wishes.first()) is not None and run.wish <= now:
                self._wishes.pop()
                if (step := self._step_for(run, now, due=False)) is not None:
                    return self._take(step, now)
        return min(hint_at, self._due.next_moment(), max(self._wishes.next_moment(), self.pace.quick_at(now)))

    def _next_hint(self) -> Followed | None:
        for _ in range(len(self._hints)):
            run = self._hints.popleft()
            if run.busy:
                # That look may have been asked for before it changed.
                self._hints.append(run)
                continue
            run.hinted = False
            if run.waiters:
                return run
        return None

    def _scan_comes_first(self, due: float) -> bool:
        return self._scan is not None and self._scan.due <= due and self._may_scan(self._scan)

    def _may_scan(self, scan: Scan) -> bool:
        return scan.page <= self._places.deepest and scan.may_read(-(-len(self._unplaced) // (self._places.size or 1)))

    def _step_for(self, run: Followed, now: float, *, due: bool) -> Step | None:
        if len(self.runs) <= _FEW or run.alone or run.unlisted or now < self._no_listing_until:
            return ReadRun(run)
        page = self._places.page_of(run)
        if page is not None and page > self._places.deepest:
            return ReadRun(run)
        if page is not None:
            expected = [other for other in self._places.on_page(page) if not other.busy]
            if len(expected) < _WORTH_A_PAGE:
                return ReadRun(run)
            return ReadPage(page, self._places.asking, expected)
        if len(self._unplaced) <= _FEW:
            return ReadRun(run)
        if not due:
            # Many have just come. They are looked for together when they have to be.
            return None
        if self._scan is None:
            self._scan = Scan(run.due, now)
        end = math.inf if run.next_end is None else run.next_end
        if self._scan.reading and now - self._scan_asked >= (run.interval if end > now else _PATIENCE_AT_END):
            # The page does not come, and this one cannot wait for it.
            return ReadRun(run)
        # It is found by the scan. Should that take too long, its turn comes again.
        self._schedule(run, due=min(now + run.interval, max(now + _PATIENCE_AT_END, end)), wish=math.inf)
        return None

    def _scan_step(self, scan: Scan) -> ReadPage:
        number = scan.read()
        expected = [run for run in self._places.on_page(number) if not run.busy]
        return ReadPage(number, self._places.asking, expected, scan)

    def _errand_step(self, errand: Errand) -> ReadPage:
        expected = [run for run in self._places.on_page(errand.number) if not run.busy]
        return ReadPage(errand.number, self._places.asking, expected, errand=errand)

    def _take(self, step: Step, now: float) -> Step:
        self.pace.send(now)
        for run in (step.run,) if isinstance(step, ReadRun) else step.expected:
            run.busy = True
        if isinstance(step, ReadPage) and step.scan:
            self._scan_asked = now
        return step

    # What has come

    def page_came(self, step: ReadPage, page: ListedPage, asked: float, now: float) -> list[tuple[Followed, ListedRun]]:
        """
        Take note of a page.

        :param asked: When it was asked for.
        :return: What it shows of the runs that are followed.
        """
        self._answered()
        self._page_failures = 0
        self._places.learn_size(step.size, len(page.data) + page.left_out, page.has_more, page.size)
        first = (step.number - 1) * step.size
        shown = [
            (first + index, run, listed)
            for index, listed in enumerate(page.data)
            if (run := self.runs.get(listed["id"])) is not None
        ]
        found = sum(run.place is None for _, run, _ in shown)
        self._places.saw([(index, run) for index, run, _ in shown])
        for _, run, _ in shown:
            run.misses = 0
            run.unlisted = False
            self._unplaced.pop(run.run_id, None)
        seen = {run.run_id for _, run, _ in shown}
        for run in step.expected:
            run.busy = False
            if run.run_id not in seen:
                self._missed(run, step.number, now)
        if step.scan is not None and step.scan is self._scan:
            self._go_on_scanning(step, step.scan, page, found, now)
        return [(run, listed) for _, run, listed in shown]

    def seen(self, run: Followed, status: RunStatus, asked: float, now: float) -> bool:
        """
        Take note of a run's status, and plan the next look.

        :param asked: When the look was asked for.
        :return: Whether that is news, and not older than what was known.
        """
        news = asked >= run.asked
        if news:
            if run.status is not None and status != run.status:
                run.since = now
            run.asked, run.status, run.failures, run.told = asked, status, 0, False
        self.look_again(run, now)
        return news

    def look_again(self, run: Followed, now: float, *, at_once: bool = False, after: float | None = None) -> None:
        """
        Plan the next look at a run.

        :param at_once: Whether it should come now.
        :param after: After how many seconds, where not when its waiters want it.
        """
        run.busy = False
        due = now if at_once or run.alone else run.asked + run.interval
        if after is not None:
            due = now + after
        if (end := run.next_end) is not None:
            due = min(due, max(end, now))
        wish = math.inf
        if run.quick and not at_once and after is None:
            wish = run.asked + quick_interval(now - run.since, run.interval)
        self._schedule(run, due=due, wish=wish)

    def look_alone(self, run: Followed, now: float) -> None:
        """Have a run itself looked at, since what the listing shows of it is not enough."""
        run.alone = True
        self.look_again(run, now, at_once=True)

    def run_came(self, run: Followed) -> None:
        """Take note that the service has answered for a run."""
        run.alone = False
        self._answered()

    # What has not come

    def trouble(self, interval: float, asked: float, now: float) -> None:
        """
        Take note that the service could not be asked: after three times in a row, all wait, ever longer.

        :param asked: When it was asked. Requests that were under way together fail together, which counts once.
        """
        if asked < self._trouble_at:
            return
        self._trouble_at = now
        self._troubles += 1
        if self._troubles >= _FEW:
            pause = min(interval * 2 ** min(self._troubles - _FEW, 10), max(_LONGEST_PAUSE, interval))
            self._paused_until = max(self._paused_until, now + pause)

    def page_failed(self, step: ReadPage, asked: float, now: float, *, refused: bool, too_large: bool) -> None:
        """
        Take note that a page did not come, and plan what it was read for.

        :param asked: When it was asked for. Pages that were under way together fail together, which counts once.
        :param refused: Whether the listing itself is not to be had. Two failures in a row come to the same: then
            runs are asked for singly for a while.
        :param too_large: Whether it may be for the number of runs that were asked for.
        """
        too_deep = refused and too_large and step.number > 1
        if too_deep:
            # The first page is given: it is not for the size. What lies deeper is asked for singly.
            self._places.deepest = min(self._places.deepest, step.number - 1)
        elif asked >= self._page_failure_at:
            self._page_failure_at = now
            self._page_failures += 1
            fewer = too_large and (refused or self._page_failures > 1) and self._places.refused_size()
            if (refused and not fewer) or self._page_failures > 1:
                first = _FIRST_WHERE_REFUSED if refused else _FIRST_WITHOUT_LISTING
                pause = first * 2 ** min(self._page_failures - 1, 10)
                self._no_listing_until = now + (0.0 if fewer and refused else min(pause, _LONGEST_WITHOUT_LISTING))
        for run in step.expected:
            self.look_again(run, now, at_once=True)
        if step.scan is not None and step.scan is self._scan:
            self._end_scan(step.scan, now, unlisted=too_deep)

    def run_failed(self, run: Followed, now: float, *, awaited: bool = False) -> None:
        """
        Take note that a look at a run has failed, and plan a later one.

        :param awaited: Whether it was only not there yet, as may be right after its start.
        """
        if awaited:
            self.look_again(run, now, after=run.interval)
            return
        run.failures += 1
        self.look_again(
            run, now, after=min(run.interval * 2 ** min(run.failures, 10), max(_LONGEST_PAUSE, run.interval))
        )

    def _answered(self) -> None:
        self._troubles = 0

    def _missed(self, run: Followed, page: int, now: float) -> None:
        """Look for a run again that was not on the page where it should have been."""
        run.misses += 1
        if self._places.page_of(run) == page or run.misses >= _MOST_MISSES:
            # So many new ones may have come that all of a page have moved: they are looked for together again.
            self._places.forget(run)
            if self.runs.get(run.run_id) is run:
                self._unplaced[run.run_id] = run
        self.look_again(run, now, at_once=True)

    def _mark_unlisted(self, run: Followed) -> None:
        run.unlisted = True
        del self._unplaced[run.run_id]

    def _look_for_unlisted(self) -> None:
        """Look once more for those that the listing did not show: it may show new runs only some time later."""
        self._look_for_unlisted_at = math.inf
        for run in self.runs.values():
            if run.unlisted:
                run.unlisted = False
                self._unplaced[run.run_id] = run

    def _go_on_scanning(self, step: ReadPage, scan: Scan, page: ListedPage, found: int, now: float) -> None:
        size = self._places.size
        if size is None and page.has_more and step.number == 1 and self._places.asking != step.size:
            # The same page once more, with as many as the service grants.
            scan.read_again(step.number)
            return
        scan.has_read(
            step.number,
            found=found,
            missing=len(self._unplaced),
            order=order_of([_moment(listed.get("created_at")) for listed in page.data]),
            entries=len(page.data),
            has_more=page.has_more,
            pages=-(-page.total_count // size) if page.total_count is not None and size else None,
        )
        exhausted = (scan.over or scan.page > self._places.deepest) and not scan.reading
        if exhausted or not self._unplaced:
            self._end_scan(scan, now, unlisted=True)

    def _end_scan(self, scan: Scan, now: float, *, unlisted: bool) -> None:
        self._scan = None
        if unlisted and self._unplaced:
            self._unlisted_for = _UNLISTED_FOR if scan.found else min(self._unlisted_for * 2, _LONGEST_UNLISTED_FOR)
            self._look_for_unlisted_at = now + self._unlisted_for
        for run in list(self._unplaced.values()):
            # Who came while it ran may be on a page that had been read before.
            if unlisted and run.waiters and run.since <= scan.begun:
                self._mark_unlisted(run)
            if not run.busy:
                self.look_again(run, now)

    def _schedule(self, run: Followed, *, due: float, wish: float) -> None:
        run.due = due
        run.wish = min(wish, due)
        self._due.put(run)
        if run.wish < run.due:
            self._wishes.put(run)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    # One without a time zone could not be compared with others.
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment

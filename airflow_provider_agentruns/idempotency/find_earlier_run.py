# SPDX-License-Identifier: Apache-2.0
"""
Finds the run that a lost ``POST /v1/runs`` started.

A listed run shows its agent and its creation time, but not its subject. The subject follows from the run's own
fields, from its thread, or from the threads of the business. A run that is known to have another subject is never
returned. If several runs could be the one, none is returned.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.paging import NO_SUCH_PAGE, ListingWalk, Order, order_of
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunStartInDoubtError
from airflow_provider_agentruns.idempotency.state import Log, Send, Sleep
from airflow_provider_agentruns.models import AgentRun, RunPage, Thread, ThreadPage
from airflow_provider_agentruns.text import single_line

#: A run that the service has accepted may be missing from the listing for this long, in seconds.
_LISTING_LAG = 8.0

#: Seconds between two reads of the listing.
READ_INTERVAL = 2.0

#: The service's clock is known to this precision: the HTTP Date header has whole seconds.
_CLOCK_MARGIN = pendulum.duration(seconds=5)

#: No account has this many pages of runs. A longer listing has no end.
_MAX_PAGES = 10_000

#: The newest threads, of which one may be the thread of a run that started a moment ago.
_MAX_PAGES_OF_NEWEST_THREADS = 10


@dataclass(frozen=True, slots=True)
class Start:
    """The run that a task wants: the arguments of ``POST /v1/runs``."""

    agent: str
    business_id: str | None = None
    context_type: str | None = None
    context_id: str | None = None
    thread_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of the arguments, to compare them without storing them."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


def find_started(
    start: Start,
    *,
    since: pendulum.DateTime,
    until: pendulum.DateTime,
    margin: pendulum.Duration,
    send: Send,
    log: Log,
    sleep: Sleep,
) -> AgentRun | None:
    """
    Return the run that a request started, or None if it started none.

    Reads the listing repeatedly for some seconds, because the service may still be processing the request.

    :param since: When the request was sent at the earliest, by this machine's clock.
    :param until: When it arrived at the latest.
    :param margin: The possible error of both, if another machine wrote them.
    :raises AgentRunStartInDoubtError: If several runs could be the one.
    """
    begun = pendulum.now("UTC")
    while True:
        # Decided before the read, which can be slow: the last read begins after the lag.
        is_last = (pendulum.now("UTC") - begun).total_seconds() >= _LISTING_LAG
        run = _find(start, _Window(since, until, _CLOCK_MARGIN + margin), is_last, send, log)
        if run or is_last:
            return run
        sleep(READ_INTERVAL)


def _find(start: Start, window: _Window, is_last: bool, send: Send, log: Log) -> AgentRun | None:
    subjects = _Subjects(start, send, log)
    created, is_complete = _created_in(window, send)
    unknown = [run for run in created if run.agent in (None, start.agent)]
    for compare in (subjects.compare, subjects.compare_thread):
        compared = [(run, compare(run)) for run in unknown]
        if same := [run for run, is_same in compared if is_same]:
            # If the same subject was requested repeatedly, the run right after this request.
            return min(same, key=lambda run: window.distance(run.created_at))
        unknown = [run for run, is_same in compared if is_same is None]
    if is_last and not is_complete:
        raise AgentRunStartInDoubtError(
            f"A run of {single_line(start.agent)} may have been started. The service's listing of runs repeats a page "
            f"or has more than {_MAX_PAGES} pages, so the run may be on a page that was not read. Nothing was started"
        )
    if not is_last or not unknown:
        return None
    # For a business, the service usually shows the subject, so that a single run will be the one. For another subject
    # it often does not, and the run of a sibling task is just as likely.
    if len(unknown) > 1 or not subjects.is_business:
        raise AgentRunStartInDoubtError(
            f"A run of {single_line(start.agent)} may have been started, and several runs could be the one: "
            f"{', '.join(single_line(run.id, 50) for run in unknown[:20])}. No other run was started. Wait for the "
            "right one with AgentRunSensor, or clear this task later to search again"
        )
    log.warning(
        "The service does not show the subject of agent run %s. It is the only run of %s that was started at that "
        "time, so this task uses it",
        single_line(unknown[0].id),
        single_line(start.agent),
    )
    return unknown[0]


@dataclass(slots=True)
class _Window:
    """The time in which the run was created, by the service's clock."""

    since: pendulum.DateTime
    until: pendulum.DateTime
    margin: pendulum.Duration

    def set_clock(self, served_at: pendulum.DateTime | None) -> None:
        """Correct the window by the time at which the service sent a response just now."""
        if served_at:
            skew = served_at - pendulum.now("UTC")
            self.since += skew
            self.until += skew

    def contains(self, created: pendulum.DateTime | None) -> bool:
        """Return whether a run with this creation time may be the one."""
        return created is None or self.since - self.margin <= created <= self.until + self.margin

    def begins_after(self, page: RunPage) -> bool:
        """Return whether all runs of a page were created and changed before the window."""
        return all(
            moment is not None and moment < self.since - self.margin
            for run in page.data
            for moment in (run.created_at, run.updated_at or run.created_at)
        )

    def distance(self, created: pendulum.DateTime | None) -> tuple[bool, float]:
        """Return a sort key: the run right after the request comes first, runs from before the request come last."""
        seconds = (created - self.since).total_seconds() if created else 0.0
        return seconds < -_CLOCK_MARGIN.total_seconds(), abs(seconds)


def _created_in(window: _Window, send: Send) -> tuple[list[AgentRun], bool]:
    """Return the runs created in the window, each once, and whether no page is missing."""
    walk = ListingWalk(max_pages=_MAX_PAGES)
    created: dict[str, AgentRun] = {}
    in_order = True
    while walk.page is not None:
        try:
            page: RunPage | None = send(requests.list_runs, page=walk.page, page_size=walk.page_size)
        except AgentRunsAPIError as e:
            # Only the search for the last page may ask for a page that does not exist.
            if e.status_code not in NO_SUCH_PAGE or walk.order is not Order.OLDEST_FIRST or walk.last_page is not None:
                raise
            page = None
        if page and walk.page == 1:
            window.set_clock(page.served_at)
        for run in page.data if page else ():
            if window.contains(run.created_at):
                created.setdefault(run.id, run)
        if page:
            # A listing by last change can show creation times in the opposite order. It is read completely.
            orders = {order_of(run.created_at for run in page.data), order_of(run.updated_at for run in page.data)}
            in_order = in_order and not orders >= {Order.NEWEST_FIRST, Order.OLDEST_FIRST}
        walk.advance(page, stop=page is not None and in_order and window.begins_after(page))
    return [*created.values()], not walk.truncated


class _Subjects:
    """Compares the subjects of runs with the wanted one: True for the same, False for another, None for unknown."""

    def __init__(self, start: Start, send: Send, log: Log) -> None:
        self._thread_id = start.thread_id
        self._send = send
        self._log = log
        self._context_id = start.business_id or start.context_id
        #: Whether the subject is a business, whose threads the service can list.
        self.is_business = bool(start.business_id) or start.context_type == "business"

    def compare(self, run: AgentRun) -> bool | None:
        """Compare by the run's own fields and by the threads of the business."""
        if self._thread_id:
            return None if run.thread_id is None else run.thread_id == self._thread_id
        if (is_same := self._named(run.model_extra)) is not None:
            return is_same
        return run.thread_id in self._threads_of_business[0] or None

    def compare_thread(self, run: AgentRun) -> bool | None:
        """Compare by the run's thread, which costs a request."""
        if run.thread_id is None:
            return None
        try:
            thread: Thread = self._send(requests.get_thread, run.thread_id)
        except AgentRunsAPIError as e:
            if e.retryable:
                raise
            return None
        is_same = self._named({**(thread.model_extra or {}), **(thread.metadata or {})})
        # Without this, a lost start could not be resolved while sibling tasks start runs for other businesses. The
        # thread must be listed among all threads, because a new thread may be missing from either listing.
        if is_same is None and self._threads_of_business[1] and thread.id in self._newest_threads:
            return False
        return is_same

    def _named(self, fields: dict[str, Any] | None) -> bool | None:
        """Compare with the fields in which the service may name the subject."""
        for name in ("business_id", "context_id"):
            if isinstance(value := (fields or {}).get(name), str):
                return value == self._context_id
        return None

    @cached_property
    def _threads_of_business(self) -> tuple[set[str], bool]:
        """The IDs of the threads of the business, and whether these are all."""
        return self._threads(_MAX_PAGES, business_id=self._context_id) if self.is_business else (set(), False)

    @cached_property
    def _newest_threads(self) -> set[str]:
        return self._threads(_MAX_PAGES_OF_NEWEST_THREADS)[0]

    def _threads(self, max_pages: int, **filters: Any) -> tuple[set[str], bool]:
        walk = ListingWalk(as_listed=True, max_pages=max_pages)
        threads: set[str] = set()
        while walk.page is not None:
            try:
                page: ThreadPage = self._send(
                    requests.list_threads, page=walk.page, page_size=walk.page_size, **filters
                )
            except AgentRunsAPIError as e:
                if e.retryable:
                    raise
                self._log.warning("Cannot list threads to find out the subjects of runs: %s", e)
                return threads, False
            threads.update(thread.id for thread in page.data)
            walk.advance(page)
        return threads, not walk.truncated

# SPDX-License-Identifier: Apache-2.0
"""
Finds the run that an earlier request or an earlier try of a task started.

A listed run shows its agent and its creation time, but not its subject. The subject follows from the run's fields, its
thread, or the threads of the business. A run that has another subject is never returned.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.client.listing_walk import ListingWalk, Order, order_of
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunStartInDoubtError
from airflow_provider_agentruns.idempotency.state import Send, Sleep
from airflow_provider_agentruns.models import AgentRun, RunPage, Thread, ThreadPage
from airflow_provider_agentruns.text import digest, single_line

log = logging.getLogger(__name__)

#: The listing may lack an accepted run for this long, and is read this often, in seconds.
_LISTING_LAG, READ_INTERVAL = 8.0, 2.0
#: The precision of the service's clock, in seconds. The HTTP Date header has whole seconds.
_CLOCK_MARGIN = 5.0
#: A listing with more pages probably has no end.
_MAX_PAGES, _MAX_PAGES_OF_NEWEST_THREADS = 10_000, 10


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
        # The arguments are not stored.
        return digest(asdict(self))[:32]


@dataclass(frozen=True, slots=True)
class Window:
    """
    The time in which a run was created, by a worker's clock.

    :param margin: The possible error of both times in seconds, if another worker stored them.
    :param active_until: A run that was created earlier counts only while it is active.
    """

    since: pendulum.DateTime
    until: pendulum.DateTime
    margin: float = 0.0
    active_until: pendulum.DateTime | None = None


def find_earlier_run(start: Start, window: Window, *, send: Send, sleep: Sleep) -> AgentRun | None:
    """
    Return the run that an earlier request started, or None if it started none.

    Reads the listing for some seconds, because the service may still be processing the request.

    :raises AgentRunStartInDoubtError: If several runs could be the one.
    """
    begun = pendulum.now("UTC")
    while True:
        # The last read, which can be slow, begins after the lag.
        is_last = (pendulum.now("UTC") - begun).total_seconds() >= _LISTING_LAG
        run = _Search(start, window, send).find(is_last=is_last)
        if run or is_last:
            return run
        sleep(READ_INTERVAL)


class _Search:
    """One read of the listing. A comparison of subjects returns None if a subject is unknown."""

    def __init__(self, start: Start, window: Window, send: Send) -> None:
        self._start, self._window, self._send = start, window, send
        self._margin = pendulum.duration(seconds=_CLOCK_MARGIN + window.margin)
        # By how much the service's clock is ahead.
        self._skew = pendulum.duration()
        self._context_id = start.business_id or start.context_id
        # The service can list the threads of a business.
        self._is_business = bool(start.business_id) or start.context_type == "business"

    def find(self, *, is_last: bool) -> AgentRun | None:
        created, is_complete = self._created()
        unknown = [run for run in created if run.agent in (None, self._start.agent)]
        for compare in (self._compare, self._compare_thread):
            compared = [(run, compare(run)) for run in unknown]
            if same := [run for run, is_same in compared if is_same]:
                return min(same, key=self._distance)
            unknown = [run for run, is_same in compared if is_same is None]
        if not is_last or (is_complete and not unknown):
            return None
        doubt = f"A run of {single_line(self._start.agent)} may have been started"
        if not is_complete:
            raise AgentRunStartInDoubtError(
                f"{doubt}. The service's listing of runs repeats a page or has more than {_MAX_PAGES} pages, so the "
                "run may be on a page that was not read. Nothing was started"
            )
        # Without a business, the service often shows no subject, and a single run may be a sibling task's.
        if len(unknown) > 1 or not self._is_business:
            raise AgentRunStartInDoubtError(
                f"{doubt}, but the service does not show which one. Possible runs: "
                f"{', '.join(single_line(run.id, 50) for run in unknown[:20])}. No other run was started. Wait for the "
                "right run with AgentRunSensor, or clear this task later to search again"
            )
        log.warning(
            "The service does not show the subject of agent run %s. It is the only run of %s that was started at that "
            "time, so this task uses it",
            single_line(unknown[0].id),
            single_line(self._start.agent),
        )
        return unknown[0]

    def _created(self) -> tuple[list[AgentRun], bool]:
        """Return the runs created in the window, each once, and whether no page is missing."""
        walk = ListingWalk(max_pages=_MAX_PAGES)
        created: dict[str, AgentRun] = {}
        in_order = True
        while walk.page is not None:
            try:
                page: RunPage = self._send(requests.list_runs, page=walk.page, page_size=walk.page_size)
            except AgentRunsAPIError as e:
                # Only the search for the last page requests pages that may not exist.
                is_guess = walk.order is Order.OLDEST_FIRST and walk.last_page is None
                if not (is_guess and walk.is_past_end(e.status_code)):
                    raise
                walk.advance(None)
                continue
            if walk.page == 1 and page.served_at:
                self._skew = page.served_at - pendulum.now("UTC")
            for run in page.data:
                if self._may_be_it(run):
                    created.setdefault(run.id, run)
            # A listing by last change can show creation times in the opposite order. It is read completely.
            orders = {order_of(run.created_at for run in page.data), order_of(run.updated_at for run in page.data)}
            in_order = in_order and not orders >= {Order.NEWEST_FIRST, Order.OLDEST_FIRST}
            walk.advance(page, stop=in_order and self._is_before(page))
        return [*created.values()], not walk.truncated

    def _may_be_it(self, run: AgentRun) -> bool:
        window = self._window
        created = run.created_at - self._skew if run.created_at else None
        if created and not window.since - self._margin <= created <= window.until + self._margin:
            return False
        is_old = window.active_until and not (created and created >= window.active_until - self._margin)
        return not (is_old and run.status.finished)

    def _is_before(self, page: RunPage) -> bool:
        """Return whether all runs of a page were created and changed before the window."""
        begin = self._window.since - self._margin + self._skew
        moments = [moment for run in page.data for moment in (run.created_at, run.updated_at or run.created_at)]
        return all(moment is not None and moment < begin for moment in moments)

    def _distance(self, run: AgentRun) -> tuple[bool, float]:
        """Return a sort key: first the runs after the request, the earliest one first."""
        seconds = (run.created_at - self._skew - self._window.since).total_seconds() if run.created_at else 0.0
        return seconds < -_CLOCK_MARGIN, abs(seconds)

    def _compare(self, run: AgentRun) -> bool | None:
        if self._start.thread_id:
            return None if run.thread_id is None else run.thread_id == self._start.thread_id
        if (is_same := self._named(run.model_extra)) is not None:
            return is_same
        return run.thread_id in self._threads_of_business[0] or None

    def _compare_thread(self, run: AgentRun) -> bool | None:
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
        # Excludes runs that sibling tasks start for other businesses. The thread must be among all threads, because
        # either listing may lack a new thread.
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
        return self._threads(_MAX_PAGES, business_id=self._context_id) if self._is_business else (set(), False)

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
                log.warning("Cannot list threads to find out the subjects of runs: %s", e)
                return threads, False
            threads.update(thread.id for thread in page.data)
            walk.advance(page)
        return threads, not walk.truncated

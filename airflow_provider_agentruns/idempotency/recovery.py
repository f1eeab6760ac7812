# SPDX-License-Identifier: Apache-2.0
"""
Finding the run that a request may have started, of which no answer came.

A run in the listing shows its agent and when it was created, but not what it works on. That is learnt from its
thread. Evidence decides: a run known to be about something else is never taken, and where it cannot be told
which of several it is, none is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pendulum

from airflow_provider_agentruns.client import requests
from airflow_provider_agentruns.exceptions import AgentRunsAPIError, AgentRunStartInDoubtError

if TYPE_CHECKING:
    from airflow_provider_agentruns.idempotency.create_run import Start
    from airflow_provider_agentruns.idempotency.state import Log, Send
    from airflow_provider_agentruns.models import AgentRun, RunPage, Thread, ThreadPage

#: By how much two clocks may differ after they have been compared: the HTTP Date header has whole seconds.
_CLOCK_MARGIN = pendulum.duration(seconds=5)

_NO_TIME = pendulum.duration()

_PAGE_SIZE = 100

#: More pages than any account has; a listing that goes on beyond them has no end.
_MOST_PAGES = 10_000

#: How far down the listing of all threads a thread of the last minutes is looked for.
_PAGES_OF_NEWEST_THREADS = 10


class _Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"


class _Verdict(Enum):
    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def find_started(
    start: Start,
    *,
    since: pendulum.DateTime,
    until: pendulum.DateTime | None,
    send: Send,
    log: Log,
    margin: pendulum.Duration = _NO_TIME,
    last: bool = True,
) -> AgentRun | None:
    """
    Return the run that a request sent in a span of time has started, or None where it has started none.

    :param start: What the request asked for.
    :param since: When the request may have been sent, by this machine's clock; the service's is compared.
    :param until: By when it must have arrived; None for now.
    :param margin: By how much ``since`` may be off, where another machine has written it down.
    :param last: Whether this is the last look. Before it, only what is surely the one counts: it may be another
        one that shows first.
    :raises AgentRunStartInDoubtError: If it cannot be told whether a run is the one.
    """
    context = _Context(start, send, log)
    window = _Window(since, until, margin)
    candidates = [run for run in _created_in(window, send) if run.agent in (None, start.agent)]
    same, unknown = _sort(candidates, context.compare)
    if not same and unknown:
        same, unknown = _sort(unknown, context.compare_thread)
    if same:
        # The one right after the request, should the same work have been asked for before or again later.
        return min(same, key=lambda run: window.distance(run.created_at))
    if not last:
        return None
    # Of a business's runs the service can tell them apart, and one alone will be it. Of other contexts it often
    # cannot, and a sibling task's run is just as likely: its output would be about something else.
    if len(unknown) > 1 or (unknown and not context.is_business):
        raise AgentRunStartInDoubtError(
            f"A run of {start.agent} may have been started, and it cannot be told which of these it is: "
            f"{', '.join(run.id for run in unknown[:20])}. No other one was started. Look at them: wait for the right "
            "one with AgentRunSensor, or clear this task later to have it look again"
        )
    if unknown:
        log.warning(
            "The service does not tell what agent run %s works on; it is the only run of %s that was started at that "
            "time, and is taken for this task's",
            unknown[0].id,
            start.agent,
        )
        return unknown[0]
    return None


def _sort(runs: list[AgentRun], compare: Callable[[AgentRun], _Verdict]) -> tuple[list[AgentRun], list[AgentRun]]:
    """Return the runs about the same context, and those of which that is unknown."""
    verdicts = [(run, compare(run)) for run in runs]
    return (
        [run for run, verdict in verdicts if verdict is _Verdict.SAME],
        [run for run, verdict in verdicts if verdict is _Verdict.UNKNOWN],
    )


class _Window:
    """A span of time, by the service's clock once that is known."""

    def __init__(self, since: pendulum.DateTime, until: pendulum.DateTime | None, margin: pendulum.Duration) -> None:
        self._since = since
        self._until = until
        self._margin = margin

    def set_clock(self, served_at: pendulum.DateTime | None) -> None:
        """Compare the clocks, by when the service sent what has just come."""
        if served_at:
            skew = served_at - pendulum.now("UTC")
            self._since += skew
            self._until = self._until + skew if self._until else None

    @property
    def start(self) -> pendulum.DateTime:
        """Before this, nothing was created that is looked for."""
        return self._since - _CLOCK_MARGIN - self._margin

    def holds(self, created: pendulum.DateTime | None) -> bool:
        """Whether what was created then may be what is looked for."""
        if created is None:
            return True
        return self.start <= created and (not self._until or created <= self._until + _CLOCK_MARGIN + self._margin)

    def distance(self, created: pendulum.DateTime | None) -> tuple[bool, float]:
        """Order what was created: first what came after the beginning, the next after it first."""
        seconds = (created - self._since).total_seconds() if created else 0.0
        return seconds < -_CLOCK_MARGIN.total_seconds(), abs(seconds)


def _created_in(window: _Window, send: Send) -> Iterator[AgentRun]:
    """Yield the runs created in a span of time, each once."""
    first: RunPage = send(requests.list_runs, page=1, page_size=_PAGE_SIZE)
    window.set_clock(first.served_at)
    seen: set[str] = set()
    for page in _pages(first, window.start, send):
        for run in page.data:
            if run.id not in seen and window.holds(run.created_at):
                seen.add(run.id)
                yield run


def _pages(first: RunPage, start: pendulum.DateTime, send: Send) -> Iterator[RunPage]:
    """
    Yield the pages that can hold runs created after ``start``.

    The listing's order is not documented. Newest first, it is left at the first page of which every run is
    older; oldest first, it is read from its end; in no order, it is read to the end.
    """

    def read(number: int) -> RunPage:
        page: RunPage = send(requests.list_runs, page=number, page_size=_PAGE_SIZE)
        return page

    yield first
    if not first.has_more or not first.data:
        return
    order = _order(first)
    if order is _Order.OLDEST_FIRST and first.total_count:
        last = -(-first.total_count // len(first.data))
        for number in range(last, 1, -1):
            page = read(number)
            yield page
            if page.data and _all_older(page, start):
                return
        return
    page = first
    for number in range(2, _MOST_PAGES):
        if order is _Order.NEWEST_FIRST and _all_older(page, start):
            return
        page = read(number)
        yield page
        if not page.has_more or not page.data:
            return


def _order(page: RunPage) -> _Order | None:
    """Tell the order of the listing from a page: by creation or by last change; None where it shows none."""
    falling = rising = False
    for moments in (
        [run.created_at for run in page.data],
        [run.updated_at or run.created_at for run in page.data],
    ):
        known = [moment for moment in moments if moment]
        if known and known[0] != known[-1]:
            falling |= all(earlier >= later for earlier, later in pairwise(known))
            rising |= all(earlier <= later for earlier, later in pairwise(known))
    if falling == rising:
        return None
    return _Order.NEWEST_FIRST if falling else _Order.OLDEST_FIRST


def _all_older(page: RunPage, start: pendulum.DateTime) -> bool:
    """Whether no run of a page was created, or changed, after ``start``: the order may go by either."""
    return all(
        moment is not None and moment < start
        for run in page.data
        for moment in (run.created_at, run.updated_at or run.created_at)
    )


class _Context:
    """Compares what runs work on with what was asked for, by whatever the service shows of it."""

    def __init__(self, start: Start, send: Send, log: Log) -> None:
        self._start = start
        self._send = send
        self._log = log
        self._business_id = start.business_id or (start.context_id if start.context_type == "business" else None)
        self._context_id = start.business_id or start.context_id

    @property
    def is_business(self) -> bool:
        """Whether the service can list the threads of what is worked on."""
        return bool(self._business_id)

    def compare(self, run: AgentRun) -> _Verdict:
        """Compare by what the run itself and the listing of the business's threads show."""
        if self._start.thread_id:
            return self._verdict(run.thread_id, self._start.thread_id)
        if (verdict := self._named(run.model_extra)) is not _Verdict.UNKNOWN:
            return verdict
        return _Verdict.SAME if run.thread_id in self._threads_of_business[0] else _Verdict.UNKNOWN

    def compare_thread(self, run: AgentRun) -> _Verdict:
        """Compare by what the run's thread shows, which costs a request."""
        if run.thread_id is None:
            return _Verdict.UNKNOWN
        try:
            thread: Thread = self._send(requests.get_thread, run.thread_id)
        except AgentRunsAPIError as e:
            if _passes(e):
                raise
            return _Verdict.UNKNOWN
        verdict = self._named({**(thread.model_extra or {}), **(thread.metadata or {})})
        # Missing among the threads of the business says something only where all of these could be read, and of
        # a thread that is listed otherwise.
        if verdict is _Verdict.UNKNOWN and self._threads_of_business[1] and thread.id in self._newest_threads:
            return _Verdict.DIFFERENT
        return verdict

    def _named(self, fields: dict[str, Any] | None) -> _Verdict:
        """Compare with the fields in which the service might name a context."""
        for name in ("business_id", "context_id"):
            if isinstance(value := (fields or {}).get(name), str):
                return self._verdict(value, self._context_id)
        return _Verdict.UNKNOWN

    @staticmethod
    def _verdict(there: str | None, wanted: str | None) -> _Verdict:
        if there is None:
            return _Verdict.UNKNOWN
        return _Verdict.SAME if there == wanted else _Verdict.DIFFERENT

    @cached_property
    def _threads_of_business(self) -> tuple[set[str], bool]:
        """The threads of the business, and whether that is all of them."""
        return self._threads(_MOST_PAGES, business_id=self._business_id) if self._business_id else (set(), False)

    @cached_property
    def _newest_threads(self) -> set[str]:
        return self._threads(_PAGES_OF_NEWEST_THREADS)[0]

    def _threads(self, most_pages: int, **of: str) -> tuple[set[str], bool]:
        threads: set[str] = set()
        for number in range(1, most_pages + 1):
            try:
                page: ThreadPage = self._send(requests.list_threads, page=number, page_size=_PAGE_SIZE, **of)
            except AgentRunsAPIError as e:
                if _passes(e):
                    raise
                # Evidence that is not to be had is none; the run is not lost for it.
                self._log.warning("The threads cannot be listed, to tell which run works on what: %s", e)
                break
            threads.update(thread.id for thread in page.data)
            if not page.has_more or not page.data:
                return threads, True
        return threads, False


def _passes(error: AgentRunsAPIError) -> bool:
    """Whether it may be gone in a moment; else the evidence is not to be had, for lack of a right, say."""
    return error.status_code >= 500 or error.status_code == 429

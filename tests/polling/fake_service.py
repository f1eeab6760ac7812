# SPDX-License-Identifier: Apache-2.0
"""A service behind function calls, whose listing can behave in every way that the API reference leaves open."""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from random import Random

from airflow_provider_agentruns.client.responses import ListedPage, ListedRun
from airflow_provider_agentruns.exceptions import AgentRunInvalidRequestError, AgentRunNotFoundError
from airflow_provider_agentruns.models import RunStatus
from tests.polling.virtual_time import BEGINNING, EPOCH

#: When a status begins, and the status.
Period = tuple[float, str]

Fault = Callable[[], Exception | None]

_DEFAULT_PAGE_SIZE = 20


class Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"
    BY_ID = "by id"
    LAST_CHANGED_FIRST = "last changed first"


class TooLarge(Enum):
    """What happens to a request for larger pages than the service allows."""

    CLAMPED = "clamped"
    DEFAULT = "default"
    REFUSED = "refused"


@dataclass(eq=False, slots=True)
class FakeRun:
    """
    A run whose statuses are known in advance.

    :param periods: Its statuses, oldest first. The first one begins with its creation.
    :param listed: Whether the listing shows it.
    """

    id: str
    periods: list[Period]
    listed: bool = True

    @property
    def created(self) -> float:
        return self.periods[0][0]

    @property
    def lives(self) -> list[tuple[float, float, str]]:
        ends = [*(since for since, _ in self.periods[1:]), math.inf]
        return [(since, end, status) for (since, status), end in zip(self.periods, ends, strict=True)]

    def status_at(self, moment: float) -> str:
        return next((status for since, status in reversed(self.periods) if since <= moment), self.periods[0][1])


@dataclass
class FakeService:
    """
    Holds runs, and returns them as they are at a given time.

    :param largest: The largest page size.
    :param counts: Whether it returns the total number of runs.
    :param lag: By how many seconds the listing's statuses are out of date.
    :param shown_after: Seconds after its creation until the listing shows a run.
    :param deepest: The last page that it serves.
    :param ends: Whether it rejects pages beyond the last one.
    :param page_fault: Returns the error of a page request; None for success.
    :param read_fault: The same for a single run.
    """

    order: Order = Order.NEWEST_FIRST
    largest: int = 100
    too_large: TooLarge = TooLarge.CLAMPED
    counts: bool = True
    lag: float = 0.0
    shown_after: float = 0.0
    deepest: int | None = None
    ends: bool = False
    page_fault: Fault = lambda: None
    read_fault: Fault = lambda: None

    def __post_init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        #: How many page requests it has rejected.
        self.refusals = 0
        # Sorted by what the listing is sorted by, ascending.
        self._shown: list[tuple[float | str, str, FakeRun]] = []
        self._coming: list[tuple[float, str, FakeRun]] = []

    def add(self, runs: Iterable[FakeRun]) -> None:
        for run in runs:
            self.runs[run.id] = run
            if run.listed:
                moments = [since for since, _ in run.periods]
                for moment in moments if self.order is Order.LAST_CHANGED_FIRST else moments[:1]:
                    heapq.heappush(self._coming, (moment + self.shown_after, run.id, run))

    def add_finished(self, count: int) -> None:
        for run in _finished(count):
            self.runs[run.id] = run
            moment = run.periods[-1][0] if self.order is Order.LAST_CHANGED_FIRST else run.created
            self._shown.append((run.id if self.order is Order.BY_ID else moment, run.id, run))
        self._shown.sort()

    def page(self, number: int, per_page: int, now: float) -> ListedPage:
        if (fault := self.page_fault()) is not None:
            raise fault
        if self.deepest is not None and number > self.deepest:
            raise self._refuse("page")
        if per_page > self.largest:
            if self.too_large is TooLarge.REFUSED:
                raise self._refuse("per_page")
            per_page = self.largest if self.too_large is TooLarge.CLAMPED else _DEFAULT_PAGE_SIZE
        self._update(now)
        count, start = len(self._shown), (number - 1) * per_page
        if self.ends and number > 1 and start >= count:
            raise AgentRunNotFoundError(404, ["There is no such page"], "GET", "/v1/runs")
        if self.order in (Order.NEWEST_FIRST, Order.LAST_CHANGED_FIRST):
            shown = self._shown[max(0, count - start - per_page) : max(0, count - start)][::-1]
        else:
            shown = self._shown[start : start + per_page]
        return ListedPage(
            has_more=start + per_page < count,
            total_count=count if self.counts else None,
            data=[self._entry(run, now) for _, _, run in shown],
        )

    def status(self, run_id: str, now: float) -> RunStatus:
        if (fault := self.read_fault()) is not None:
            raise fault
        run = self.runs.get(run_id)
        if run is None or run.created > now:
            raise AgentRunNotFoundError(404, [f"There is no run {run_id}"], "GET", f"/v1/runs/{run_id}")
        return RunStatus(run.status_at(now))

    def _refuse(self, parameter: str) -> AgentRunInvalidRequestError:
        self.refusals += 1
        return AgentRunInvalidRequestError(422, [f"{parameter} is too large"], "GET", "/v1/runs")

    def _update(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            moment, _, run = heapq.heappop(self._coming)
            moment -= self.shown_after
            if moment != run.created:
                self._shown = [entry for entry in self._shown if entry[2] is not run]
            insort(self._shown, (run.id if self.order is Order.BY_ID else moment, run.id, run))

    def _entry(self, run: FakeRun, now: float) -> ListedRun:
        status = run.status_at(max(run.created, now - self.lag))
        created = datetime.fromtimestamp(EPOCH + run.created, UTC).isoformat()
        return {"id": run.id, "status": status, "created_at": created}


def just_started(
    count: int, rng: Random, *, shortest: float = 5.0, longest: float = 25.0, over: float = 0.0, listed: bool = True
) -> list[FakeRun]:
    """
    Return runs that have just been started.

    :param shortest: The shortest duration, in seconds.
    :param longest: The longest duration, in seconds.
    :param over: The runs are started over this many seconds.
    """
    starts = [BEGINNING + over * number / count for number in range(count)]
    return [
        FakeRun(new_id(rng), [(at - 0.5, "running"), (at + rng.uniform(shortest, longest), "completed")], listed=listed)
        for at in starts
    ]


@lru_cache(maxsize=4)
def _finished(count: int) -> list[FakeRun]:
    rng = seeded(count)
    ends = [BEGINNING - 60.0 - number for number in range(count)]
    return [FakeRun(new_id(rng), [(end - 20.0, "running"), (end, "completed")]) for end in ends]


def seeded(seed: int) -> Random:
    """Return a random generator that is the same in each run of a test."""
    return Random(seed)  # noqa: S311


def new_id(rng: Random) -> str:
    """Return an ID that does not reveal the order of runs."""
    return f"{rng.getrandbits(64):016x}"

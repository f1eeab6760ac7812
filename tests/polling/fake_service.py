# SPDX-License-Identifier: Apache-2.0
"""A service that is asked by function calls: what the reference leaves open about its listing can be chosen."""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from random import Random

from airflow_provider_agentruns.client.partial_models import ListedPage, ListedRun
from airflow_provider_agentruns.exceptions import AgentRunInvalidRequestError, AgentRunNotFoundError
from airflow_provider_agentruns.models import RunStatus
from tests.polling.virtual_time import BEGINNING, EPOCH

#: A status, and since when it holds.
Period = tuple[float, str]

Fault = Callable[[], Exception | None]


class Order(Enum):
    """In which order the listing is. Nothing tells of it but the listing."""

    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"
    BY_ID = "by id"
    LAST_CHANGED_FIRST = "last changed first"


class TooLarge(Enum):
    """What becomes of a request for more runs than a page may hold."""

    CLAMPED = "clamped"
    DEFAULT = "default"
    REFUSED = "refused"


class FakeRun:
    """
    A run whose whole life is known from the start.

    :param periods: Its statuses, oldest first. The first one is since its creation.
    :param listed: Whether the listing shows it.
    """

    __slots__ = ("id", "listed", "periods")

    def __init__(self, run_id: str, periods: list[Period], *, listed: bool = True) -> None:
        self.id = run_id
        self.periods = periods
        self.listed = listed

    @property
    def created(self) -> float:
        """When it was created."""
        return self.periods[0][0]

    @property
    def lives(self) -> list[tuple[float, float, str]]:
        """Its statuses, each with since when and until when it holds."""
        ends = [*(since for since, _ in self.periods[1:]), math.inf]
        return [(since, end, status) for (since, status), end in zip(self.periods, ends, strict=True)]

    def status_at(self, moment: float) -> str:
        """Return its status at a moment."""
        return next((status for since, status in reversed(self.periods) if since <= moment), self.periods[0][1])


@dataclass
class FakeService:
    """
    Holds runs, and shows them as they are at a moment.

    :param largest: How many runs a page may hold.
    :param default: How many it holds for who asks for too many, where that is what it does.
    :param counts: Whether it tells how many runs there are.
    :param lag: How many seconds the listing is behind the statuses.
    :param shown_after: How many seconds after a run was created the listing begins to show it.
    :param whole: Whether the listing shows outputs and questions.
    :param entry_size: How large the answer is for each run on a page, in bytes.
    :param deepest: The number of the last page that may be asked for.
    :param ends: Whether it refuses pages beyond the last one.
    :param page_fault: Returns what a page fails with; None where it comes.
    :param read_fault: The same for a run.
    :param unreadable: Runs whose entries in the listing cannot be read.
    :param withheld: Runs that are left out of a page, which is the shorter for it.
    """

    order: Order = Order.NEWEST_FIRST
    largest: int = 100
    default: int = 20
    too_large: TooLarge = TooLarge.CLAMPED
    counts: bool = True
    lag: float = 0.0
    shown_after: float = 0.0
    whole: bool = True
    entry_size: int = 800
    deepest: int | None = None
    ends: bool = False
    page_fault: Fault = lambda: None
    read_fault: Fault = lambda: None
    unreadable: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        #: How many requests for pages it has refused.
        self.refusals = 0
        # By what the listing goes by, in rising order.
        self._shown: list[tuple[float | str, str, FakeRun]] = []
        self._coming: list[tuple[float, str, FakeRun]] = []

    def add(self, runs: Iterable[FakeRun]) -> None:
        """Add runs, each of which is there from its first period on."""
        for run in runs:
            self.runs[run.id] = run
            if run.listed:
                moments = [since for since, _ in run.periods]
                for moment in moments if self.order is Order.LAST_CHANGED_FIRST else moments[:1]:
                    heapq.heappush(self._coming, (moment + self.shown_after, run.id, run))

    def add_finished(self, count: int) -> None:
        """Add runs that had ended long before the clock began."""
        for run in _finished(count):
            self.runs[run.id] = run
            ended = run.periods[-1][0]
            key = (
                run.id
                if self.order is Order.BY_ID
                else ended
                if self.order is Order.LAST_CHANGED_FIRST
                else run.created
            )
            self._shown.append((key, run.id, run))
        self._shown.sort()

    def page(self, number: int, per_page: int, now: float) -> ListedPage:
        """Give a page of the listing."""
        if (fault := self.page_fault()) is not None:
            raise fault
        if self.deepest is not None and number > self.deepest:
            raise self._refuse("page")
        if per_page > self.largest:
            if self.too_large is TooLarge.REFUSED:
                raise self._refuse("per_page")
            per_page = self.largest if self.too_large is TooLarge.CLAMPED else self.default
        self._go_on(now)
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
            data=[self._entry(run, now) for _, _, run in shown if run.id not in self.unreadable | self.withheld],
            left_out=sum(run.id in self.unreadable for _, _, run in shown),
            size=self.entry_size * len(shown),
        )

    def status(self, run_id: str, now: float) -> RunStatus:
        """Give the status of a run."""
        if (fault := self.read_fault()) is not None:
            raise fault
        run = self.runs.get(run_id)
        if run is None or run.created > now:
            raise AgentRunNotFoundError(404, [f"There is no run {run_id}"], "GET", f"/v1/runs/{run_id}")
        return RunStatus(run.status_at(now))

    def _refuse(self, parameter: str) -> AgentRunInvalidRequestError:
        self.refusals += 1
        return AgentRunInvalidRequestError(422, [f"{parameter} is too large"], "GET", "/v1/runs")

    def _go_on(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            moment, _, run = heapq.heappop(self._coming)
            moment -= self.shown_after
            if moment != run.created:
                self._shown = [entry for entry in self._shown if entry[2] is not run]
            insort(self._shown, (run.id if self.order is Order.BY_ID else moment, run.id, run))

    def _entry(self, run: FakeRun, now: float) -> ListedRun:
        status = run.status_at(max(run.created, now - self.lag))
        entry: ListedRun = {
            "id": run.id,
            "status": status,
            "created_at": datetime.fromtimestamp(EPOCH + run.created, UTC).isoformat(),
        }
        if self.whole:
            entry["output"] = {} if status == "completed" else None
            entry["interrupts"] = [{"id": "i-1"}] if status == "interrupted" else []
        return entry


def just_started(
    count: int, rng: Random, *, shortest: float = 5.0, longest: float = 25.0, over: float = 0.0, listed: bool = True
) -> list[FakeRun]:
    """
    Return runs that have just been started.

    :param shortest: How many seconds the first one that ends takes.
    :param over: Over how many seconds they are started, beginning with the clock.
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
    """Return what chooses the same in each run of a test."""
    return Random(seed)  # noqa: S311


def new_id(rng: Random) -> str:
    """Return an id which tells nothing of the order of runs."""
    return f"{rng.getrandbits(64):016x}"

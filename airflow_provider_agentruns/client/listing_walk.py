# SPDX-License-Identifier: Apache-2.0
"""Decides which page of a listing to read next, without I/O. Every reader of a listing uses it."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from enum import Enum
from itertools import accumulate
from typing import Any, NamedTuple

from airflow_provider_agentruns.client.responses import ListedPage
from airflow_provider_agentruns.models import Page

#: If a service rejects pages of this size, their size is not the reason.
_SMALLEST_PAGE_SIZE = 10
#: Creation times may be out of order by this many seconds in a listing that is sorted by a similar time.
_TOLERANCE = 60.0
#: A listing that claims to have this many pages has no end.
_DEEPEST_PAGE = 1_000_000


class Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"
    UNORDERED = "unordered"


class _Read(NamedTuple):
    entries: int = 0
    more: bool = False
    pages: int = 0


class ListingWalk:
    """
    Walks a listing from its newest end, in whatever order the service lists it::

        walk = ListingWalk()
        while walk.page is not None:
            page = send(list_runs(page=walk.page, page_size=walk.page_size))
            ...
            walk.advance(page, stop=holds_only_old_runs(page))

    If the newest runs come last, the walk finds the last page and walks back from there. In an unordered listing,
    ``stop`` has no effect. An entry may appear twice if runs are created meanwhile.

    :param page_size: The number of runs to request per page. The service may return fewer.
    :param as_listed: Whether to read all pages in the service's own order instead.
    :param max_pages: The walk ends after this many pages.
    :param previous: An earlier walk over the same listing, whose order and last page the new one starts with.
    """

    def __init__(
        self,
        *,
        page_size: int = 100,
        as_listed: bool = False,
        max_pages: int = 10_000,
        previous: ListingWalk | None = None,
    ) -> None:
        self.page_size: int = previous.page_size if previous else page_size
        #: The order of the listing; None until it is known.
        self.order: Order | None = previous.order if previous else None
        if as_listed:
            self.order = Order.UNORDERED
        self.last_page: int | None = previous.last_page if previous else None
        #: Whether pages may be missing: the walk ended at ``max_pages``, or because a page was repeated.
        self.truncated = False
        self._max_pages = max_pages
        self._begin()

    def _begin(self) -> None:
        self._seen: set[int] = set()
        # The highest page for which ``stop`` was set.
        self._newest_stop = 0
        self._previous_ids: list[Any] | None = None
        self._steps = self._walk()
        #: The page to read next; None when the walk is over.
        self.page: int | None = next(self._steps)

    def advance(self, page: Page[Any] | ListedPage | None, *, stop: bool = False) -> None:
        """
        Decide which page is next.

        :param page: The page that was read; None if there is no such page (see :meth:`is_past_end`).
        :param stop: Whether nothing older than this page is of interest.
        """
        if self.page is None:
            raise RuntimeError("the walk is over")
        self._seen.add(self.page)
        read = _Read() if page is None else self._read(self.page, page)
        if stop and read.entries:
            self._newest_stop = max(self._newest_stop, self.page)
        try:
            self.page = self._steps.send(read)
        except StopIteration:
            self.page = None
        if self.page is not None and len(self._seen) >= self._max_pages:
            self.page, self.truncated = None, True

    def is_past_end(self, status: int | None) -> bool:
        """Return whether a status means that there is no such page, or none that deep. The first page always exists."""
        return self.page != 1 and status in (400, 404, 416, 422)

    def shrink(self) -> bool:
        """Start again with smaller pages. Return False if they are as small as they get."""
        if self.page_size <= _SMALLEST_PAGE_SIZE:
            return False
        self.page_size = max(_SMALLEST_PAGE_SIZE, self.page_size // 2)
        self.last_page = None
        self._begin()
        return True

    def _read(self, number: int, page: Page[Any] | ListedPage) -> _Read:
        entries = len(page.data) + (page.left_out if isinstance(page, ListedPage) else 0)
        ids = [_field(entry, "id") for entry in (page.data[0], page.data[-1])] if page.data else None
        if ids is not None and ids == self._previous_ids:
            # The service ignores the page number or repeats its last page, or a page of new runs was created meanwhile.
            self.truncated |= bool(page.has_more)
            return _Read()
        self._previous_ids = ids
        if self.order is not Order.UNORDERED:
            # Once the order is known, a sample is enough to notice that it was wrong.
            shown = order_of(_field(entry, "created_at") for entry in page.data[:: 7 if self.order else 1])
            if shown is not None and shown is not self.order:
                self.order = shown if self.order is None else Order.UNORDERED
        if not entries:
            return _Read()
        total = page.total_count or 0
        # A total that contradicts `has_more` costs one request if it is wrong; `has_more` would cost runs.
        more = page.has_more or total > number * max(entries, self.page_size)
        return _Read(entries, more, math.ceil(total / entries))

    def _walk(self) -> Generator[int, _Read, None]:
        first = 0
        guess = self.last_page if self.order is Order.OLDEST_FIRST else None
        while guess is None:
            first += 1
            read = yield first
            if not read.more or (self._newest_stop and self.order is Order.NEWEST_FIRST):
                return
            if self.order is Order.OLDEST_FIRST:
                guess = max(first + 1, read.pages)
        self.last_page = number = yield from self._find_last_page(first, guess)
        # If the listing turns out to be unordered, a stop no longer counts.
        while number > (self._newest_stop if self.order is Order.OLDEST_FIRST else 0):
            number -= 1
            if number > 0 and number not in self._seen:
                yield number

    def _find_last_page(self, known: int, guess: int) -> Generator[int, _Read, int]:
        """Find the last page of a listing whose newest runs come last, by bisection; ``known`` is a page before it."""
        number, beyond, step = guess, None, 1
        while known < number < _DEEPEST_PAGE:
            read = yield number
            if read.entries and not read.more:
                return number
            if read.entries:
                known = number
                number = number + step if beyond is None else (number + beyond) // 2
                step *= 2
            else:
                beyond = number
                number = (known + number) // 2
        # The last page claimed that there were more.
        return known


def order_of(created: Iterable[Any]) -> Order | None:
    """Return the order of creation times on a page; None if it cannot be determined."""
    times = [time for value in created if (time := timestamp(value)) is not None]
    rising = max((time - low for time, low in zip(times, accumulate(times, min), strict=True)), default=0.0)
    falling = max((high - time for time, high in zip(times, accumulate(times, max), strict=True)), default=0.0)
    if min(rising, falling) > _TOLERANCE:
        return Order.UNORDERED
    if max(rising, falling) > _TOLERANCE or (rising > 0) != (falling > 0):
        return Order.OLDEST_FIRST if rising > falling else Order.NEWEST_FIRST
    return None


def timestamp(value: Any) -> float | None:
    """Return a datetime or ISO 8601 string in seconds since 1970; None if it is neither."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() if moment else None
    except (AttributeError, ValueError, OverflowError):
        return None


def _field(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, dict) else getattr(entry, name, None)

# SPDX-License-Identifier: Apache-2.0
"""One reading of the listing, which ends as soon as its pages show too few of the runs that are due."""

from __future__ import annotations

import math

from airflow_provider_agentruns.client.paging import ListingWalk, Order
from airflow_provider_agentruns.client.partial_models import ListedPage
from airflow_provider_agentruns.polling.tracked_run import TrackedRun

#: A page is worth its request if it shows this many of the runs that the round wants.
_WORTH_A_PAGE = 2

#: A round ends after this many pages in a row that are not worth it, or after a fraction of the number of runs that it
#: still wants: a larger one as far down as the earlier round found runs.
_WASTED_PAGES = 3
_WASTED_ABOVE = 0.5
_WASTED_BELOW = 0.1


class ListingRound:
    """One reading of the listing. It starts with what the round before has learned."""

    def __init__(self, now: float, first: TrackedRun, previous: ListingRound | None) -> None:
        self.began_at = now
        self.due_at = first.next_poll_at
        self.interval = first.interval
        #: The runs to find, by ID.
        self.wanted: dict[str, TrackedRun] = {}
        #: New runs that became due after it began. They may be on pages that it has read already.
        self.late: list[TrackedRun] = []
        self.walk: ListingWalk = ListingWalk(previous=previous.walk if previous else None)
        #: When the page in progress was requested; None if there is none.
        self.requested_at: float | None = None
        #: Whether the service has rejected the token for a page.
        self.token_rejected = False
        #: The last page that was worth it, in the order of reading.
        self.worthwhile = 0
        self._worthwhile_before = previous.worthwhile if previous else 0
        self._pages = 0
        self._wasted = 0

    def can_find(self, run: TrackedRun) -> bool:
        """Return whether a run is on a later page: an earlier round has shown it, and this one has not yet."""
        return -math.inf < run.last_request_at < self.began_at

    def page_read(self, page: ListedPage | None) -> None:
        """Take in a page; None if the service says that there is no such page."""
        shown = page.data if page else ()
        found = sum(self.wanted.pop(listed["id"], None) is not None for listed in shown)
        self.walk.advance(page)
        self._pages += 1
        looking_for_last_page = self.walk.order is Order.OLDEST_FIRST and self.walk.last_page is None
        if found >= _WORTH_A_PAGE:
            self.worthwhile, self._wasted = self._pages, 0
        elif page is not None and not looking_for_last_page:
            self._wasted += 1

    @property
    def over(self) -> bool:
        """Whether no further page is worth its request."""
        fraction = _WASTED_ABOVE if self._pages <= self._worthwhile_before else _WASTED_BELOW
        return (
            not self.wanted or self.walk.page is None or self._wasted >= max(_WASTED_PAGES, fraction * len(self.wanted))
        )
